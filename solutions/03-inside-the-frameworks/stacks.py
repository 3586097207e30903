"""The stacks that are recorded, and how: `python stacks.py FOLDER` writes the ten examples of traffic/ anew.

Every stack is a server, a middleware and an application, with an X-ray on both sides of the middleware:

    server ──(outer)── middleware ──(inner)── application

One layer of each breaks one rule, and some break none. `examples` are the ten that the lesson shows; `drawn`
are others with the same faults, of another layer perhaps, for a check that can't be passed by heart.
"""

from __future__ import annotations

import asyncio
import random
import string
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from xray import asgi_xray, wsgi_xray

TEXT = ("Content-Type", "text/plain; charset=utf-8")
NAMES = ("Ada", "Grace", "Edsger", "Margaret", "Radia", "Zoë")
ROWS = (b"id,title\n", b"1,Ask Ada\n", b"2,Ask Grace\n")

Event = tuple[Any, ...]  # ("inner", "chunk", b"id,title\n"): boundary, kind, details
Events = list[Event]


@dataclass(frozen=True)
class Recording:
    """What was recorded, which example it is like, and what is wrong: layer, rule, each line that will do."""

    events: Events
    like: str
    layer: str
    rule: str
    lines: frozenset[int]


def as_text(events: Events) -> str:
    """A recording as a file of traffic/ has it: a line for each event, counted from 1."""
    lines = []
    for number, (boundary, kind, *details) in enumerate(events, 1):
        said = "  ".join(map(repr, details))
        lines.append(f"{number:2}  {boundary}  {kind:14}  {said}".rstrip() + "\n")
    return "".join(lines)


def recorder(events: Events, boundary: str) -> Callable[..., None]:
    return lambda number, kind, *details: events.append((boundary, kind, *details))


def at(events: Events, boundary: str, kind: str) -> list[int]:
    """The lines of what is of this kind at this boundary."""
    return [line for line, event in enumerate(events, 1) if event[:2] == (boundary, kind)]


# --- WSGI -------------------------------------------------------------------------------------------


def unchanged(app: Any) -> Any:
    return app


def wsgi(
    app: Any, middleware: Any = unchanged, path: str = "/", take: int = -1, close: bool = True
) -> Events:
    """One request to a stack: its recording. `take` is how many chunks the client stays for."""
    events: Events = []
    outer = wsgi_xray(middleware(wsgi_xray(app, recorder(events, "inner"))), recorder(events, "outer"))
    environ = {"REQUEST_METHOD": "GET", "SCRIPT_NAME": "", "PATH_INFO": path}
    body: Any = outer(environ, lambda *args: lambda data: None)
    for number, _ in enumerate(body, 1):
        if number == take:
            break
    if close:
        body.close()
    return events


class Rows:
    """A body that has a close."""

    def __init__(self, *chunks: bytes) -> None:
        self.chunks = iter(chunks)

    def __iter__(self) -> Iterator[bytes]:
        return self.chunks

    def close(self) -> None:
        pass


def csv(rows: Iterable[bytes] = ROWS) -> Any:
    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/csv")])
        return Rows(*rows)

    return application


def greeting(
    name: str, counted: Callable[[str], int], kind: type = Rows, field: str = "Content-Length"
) -> Any:
    """Promises as many bytes as `counted` finds in the text; a field's name has no case (RFC 9110 §5.1)."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        text = f"Hello, {name}!\n"
        start_response("200 OK", [TEXT, (field, str(counted(text)))])
        body: Iterable[bytes] = Rows(text.encode()) if kind is Rows else kind([text.encode()])
        return body

    return application


def in_bytes(text: str) -> int:
    return len(text.encode())


def with_crlf(text: str) -> int:
    """As if each line ended with two bytes: more than will follow."""
    return len(text.replace("\n", "\r\n").encode())


def fails_late(number: int, passes: bool = True, *lengths: int) -> Any:
    """Finds out that a task is missing, after its first start_response; each may promise a length."""
    heads = [[TEXT, ("Content-Length", str(length))] for length in lengths] or [[TEXT], [TEXT]]

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response("200 OK", heads[0])
        try:
            raise LookupError(f"no task {number}")
        except LookupError:
            more = [sys.exc_info()] if passes else []
            start_response("500 Internal Server Error", heads[1], *more)
        return [b"It is our fault.\n"]

    return application


def late(name: str) -> Any:
    """Starts late, and says nothing in between: a strange order, and a legal one."""

    def application(environ: Any, start_response: Any) -> Iterator[bytes]:
        yield b""
        start_response("200 OK", [TEXT, ("Content-Length", str(8 + len(name.encode()) + 1))])
        yield b"Hello, "
        yield b""
        yield f"{name}!\n".encode()

    return application


def greedy(app: Any) -> Any:
    """Compresses, and needs the whole body for it."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = app(environ, start_response)
        data = b"".join(body)
        body.close()
        return Rows(data)

    return application


