"""Lab 15 another way: the parent is an asyncio program too, and its children are new interpreters.

Nothing is forked. A child is `python main.py app --fd 7`: it inherits the listening socket by its number, as
gunicorn's USR2 and systemd's socket activation do it. Signals are plain handlers that set a number.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import os
import signal
import socket
import sys
import traceback
from functools import reduce
from pathlib import Path

from lifespan import Lifespan, ShutdownFailed, StartupFailed
from server import Server
from websocket_server import upgrade

PROGRAM = str(Path(__file__).resolve())
OPTIONS = {"--host": str, "--port": int, "--workers": int, "--timeout-graceful-shutdown": int, "--fd": int}


class ImportFromStringError(Exception):
    """The string names nothing."""


def import_from_string(text):
    module, colon, path = text.partition(":")
    if not (module and colon and path):
        raise ImportFromStringError(f"{text!r} is not module:attribute")
    if not is_there(module):
        raise ImportFromStringError(f"there is no module {module!r}")
    found = importlib.import_module(module)
    try:
        return reduce(getattr, path.split("."), found)
    except AttributeError as error:
        raise ImportFromStringError(f"{module!r} has no {path!r} ({error})") from error


def is_there(module):
    """Whether every part of a dotted name can be found; packages on the way are imported by this."""
    parts = module.split(".")
    return all(importlib.util.find_spec(".".join(parts[: end + 1])) for end in range(len(parts)))


class Config:
    """Options as attributes."""

    def __init__(self):
        self.app, self.host, self.port = "", "127.0.0.1", 8000
        self.workers = os.environ.get("WEB_CONCURRENCY") or 1
        self.reload, self.timeout_graceful_shutdown, self.fd = False, None, None


def parse(argv=None):
    words = list(sys.argv[1:] if argv is None else argv)
    config = Config()
    while words:
        word, _, value = words.pop(0).partition("=")
        if word == "--reload":
            config.reload = True
        elif word in OPTIONS:
            value = value or (words.pop(0) if words else "")
            try:
                setattr(config, word[2:].replace("-", "_"), OPTIONS[word](value))
            except ValueError:
                raise SystemExit(usage(f"{word} {value}")) from None
        elif word.startswith("-") or config.app:
            raise SystemExit(usage(word))
        else:
            config.app = word
    if not config.app:
        raise SystemExit(usage("no application"))
    if not str(config.workers).isdigit() or int(config.workers) < 1:
        raise SystemExit(usage(f"{config.workers} workers"))
    config.workers = int(config.workers)
    return config


def usage(problem):
    print(f"usage: main.py module:attribute [options]: {problem}?", file=sys.stderr)
    return 2


def main(argv=None):
    config = parse(argv)
    sys.path.insert(0, str(Path.cwd()))
    if config.fd is not None:
        return child(config)
    try:
        if not config.reload and config.workers == 1:
            application = import_from_string(config.app)
            return asyncio.run(
                Life(application, socket.create_server((config.host, config.port)), config).run()
            )
        sock = socket.create_server((config.host, config.port), backlog=1024)
    except (ImportFromStringError, OSError, OverflowError) as problem:
        print(f"main: {problem}", file=sys.stderr)
        return 3
    sock.set_inheritable(True)
    return asyncio.run(Parent(config, sock).run())


def child(config):
    try:
        application = import_from_string(config.app)
    except Exception:
        traceback.print_exc()
        return 3
    return asyncio.run(Life(application, socket.socket(fileno=config.fd), config).run())


class Life:
    """One process: polls a flag ten times a second, as uvicorn's main loop does."""

    def __init__(self, application, sock, config):
        self.application, self.sock, self.seconds = application, sock, config.timeout_graceful_shutdown
        self.ending = 0
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle)

    def handle(self, number, frame):
        if self.ending and number == signal.SIGINT:
            os._exit(130)
        self.ending = number

    async def run(self):
        lifespan = Lifespan(self.application)
        try:
            await lifespan.startup()
        except StartupFailed as problem:
            print(f"startup failed: {problem}", file=sys.stderr)
            return 3
        server = Server(self.application, state=lifespan.state, upgrade=upgrade)
        await server.listen(self.sock)
        while not self.ending:  # noqa: ASYNC110 - a signal handler can't set an event
            await asyncio.sleep(0.1)
        server.stop_accepting()
        await server.drain(self.seconds)
        try:
            await lifespan.shutdown()
        except ShutdownFailed as problem:
            print(f"shutdown failed: {problem}", file=sys.stderr)
            return 1
        return 128 + self.ending


class Parent:
    """Children as subprocesses, each looked after by a task."""

    def __init__(self, config, sock):
        self.config, self.sock, self.code = config, sock, 0
        self.running = set()
        self.end = asyncio.Event()

    async def run(self):
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.end.set)
        if self.config.reload:
            work = [asyncio.create_task(self.reload())]
        else:
            work = [asyncio.create_task(self.keep()) for _ in range(self.config.workers)]
        await self.end.wait()
        for one in self.running:
            one.send_signal(signal.SIGTERM)
        await asyncio.gather(*work)
        return self.code

    async def start(self):
        # -B: bytecode is compared by seconds, and two saves may come within one
        words = [sys.executable, "-B", PROGRAM, self.config.app, f"--fd={self.sock.fileno()}"]
        if self.config.timeout_graceful_shutdown is not None:
            words.append(f"--timeout-graceful-shutdown={self.config.timeout_graceful_shutdown}")
        one = await asyncio.create_subprocess_exec(*words, pass_fds=[self.sock.fileno()])
        self.running.add(one)
        if self.end.is_set():
            one.send_signal(signal.SIGTERM)
        return one

    async def gone(self, one):
        code = await one.wait()
        self.running.discard(one)
        return code

    async def keep(self):
        while not self.end.is_set():
            if await self.gone(await self.start()) == 3:
                self.code = 3
                self.end.set()

    async def reload(self):
        seen, one = digest(), await self.start()
        over = asyncio.create_task(self.gone(one))
        while not self.end.is_set():
            await asyncio.sleep(0.1)
            if (now := digest()) == seen:
                continue
            seen = now
            if not over.done():
                one.send_signal(signal.SIGTERM)
            await over
            if not self.end.is_set():
                one = await self.start()
                over = asyncio.create_task(self.gone(one))
        await over


def digest():
    """What all files say, as one number. One that can't be read says nothing."""
    said = hashlib.sha256()
    for folder, _, names in os.walk(Path.cwd()):
        for path in sorted(Path(folder, name) for name in names if name.endswith(".py")):
            with contextlib.suppress(OSError):
                said.update(bytes(path) + b"\0" + path.read_bytes())
    return said.digest()


if __name__ == "__main__":
    sys.exit(main())
