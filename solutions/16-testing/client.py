r"""Test clients: they call a WSGI or an ASGI application as a server would, with no server.

    client = WSGIClient(application)
    client.post("/tasks", json={"title": "Call Ada"}).status        201

    with ASGIClient(app) as client:                                 lifespan.startup … lifespan.shutdown
        with client.stream("GET", "/events") as events:             leaving it: http.disconnect
            next(events)                                            b": welcome\n\n"
        with client.websocket("/rooms/ada") as session:             leaving it: websocket.disconnect
            session.send("hello")
            session.receive()                                       "hello"

Theory of operation. Tests are written without `await`, and an ASGI application needs an event loop. So the
client owns a loop that runs only while one of the client's methods waits for the application. Between two
lines of a test nothing moves: a test is the same each time. No thread, so no lock and no race.

Each scope is one `Call`: a task, a queue of events for its `receive`, and one place for what it sends. One
place, not a long queue: an application can't run ahead of whoever reads, as it can't behind a real client.

An exception of the application's reaches the test that caused it. A server would have to turn it into a 500,
and the test would say "500 is not 200" where it can name the line.
"""

from __future__ import annotations

import asyncio
import io
import json as json_
import re
import sys
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, unquote_to_bytes

Headers = Iterable[tuple[str, str]]
Pairs = list[tuple[str, str]]
Event = dict[str, Any]
Scope = dict[str, Any]
App = Callable[[Scope, Callable[[], Awaitable[Event]], Callable[[Event], Awaitable[None]]], Awaitable[None]]

PATIENCE = 5.0  # seconds that a test waits for its application
GRACE = 1.0  # seconds that an application has to end, once its client has left


@dataclass
class Response:
    """What the application answered; header fields in its order, repeats kept."""

    status: int
    headers: Pairs
    body: bytes

    def header(self, name: str) -> str | None:
        """The first field of that name, in any case; None when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json_.loads(self.body)


# --- task 1: make_environ and make_scope ------------------------------------------------------------


def with_usual(headers: Headers, body: bytes) -> Pairs:
    """The fields as a client sends them: with Host, and with Content-Length when there is a body."""
    fields = list(headers)
    names = {name.lower() for name, _ in fields}
    # RFC 9112 §3.2: a client must send Host.
    if "host" not in names:
        fields.insert(0, ("Host", "localhost"))
    if body and "content-length" not in names:
        fields.append(("Content-Length", str(len(body))))
    return fields


def make_environ(
    method: str = "GET", target: str = "/", headers: Headers = (), body: bytes = b""
) -> dict[str, Any]:
    """The environ of one request (PEP 3333, "environ Variables"). `target` is as on the wire."""
    path, _, query = target.partition("?")
    environ: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        # "Unicode Issues": the path's bytes, decoded as latin-1.
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        # Not decoded: "a=1%262" is one parameter.
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    for name, value in with_usual(headers, body):
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        # RFC 9110 §5.3: repeated fields are one list; RFC 6265 §5.4: but cookies are joined by "; ".
        joint = "; " if key == "HTTP_COOKIE" else ", "
        environ[key] = f"{environ[key]}{joint}{value}" if key in environ else value
    return environ


def make_scope(method: str = "GET", target: str = "/", headers: Headers = (), body: bytes = b"") -> Scope:
    """The scope of one request (ASGI www, "HTTP Connection Scope"); the body is not part of it."""
    path, _, query = target.partition("?")
    fields = with_usual(headers, body)
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method.upper(),
        "scheme": "http",
        # Text here, and bytes there: a str that has been decoded twice is no path any more.
        "path": unquote(path),
        "raw_path": path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "root_path": "",
        # Names in lower case; order and repeats as they are.
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in fields],
        "client": ("127.0.0.1", 50000),
        "server": ("localhost", 80),
    }


# --- task 2: what both clients do, and the client for WSGI ------------------------------------------


class Client:
    """Requests with cookies. A subclass says in `call` how one request is made."""

    def __init__(self) -> None:
        self.cookies: dict[str, str] = {}

    def call(self, method: str, target: str, headers: Pairs, body: bytes) -> Response:
        raise NotImplementedError

    def request(
        self, method: str, target: str = "/", headers: Headers = (), body: bytes = b"", json: Any = None
    ) -> Response:
        """One request, one response. Raises what the application raises."""
        fields = list(headers)
        if json is not None:
            body = json_.dumps(json).encode()
            fields.append(("Content-Type", "application/json"))
        response = self.call(method, target, self.with_cookies(fields), body)
        self.remember(response.headers)
        return response

    def get(self, target: str = "/", **more: Any) -> Response:
        return self.request("GET", target, **more)

    def post(self, target: str = "/", **more: Any) -> Response:
        return self.request("POST", target, **more)

    def patch(self, target: str = "/", **more: Any) -> Response:
        return self.request("PATCH", target, **more)

    def delete(self, target: str = "/", **more: Any) -> Response:
        return self.request("DELETE", target, **more)

    def with_cookies(self, headers: Pairs) -> Pairs:
        """These fields and one Cookie for all that were set (RFC 6265 §5.4)."""
        if not self.cookies:
            return headers
        return [*headers, ("Cookie", "; ".join(f"{name}={value}" for name, value in self.cookies.items()))]

    def remember(self, headers: Pairs) -> None:
        """Set and forget cookies as a response says (RFC 6265 §5.2, §5.3)."""
        for pair, *attributes in [v.split(";") for n, v in headers if n.lower() == "set-cookie"]:
            name, equals, value = (part.strip(" \t") for part in pair.partition("="))
            # §5.2: what has no name, or no "=", is ignored as a whole.
            if not name or not equals:
                continue
            self.cookies[name] = value
            if over(attributes):
                del self.cookies[name]


def over(attributes: list[str]) -> bool:
    """Whether a cookie's attributes say that it is over. Max-Age counts before Expires (RFC 6265 §5.3)."""
    age: bool | None = None
    date: bool | None = None
    for attribute in attributes:
        name, _, value = (part.strip(" \t") for part in attribute.partition("="))
        # §5.2.1, §5.2.2: an attribute that can't be read is ignored; of several the last one counts.
        if name.lower() == "max-age" and re.fullmatch("-?[0-9]+", value):
            age = value.startswith("-") or not value.strip("0")
        elif name.lower() == "expires" and (moment := date_of(value)) is not None:
            date = moment <= datetime.now(UTC)
    return bool(date if age is None else age)


