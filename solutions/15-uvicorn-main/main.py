"""What happens between `python main.py which_process_asgi:app` and the first request.

Theory of operation. Three kinds of process, and every one of them does one thing:

    run        imports the application; one event loop: startup, accept, wait for a signal, drain, shutdown
    Reloader   a parent that serves nobody: one child runs; a saved file ends it, and a new one runs
    Workers    a parent that serves nobody: as many children run as were asked for; one that dies is replaced

The parents bind the socket once, before any child is there, and keep it. A connection that comes while nobody
accepts waits in the kernel's queue, which belongs to the socket and not to a process: that is why a reload
refuses nobody. The parents don't import the application. So they can't break with it, and every child sees
the files as they are now.

The numbers that a process ends with are said to whoever started it: 2 for a wrong command line, 3 for a start
that failed, 4 for an application that failed to close what it had opened, the signal for one that was told to
end.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import importlib.util
import os
import signal
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from lifespan import Lifespan, ShutdownFailed, StartupFailed
from server import Server
from signal_pipe import SignalPipe
from websocket_server import upgrade

Application = Callable[..., Awaitable[None]]
Snapshot = dict[Path, tuple[int, int]]

STARTUP_FAILURE, SHUTDOWN_FAILURE = 3, 4
BACKLOG = 2048
TICK = 0.25  # seconds between two looks at files and children
ENDING = (signal.SIGINT, signal.SIGTERM)


def log(text: str) -> None:
    print(f"[{os.getpid()}] {text}", file=sys.stderr)


class CannotStart(Exception):
    """Nothing can be served; the message is one line for a person."""


# --- task 1: import strings -------------------------------------------------------------------------


class ImportFromStringError(CannotStart):
    """The string names nothing: its form is wrong, or there is no such module or attribute."""


def import_from_string(text: str) -> Any:
    """The object that "package.module:attribute.of.attribute" names.

    Raises ImportFromStringError. What the module raises while it is imported comes out unchanged.
    """
    name, _, attributes = text.partition(":")
    if not name or not attributes:
        raise ImportFromStringError(f'Import string "{text}" must be in format "<module>:<attribute>".')
    try:
        found = importlib.import_module(name)
    except ModuleNotFoundError as error:
        # ModuleNotFoundError.name: the module that was looked for. Is it ours, or one that ours imports?
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise
        raise ImportFromStringError(f'Could not import module "{name}".') from None
    # Outside the `try`: an AttributeError of the module's own code is not ours to explain.
    for attribute in attributes.split("."):
        try:
            found = getattr(found, attribute)
        except AttributeError:
            raise ImportFromStringError(f'Attribute "{attributes}" not found in module "{name}".') from None
    return found


# --- task 2: configuration --------------------------------------------------------------------------


@dataclass(frozen=True)
class Config:
    """What the command line says. `timeout_graceful_shutdown` is seconds, None: as long as it takes."""

    app: str
    host: str = "127.0.0.1"
    port: int = 8000
    workers: int = 1
    reload: bool = False
    timeout_graceful_shutdown: float | None = None


def parse(argv: Sequence[str] | None = None) -> Config:
    """The configuration: from the command line, else from the environment, else the default.

    Raises SystemExit 2, after a line on stderr, for a command line that can't be understood.
    """
    parser = argparse.ArgumentParser(prog="main.py")
    parser.add_argument("app", help="module:attribute")
    parser.add_argument("--host", default=Config.host)
    parser.add_argument("--port", type=int, default=Config.port)
    # A default that is text is converted as if it had been typed, and so refused in the same words.
    parser.add_argument("--workers", type=int, default=os.environ.get("WEB_CONCURRENCY", "1"))
    parser.add_argument("--reload", action="store_true", help="start anew when a .py file changes")
    parser.add_argument("--timeout-graceful-shutdown", type=int, help="seconds to finish requests in")
    options = parser.parse_args(argv)
    if not 0 <= options.port <= 65535:
        parser.error(f"argument --port: {options.port} is no port (0 to 65535)")
    if options.workers < 1:
        parser.error(f"argument --workers: {options.workers}, but somebody has to serve")
    return Config(**vars(options))


def bind(config: Config) -> socket.socket:
    """A socket that has the address. Nobody is let in before `listen`. Raises CannotStart."""
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    # socket(7): without it, connections of an earlier run in TIME_WAIT would keep the port for a minute.
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        sock.bind((config.host, config.port))
    except OSError as error:
        sock.close()
        raise CannotStart(f"Cannot bind {config.host} port {config.port}: {error.strerror}.") from None
    return sock


def main(argv: Sequence[str] | None = None) -> int:
    """The whole program: from the command line to the exit code."""
    config = parse(argv)
    # `python main.py` has its own folder on the path, not the one that it is called in.
    sys.path.insert(0, str(Path.cwd()))
    try:
        if config.reload:
            return Reloader(config, bind(config)).run()
        if config.workers > 1:
            return Workers(config, bind(config)).run()
        return run(import_from_string(config.app), bind(config), config.timeout_graceful_shutdown)
    except CannotStart as problem:
        log(f"Cannot start: {problem}")
        return STARTUP_FAILURE


# --- task 3: one process that serves ----------------------------------------------------------------


def run(
    application: Application, sock: socket.socket, seconds: float | None, lifeline: int | None = None
) -> int:
    """Serve until a signal says to end, then end by that signal; or the exit code. Raises CannotStart."""
    runner = Runner(application, sock, seconds, lifeline)
    asyncio.run(runner.run())
    if runner.shutdown_failed:
        return SHUTDOWN_FAILURE
    if runner.caught:
        end_by(runner.caught[0])
    return 0


def end_by(number: int) -> None:
    """End as if the signal had never been caught: a shell, or a parent, sees what ended this process."""
    sys.stdout.flush()
    sys.stderr.flush()
    signal.signal(number, signal.SIG_DFL)
    signal.raise_signal(number)


class Runner:
    """The life of one process: startup, serving, drain, shutdown; and the signals that move it along.

    `lifeline` is the reading end of a pipe whose writing end only the parent has, or None.
    """

    def __init__(
        self, application: Application, sock: socket.socket, seconds: float | None, lifeline: int | None
    ) -> None:
        self.application, self.sock, self.seconds, self.lifeline = application, sock, seconds, lifeline
        self.caught: list[int] = []
        self.shutdown_failed = False
        self.stop, self.force = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """Live, unless a second SIGINT cuts it short: what still runs is then cancelled by asyncio.run."""
        loop = asyncio.get_running_loop()
        for number in ENDING:
            # Unlike signal.signal's, this handler runs between two steps of the loop: it may touch events.
            loop.add_signal_handler(number, self.on_signal, number)
        if self.lifeline is not None:
            loop.add_reader(self.lifeline, self.on_orphaned, self.lifeline)
        life = asyncio.create_task(self.live())
        force = asyncio.create_task(self.force.wait())
        await asyncio.wait([life, force], return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            life.result()

    def on_signal(self, number: int) -> None:
        self.caught.append(number)
        if self.stop.is_set() and number == signal.SIGINT:
            log("Again: not waiting any longer.")
            self.force.set()
        self.stop.set()

    def on_orphaned(self, lifeline: int) -> None:
        """The lifeline's other end is gone, and so is the parent, however it ended."""
        asyncio.get_running_loop().remove_reader(lifeline)
        self.on_signal(signal.SIGTERM)

    async def live(self) -> None:
        lifespan = Lifespan(self.application)
        try:
            # ASGI, "Lifespan": requests are not accepted before startup is complete.
            await lifespan.startup()
        except StartupFailed as problem:
            raise CannotStart(f"Application startup failed: {problem}") from None
        if not self.stop.is_set():
            await self.serve(lifespan.state)
        try:
            # The last thing: no request is left that could use what shutdown closes.
            await lifespan.shutdown()
        except ShutdownFailed as problem:
            # An init system takes the end by SIGTERM for a good one: this was none.
            self.shutdown_failed = True
            log(f"Application shutdown failed: {problem}")

    async def serve(self, state: dict[str, Any]) -> None:
        """Accept until `stop`, then let what is in flight finish."""
        server = Server(self.application, state=state, upgrade=upgrade)
        self.sock.listen(BACKLOG)
        host, port, *_ = self.sock.getsockname()
        await server.listen(self.sock)
        log(f"Serving on http://{host}:{port} (Ctrl-C to end)")
        await self.stop.wait()
        log(f"Ending: {server.in_flight} in flight.")
        # First the door, then the guests: else new ones come as fast as the old ones leave.
        server.stop_accepting()
        cut_off = await server.drain(self.seconds)
        if cut_off:
            log(f"Cut off after {self.seconds:g} s: {cut_off} in flight.")


