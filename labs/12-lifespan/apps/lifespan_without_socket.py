"""Both ends of lifespan without a socket, for probing: it reports what happened, and judges nothing.

meet(Lifespan, "raises", …)     a server's side, with an application that behaves in some manner
play(app, [["startup"], …])     an application's side, with a server that follows a script
run_to_its_end(run, "why", "")  a server's `run`, with an application that says failed, and what it prints
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import json
import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from pathlib import Path
from typing import IO, Any

journal: Any = importlib.import_module("journal")  # the one that the learner's module has, too


Scope = dict[str, Any]
Event = dict[str, Any]
Report = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

SHUT_DOWN = {"type": "lifespan.shutdown.complete"}
PATIENCE = 2.0  # seconds after which something counts as waiting for ever


async def outcome(doing: Coroutine[Any, Any, Any]) -> Report:
    """How a call ended: "returned", "raised" (with type and message) or "waits"."""
    task = asyncio.ensure_future(doing)
    await asyncio.wait({task}, timeout=PATIENCE)
    if not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=PATIENCE)
        return {"how": "waits"}
    if task.cancelled():
        return {"how": "raised", "type": "CancelledError", "message": ""}
    error = task.exception()
    if isinstance(error, NotImplementedError):
        raise error
    if error is not None:
        return {"how": "raised", "type": type(error).__name__, "message": f"{error}{place(error)}"}
    return {"how": "returned"}


def place(error: BaseException) -> str:
    """Where an exception comes from, in the learner's own folder: " (app.py:12 in live)"; else ""."""
    frames = [one for one in traceback.extract_tb(error.__traceback__) if one.filename != __file__]
    own = [one for one in frames if Path(one.filename).parent == Path.cwd()]
    return f" ({Path(own[-1].filename).name}:{own[-1].lineno} in {own[-1].name})" if own else ""


# --- applications of every manner, for a server's side ----------------------------------------------


class Manner:
    """An application that does in its lifespan what its manner says, and remembers what it was told."""

    def __init__(self, manner: str, message: str) -> None:
        self.manner, self.message = manner, message
        self.calls = 0
        self.told: list[str] = []
        self.scope: Scope = {}
        self.tasks: list[bool] = []
        self.ready = self.closed = False
        self.go_on, self.close = asyncio.Event(), asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        if self.calls > 1:
            await asyncio.Event().wait()
        self.scope = {key: value for key, value in scope.items() if key != "state"}
        mine = asyncio.current_task()
        if self.manner == "raises at once":
            raise TypeError("it takes a request, and this is none")
        await self.hear(receive, mine)
        if self.manner == "raises":
            raise KeyError("path")
        if self.manner == "returns":
            return
        if "state" in scope:
            scope["state"]["opened"] = self.message
        await self.go_on.wait()
        if "failed" in self.manner.split(",")[0]:
            await send({"type": "lifespan.startup.failed", **self.why()})
            if self.manner == "failed, then raises":
                raise OSError(self.message)
            if self.manner == "failed, then waits":
                await asyncio.Event().wait()
            return
        self.ready = True
        await send({"type": "lifespan.startup.complete"})
        if self.manner == "complete, then returns":
            return
        if self.manner == "complete, then raises":
            raise OSError("it broke while it served")
        await self.hear(receive, mine)
        if self.manner == "raises at shutdown":
            raise OSError("it can't be closed")
        if self.manner == "returns at shutdown":
            return
        await self.close.wait()
        self.closed = True
        failed = self.manner.startswith("fails at shutdown")
        await send({"type": "lifespan.shutdown.failed", **self.why()} if failed else SHUT_DOWN)

    def why(self) -> Event:
        """The message of a failure, which may be left out."""
        return {} if self.manner.endswith("without a message") else {"message": self.message}

    async def hear(self, receive: Receive, mine: object) -> None:
        event = await receive()
        self.told.append(str(event.get("type")))
        self.tasks.append(asyncio.current_task() is mine)


async def is_early(call: asyncio.Future[Report]) -> bool:
    """The application takes its time; whoever doesn't wait for it is through before it is."""
    for _ in range(20):
        await asyncio.sleep(0.002)
    return call.done()


def meet(lifespan: Any, manner: str, message: str = "", to_the_end: bool = False) -> Report:
    """Run Lifespan(application).startup() on an application of this manner; to the end: shutdown(), too."""
    return asyncio.run(_meet(lifespan, manner, message, to_the_end))