def upper(app: Any) -> Any:
    """A generator over the body: it has a close of its own, and tells nobody."""

    def application(environ: Any, start_response: Any) -> Iterable[bytes]:
        body = app(environ, start_response)
        return (chunk.upper() for chunk in body)

    return application


class Upper:
    """The same as it should be."""

    def __init__(self, body: Any) -> None:
        self.body, self.chunks, self.close = body, iter(body), body.close

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        return bytes(next(self.chunks).upper())


def careful_upper(app: Any) -> Any:
    return lambda environ, start_response: Upper(app(environ, start_response))


def footer(text: bytes) -> Any:
    """Adds a last line to every page, and leaves its Content-Length alone."""

    def middleware(app: Any) -> Any:
        def application(environ: Any, start_response: Any) -> Iterator[bytes]:
            body = app(environ, start_response)
            try:
                yield from body
                yield text
            finally:
                body.close()

        return application

    return middleware


def request_id(number: str, passes: bool = False) -> Any:
    """A field more for each answer. Without `passes` it forgets start_response's third argument."""

    def middleware(app: Any) -> Any:
        def application(environ: Any, start_response: Any) -> Iterable[bytes]:
            def start(status: str, headers: Any, *exc_info: Any) -> Any:
                more = exc_info if passes else ()
                return start_response(status, [*headers, ("X-Request-ID", number)], *more)

            result: Iterable[bytes] = app(environ, start)
            return result

        return application

    return middleware


def mounted(prefix: str, moves: bool = False) -> Any:
    def middleware(app: Any) -> Any:
        def application(environ: Any, start_response: Any) -> Iterable[bytes]:
            inner = {**environ, "PATH_INFO": environ["PATH_INFO"].removeprefix(prefix)}
            if moves:
                inner["SCRIPT_NAME"] += prefix
            result: Iterable[bytes] = app(inner, start_response)
            return result

        return application

    return middleware


# --- ASGI -------------------------------------------------------------------------------------------


def asgi(app: Any, middleware: Any, scope: dict[str, Any], *messages: dict[str, Any]) -> Events:
    events: Events = []
    waiting = list(messages)

    async def receive() -> dict[str, Any]:
        return waiting.pop(0) if waiting else {"type": "http.disconnect"}

    async def send(message: dict[str, Any]) -> None:
        pass

    outer = asgi_xray(middleware(asgi_xray(app, recorder(events, "inner"))), recorder(events, "outer"))

    async def call() -> None:
        await outer(scope, receive, send)

    asyncio.run(call())
    return events


START = {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]}


def passing(app: Any) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await app(scope, receive, send)

    return application


def body_logger(*skipped: int) -> Any:
    """Reads pieces of each request's body for a log, and the application never gets them: 1 is the first."""

    def middleware(app: Any) -> Any:
        async def application(scope: Any, receive: Any, send: Any) -> None:
            count = 0

            async def logged_receive() -> Any:
                nonlocal count
                count += 1
                while count in skipped:
                    await receive()
                    count += 1
                return await receive()

            while count + 1 in skipped:
                await receive()
                count += 1
            await app(scope, logged_receive, send)

        return application

    return middleware


def never_last(app: Any) -> Any:
    """Wants to add to the body later, and forgets to say that it will not."""

    async def application(scope: Any, receive: Any, send: Any) -> None:
        async def open_send(message: Any) -> None:
            more = {"more_body": True} if message["type"] == "http.response.body" else {}
            await send({**message, **more})

        await app(scope, receive, open_send)

    return application


