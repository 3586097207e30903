"""Calls of lab 17's adapters, by servers of a few lines that do to them what a real one does now and then."""

import asyncio
import contextlib
import io
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from adapted_apps import PIECES, Application, Message, Receive, Send, closed, made, site

PATIENCE = 3.0  # seconds until what must happen is said not to have happened
# A str of its own, as one that came over a wire is: equal to others, and not the same object.
LEFT = {"type": ".".join(["http", "disconnect"])}


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


def taken_and_closed(
    adapter: Callable[[Application], WSGIApplication], app: Application, taken: int, tell: Callable[[], Any]
) -> list[bytes]:
    """Take some chunks of any application's body, tell when no more is sent, close: the chunks."""
    sent, ended = 0, threading.Event()

    async def watched(scope: Message, receive: Receive, send: Send) -> None:
        async def counted(message: Message) -> None:
            nonlocal sent
            await send(message)
            sent += 1

        try:
            await app(scope, receive, counted)
        finally:
            ended.set()

    body = iter(adapter(watched)(environ(), lambda *_: lambda data: None))
    got = [next(body) for _ in range(taken)]
    settled(lambda: sent, PIECES)
    tell()
    getattr(body, "close", lambda: None)()
    ended.wait(PATIENCE)
    return got


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
            heard.append(str((await receive())["type"]))
            await send({"type": "http.response.body", "body": b"second", "more_body": True})
            heard.append("nothing, from send")
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


def body_of(
    adapter: Callable[[Application], WSGIApplication], length: str | None, size: int
) -> dict[str, int]:
    """A body of this size, and the next request behind it: what the application got, what was read."""
    wire = io.BytesIO(b"." * size + b"GET /next HTTP/1.1\r\n\r\n")
    got = 0

    async def reading(scope: Message, receive: Receive, send: Send) -> None:
        nonlocal got
        while (event := await receive())["type"] == "http.request":
            got += len(event.get("body", b""))
            if not event.get("more_body", False):
                await send({"type": "http.response.start", "status": 200, "headers": []})
                await send({"type": "http.response.body", "body": b"read"})
                return
        got = -1  # told that the client has left, which it has not

    named = {} if length is None else {"CONTENT_LENGTH": length}
    asked = environ(**named, **{"REQUEST_METHOD": "POST", "wsgi.input": wire})
    try:
        answered = b"".join(adapter(reading)(asked, lambda *_: lambda data: None))
    except Exception:
        answered = b""
    return {"got": got if answered == b"read" else -1, "read": wire.tell()}


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
            return dict(LEFT)

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


class Closing:
    """A body, and an event for its close."""

    def __init__(self, body: Iterable[bytes]) -> None:
        self.body, self.closed = body, threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.body)

    def close(self) -> None:
        getattr(self.body, "close", lambda: None)()
        self.closed.set()


def left_by_client(
    adapter: Callable[[WSGIApplication], Application],
    app: WSGIApplication,
    taken: int,
    tell: Callable[[], Any],
) -> list[bytes]:
    """As `stalled`, for any application: the pieces that were taken; tells when the client leaves."""
    bodies: list[Closing] = []

    def watched(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        bodies.append(Closing(app(environ, start_response)))
        return bodies[0]

    async def run() -> list[bytes]:
        got: list[bytes] = []
        left, first = asyncio.Event(), asyncio.Event()
        events: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

        async def receive() -> Message:
            if not events:
                await left.wait()
            return events.pop() if events else dict(LEFT)

        async def send(message: Message) -> None:
            if message["type"] == "http.response.body":
                got.append(message.get("body", b""))
            if len(got) >= taken:
                first.set()
                await left.wait()

        call = asyncio.ensure_future(
            adapter(watched)({**SCOPE, "path": "/", "raw_path": b"/"}, receive, send)
        )
        waiting = asyncio.ensure_future(first.wait())
        await asyncio.wait({call, waiting}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        await asyncio.to_thread(settled, lambda: len(got), PIECES)
        pieces = got[:taken]
        tell()
        left.set()
        await asyncio.wait({call}, timeout=PATIENCE)
        call.cancel()
        await asyncio.gather(call, return_exceptions=True)
        if bodies:
            await asyncio.to_thread(bodies[0].closed.wait, PATIENCE)
        return pieces

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
            return events.pop() if events else dict(LEFT)

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
