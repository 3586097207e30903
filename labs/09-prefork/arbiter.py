"""Lab 9: a pre-fork server. `make serve-9` starts it; by hand, from this folder:

PYTHONPATH=apps:../../services/apps ../../.venv/bin/python arbiter.py which_process_wsgi:application

Given, in apps and services/apps: `serve_connection(client, address, application)` answers the one request of
a connection and closes it; `SignalPipe(numbers).wait(seconds, *sockets)` gives the signals that came, as
bytes: b"\\x0f" is SIGTERM. What is below is yours: change whatever you like.
"""

import argparse
import importlib
import os
import signal
import socket
import sys
import time
import traceback
from pathlib import Path

from one_connection import serve_connection
from signal_pipe import SignalPipe

CANNOT_BOOT = 3
TICK = 0.25
OBEYED = [signal.SIGCHLD, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT]
OBEYED += [signal.SIGTERM, signal.SIGTTIN, signal.SIGTTOU]


def log(text):
    print(f"[{os.getpid()}] {text}", file=sys.stderr, flush=True)


class Heartbeat:
    """The time of a worker's last beat: written in the worker, read in the arbiter."""

    def __init__(self):
        # TODO task 4: memory that a fork does not copy: mmap.mmap(-1, 8) is.
        self.last = 0.0

    def beat(self):
        raise NotImplementedError("lab 9 task 4: beat")


def listen(host, port) -> socket.socket:
    """The listening socket. Non-blocking: every idle worker wakes up for a connection, and one gets it."""
    # TODO task 1: socket.create_server((host, port), backlog=1024)
    raise NotImplementedError("lab 9 task 1: listen")


def work(name, listener, heartbeat, signals, parent):
    """The life of a worker: one connection after another, until signals.wait(0.25, listener) has SIGTERM.

    `parent` is the arbiter's pid.
    """
    application = load(name)
    client, address = listener.accept()
    serve_connection(client, address, application)
    # TODO task 1: that was one, and only if no other worker was faster (BlockingIOError).
    # TODO task 4: a beat in every round. TODO task 5: what if os.getppid() is not `parent` any more?
    raise NotImplementedError("lab 9 task 1: go on")


def load(name):
    """The application that "module:attribute" names; the current directory is on the path."""
    sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute or "application")


class Worker:
    """What the arbiter knows about a worker. `started` is in seconds of the monotonic clock."""

    def __init__(self, pid, heartbeat):
        self.pid, self.heartbeat, self.started = pid, heartbeat, time.monotonic()


class CannotBoot(Exception):
    """A worker exited before it could serve. The next one would do the same."""


class Arbiter:
    """The loop, and its data. `timeout` and `graceful_timeout` are seconds."""

    def __init__(self, name, listener, workers, timeout, graceful_timeout):
        self.name, self.listener, self.wanted = name, listener, workers
        self.timeout, self.graceful_timeout = timeout, graceful_timeout
        self.workers = {}  # by pid
        self.patience = None  # the time limit for the end, in seconds, after TERM, INT or QUIT
        self.signals = SignalPipe(OBEYED)

    def run(self):
        """Keep the workers running until a signal to stop; return the exit code."""
        try:
            while self.patience is None:
                self.fill()
                for number in self.signals.wait(TICK):
                    self.obey(number)
                self.reap()
                # TODO task 4: self.end_hung()
        except CannotBoot as problem:
            log(f"giving up: {problem}")
            return CANNOT_BOOT  # TODO task 5: stop the remaining workers
        self.stop(self.patience)
        return 0

    def fill(self):
        """Fork as many workers as are missing: 2 wanted and 1 in self.workers, then one."""
        # TODO task 1; in task 3: stop one after TTOU, and after a HUP those of an older generation
        raise NotImplementedError("lab 9 task 1: fork the missing workers")

    def spawn(self):
        """Fork one. os.fork() returns twice: 0 in the child, the child's pid in the arbiter."""
        # Until the child has its own pipe, its signals would go into the arbiter's: block them, in both.
        signal.pthread_sigmask(signal.SIG_BLOCK, OBEYED)
        # TODO task 1: fork; self.be_worker(…) in the child; note the pid in the arbiter, and SIG_UNBLOCK.
        raise NotImplementedError("lab 9 task 1: fork")

    def be_worker(self, heartbeat, parent):
        """What the child does. Given: it must never return into the loop, or it would fork workers itself."""
        code = CANNOT_BOOT
        try:
            self.signals.close()
            for number in OBEYED:
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the arbiter decides
            signals = SignalPipe([signal.SIGTERM])
            signal.pthread_sigmask(signal.SIG_UNBLOCK, OBEYED)
            work(self.name, self.listener, heartbeat, signals, parent)
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def reap(self):
        """Remove every exited child from self.workers. Raises CannotBoot for one that never served."""
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)  # (0, 0): there are children, and none has exited
        except ChildProcessError:
            return
        if pid:
            # TODO task 2: this child, and all the others; its exit code: os.waitstatus_to_exitcode(status)
            raise NotImplementedError(f"lab 9 task 2: reap {pid}, which exited with status {status}")

    def obey(self, number):
        """Note a signal's wish: in self.wanted at TTIN and TTOU, in self.patience at TERM, INT and QUIT."""
        if number != signal.SIGCHLD:
            raise NotImplementedError("lab 9 task 3: obey a signal")

    def end_hung(self):
        """Kill the workers that were silent for more than self.timeout seconds, or since they were forked."""
        raise NotImplementedError("lab 9 task 4: kill workers that hang")

    def stop(self, patience):
        """Stop every worker and wait for it; its request may take `patience` more seconds."""
        if patience:
            raise NotImplementedError("lab 9 task 5: let requests finish")
        raise NotImplementedError("lab 9 task 3: stop at once")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("application", help="module:attribute")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=30.0, help="seconds a worker may be silent")
    parser.add_argument("--graceful-timeout", type=float, default=30.0, help="seconds to finish requests in")
    options = parser.parse_args()
    listener = listen(options.host, options.port)
    log(f"listening on http://{options.host}:{options.port}")
    arbiter = Arbiter(
        options.application, listener, options.workers, options.timeout, options.graceful_timeout
    )
    sys.exit(arbiter.run())


if __name__ == "__main__":
    main()