def ticker(first: int, ends: bool = False) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        for number in range(first, 0, -1):
            more = not ends or number > 1
            await send({"type": "http.response.body", "body": b"%d\n" % number, "more_body": more})

    return application


async def counter(scope: Any, receive: Any, send: Any) -> None:
    size, more = 0, True
    while more:
        message = await receive()
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    await send(START)
    await send({"type": "http.response.body", "body": b"%d\n" % size})


def talkative(text: bytes) -> Any:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(START)
        await send({"type": "http.response.body", "body": text})

    return application


async def started(scope: Any, receive: Any, send: Any) -> None:
    """An application that knows lifespan."""
    await receive()
    await send({"type": "lifespan.startup.complete"})


def pieces(*sizes: int) -> list[dict[str, Any]]:
    """A request's body in pieces of so many bytes."""
    last = len(sizes)
    return [
        {"type": "http.request", "body": b"x" * size, "more_body": number < last}
        for number, size in enumerate(sizes, 1)
    ]


# --- what is wrong with each ------------------------------------------------------------------------


def collects(events: Events) -> Recording:
    return Recording(events, "01", "middleware", "lazy", frozenset(at(events, "inner", "chunk")[1:2]))


def is_not_closed(events: Events) -> Recording:
    return Recording(events, "02", "server", "close", frozenset({len(events)}))


def drops_exc_info(events: Events) -> Recording:
    return Recording(
        events, "03", "middleware", "exc_info", frozenset(at(events, "outer", "start_response")[1:])
    )


def has_no_exc_info(events: Events) -> Recording:
    return Recording(
        events, "03", "application", "exc_info", frozenset(at(events, "inner", "start_response")[1:])
    )


def healthy(events: Events) -> Recording:
    return Recording(events, "04", "nobody", "none", frozenset({0}))


def keeps_close(events: Events) -> Recording:
    return Recording(events, "05", "middleware", "close", frozenset({len(events)}))


def counts_wrong(events: Events, boundary: str = "inner") -> Recording:
    """The promise is one line, the breach another: both will do."""
    layer = "application" if boundary == "inner" else "middleware"
    lines = at(events, boundary, "start_response") + at(events, boundary, "chunk")[-1:]
    return Recording(events, "06", layer, "length", frozenset(lines))


def promises_too_much(events: Events) -> Recording:
    """What is missing is known where the body has ended; the promise, and the last line, will do as well."""
    lines = at(events, "inner", "start_response") + at(events, "inner", "exhausted")
    return Recording(events, "06", "application", "length", frozenset({*lines, len(events)}))


def loses_prefix(events: Events) -> Recording:
    return Recording(events, "07", "middleware", "path", frozenset(at(events, "inner", "called")))


def never_ends(events: Events, boundary: str = "inner") -> Recording:
    """The last body is one line, the silence after it another: both will do."""
    layer = "application" if boundary == "inner" else "middleware"
    ends = at(events, "inner", "returned") + at(events, "outer", "returned")
    return Recording(events, "08", layer, "more_body", frozenset(at(events, boundary, "send")[-1:] + ends))


def reads_ahead(events: Events, nth: int) -> Recording:
    line = at(events, "outer", "receive")[nth - 1]
    return Recording(events, "09", "middleware", "body", frozenset({line}))


def answers_lifespan(events: Events) -> Recording:
    return Recording(events, "10", "application", "scope", frozenset(at(events, "inner", "send")[:1]))


def examples() -> dict[str, Recording]:
    """The ten that the lesson shows, by their number."""
    recordings = [
        collects(wsgi(csv(), greedy, "/tasks.csv")),
        is_not_closed(wsgi(csv(), path="/tasks.csv", take=1, close=False)),
        drops_exc_info(wsgi(fails_late(42), request_id("7f3a"), "/tasks/42")),
        healthy(wsgi(late("Ada"))),
        keeps_close(wsgi(csv(), upper, "/tasks.csv", take=1)),
        counts_wrong(wsgi(greeting("Zoë", len))),
        loses_prefix(wsgi(csv(), mounted("/shop"), "/shop/tasks.csv")),
        never_ends(asgi(ticker(3), passing, {"type": "http", "path": "/countdown"})),
        reads_ahead(asgi(counter, body_logger(1), {"type": "http", "path": "/count"}, *pieces(5, 4, 2)), 1),
        answers_lifespan(asgi(talkative(b"Hello!\n"), passing, {"type": "lifespan"})),
    ]
    return {recording.like: recording for recording in recordings}


