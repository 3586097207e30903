"""A pre-fork server. Start it as: python arbiter.py module:attribute --host 127.0.0.1 --port 8000

Theory of operation. The arbiter binds a socket and forks. A fork copies descriptors, not sockets: every
worker has the same listening socket, with the kernel's one queue of connections, and whoever is idle takes
the next. The arbiter never accepts, never imports the application, never waits for a client. It has one loop:

    fill      as many workers as are wanted; a reload's are there before those before them go
    wait      until a signal comes, or a quarter of a second is over
    obey      what the signals say
    reap      children that ended: each one's exit status, or it stays a zombie
    end_hung  workers whose heartbeat is too old

Whatever goes wrong with a worker, the loop comes round, counts, and forks another. So no case needs a plan
of its own: a worker killed by the kernel, an operator, `end_hung` or its own bug is one that is missing.

Nothing is done inside a signal handler, where almost nothing is safe: signals are bytes in a pipe, and the
loop waits for that pipe (services/apps/signal_pipe.py).

A worker ends for three reasons: SIGTERM, which it reads between two requests; its own end; or because the
arbiter is gone, which it sees by its parent's pid. An arbiter that is killed with SIGKILL can tell nobody.
"""

from __future__ import annotations

import argparse
import importlib
import mmap
import os
import signal
import socket
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

from one_connection import Application, serve_connection
from signal_pipe import SignalPipe

BACKLOG = 1024
CANNOT_BOOT = 3
# Seconds between two heartbeats of an idle worker, and between two looks at them.
TICK = 0.25
OBEYED = (
    signal.SIGCHLD,
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGTTIN,
    signal.SIGTTOU,
)


def log(text: str) -> None:
    print(f"[{os.getpid()}] {text}", file=sys.stderr, flush=True)


# --- what arbiter and workers share -------------------------------------------------------------------


class Heartbeat:
    """A moment in eight bytes of memory that a worker and the arbiter share."""

    def __init__(self) -> None:
        # An anonymous mapping is the same memory on both sides of a fork; other memory is copied.
        self._cell = memoryview(mmap.mmap(-1, 8)).cast("d")

    def beat(self) -> None:
        # CLOCK_MONOTONIC is the system's: both processes read one clock, and nobody can set it.
        self._cell[0] = time.monotonic()

    @property
    def last(self) -> float:
        """Seconds of the monotonic clock; 0.0 before the first beat."""
        return float(self._cell[0])


# --- a worker -----------------------------------------------------------------------------------------


def work(name: str, listener: socket.socket, heartbeat: Heartbeat, signals: SignalPipe, parent: int) -> None:
    """Serve one connection after the other until SIGTERM, or until the arbiter is gone.

    Raises whatever importing the application raises.
    """
    # Imported here, after the fork: a worker of a reload imports the code as it is now. It keeps no bytecode,
    # which is compared with its source by seconds and size: of two saves within one it would be the first.
    sys.dont_write_bytecode = True
    application = load(name)
    while os.getppid() == parent:
        heartbeat.beat()
        # The signal first: a worker that was told to go leaves the next connection to the others.
        if signal.SIGTERM in signals.wait(TICK, listener):
            return
        try:
            client, address = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            # Every idle worker wakes up for a connection, and one gets it. Or the client has left again.
            continue
        serve_connection(client, address, application)


def listen_for_signals() -> SignalPipe:
    """A worker's own signals, in place of those that it has from the arbiter."""
    for number in OBEYED:
        signal.signal(number, signal.SIG_DFL)
    # Ctrl-C goes to every process of the terminal. What it means for a worker, the arbiter says.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGABRT, say_where_and_end)
    return SignalPipe([signal.SIGTERM])


def say_where_and_end(_number: int, frame: FrameType | None) -> NoReturn:
    """The last act of a worker that hangs: its stack says where."""
    log("this worker gave no sign of life; it was here:")
    traceback.print_stack(frame)
    sys.stderr.flush()
    os._exit(1)


def load(name: str) -> Application:
    """The application that "module:attribute" names; the current directory is on the path."""
    sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in (attribute or "application").split("."):
        found = getattr(found, part)
    application: Application = found
    return application


# --- the arbiter --------------------------------------------------------------------------------------


@dataclass
class Worker:
    """What the arbiter knows of a worker. `started` is in seconds of the monotonic clock."""

    pid: int
    generation: int
    heartbeat: Heartbeat
    started: float
    told_to_end: bool = False
    aborted: bool = False

    @property
    def booted(self) -> bool:
        return self.heartbeat.last > 0

    @property
    def silent_for(self) -> float:
        return time.monotonic() - max(self.heartbeat.last, self.started)


class CannotBoot(Exception):
    """A worker ended before it could serve. The next one would do the same."""


