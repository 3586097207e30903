"""Applications on the other side's servers, by lab 17's adapters, and layers around all that ASGI has.

layered        ASGI: an echo for WebSockets, and a lifespan, behind request_id, timing, gzip and bearer
over_asgi      ASGI: `site` below, in three threads of asgi_from_wsgi
over_wsgi      WSGI: lab 10's tasks API, by wsgi_from_asgi
twenty         ASGI: lab 10's tasks API behind twenty layers

site, WSGI     /flood?say=X     64 KiB at a time, 128 MiB at the most; what is made is counted
               /made?say=X      how many were made, and whether the iterable was closed, as JSON
               anything else    wsgi_behaviours

Each is built at the first request, so that a lab with holes in it can be started. Below are harnesses:
servers of a few lines that do to an adapter what a real one does now and then.
"""

import asyncio
import contextlib
import importlib
import io
import json
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, MutableMapping
from functools import cache, partial
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

TOKENS = {"lovelace-1843": "Ada"}
PIECES = 2048
PIECE = b"." * (64 * 1024)
PATIENCE = 3.0  # seconds until what must happen is said not to have happened
made: dict[str, int] = {}
closed: set[str] = set()


# --- the WSGI site ------------------------------------------------------------------------------------


class Flood:
    def __init__(self, name: str) -> None:
        self._name = name
        made[name] = 0

    def __iter__(self) -> Iterator[bytes]:
        while made[self._name] < PIECES:
            made[self._name] += 1
            yield PIECE

    def close(self) -> None:
        closed.add(self._name)


def site(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    name = parse_qs(environ.get("QUERY_STRING", "")).get("say", [""])[0]
    if environ["PATH_INFO"] == "/flood":
        start_response("200 OK", [("Content-Type", "application/octet-stream")])
        return Flood(name)
    if environ["PATH_INFO"] == "/made":
        start_response("200 OK", [("Content-Type", "application/json")])
        return [json.dumps({"made": made.get(name, 0), "closed": name in closed}).encode()]
    behaviours: Any = importlib.import_module("wsgi_behaviours")
    answer: Iterable[bytes] = behaviours.application(environ, start_response)
    return answer


# --- an ASGI application of every kind ----------------------------------------------------------------


async def every_kind(scope: Message, receive: Receive, send: Send) -> None:
    """Echoes a body, or the messages of a WebSocket; its lifespan leaves a word in the state."""
    if scope["type"] == "lifespan":
        await receive()
        scope.get("state", {})["word"] = "started"
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await send({"type": "lifespan.shutdown.complete"})
    elif scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.accept"})
        await send({"type": "websocket.send", "text": str(scope.get("state", {}).get("word"))})
        while (event := await receive())["type"] == "websocket.receive":
            await send({"type": "websocket.send", "text": f"{scope.get('user')}: {event.get('text')}"})
    else:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"an echo of nothing\n"})


@cache
def lab() -> Any:
    return importlib.import_module("middleware")


def layers() -> list[Any]:
    found = lab()
    return [found.request_id, found.timing, found.gzip, partial(found.bearer, tokens=TOKENS)]


@cache
def build(name: str) -> Any:
    if name == "layered":
        app = every_kind
        for layer in reversed(layers()):  # by hand: `stack` comes a task later
            app = layer(app)
        return app
    if name == "over_asgi":
        return lab().asgi_from_wsgi(site, threads=3)
    tasks: Any = importlib.import_module("app")
    return lab().wsgi_from_asgi(tasks.app) if name == "over_wsgi" else lab().stack(tasks.app, layers() * 5)


async def layered(scope: Message, receive: Receive, send: Send) -> None:
    await build("layered")(scope, receive, send)


async def over_asgi(scope: Message, receive: Receive, send: Send) -> None:
    await build("over_asgi")(scope, receive, send)


async def twenty(scope: Message, receive: Receive, send: Send) -> None:
    await build("twenty")(scope, receive, send)