# --- others with the same faults --------------------------------------------------------------------


class Draw:
    """What differs from one recording to the next; the same from the same seed."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def word(self) -> str:
        return "".join(self.rng.choices(string.ascii_lowercase, k=5))

    def path(self) -> str:
        return f"/{self.word()}/{self.rng.randrange(1, 1000)}"

    def name(self) -> str:
        return f"{self.rng.choice(NAMES)} {self.rng.randrange(100, 999)}"

    def rows(self) -> list[bytes]:
        count = self.rng.randrange(2, 4)
        return [b"id,title\n", *(f"{number},Ask {self.name()}\n".encode() for number in range(1, count))]

    def http(self) -> dict[str, Any]:
        return {"type": "http", "path": self.path()}

    def sizes(self) -> list[int]:
        """Every piece of another size: none can be taken for its neighbour."""
        return self.rng.sample(range(1, 9), 3)


def drawn(rng: random.Random) -> list[Recording]:
    """Every fault at least once, by every layer that may have it, and a healthy stack; in any order."""
    draw = Draw(rng)
    prefix, number, skipped = f"/{draw.word()}", rng.randrange(1, 100), 2
    some, lower = f"{draw.name()} {'é' * rng.randrange(1, 4)}", "content-length"
    recordings = [
        collects(wsgi(csv(draw.rows()), greedy, draw.path())),
        is_not_closed(wsgi(csv(draw.rows()), path=draw.path(), take=-1, close=False)),
        drops_exc_info(wsgi(fails_late(number), request_id(draw.word()), draw.path())),
        has_no_exc_info(wsgi(fails_late(number, passes=False), request_id(draw.word(), True), draw.path())),
        keeps_close(wsgi(csv(draw.rows()), upper, draw.path())),
        counts_wrong(wsgi(greeting(some, len, field=lower), path=draw.path())),
        counts_wrong(wsgi(greeting(draw.name(), in_bytes), footer(f"{draw.word()}\n".encode())), "outer"),
        promises_too_much(wsgi(greeting(draw.name(), with_crlf), path=draw.path())),
        loses_prefix(wsgi(csv(draw.rows()), mounted(prefix), prefix + draw.path())),
        never_ends(asgi(ticker(rng.randrange(1, 4)), passing, draw.http())),
        never_ends(asgi(ticker(rng.randrange(1, 4), ends=True), never_last, draw.http()), "outer"),
        reads_ahead(asgi(counter, body_logger(skipped), draw.http(), *pieces(*draw.sizes())), skipped),
        answers_lifespan(asgi(talkative(draw.word().encode()), passing, {"type": "lifespan"})),
        rng.choice(all_healthy(draw)),
    ]
    rng.shuffle(recordings)
    return recordings


def all_healthy(draw: Draw) -> list[Recording]:
    """Stacks that look strange, in one way each, and break nothing."""
    prefix = f"/{draw.word()}"
    startup = {"type": "lifespan.startup"}
    stacks = [
        wsgi(late(draw.name()), path=draw.path()),
        wsgi(late(draw.name()), path=draw.path(), take=2),
        wsgi(csv(draw.rows()), careful_upper, draw.path(), take=1),
        wsgi(greeting(draw.name(), in_bytes, list), request_id(draw.word()), draw.path()),
        wsgi(fails_late(7), request_id(draw.word(), passes=True), draw.path()),
        wsgi(fails_late(8, True, 200, 17), path=draw.path()),
        wsgi(csv(draw.rows()), mounted(prefix, moves=True), prefix + draw.path()),
        asgi(ticker(draw.rng.randrange(1, 4), ends=True), passing, draw.http()),
        asgi(counter, passing, draw.http(), *pieces(*draw.sizes())),
        asgi(started, passing, {"type": "lifespan"}, startup),
    ]
    return [healthy(events) for events in stacks]


def write(folder: Path) -> None:
    """The ten examples as files: 01.txt to 10.txt."""
    for name, recording in examples().items():
        (folder / f"{name}.txt").write_text(as_text(recording.events), encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