# --- tasks 4 and 5: a parent with children ----------------------------------------------------------


class Supervisor:
    """A process that holds the socket and has children who serve on it."""

    def __init__(self, config: Config, sock: socket.socket) -> None:
        self.config, self.sock = config, sock
        self.children: set[int] = set()
        self.told = False  # by a signal, while its children end
        self.lifeline, self.life = os.pipe()
        self.signals = SignalPipe(ENDING)
        # From here on nobody is refused: who comes before a child is up waits in the queue.
        sock.listen(BACKLOG)

    def spawn(self) -> None:
        """Fork a child that serves."""
        # Until the child has handlers of its own, a signal to it would be written into our pipe.
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDING)
        pid = os.fork()
        if pid == 0:
            self.be_child()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
        self.children.add(pid)

    def be_child(self) -> NoReturn:
        """What the child does, to its end. It must not return into the parent's loop."""
        code = STARTUP_FAILURE
        try:
            os.close(self.life)
            self.signals.close()
            for number in ENDING:
                signal.signal(number, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)
            code = self.serve()
        except CannotStart as problem:
            log(f"Cannot start: {problem}")
        except BaseException:  # SystemExit, too: a module may call sys.exit where it is imported
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def serve(self) -> int:
        """In the child: import the application, which the parent has not done, and run it."""
        application = import_from_string(self.config.app)
        return run(application, self.sock, self.config.timeout_graceful_shutdown, self.lifeline)

    def reap(self) -> dict[int, int]:
        """The children that ended since the last look, and their exit codes (negative: a signal)."""
        ended = {}
        for pid in sorted(self.children):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                self.children.discard(pid)
                ended[pid] = os.waitstatus_to_exitcode(status)
        return ended

    def tell(self, number: int) -> None:
        """Send a signal to every child. A pid stays a child's own until `waitpid` has given it back."""
        for pid in self.children:
            os.kill(pid, number)

    def end_children(self) -> int:
        """Ask them to end, and wait. The parent's exit code.

        A signal that comes meanwhile is passed on, for a second SIGINT does not wait; `told` says so.
        """
        code = 0
        self.tell(signal.SIGTERM)
        while self.children:
            for number in self.signals.wait(TICK / 5):
                self.told = True
                self.tell(number)
            if SHUTDOWN_FAILURE in self.reap().values():
                code = SHUTDOWN_FAILURE
        return code