async def _meet(lifespan: Any, manner: str, message: str, to_the_end: bool) -> Report:
    app = Manner(manner, message)
    one = lifespan(app)
    starting = asyncio.ensure_future(outcome(one.startup()))
    early = await is_early(starting) and not app.ready
    app.go_on.set()
    report: Report = {"startup": await starting, "early": early, "state": dict(one.state)}
    # What an application does after its reply takes a turn or two.
    for _ in range(5):
        await asyncio.sleep(0)
    report["told_before"] = list(app.told)
    if to_the_end and report["startup"]["how"] == "returned":
        ending = asyncio.ensure_future(outcome(one.shutdown()))
        if manner == "well-mannered":
            report["left early"] = await is_early(ending) and not app.closed
        app.close.set()
        report["shutdown"] = await ending
    return {**report, "scope": app.scope, "calls": app.calls, "told": app.told}


# --- a server's `run`, and what it prints -------------------------------------------------------------


def run_to_its_end(run: Any, startup: str, shutdown: str) -> Report:
    """Run run(application, sock, stop, None) to its end, with an application that says failed.

    It says startup.failed with the message `startup`; with an empty one shutdown.failed with `shutdown`.
    """
    with _printed() as (stdout, stderr):
        try:
            code = asyncio.run(_run(run, startup, shutdown))
        except SystemExit as error:  # whoever ends the process itself may do that
            code = error.code
    return {"code": code, "stdout": _text(stdout), "stderr": _text(stderr)}


async def _run(run: Any, startup: str, shutdown: str) -> Any:
    stop = asyncio.Event()

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        if startup:
            await send({"type": "lifespan.startup.failed", "message": startup})
            return
        await send({"type": "lifespan.startup.complete"})
        asyncio.get_running_loop().call_later(0.05, stop.set)
        await receive()
        await send({"type": "lifespan.shutdown.failed", "message": shutdown})

    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return await run(application, sock, stop, None)


