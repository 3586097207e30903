"""Lab 9 in another shape: workers are started anew (exec), and talk to their arbiter through pipes.

No fork of ours, so nothing is shared by accident: a worker gets the listening socket, a pipe for its
heartbeats, and the reading end of a lifeline that nobody writes to. When the arbiter is gone, whatever the
reason, the kernel closes the lifeline's other end. Signals set fields; the loop looks ten times a second.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

from one_connection import serve_connection

LOOK = 0.05
BOOT_SECONDS = 10.0


class Child:
    """A worker's process and the pipe on which its heart beats."""

    def __init__(self, application: str, listener: socket.socket, lifeline: int) -> None:
        self.beats, beating = os.pipe()
        os.set_blocking(self.beats, False)
        fds = [listener.fileno(), beating, lifeline]
        # -B: bytecode is compared by seconds, and two saves may come within one
        words = [sys.executable, "-B", __file__, application, "--worker", ",".join(map(str, fds))]
        self.process = subprocess.Popen(words, pass_fds=fds, stdin=subprocess.DEVNULL)
        os.close(beating)
        self.booted = self.asked = False
        self.last = time.monotonic() + BOOT_SECONDS

    def listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            if os.read(self.beats, 4096):
                self.booted, self.last = True, time.monotonic()

    def ask_to_end(self) -> None:
        if not self.asked:
            self.asked = True
            self.process.send_signal(signal.SIGTERM)


class Supervisor:
    """Looks after its children until it is told to end."""

    def __init__(self, options: Any, listener: socket.socket) -> None:
        self.options, self.listener = options, listener
        self.wanted = options.workers
        self.lifeline, self.held = os.pipe()
        self.children: list[Child] = []
        self.before: list[Child] = []
        self.reloads = 0
        self.limit: float | None = None
        for number, handler in {
            signal.SIGTTIN: lambda *_: self.change(1),
            signal.SIGTTOU: lambda *_: self.change(-1),
            signal.SIGHUP: lambda *_: self.ask_for_reload(),
            signal.SIGTERM: lambda *_: self.ask_for_end(options.graceful_timeout),
            signal.SIGINT: lambda *_: self.ask_for_end(0.0),
            signal.SIGQUIT: lambda *_: self.ask_for_end(0.0),
        }.items():
            signal.signal(number, handler)

    def change(self, by: int) -> None:
        self.wanted = max(1, self.wanted + by)

    def ask_for_reload(self) -> None:
        self.reloads += 1

    def ask_for_end(self, limit: float) -> None:
        self.limit = limit if self.limit is None else min(limit, self.limit)

    def run(self) -> int:
        while self.limit is None:
            if self.reloads:
                self.reloads = 0
                self.before += self.children
                self.children = []
            if not self.look_after():
                print("no worker can boot: giving up", file=sys.stderr, flush=True)
                self.end(self.options.graceful_timeout)
                return 3
            time.sleep(LOOK)
        self.end(self.limit)
        return 0

    def look_after(self) -> bool:
        """One round; False when a worker ended before it could serve."""
        for child in [*self.children, *self.before]:
            child.listen()
            if child.process.poll() is None and time.monotonic() - child.last > self.options.timeout:
                child.process.kill()
        dead = [one for one in [*self.children, *self.before] if one.process.poll() is not None]
        for one in dead:
            os.close(one.beats)
        self.children = [one for one in self.children if one not in dead]
        self.before = [one for one in self.before if one not in dead]
        staying = [one for one in self.children if not one.asked]
        for surplus in staying[self.wanted :]:
            surplus.ask_to_end()
        for _ in range(self.wanted - len(staying)):
            self.children.append(Child(self.options.application, self.listener, self.lifeline))
        if all(one.booted for one in self.children):
            for old in self.before:
                old.ask_to_end()
        return not any(one.process.returncode > 0 and not one.booted and not one.asked for one in dead)

    def end(self, limit: float) -> None:
        self.listener.close()
        everybody = [*self.children, *self.before]
        for child in everybody:
            child.ask_to_end()
        deadline = time.monotonic() + limit
        while any(one.process.poll() is None for one in everybody):
            if self.limit == 0.0 or time.monotonic() >= deadline:
                for child in everybody:
                    child.process.kill()
            time.sleep(LOOK)


def be_worker(application: str, fds: str) -> None:
    """What a started worker does until SIGTERM, or until the lifeline ends."""
    listening, beating, lifeline = map(int, fds.split(","))
    ending = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: ending.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = application.partition(":")
    app = getattr(importlib.import_module(module), attribute or "application")
    with socket.socket(fileno=listening) as listener:
        listener.setblocking(False)
        while not ending.is_set():
            os.write(beating, b".")
            ready, _, _ = select.select([listening, lifeline], [], [], 0.1)
            if lifeline in ready:
                return
            if listening in ready and not ending.is_set():
                with contextlib.suppress(BlockingIOError, ConnectionAbortedError):
                    client, address = listener.accept()
                    serve_connection(client, address, app)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=30.0)
    parser.add_argument("--graceful-timeout", type=float, default=30.0)
    parser.add_argument("--worker", default="")
    options = parser.parse_args()
    if options.worker:
        be_worker(options.application, options.worker)
        return 0
    listener = socket.create_server((options.host, options.port), backlog=512)
    return Supervisor(options, listener).run()


if __name__ == "__main__":
    sys.exit(main())