class Arbiter:
    """The loop, and what it counts. `timeout` and `graceful_timeout` are seconds."""

    def __init__(
        self, name: str, listener: socket.socket, workers: int, timeout: float, graceful_timeout: float
    ) -> None:
        self.name, self.listener, self.wanted = name, listener, workers
        self.timeout, self.graceful_timeout = timeout, graceful_timeout
        self.workers: dict[int, Worker] = {}
        self.generation = 0
        self.patience: float | None = None
        self.signals = SignalPipe(OBEYED)

    def run(self) -> int:
        """Keep the workers up until a signal says to end; the exit code."""
        try:
            while self.patience is None:
                self.fill()
                for number in self.signals.wait(TICK):
                    self.obey(number)
                self.reap()
                self.end_hung()
        except CannotBoot as problem:
            log(f"giving up: {problem}")
            self.stop(self.graceful_timeout)
            return CANNOT_BOOT
        self.stop(self.patience)
        return 0

    # task 1: fork

    def fill(self) -> None:
        """Fork who is missing, end who is too many, and end the last generation when this one serves."""
        staying = [one for one in self.workers.values() if not one.told_to_end]
        fresh = [one for one in staying if one.generation == self.generation]
        for _ in range(self.wanted - len(fresh)):
            fresh.append(self.spawn())
        for worker in fresh[: len(fresh) - self.wanted]:
            self.end(worker)
        # On SIGHUP: at no moment does nobody serve.
        if all(one.booted for one in fresh):
            for worker in staying:
                if worker.generation != self.generation:
                    self.end(worker)

    def spawn(self) -> Worker:
        """Fork one worker."""
        heartbeat, parent = Heartbeat(), os.getpid()
        # Until the child has its own pipe, a signal to it would be written into ours: both hold them off.
        signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)
        pid = os.fork()
        if pid == 0:
            self.be_worker(heartbeat, parent)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, OBEYED)
        self.workers[pid] = Worker(pid, self.generation, heartbeat, time.monotonic())
        return self.workers[pid]

    def be_worker(self, heartbeat: Heartbeat, parent: int) -> NoReturn:
        """What the child does, to its end. It must not return into the arbiter's loop and fork workers."""
        code = CANNOT_BOOT
        try:
            self.signals.close()
            signals = listen_for_signals()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, OBEYED)
            work(self.name, self.listener, heartbeat, signals, parent)
            code = 0
        except BaseException:  # SystemExit, too: an application may call sys.exit where it is imported
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    # task 2: reap

    def reap(self) -> None:
        """Take note of every child that ended. Raises CannotBoot.

        One SIGCHLD may stand for several ends: signals that wait are not counted. So: all there are.
        """
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            # As PID 1 of a container the arbiter is given strangers' children as well.
            if worker := self.workers.pop(pid, None):
                self.note_end(worker, os.waitstatus_to_exitcode(status))

    def note_end(self, worker: Worker, code: int) -> None:
        """Say it, unless it was told to. Raises CannotBoot for one that never served.

        A signal from outside (`code` is negative) may hit anybody, in the middle of booting, too.
        """
        if worker.told_to_end:
            return
        how = f"exit code {code}" if code >= 0 else signal.Signals(-code).name
        if not worker.booted and (code >= 0 or worker.aborted):
            raise CannotBoot(f"worker {worker.pid} ended before it could serve ({how})")
        log(f"worker {worker.pid} ended ({how}): another takes its place")

    # task 3: signals

    def obey(self, number: int) -> None:
        match number:
            case signal.SIGTTIN:
                self.wanted += 1
            case signal.SIGTTOU:
                self.wanted = max(1, self.wanted - 1)
            case signal.SIGHUP:
                self.generation += 1
            case signal.SIGTERM:
                self.patience = self.graceful_timeout
            case signal.SIGINT | signal.SIGQUIT:
                self.patience = 0.0

    def end(self, worker: Worker) -> None:
        """Ask a worker to end after the request that it is in.

        Its pid can't have become somebody else's: it is its own until `waitpid` has given it back.
        """
        worker.told_to_end = True
        os.kill(worker.pid, signal.SIGTERM)

    # task 4: heartbeats

    def end_hung(self) -> None:
        """End workers that were silent for too long: SIGABRT, which prints where they are, then SIGKILL."""
        for worker in self.workers.values():
            if worker.silent_for > self.timeout:
                # Code that holds off signals, or never comes back to Python's loop, ends at the second.
                os.kill(worker.pid, signal.SIGKILL if worker.aborted else signal.SIGABRT)
                worker.aborted = True

    # task 5: the end

    def stop(self, patience: float) -> None:
        """End every worker: when its request is answered, or after `patience` seconds."""
        self.listener.close()
        deadline = time.monotonic() + patience
        for worker in self.workers.values():
            self.end(worker)
        while self.workers and time.monotonic() < deadline:
            came = self.signals.wait(min(TICK, patience))
            if signal.SIGINT in came or signal.SIGQUIT in came:
                break
            self.reap()
        for worker in self.workers.values():
            os.kill(worker.pid, signal.SIGKILL)
        while self.workers:
            self.signals.wait(TICK)
            self.reap()


# --- the command line ---------------------------------------------------------------------------------


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("application", help="module:attribute")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds a worker may be silent")
    parser.add_argument("--graceful-timeout", type=float, default=30.0, help="seconds to finish requests in")
    options = parser.parse_args()
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    try:
        listener = socket.create_server((options.host, options.port), family=family, backlog=BACKLOG)
    except OSError as error:
        sys.exit(f"can't listen on {options.host}:{options.port}: {error.strerror}")
    # Who is woken for a connection that another worker took must not wait in accept() for the next.
    listener.setblocking(False)
    _, port, *_ = listener.getsockname()
    log(f"listening on http://{options.host}:{port}")
    return Arbiter(
        options.application, listener, options.workers, options.timeout, options.graceful_timeout
    ).run()


if __name__ == "__main__":
    sys.exit(main())