@contextlib.contextmanager
def _printed() -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Standard output and standard error go into two files meanwhile."""
    with contextlib.ExitStack() as stack:
        files = [tempfile.TemporaryFile() for _ in range(2)]  # noqa: SIM115
        for number, file in enumerate(files, 1):
            before = os.dup(number)
            stack.callback(os.close, before)
            stack.callback(os.dup2, before, number)
            os.dup2(file.fileno(), number)
        stack.callback(sys.stdout.flush)
        stack.callback(sys.stderr.flush)
        yield files[0], files[1]


def _text(file: IO[bytes]) -> str:
    with file:
        file.seek(0)
        return file.read().decode("utf-8", "replace")


# --- a server that follows a script, for an application's side --------------------------------------


class Disk:
    """Takes the place of journal.disk: it can be held, moved on by one step, or made to fail."""

    def __init__(self) -> None:
        self.held, self.failures = False, 0
        self.waiting: list[asyncio.Event] = []

    async def __call__(self) -> None:
        if self.failures and journal.HISTORY[-1].startswith("writing"):
            self.failures -= 1
            journal.HISTORY.append("failed")
            raise OSError(28, "No space left on device")
        if not self.held:
            await asyncio.sleep(0)
            return
        one = asyncio.Event()
        self.waiting.append(one)
        await one.wait()

    def free(self) -> None:
        self.held = False
        while self.waiting:
            self.waiting.pop().set()


class Player:
    """One run of the application's lifespan, and its requests."""

    def __init__(self, app: Application, state: bool) -> None:
        self.app = app
        self.state: dict[str, Any] | None = {} if state else None
        self.events: asyncio.Queue[Event] = asyncio.Queue()
        self.sent: list[Event] = []
        self.news = asyncio.Event()
        self.task: asyncio.Task[None] | None = None

    async def send(self, message: Event) -> None:
        self.sent.append({**message, "history": list(journal.HISTORY)})
        self.news.set()

    async def tell(self, what: str) -> Report:
        """Send startup or shutdown; what the application sent until it replied, ended, or time was over."""
        if self.task is None:
            scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}}
            if self.state is not None:
                scope["state"] = self.state
            call = self.app(scope, self.events.get, self.send)
            self.task = asyncio.create_task(call, name="lifespan")  # type: ignore[arg-type]
        self.news.clear()
        before = len(self.sent)
        self.events.put_nowait({"type": f"lifespan.{what}"})
        news = asyncio.create_task(self.news.wait())
        await asyncio.wait({news, self.task}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        news.cancel()
        if what == "shutdown" or (self.sent[before:] and "failed" in self.sent[-1]["type"]):
            await asyncio.wait({self.task}, timeout=PATIENCE if self.sent[before:] else 0)
        await asyncio.sleep(0)
        return {"sent": self.sent[before:], "ended": self.task.done(), "raised": self.raised()}

    def raised(self) -> str:
        """What the lifespan call raised, as text; "" when it didn't."""
        if self.task is None or not self.task.done() or self.task.cancelled():
            return ""
        error = self.task.exception()
        if isinstance(error, NotImplementedError):
            raise error
        return f"{type(error).__name__}: {error}{place(error)}" if error else ""

    async def ask(self, method: str, target: str) -> Report:
        """One request, with a shallow copy of the state: status, body as JSON, and how the call ended."""
        path, _, query = target.partition("?")
        scope: Scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": method}
        scope |= {"http_version": "1.1", "scheme": "http", "path": path, "raw_path": path.encode()}
        scope |= {"query_string": query.encode(), "root_path": "", "headers": [(b"host", b"localhost")]}
        scope |= {"client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 80)}
        if self.state is not None:
            scope["state"] = self.state.copy()
        sent: list[Event] = []

        async def receive() -> Event:
            if sent:
                await asyncio.Event().wait()
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Event) -> None:
            sent.append(message)

        async def call() -> None:
            await self.app(scope, receive, send)

        report = await outcome(call())
        body = b"".join(one.get("body", b"") for one in sent)
        try:
            value = json.loads(body)
        except ValueError:
            value = body.decode("utf-8", "replace")
        status = sent[0].get("status", 0) if sent else 0
        asked, keys = f"{method} {path}", sorted(map(str, scope.get("state", ())))
        return {**report, "status": status, "value": value, "asked": asked, "state": keys}


def play(app: Any, *scripts: list[list[Any]], state: bool = True) -> list[list[Report]]:
    """Play each script to the application, in one process and one loop; a report for each step.

    Steps are ["startup"], ["shutdown"], ["ask", method, target], ["until", text, times] (that many entries of
    the journal's history begin with the text), ["disk", "hold" | "step" | "free" | "fail"], ["path", text]
    (where the journal is) and ["tasks"] (the names of tasks that are still there). Scripts are played in
    turn, a step of each.
    """
    return asyncio.run(_play(app, list(scripts), state))


async def _play(app: Any, scripts: list[list[list[Any]]], state: bool) -> list[list[Report]]:
    disk = Disk()
    journal.disk = disk
    players = [Player(app, state) for _ in scripts]
    reports: list[list[Report]] = [[] for _ in scripts]
    for turn in range(max(map(len, scripts))):
        for number, script in enumerate(scripts):
            if turn < len(script):
                reports[number].append(await _step(players[number], disk, script[turn]))
    disk.free()
    return reports


async def _step(player: Player, disk: Disk, step: list[Any]) -> Report:
    what, *more = step
    report: Report = {}
    match what:
        case "startup" | "shutdown":
            report = await player.tell(what)
        case "shutdown while":  # the disk is held: let it go on when the application has been told
            telling = asyncio.create_task(player.tell("shutdown"))
            for _ in range(10):
                await asyncio.sleep(0.002)
            disk.free()
            report = await telling
        case "ask":
            report = await player.ask(*more)
        case "until":
            report = {"seen": await _until(*more)}
        case "disk":
            _disk(disk, more[0])
        case "path":
            journal.PATH = more[0]
        case "tasks":
            report = {"tasks": sorted(await _tasks())}
    return {**report, "history": list(journal.HISTORY)}


def _disk(disk: Disk, what: str) -> None:
    match what:
        case "hold":
            disk.held = True
        case "step" if disk.waiting:
            disk.waiting.pop(0).set()
        case "free":
            disk.free()
        case "fail":
            disk.failures += 2
        case "fail always":
            disk.failures = 1000


async def _until(text: str, times: int = 1) -> bool:
    """Whether so many entries of the history begin with a text before patience ends."""
    end = asyncio.get_running_loop().time() + PATIENCE
    while sum(entry.startswith(text) for entry in journal.HISTORY) < times:
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.005)
    return True


async def _tasks() -> list[str]:
    """What still runs beside this, some turns later, as "name of a coroutine"."""
    for _ in range(10):
        await asyncio.sleep(0.002)
    others = asyncio.all_tasks() - {asyncio.current_task()}
    coroutines = [task.get_coro() for task in others]
    return [getattr(one, "__qualname__", repr(one)) for one in coroutines]