def date_of(text: str) -> datetime | None:
    """A cookie's date; None for what is none. Without a zone it is UTC (RFC 6265 §5.1.1)."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


class WSGIClient(Client):
    """Calls a WSGI application."""

    def __init__(self, app: Callable[..., Iterable[bytes]]) -> None:
        super().__init__()
        self.app = app

    def call(self, method: str, target: str, headers: Pairs, body: bytes) -> Response:
        started: list[tuple[str, Pairs]] = []
        chunks: list[bytes] = []

        def start_response(status: str, fields: Pairs, exc_info: Any = None) -> Callable[[bytes], object]:
            # PEP 3333, "The start_response() Callable": a second call without exc_info is an error.
            if started and exc_info is None:
                raise AssertionError("start_response was called twice, without exc_info")
            started.append((status, list(fields)))
            # What is written comes before what is returned.
            return chunks.append

        result = self.app(make_environ(method, target, headers, body), start_response)
        try:
            # Not `[*result]` at once with `chunks`: write may be called while the result is iterated.
            for chunk in result:
                chunks.append(chunk)
        finally:
            # "Specification Details": close is called in every ending.
            if hasattr(result, "close"):
                result.close()
        # Only now: the application may start as late as with its first chunk.
        if not started:
            raise AssertionError("the application returned, and never called start_response")
        status, fields = started[-1]
        return Response(int(status.split(" ", 1)[0]), fields, b"".join(chunks))


# --- task 3: the client for ASGI --------------------------------------------------------------------


class ClientLeft(OSError):
    """What `send` raises once the client has left (ASGI www, "Disconnected Client")."""


class Call:
    """One call of an application: its task, what it may receive, and what it sent and nobody took yet."""

    def __init__(self, app: App, scope: Scope) -> None:
        self.inbox: asyncio.Queue[Event] = asyncio.Queue()
        self.outbox: asyncio.Queue[Event] = asyncio.Queue(1)
        self.left = False
        self.task = asyncio.ensure_future(self._run(app, scope))

    async def _run(self, app: App, scope: Scope) -> None:
        await app(scope, self.inbox.get, self._send)

    async def _send(self, message: Event) -> None:
        if self.left:
            raise ClientLeft("the client has left")
        await self.outbox.put(message)

    def tell(self, *events: Event) -> None:
        """Events for `receive`, in their order."""
        for event in events:
            self.inbox.put_nowait(event)

    async def message(self) -> Event | None:
        """What the application sends next; None when it has returned. Raises what it raised, TimeoutError."""
        getting = asyncio.ensure_future(self.outbox.get())
        await asyncio.wait({getting, self.task}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if getting.done():
            return getting.result()
        getting.cancel()
        if not self.task.done():
            raise TimeoutError(f"the application has sent nothing for {PATIENCE:g} s, and has not returned")
        self.task.result()
        return None

    async def leave(self, event: Event) -> None:
        """Tell it that the client has left, and let it end: by itself, or cancelled after GRACE seconds."""
        self.left = True
        self.tell(event)
        try:
            async with asyncio.timeout(GRACE):
                # Whoever waits in `send` with a full outbox must come to know it, too.
                while await self.message() is not None:
                    pass
        except ClientLeft:
            pass
        except TimeoutError:
            self.task.cancel()
            await asyncio.wait({self.task})


class ASGIClient(Client):
    """Calls an ASGI application; `with` is its lifespan. Raises RuntimeError when startup fails."""

    def __init__(self, app: App) -> None:
        super().__init__()
        self.app = app
        self.state: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.loop = asyncio.Runner()
        try:
            self.lifespan = self.loop.run(self._startup())
        except BaseException:
            self.loop.close()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        try:
            if self.lifespan is not None:
                self.loop.run(self._shutdown(self.lifespan))
        finally:
            # Cancels whatever still runs, and closes the loop with its three descriptors.
            self.loop.close()

    async def _startup(self) -> Call | None:
        """The lifespan call, when startup is complete; None when the application has no lifespan."""
        versions = {"version": "3.0", "spec_version": "2.0"}
        call = Call(self.app, {"type": "lifespan", "asgi": versions, "state": self.state})
        call.tell({"type": "lifespan.startup"})
        try:
            message = await call.message()
        except Exception:
            # ASGI lifespan, "Scope": an exception means that lifespan is not supported; the server goes on.
            return None
        if message is not None and message["type"] == "lifespan.startup.failed":
            raise RuntimeError(f"startup failed: {message.get('message', '')}")
        return call if message is not None else None

    async def _shutdown(self, call: Call) -> None:
        call.tell({"type": "lifespan.shutdown"})
        while (message := await call.message()) is not None:
            if message["type"] == "lifespan.shutdown.failed":
                raise RuntimeError(f"shutdown failed: {message.get('message', '')}")

    def scope(self, method: str, target: str, headers: Pairs, body: bytes = b"") -> Scope:
        """A scope of this client's; ASGI lifespan, "Lifespan State": each has a copy of the state."""
        return {**make_scope(method, target, headers, body), "state": self.state.copy()}

    def call(self, method: str, target: str, headers: Pairs, body: bytes) -> Response:
        with Stream(self, method, target, headers, body) as stream:
            return Response(stream.status, stream.headers, b"".join(stream))

    def stream(self, method: str, target: str, headers: Headers = (), body: bytes = b"") -> Stream:
        """A response that is read as it comes: use it with `with`. To leave is to disconnect."""
        return Stream(self, method, target, self.with_cookies(list(headers)), body)

    def websocket(self, target: str, subprotocols: Iterable[str] = (), headers: Headers = ()) -> Session:
        """A WebSocket session: use it with `with`. Raises Closed when it is refused."""
        return Session(self, target, list(subprotocols), self.with_cookies(list(headers)))