def over_wsgi(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    answer: Iterable[bytes] = build("over_wsgi")(environ, start_response)
    return answer


# --- layers and applications that checks put beside the lab's -----------------------------------------


def louder(app: Application) -> Application:
    """A layer that makes every body upper case: it has to see plain text."""

    async def raised(scope: Message, receive: Receive, send: Send) -> None:
        async def upper(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": message.get("body", b"").upper()}
            await send(message)

        await app(scope, receive, upper)

    return raised


def steady(before: float) -> Application:
    """An application that takes `before` seconds of manual_clock until it starts, then as much again."""
    clock: Any = importlib.import_module("manual_clock")

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        clock.work(before)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-worker", b"yes")]})
        await send({"type": "http.response.body", "body": b"some work", "more_body": True})
        clock.work(before)
        await send({"type": "http.response.body", "body": b", and more"})

    return application


def delayed(app: Application, seconds: float) -> Application:
    clock: Any = importlib.import_module("manual_clock")

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        clock.work(seconds)
        await app(scope, receive, send)

    return application


def compared(app: Application) -> Application:
    """Says in x-compared how often hmac.compare_digest was asked, in x-equal whether it said yes."""
    witness: Any = importlib.import_module("compare_digest_counter")
    witness.replace_everywhere()

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        witness.answers.clear()

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                said = [
                    (b"x-compared", str(len(witness.answers)).encode()),
                    (b"x-equal", str(any(witness.answers)).encode()),
                ]
                message = {**message, "headers": [*message.get("headers", ()), *said]}
            await send(message)

        await app(scope, receive, noted)

    return application


def keeps_scope(layer: Callable[[Application], Application], scope: Message) -> list[str]:
    """Which keys of its scope a server finds changed after a layer has had it."""

    async def inner(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def run() -> list[str]:
        mine = {**scope, "headers": [tuple(pair) for pair in scope["headers"]]}
        before = {key: list(value) if isinstance(value, list) else value for key, value in mine.items()}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            pass

        await layer(inner)(mine, receive, send)
        return sorted(key for key in mine.keys() | before.keys() if mine.get(key) != before.get(key))

    return asyncio.run(run())


def headers_kept(layer: Callable[[Application], Application], scope: Message) -> list[tuple[bytes, bytes]]:
    """The header list of an application that has one for all its answers, after two of them."""
    kept = [(b"content-type", b"text/plain"), (b"content-length", b"900"), (b"etag", b'"1"')]

    async def inner(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": kept})
        await send({"type": "http.response.body", "body": b"." * 900})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    async def run() -> None:
        app = layer(inner)
        for _ in range(2):
            asked = [*map(tuple, scope["headers"]), (b"accept-encoding", b"gzip")]
            await app({**scope, "headers": asked}, receive, send)

    asyncio.run(run())
    return kept


def overlapping(layer: Callable[[Application], Application], scopes: list[Message]) -> list[Any]:
    """Two requests at once, each answered when both are inside: the headers that each got."""

    async def run() -> list[Any]:
        inside, all_in = 0, asyncio.Event()

        async def inner(scope: Message, receive: Receive, send: Send) -> None:
            nonlocal inside
            inside += 1
            if inside == len(scopes):
                all_in.set()
            await all_in.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

        app = layer(inner)

        async def one(scope: Message) -> Any:
            got: list[Any] = []

            async def receive() -> Message:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    got.extend((bytes(name), bytes(value)) for name, value in message["headers"])

            await app({**scope, "headers": [tuple(pair) for pair in scope["headers"]]}, receive, send)
            return got

        return list(await asyncio.wait_for(asyncio.gather(*map(one, scopes)), PATIENCE))

    return asyncio.run(run())


# --- WSGI applications that are right, and hard to serve ----------------------------------------------


def second_thoughts(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """It starts with 200, sends an empty chunk, and thinks better of it: nothing has been sent yet."""
    start_response("200 OK", [("Content-Type", "text/plain"), ("X-First", "yes")])
    yield b""
    try:
        raise LookupError("on second thoughts")
    except LookupError:
        start_response("503 Later", [("Content-Type", "text/plain")], sys.exc_info())
    yield b"later, please"


# --- harnesses for wsgi_from_asgi ---------------------------------------------------------------------


def environ(**more: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **more,
    }


def settled(count: Callable[[], int], most: int) -> int:
    """What a count comes to: its value when it has stood still for a while, or has reached the most."""
    still, last, end = 0, -1, time.monotonic() + PATIENCE
    while still < 10 and last < most and time.monotonic() < end:
        now = count()
        still, last = (still + 1, now) if now == last else (0, now)
        time.sleep(0.01)
    return last


def left_half_way(adapter: Callable[[Application], WSGIApplication], taken: int) -> dict[str, Any]:
    """Take some chunks of a long body, look how many were sent by then, close: what the application saw."""
    sent, ended = 0, threading.Event()
    told: list[str] = []

    async def flooding(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal sent
        try:
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(PIECES):
                await send({"type": "http.response.body", "body": b"piece", "more_body": True})
                sent += 1
                await asyncio.sleep(0)
            told.append("nothing")
        except BaseException as error:
            told.append("OSError" if isinstance(error, OSError) else type(error).__name__)
            if not isinstance(error, OSError):
                raise
        finally:
            ended.set()

    body = iter(adapter(flooding)(environ(), lambda *_: lambda data: None))
    got = [next(body) for _ in range(taken)]
    before = settled(lambda: sent, PIECES)
    close = getattr(body, "close", lambda: None)
    close()
    ended.wait(PATIENCE)
    return {"got": len(got), "sent": before, "of": PIECES, "ended": ended.is_set(), "told": told}


def left_while_receiving(adapter: Callable[[Application], WSGIApplication]) -> list[str]:
    """What `receive` gave an application that awaited the client's leaving, when the server closed."""
    heard: list[str] = []
    ended = threading.Event()

    async def listening(scope: Message, receive: Receive, send: Send) -> None:
        try:
            await receive()
            leaving = asyncio.ensure_future(receive())
            with contextlib.suppress(OSError):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"first", "more_body": True})
            heard.append(str((await leaving)["type"]))
        except BaseException as error:
            heard.append("OSError" if isinstance(error, OSError) else type(error).__name__)
            raise
        finally:
            ended.set()

    body = iter(adapter(listening)(environ(), lambda *_: lambda data: None))
    next(body)
    getattr(body, "close", lambda: None)()
    ended.wait(PATIENCE)
    return heard or ["nothing"]


class SlowInput(io.BytesIO):
    """A wsgi.input whose bytes come when the gate is opened."""

    def __init__(self, data: bytes, asked: threading.Event, gate: threading.Event) -> None:
        super().__init__(data)
        self._asked, self._gate = asked, gate

    def read(self, size: int | None = -1) -> bytes:
        self._asked.set()
        self._gate.wait(PATIENCE)
        return super().read(size)


def slow_body(adapter: Callable[[Application], WSGIApplication]) -> dict[str, bool]:
    """One request whose body is slow, and another one meanwhile: whether it was answered before that came."""
    asked, gate = threading.Event(), threading.Event()
    answered: list[bytes] = []

    async def reading(scope: Message, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await receive()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"read"})

    app = adapter(reading)

    def ask(**more: Any) -> None:
        answered.append(b"".join(app(environ(**more), lambda *_: lambda data: None)))

    body = {"wsgi.input": SlowInput(b"slow", asked, gate), "CONTENT_LENGTH": "4", "REQUEST_METHOD": "POST"}
    slow = threading.Thread(target=ask, kwargs=body, daemon=True)
    slow.start()
    asked.wait(PATIENCE)
    quick = threading.Thread(target=ask, daemon=True)
    quick.start()
    quick.join(PATIENCE / 2)
    meanwhile = bool(answered)
    gate.set()
    slow.join(PATIENCE)
    quick.join(PATIENCE)
    return {"meanwhile": meanwhile, "both": answered == [b"read", b"read"]}


def crowd(adapter: Callable[[Application], WSGIApplication], count: int) -> dict[str, int]:
    """So many requests from as many threads: how many were answered, and how many were inside at once."""
    inside = most = 0
    lock = threading.Lock()
    answers: list[bytes] = []

    async def meeting(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal inside, most
        with lock:
            inside += 1
            most = max(most, inside)
        end = time.monotonic() + PATIENCE / 2
        while most < count and time.monotonic() < end:  # noqa: ASYNC110  (there may be a loop for each)
            await asyncio.sleep(0.005)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"met"})
        with lock:
            inside -= 1

    app = adapter(meeting)

    def ask() -> None:
        answers.append(b"".join(app(environ(), lambda *_: lambda data: None)))

    threads = [threading.Thread(target=ask, daemon=True) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    return {"answered": answers.count(b"met"), "at_once": most}


# --- harnesses for asgi_from_wsgi ---------------------------------------------------------------------

SCOPE: dict[str, Any] = {
    "type": "http",
    "asgi": {"version": "3.0", "spec_version": "2.3"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"localhost")],
    "client": ("127.0.0.1", 50000),
    "server": ("127.0.0.1", 80),
}


def stalled(adapter: Callable[[WSGIApplication], Application], taken: int) -> dict[str, Any]:
    """A server whose client takes some pieces, then none for a while, and then leaves.

    As under uvicorn: `send` returns after that, and only `receive` says that it happened.
    """
    name = "stalled"

    async def run() -> dict[str, Any]:
        got, asked, left, first = 0, 0, asyncio.Event(), asyncio.Event()

        async def receive() -> Message:
            nonlocal asked
            asked += 1
            if asked == 1:
                return {"type": "http.request", "body": b"", "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal got
            got += message["type"] == "http.response.body"
            if got >= taken:
                first.set()
                await left.wait()

        scope = {**SCOPE, "path": "/flood", "raw_path": b"/flood", "query_string": b"say=stalled"}
        call = asyncio.ensure_future(adapter(site)(scope, receive, send))
        waiting = asyncio.ensure_future(first.wait())
        await asyncio.wait({call, waiting}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if call.done():
            await call
        before = await asyncio.to_thread(settled, lambda: made.get(name, 0), PIECES)
        left.set()
        await asyncio.wait({call}, timeout=PATIENCE)
        over = call.done()
        call.cancel()
        await asyncio.to_thread(settled, lambda: len(closed), 1)
        return {"sent": got, "stalled_at": before, "over": over, "made": made.get(name, 0), "of": PIECES} | {
            "closed": name in closed
        }

    return asyncio.run(run())


def left_in_body(adapter: Callable[[WSGIApplication], Application]) -> dict[str, Any]:
    """A client that leaves in the middle of its body: what wsgi.input gave, and whether the call ended."""
    found: dict[str, Any] = {"read": "nothing: it waits for more"}

    def reading(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            found["read"] = len(environ["wsgi.input"].read())
        except BaseException as error:
            found["read"] = type(error).__name__
            raise
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"read"]

    async def run() -> bool:
        events = [{"type": "http.request", "body": b"half", "more_body": True}]

        async def receive() -> Message:
            return events.pop() if events else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            pass

        headers = [(b"host", b"localhost"), (b"content-length", b"8")]
        scope = {**SCOPE, "method": "POST", "path": "/", "raw_path": b"/", "headers": headers}
        call = asyncio.ensure_future(adapter(reading)(scope, receive, send))
        await asyncio.wait({call}, timeout=PATIENCE)
        over = call.done()
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        return over

    return {"over": asyncio.run(run()), **found}
