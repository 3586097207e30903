"""Lab 15: what runs a server. `make serve-15` starts it, with labs 11, 12 and 14 where Python finds them.

Given: lab 11's `Server`, lab 12's `Lifespan`, lab 14's frames behind `upgrade`, and lab 9's `SignalPipe`:
`signals.wait(0.25)` returns the signals that came, as bytes, b"" when there were none.
"""

import argparse
import asyncio
import os
import signal
import socket
import sys
import traceback
from dataclasses import dataclass
from pathlib import Path

from lifespan import Lifespan, StartupFailed
from server import Server
from signal_pipe import SignalPipe
from websocket_server import upgrade

STARTUP_FAILURE = 3
TICK = 0.25  # seconds
ENDING = (signal.SIGINT, signal.SIGTERM)


class CannotStart(Exception):
    """The server can't start; the message is one line for its user."""


class ImportFromStringError(CannotStart):
    """The string names nothing."""


def import_from_string(text):
    """The object that "package.module:site.app" names.

    Raises ImportFromStringError that says what is missing. Exceptions of the module pass unchanged.
    """
    # TODO task 1: text.partition(":"), importlib.import_module, getattr; ModuleNotFoundError has a `name`
    raise NotImplementedError("lab 15 task 1: import a string")


@dataclass
class Config:
    app: str
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    reload: bool = False
    timeout_graceful_shutdown: int | None = None  # seconds; None: no limit


def parse(argv=None) -> Config:
    """["page:app", "--port", "80"] → Config(app="page:app", port=80). Raises SystemExit 2 for bad options."""
    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("app", help="module:attribute")
    # TODO task 2: an option for each field of Config; WEB_CONCURRENCY in the environment, too
    raise NotImplementedError("lab 15 task 2: options")


def bind(config) -> socket.socket:
    """A socket bound to the address; it refuses connections until `listen`. Raises CannotStart."""
    sock = socket.socket(socket.AF_INET6 if ":" in config.host else socket.AF_INET)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((config.host, config.port))  # TODO task 2: OSError, when another process has it
    return sock


def main(argv=None) -> int:
    """The whole program. Returns the exit code."""
    config = parse(argv)
    sys.path.insert(0, str(Path.cwd()))
    # TODO task 2: CannotStart is one line on stderr, and the code STARTUP_FAILURE
    if config.reload:
        return Reloader(config, bind(config)).run()
    if config.workers > 1:
        return Workers(config, bind(config)).run()
    return run(import_from_string(config.app), bind(config), config.timeout_graceful_shutdown)


def run(application, sock, seconds) -> int:
    """Serve until a signal asks to stop."""
    runner = Runner(application, sock, seconds)
    asyncio.run(runner.run())
    return 0  # TODO task 3, if you like: raise the signal that was caught again


class Runner:
    """The life of one process: startup, serving, drain within `seconds`, shutdown."""

    def __init__(self, application, sock, seconds):
        self.application, self.sock, self.seconds = application, sock, seconds
        self.stop, self.force = asyncio.Event(), asyncio.Event()

    async def run(self):
        """Set self.stop at the first SIGINT or SIGTERM, self.force at a SIGINT after that; live meanwhile."""
        # TODO task 3: loop.add_signal_handler(number, self.on_signal, number) for ENDING; then self.live()
        raise NotImplementedError("lab 15 task 3: signals")

    def on_signal(self, number):
        raise NotImplementedError("lab 15 task 3: first signal, second signal")

    async def live(self):
        """`await Lifespan(application).startup()` → Server → self.stop → drain → `await ….shutdown()`."""
        lifespan = Lifespan(self.application)
        try:
            await lifespan.startup()
        except StartupFailed as problem:
            raise NotImplementedError("lab 15 task 3: a startup that failed") from problem
        server = Server(self.application, state=lifespan.state, upgrade=upgrade)
        self.sock.listen(2048)
        # TODO: await server.listen(self.sock); server.stop_accepting(); await server.drain(self.seconds)
        raise NotImplementedError(f"lab 15 task 3: serve with {server}, drain, shutdown")


class Supervisor:
    """A process that holds the socket, and has children that serve on it."""

    def __init__(self, config, sock):
        self.config, self.sock, self.children = config, sock, set()
        self.signals = SignalPipe(ENDING)
        sock.listen(2048)

    def spawn(self):
        """Given: fork a child. Signals are blocked until it has handlers of its own, as in lab 9."""
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        pid = os.fork()
        if pid == 0:
            self.be_child()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        self.children.add(pid)

    def be_child(self):
        """Given: what the child does. It exits with STARTUP_FAILURE when it could not start."""
        code = STARTUP_FAILURE
        try:
            self.signals.close()
            for number in ENDING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            application = import_from_string(self.config.app)
            code = run(application, self.sock, self.config.timeout_graceful_shutdown)
        except CannotStart as problem:
            print(f"cannot start: {problem}", file=sys.stderr)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def reap(self):
        """The children that exited since the last call, {pid: exit code}; remove them from self.children."""
        # TODO task 4: os.waitpid(pid, os.WNOHANG), os.waitstatus_to_exitcode
        raise NotImplementedError("lab 15 task 4: reap")

    def end_children(self):
        """Send SIGTERM to every child, and wait until all have exited: the parent exits last.

        A signal that arrives meanwhile must not be lost: it is for the parent, too.
        """
        raise NotImplementedError("lab 15 task 4: end children")


def snapshot(folder):
    """{Path("wing/east.py"): (nanoseconds of its last change, bytes), …} for every .py file below."""
    raise NotImplementedError("lab 15 task 4: take a snapshot")


class Reloader(Supervisor):
    """One child, and a new one when a .py file below the current folder has changed."""

    def run(self):
        raise NotImplementedError("lab 15 task 4: reload")


class Workers(Supervisor):
    """config.workers children. Replace one that dies; give up when they can't start."""

    def run(self):
        raise NotImplementedError("lab 15 task 5: workers")


if __name__ == "__main__":
    sys.exit(main())