DISCONNECT = {"type": "http.disconnect"}


class Stream:
    """A response in the making: status, headers, and an iterator of its chunks."""

    def __init__(self, client: ASGIClient, method: str, target: str, headers: Pairs, body: bytes) -> None:
        self.client = client
        self.asked = (method, target, headers, body)
        self.complete = False

    def __enter__(self) -> Self:
        # Asked here, not in __init__: a request belongs to the block that ends it.
        started = self.client.loop.run(self._open())
        self.status: int = started["status"]
        # ASGI www, "Response Start": bytes, in any iterable of pairs.
        pairs = started.get("headers", ())
        self.headers = [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1")) for n, v in pairs]
        self.client.remember(self.headers)
        return self

    async def _open(self) -> Event:
        self.call = Call(self.client.app, self.client.scope(*self.asked))
        self.call.tell({"type": "http.request", "body": self.asked[3], "more_body": False})
        message = await self.call.message()
        if message is None or message["type"] != "http.response.start":
            said = "returned" if message is None else f"sent {message['type']}"
            raise AssertionError(f"the application {said} before http.response.start")
        return message

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        """The next chunk, as soon as it was sent. Raises what the application raised."""
        while not self.complete:
            chunk = self.client.loop.run(self._next())
            if chunk:
                return chunk
        raise StopIteration

    async def _next(self) -> bytes:
        message = await self.call.message()
        if message is None:
            raise AssertionError("the application returned before its response was complete")
        # Both keys may be absent (ASGI www, "Response Body").
        self.complete = not message.get("more_body", False)
        return bytes(message.get("body", b""))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # "Disconnect": it comes when the client has left, and also when the response is complete.
        leaving = self._finish() if self.complete else self.call.leave(DISCONNECT)
        # A failed assertion is what the test has to say: nothing that happens afterwards hides it.
        with suppress(*([Exception] if kind else [])):
            self.client.loop.run(leaving)

    async def _finish(self) -> None:
        """What an application does after its response (a background task) is part of the test."""
        self.call.tell(DISCONNECT)
        while await self.call.message() is not None:
            pass


# --- task 4: WebSocket sessions ---------------------------------------------------------------------


class Closed(Exception):
    """The application refused or closed the session: with a code and a reason."""

    def __init__(self, code: int = 1000, reason: str = "") -> None:
        super().__init__(f"{code} {reason}".strip())
        self.code, self.reason = code, reason


class Session:
    """One WebSocket, from the browser's end; `subprotocol` is what the application chose."""

    def __init__(self, client: ASGIClient, target: str, subprotocols: list[str], headers: Pairs) -> None:
        scope = {**client.scope("GET", target, headers), "type": "websocket", "scheme": "ws"}
        # ASGI www, "WebSocket Connection Scope": there is no method.
        del scope["method"]
        self.scope: Scope = {**scope, "subprotocols": subprotocols}
        self.client = client
        self.subprotocol: str | None = None
        self.over: Closed | None = None

    def __enter__(self) -> Self:
        self.client.loop.run(self._open())
        return self

    async def _open(self) -> None:
        self.call = Call(self.client.app, self.scope)
        self.call.tell({"type": "websocket.connect"})
        accepted = await self._message()
        if accepted["type"] != "websocket.accept":
            raise AssertionError(f"the application sent {accepted['type']} before websocket.accept")
        self.subprotocol = accepted.get("subprotocol")

    async def _message(self) -> Event:
        """The next event that is not an end. Raises Closed at the end, and what the application raised."""
        message = await self.call.message()
        if message is None:
            # Nobody said goodbye (RFC 6455 §7.1.5).
            self.over = Closed(1006, "the application returned")
            raise self.over
        if message["type"] == "websocket.close":
            self.over = Closed(message.get("code", 1000), message.get("reason") or "")
            await self.call.leave(self._disconnect(self.over))
            raise self.over
        return message

    @staticmethod
    def _disconnect(end: Closed) -> Event:
        return {"type": "websocket.disconnect", "code": end.code, "reason": end.reason}

    def send(self, data: str | bytes) -> None:
        """One message: text for a str, binary for bytes. Raises Closed when the session is over."""
        if self.over is not None:
            raise self.over
        # ASGI www, "Receive": exactly one of bytes and text.
        self.call.tell({"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data})

    def receive(self) -> str | bytes:
        """The next message: a str or bytes. Raises Closed when the application closes."""
        if self.over is not None:
            raise self.over
        message = self.client.loop.run(self._message())
        # "Send": one of the two; the other may be there as None.
        data: str | bytes = message["bytes"] if message.get("bytes") is not None else message["text"]
        return data

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Leave. Returns when the application has ended; raises what it raised."""
        if self.over is None:
            self.over = Closed(code, reason)
            self.client.loop.run(self.call.leave(self._disconnect(self.over)))

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with suppress(*([Exception] if kind else [])):
            self.close()