# --- task 4: reload ---------------------------------------------------------------------------------


def snapshot(folder: Path) -> Snapshot:
    """When each .py file below the folder was last changed (nanoseconds), and its size (bytes)."""
    seen = {}
    # os.walk passes over a folder that can't be read or is gone, and does not follow links to folders.
    for parent, _, names in os.walk(folder):
        for path in (Path(parent, name) for name in names if name.endswith(".py")):
            with contextlib.suppress(OSError):  # an editor is between its two steps; a link leads nowhere
                stat = path.stat()
                seen[path] = stat.st_mtime_ns, stat.st_size
    return seen


def forget_bytecode(path: Path) -> None:
    """Remove what the import system has kept of a file.

    It compares seconds and size (PEP 3147's .pyc, importlib's SourceLoader): of two saves within a second the
    next child would run the first.
    """
    with contextlib.suppress(OSError, NotImplementedError):
        Path(importlib.util.cache_from_source(str(path))).unlink()


class Reloader(Supervisor):
    """One child; a new one when a file has changed."""

    def run(self) -> int:
        folder = Path.cwd()
        # Before the child reads the files: what is saved in between must differ from this.
        seen = snapshot(folder)
        self.spawn()
        while not self.signals.wait(TICK):
            # One that could not start has said why. The next save may mend it, the clock won't.
            self.reap()
            now = snapshot(folder)
            if now != seen:
                changed = sorted({path for path, _ in now.items() ^ seen.items()})
                log(f"Changed: {', '.join(map(str, changed))}. Reloading.")
                seen = now
                code = self.end_children()
                if self.told:
                    return code
                for path in changed:
                    forget_bytecode(path)
                self.spawn()
        return self.end_children()


# --- task 5: workers --------------------------------------------------------------------------------


class Workers(Supervisor):
    """As many children as were asked for."""

    def run(self) -> int:
        code = 0
        while not code:
            while len(self.children) < self.config.workers:
                self.spawn()
            if self.signals.wait(TICK):
                break
            for pid, how in self.reap().items():
                log(f"Worker {pid} ended ({how}).")
                if how == STARTUP_FAILURE:
                    # The next one would fail in the same way, four times a second.
                    log("It could not start: giving up.")
                    code = STARTUP_FAILURE
        failed = self.end_children()
        return code or failed


if __name__ == "__main__":
    sys.exit(main())
