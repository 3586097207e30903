"""A web framework for ASGI: routes, parameters from annotations, WebSockets, lifespan, layers, mounts.

Theory of operation. Nearly everything has one shape, `async (scope, receive, send)`: the application, each
layer around it, a mounted application, and a response, which is what sends it.

    server ─▶ App.__call__ ─▶ layer ─▶ layer ─▶ App._route ─▶ a mounted application
              500, and raises            lifespan    │
              it for the log                         ├─▶ match ─▶ values for the handler ─▶ handler
                                                     │   404, 405   422                      a value
                                                     └── error handlers ◀── exceptions ◀──────┘  ▼
                                                                   └──────▶ a response ─▶ send

Two moments matter. When a handler is *registered*, its annotations are read, once, and become a plan: which
parameter is found where, and what it must be. When a request comes, the plan is carried out, and all that is
wrong is collected before anybody says 422. A plan that can't be made is an error at import, not at midnight.

The names are Starlette's and FastAPI's: an application for this framework differs from one for FastAPI in its
import and in one line.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import json
import math
import re
import types
import typing
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from typing import Any

from connection import (
    ASGI,
    ClientDisconnect,
    Connection,
    HTTPException,
    Message,
    Receive,
    Scope,
    Send,
    WebSocketDisconnect,
    encoded_header,
)

__all__ = [
    "App",
    "HTTPException",
    "JSONResponse",
    "Request",
    "Response",
    "StreamingResponse",
    "WebSocket",
    "WebSocketDisconnect",
]

Layer = Callable[[ASGI], ASGI]
Handler = Callable[..., Any]
Lifespan = Callable[["App"], AbstractAsyncContextManager[Mapping[str, Any] | None]]

BODY_LIMIT = 1024 * 1024  # bytes of a body that is kept in memory; more are 413
UNSUPPORTED = 1003  # RFC 6455 §7.4.1: a message of a kind that is not taken
NO_CONTENT = (204, 205, 304)  # RFC 9110 §15.3.5, §15.3.6, §15.4.5: whatever the handler returned


# --- task 1: what comes in, and what goes out -------------------------------------------------------


class Request(Connection):
    """A request. Its body is read when it is asked for, once; what was read is kept."""

    _body: bytes | None = None

    @property
    def method(self) -> str:
        return str(self.scope["method"])

    async def stream(self) -> AsyncGenerator[bytes]:
        """The body in the pieces in which it comes. Raises ClientDisconnect when it breaks off."""
        more = True
        while more:
            event = await self._receive()
            # ASGI www, "Disconnect": half a body is none.
            if event["type"] == "http.disconnect":
                raise ClientDisconnect
            yield event.get("body", b"")
            # ASGI www, "Request": absent means False.
            more = event.get("more_body", False)

    async def body(self) -> bytes:
        """All of it. Raises HTTPException 413 when it is more than BODY_LIMIT."""
        if self._body is None:
            pieces = bytearray()
            async with aclosing(self.stream()) as stream:
                async for piece in stream:
                    pieces += piece
                    if len(pieces) > BODY_LIMIT:
                        # RFC 9110 §15.5.14
                        raise HTTPException(413, f"a body has at most {BODY_LIMIT} bytes")
            self._body = bytes(pieces)
        return self._body

    async def json(self) -> Any:
        """Raises ValueError for what is no JSON."""
        return parsed(await self.body())


def parsed(body: bytes) -> Any:
    """The value of a JSON text. Raises ValueError for what is none, and for what could not be sent back."""
    # RFC 8259 §8.1: UTF-8, without exception; what Python guesses of a text's bytes may be UTF-16.
    text = body.decode("utf-8-sig")
    try:
        value = json.loads(text, parse_constant=not_a_number, parse_float=read_float)
    except RecursionError:  # "[" half a million times
        raise ValueError("nested too deeply") from None
    if "\\ud" in text.lower():
        # §8.2: half a surrogate pair. UnicodeEncodeError is a ValueError.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def not_a_number(word: str) -> float:
    """RFC 8259 §6: NaN and Infinity, which Python's parser takes, are not permitted."""
    raise ValueError(f"{word} is no number")


def read_float(text: str) -> float:
    """Raises ValueError for a number that no float can hold: 1e999."""
    if not math.isfinite(number := float(text)):
        raise ValueError(f"{text[:40]} is no number")
    return number


class Response:
    """An answer, complete in memory. It is an ASGI application: await it, and it is sent."""

    media_type = "text/plain; charset=utf-8"

    def __init__(
        self,
        content: Any = b"",
        status_code: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        """Raises ValueError for a header that would end its line."""
        self.status_code = status_code
        self.body = self.rendered(content)
        self.headers = [encoded_header(name, value) for name, value in (headers or {}).items()]
        if status_code in NO_CONTENT:
            # A 304 could name the length of what it stands for; that is left to those who know it.
            self.body = b""
            self.headers = [one for one in self.headers if one[0] != b"content-length"]
            return
        named = {name for name, _ in self.headers}
        if b"content-type" not in named:
            self.headers.append((b"content-type", (media_type or self.media_type).encode("latin-1")))
        if self.body is not None and b"content-length" not in named:
            self.headers.append((b"content-length", b"%d" % len(self.body)))

    def rendered(self, content: Any) -> bytes | None:
        """The content as bytes; None when they are not known yet."""
        return bytes(content) if isinstance(content, bytes) else str(content).encode()

    async def begin(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.headers})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.begin(send)
        await send({"type": "http.response.body", "body": self.body})


class JSONResponse(Response):
    """Any value that is JSON, dataclasses too."""

    media_type = "application/json"

    def rendered(self, content: Any) -> bytes | None:
        # RFC 8259 §6: there is no NaN. Better a 500 here than a client that can't parse.
        return json.dumps(content, default=plain, ensure_ascii=False, allow_nan=False).encode()


def plain(value: Any) -> Any:
    """A dataclass as a dict. Raises TypeError for what JSON can't say."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return dataclasses.asdict(value)
    raise TypeError(f"a {type(value).__name__} is no JSON")


class StreamingResponse(Response):
    """Sends each piece when it is there, until there are no more or the client leaves."""

    def rendered(self, content: Any) -> bytes | None:
        self.pieces: AsyncIterator[str | bytes] = aiter(content)
        return None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def deliver(body: bytes, more_body: bool) -> None:
            try:
                await send({"type": "http.response.body", "body": body, "more_body": more_body})
            except OSError as error:
                # ASGI www, "Disconnected Client": since spec_version 2.4 `send` may be the first to know.
                # Only here: an OSError of the pieces themselves, a disk's, is the application's.
                raise ClientDisconnect from error

        async def work() -> None:
            await self.begin(send)
            if self.status_code not in NO_CONTENT:
                async for piece in self.pieces:
                    await deliver(piece.encode() if isinstance(piece, str) else piece, True)
            await deliver(b"", False)

        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        working, leaving = asyncio.create_task(work()), asyncio.create_task(gone())
        try:
            await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # ASGI www, "Disconnect": whichever ends first ends the other, and the pieces' `finally` runs.
            for task in (working, leaving):
                task.cancel()
            await asyncio.gather(working, leaving, return_exceptions=True)
            if isinstance(self.pieces, AsyncGenerator):
                await self.pieces.aclose()
        error = None if working.cancelled() else working.exception()
        if error is not None and not isinstance(error, ClientDisconnect):
            raise error


# --- task 2: values from annotations ----------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Parameter:
    """Where one parameter of a handler comes from: "path", "query", "body", or "connection"."""

    name: str
    source: str
    kind: Any
    default: Any = inspect.Parameter.empty

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


def plan_of(handler: Handler, names: Iterable[str]) -> list[Parameter]:
    """How to call a handler; `names` are those in its path. Raises TypeError when nobody could call it."""
    # PEP 563: under `from __future__ import annotations` they are text until somebody evaluates them.
    hints = typing.get_type_hints(handler)
    plan = []
    for name, one in inspect.signature(handler).parameters.items():
        kind = hints.get(name, str)
        if isinstance(kind, type) and issubclass(kind, Connection):
            source = "connection"
        elif name in names:
            source = "path"
        else:
            source = "body" if dataclasses.is_dataclass(kind) else "query"
        if source in ("path", "query") and bare(kind) not in READERS:
            raise TypeError(f"{handler.__name__}: {name} is {kind!r}, which no text can become")
        plan.append(Parameter(name, source, kind, one.default))
    if sum(one.source == "body" for one in plan) > 1:
        raise TypeError(f"{handler.__name__}: a request has one body")
    return plan


def bare(kind: Any) -> Any:
    """`int` of `int | None`; any other annotation as it is."""
    if typing.get_origin(kind) in (typing.Union, types.UnionType):
        others = [one for one in typing.get_args(kind) if one is not type(None)]
        return others[0] if len(others) == 1 else kind
    return kind


def read_bool(text: str) -> bool:
    if text.lower() in ("true", "1", "yes", "on"):
        return True
    if text.lower() in ("false", "0", "no", "off"):
        return False
    raise ValueError


READERS: dict[Any, Callable[[str], Any]] = {str: str, int: int, float: read_float, bool: read_bool}
NOUNS = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    list: "a list",
    dict: "an object",
}
Loc = list[str | int]


class Problems(list[dict[str, Any]]):
    """What is wrong with a request: FastAPI's form, {"loc": ["query", "limit"], "msg": "..."}."""

    def add(self, loc: Loc, message: str) -> None:
        self.append({"loc": loc, "msg": message})


def read(text: str, kind: Any, loc: Loc, problems: Problems) -> Any:
    """A path's or a query's text as what was asked for."""
    try:
        return READERS[bare(kind)](text)
    except ValueError:
        problems.add(loc, f"should be {NOUNS[bare(kind)]}, not {text[:40]!r}")


def checked(value: Any, kind: Any, loc: Loc, problems: Problems) -> Any:
    """A value out of JSON as what was asked for: dataclasses within lists within dataclasses."""
    if kind is Any or (value is None and type(None) in typing.get_args(kind)):
        return value
    kind = bare(kind)
    if dataclasses.is_dataclass(kind) and isinstance(kind, type) and isinstance(value, dict):
        return built(value, kind, loc, problems)
    outer = typing.get_origin(kind) or (dict if dataclasses.is_dataclass(kind) else kind)
    # RFC 8259 §3 tells true from 1; Python's bool is an int. An integer is a number, though.
    right = type(value) is outer or (outer is float and type(value) is int)
    if not right:
        problems.add(loc, f"should be {NOUNS.get(outer, repr(outer))}, not {json.dumps(value)[:40]}")
    elif outer is list and (inner := typing.get_args(kind)):
        return [checked(one, inner[0], [*loc, at], problems) for at, one in enumerate(value)]
    elif outer is float:
        return as_float(value, loc, problems)
    return value


def as_float(value: float, loc: Loc, problems: Problems) -> float | None:
    """An integer as the number that was asked for; JSON's may be larger than any float."""
    try:
        return float(value)
    except OverflowError:
        problems.add(loc, "should be a number that is not that large")
        return None


def built(value: dict[str, Any], kind: type, loc: Loc, problems: Problems) -> Any:
    """A dataclass from an object. None when a field is wrong or missing: then the problems say which."""
    before, hints, found = len(problems), typing.get_type_hints(kind), {}
    for field in dataclasses.fields(kind):
        if not field.init:
            if field.name in value:
                problems.add([*loc, field.name], "is not for the client to say")
        elif field.name in value:
            found[field.name] = checked(value[field.name], hints[field.name], [*loc, field.name], problems)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            problems.add([*loc, field.name], "is required")
    if len(problems) > before:
        return None
    try:
        return kind(**found)
    except ValueError as error:  # __post_init__ may check what no annotation can say
        return problems.add(loc, str(error) or "can't be used")


async def values_for(plan: list[Parameter], connection: Connection) -> dict[str, Any]:
    """Carry out a plan. Raises HTTPException 422 with everything that is wrong, at once."""
    values: dict[str, Any] = {}
    problems = Problems()
    for one in plan:
        if one.source == "connection":
            values[one.name] = connection
        elif one.source == "body" and isinstance(connection, Request):
            values[one.name] = await body_of(connection, one, problems)
        else:
            texts = connection.path_params if one.source == "path" else connection.query_params
            text = texts.get(one.name)
            if text is not None:
                values[one.name] = read(text, one.kind, [one.source, one.name], problems)
            elif one.required:
                problems.add([one.source, one.name], "is required")
    if problems:
        raise HTTPException(422, list(problems))
    return values


async def body_of(request: Request, one: Parameter, problems: Problems) -> Any:
    """The JSON of a body. Raises HTTPException 415."""
    media = (request.headers.get("content-type") or "").partition(";")[0].strip().lower()
    body = await request.body()
    if not body:
        return problems.add(["body"], "is required") if one.required else one.default
    # RFC 9110 §15.5.16. A browser's form on another site can send text/plain, and may not send this.
    if media != "application/json" and not media.endswith("+json"):
        raise HTTPException(415, "send application/json")
    try:
        value = await request.json()
    except ValueError as error:
        return problems.add(["body"], f"is no JSON: {error}")
    try:
        return checked(value, one.kind, ["body"], problems)
    except RecursionError:  # a tree of dataclasses, deeper than Python goes
        return problems.add(["body"], "is nested too deeply")


async def call(handler: Handler, *args: Any, **values: Any) -> Any:
    """A handler's result. One that is no coroutine may block: it does so in a thread."""
    if inspect.iscoroutinefunction(handler):
        return await handler(*args, **values)
    return await asyncio.to_thread(handler, *args, **values)


# --- task 3: WebSockets and lifespan ----------------------------------------------------------------


class WebSocket(Connection):
    """A conversation: accept, then receive and send in any order, until one side closes."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive)
        self._send_event, self._connected = send, False

    async def _event(self) -> Message:
        event = await self._receive()
        if event["type"] == "websocket.disconnect":
            # ASGI www, "Disconnect": the code is always there, the reason may be absent.
            raise WebSocketDisconnect(event["code"], event.get("reason") or "")
        return event

    async def _connect(self) -> None:
        # ASGI www, "Connect": it comes first, and once.
        if not self._connected:
            await self._event()
            self._connected = True

    async def _send(self, event: Message) -> None:
        """Raises WebSocketDisconnect when `send` is the first to know (ASGI www, "Send")."""
        try:
            await self._send_event(event)
        except OSError:
            raise WebSocketDisconnect(1006) from None

    async def accept(self, subprotocol: str | None = None) -> None:
        await self._connect()
        await self._send({"type": "websocket.accept", "subprotocol": subprotocol, "headers": []})

    async def receive_text(self) -> str:
        """Raises WebSocketDisconnect at the end, and for bytes, after closing with 1003 (RFC 6455 §7.4.1)."""
        return str(await self._payload("text"))

    async def receive_bytes(self) -> bytes:
        """Raises WebSocketDisconnect at the end, and for text, after closing with 1003."""
        return bytes(await self._payload("bytes"))

    async def _payload(self, kind: str) -> Any:
        payload = (await self._event()).get(kind)
        if payload is None:
            await self.close(UNSUPPORTED, f"{kind}, please")
            raise WebSocketDisconnect(UNSUPPORTED)
        return payload

    async def iter_text(self) -> AsyncGenerator[str]:
        """Every text until the other side leaves."""
        try:
            while True:
                yield await self.receive_text()
        except WebSocketDisconnect:
            return

    async def send_text(self, text: str) -> None:
        await self._send({"type": "websocket.send", "text": text})

    async def send_bytes(self, data: bytes) -> None:
        await self._send({"type": "websocket.send", "bytes": data})

    async def close(self, code: int = 1000, reason: str = "") -> None:
        """End it. Before `accept` this refuses the handshake: the server answers 403."""
        await self._connect()
        await self._send({"type": "websocket.close", "code": code, "reason": reason})


@asynccontextmanager
async def no_lifespan(app: App) -> AsyncIterator[None]:
    """For an application that opens nothing."""
    yield


async def live(app: App, lifespan: Lifespan, scope: Scope, receive: Receive, send: Send) -> None:
    """Speak the lifespan protocol around a context manager: it is entered, waits, and is left."""
    phase = "startup"
    await receive()
    try:
        async with lifespan(app) as state:
            if state:
                # ASGI lifespan, "Lifespan State": what is put here is in every later scope.
                scope["state"].update(state)
            await send({"type": "lifespan.startup.complete"})
            phase = "shutdown"
            await receive()
    except Exception as error:
        await send({"type": f"lifespan.{phase}.failed", "message": f"{type(error).__name__}: {error}"})
        raise
    await send({"type": "lifespan.shutdown.complete"})


# --- tasks 1 and 4: routes, errors, layers, mounts --------------------------------------------------


class Route:
    """A path, what is allowed there, who does it, and the plan for calling them."""

    def __init__(self, methods: set[str], path: str, handler: Handler, status_code: int) -> None:
        """A path has {name}, which is not empty and has no slash, and {name:path}, which is anything."""
        self.methods, self.path, self.handler, self.status_code = methods, path, handler, status_code
        pieces = re.split(r"\{(\w+(?::path)?)\}", path)
        names = [one.removesuffix(":path") for one in pieces[1::2]]
        groups = [
            f"(?P<{one.removesuffix(':path')}>{'.*' if ':' in one else '[^/]+'})" for one in pieces[1::2]
        ]
        fixed = [re.escape(one) for one in pieces[::2]]
        pattern = "".join(a + b for a, b in zip(fixed, [*groups, ""], strict=True))
        self.pattern = re.compile(pattern, re.DOTALL)
        self.plan = plan_of(handler, names)


class Begun:
    """A `send` that knows whether the answer has begun: from then on no other one can be given."""

    def __init__(self, send: Send) -> None:
        self._send, self.begun = send, False

    async def __call__(self, message: Message) -> None:
        self.begun = True
        await self._send(message)


class App:
    """An application. Handlers are registered with decorators; routes are tried in that order.

    A handler's parameters are found by name and annotation. What it returns is sent as JSON, with the route's
    status_code; a Response is sent as it is. A handler that is no coroutine runs in a thread.
    """

    def __init__(self, *, lifespan: Lifespan | None = None, middleware: Iterable[Layer] = ()) -> None:
        """`middleware` are functions from ASGI application to ASGI application; the first is outermost."""
        self.lifespan = lifespan or no_lifespan
        self.routes: list[Route] = []
        self.sockets: list[Route] = []
        self.mounts: list[tuple[str, ASGI]] = []
        self.handlers: dict[type[Exception], Handler] = {HTTPException: http_exception}
        self.stack: ASGI = self._route
        for layer in reversed(list(middleware)):
            self.stack = layer(self.stack)

    # What decorators do: note something down, and give the function back.

    def route(
        self, path: str, methods: Iterable[str], status_code: int = 200
    ) -> Callable[[Handler], Handler]:
        """@app.route("/tasks/{number}", ["PUT", "PATCH"])"""

        def register(handler: Handler) -> Handler:
            # RFC 9110 §9.1: every resource that has GET has HEAD.
            allowed = {*methods, "HEAD"} if "GET" in methods else set(methods)
            self.routes.append(Route(allowed, path, handler, status_code))
            return handler

        return register

    def get(self, path: str, status_code: int = 200) -> Callable[[Handler], Handler]:
        return self.route(path, ["GET"], status_code)

    def post(self, path: str, status_code: int = 200) -> Callable[[Handler], Handler]:
        return self.route(path, ["POST"], status_code)

    def patch(self, path: str, status_code: int = 200) -> Callable[[Handler], Handler]:
        return self.route(path, ["PATCH"], status_code)

    def delete(self, path: str, status_code: int = 200) -> Callable[[Handler], Handler]:
        return self.route(path, ["DELETE"], status_code)

    def websocket(self, path: str) -> Callable[[Handler], Handler]:
        """The handler is called before the handshake is answered: it accepts, or closes."""

        def register(handler: Handler) -> Handler:
            self.sockets.append(Route(set(), path, handler, 101))
            return handler

        return register

    def exception_handler(self, kind: type[Exception]) -> Callable[[Handler], Handler]:
        """handler(request, error) → response, for `kind` and what is derived from it."""

        def register(handler: Handler) -> Handler:
            self.handlers[kind] = handler
            return handler

        return register

    def mount(self, prefix: str, app: ASGI) -> None:
        """Everything below a prefix belongs to another ASGI application."""
        self.mounts.append((prefix.rstrip("/"), app))

    # What happens in one call.

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises ValueError for a scope of another type, and what nobody handled, for the server's log."""
        # ASGI, "Applications": an unknown type must be refused with an exception.
        if scope["type"] not in ("http", "websocket", "lifespan"):
            raise ValueError(f"this application does not speak {scope['type']!r}")
        if scope["type"] != "http":
            await self.stack(scope, receive, send)
            return
        watched = Begun(send)
        try:
            await self.stack(scope, receive, watched)
        except ClientDisconnect:
            return
        except Exception:
            if not watched.begun:
                await Response("Internal Server Error", 500)(scope, receive, send)
            raise

    async def _route(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The innermost application: whatever the layers leave over."""
        if scope["type"] == "lifespan":
            await live(self, self.lifespan, scope, receive, send)
            return
        path = local_path(scope)
        mounted = next((one for one in self.mounts if path == one[0] or path.startswith(f"{one[0]}/")), None)
        if scope["type"] == "websocket" and mounted is None:
            await self._converse(scope, receive, send, path)
            return
        watched = Begun(send)
        try:
            if mounted is not None:
                # ASGI www: `path` stays whole, `root_path` says how much of it is where we are mounted.
                inner = {**scope, "root_path": scope.get("root_path", "").rstrip("/") + mounted[0]}
                await mounted[1](inner, receive, watched)
                return
            response = await self._respond(scope, receive, path)
            await response(scope, receive, watched)
        except Exception as error:
            handler = self._handler_for(error)
            if handler is None or watched.begun or scope["type"] != "http":
                raise
            answer = await call(handler, Request(scope, receive), error)
            await answer(scope, receive, watched)

    async def _respond(self, scope: Scope, receive: Receive, path: str) -> Response:
        """Find the handler, find its values, call it. Raises HTTPException 404, 405, 422 and its own."""
        route, params = self._match(scope["method"], path)
        request = Request({**scope, "path_params": params}, receive)
        result = await call(route.handler, **await values_for(route.plan, request))
        if isinstance(result, Response):
            return result
        return JSONResponse(result, route.status_code)

    def _match(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        fitting = [(one, match) for one in self.routes if (match := one.pattern.fullmatch(path))]
        for route, match in fitting:
            if method in route.methods:
                return route, match.groupdict()
        if not fitting:
            raise HTTPException(404)
        # RFC 9110 §15.5.6: Allow names the methods of the resource, in whichever routes they are.
        allowed = {method for route, _ in fitting for method in route.methods}
        raise HTTPException(405, headers={"Allow": ", ".join(sorted(allowed))})

    def _handler_for(self, error: Exception) -> Handler | None:
        """The handler of the nearest class: Python's own order of a class and its bases."""
        return next((self.handlers[kind] for kind in type(error).__mro__ if kind in self.handlers), None)

    async def _converse(self, scope: Scope, receive: Receive, send: Send, path: str) -> None:
        """One WebSocket, from the handshake to its end."""
        fitting = ((one, match) for one in self.sockets if (match := one.pattern.fullmatch(path)))
        route, match = next(fitting, (None, None))
        params = match.groupdict() if match else {}
        socket = WebSocket({**scope, "path_params": params}, receive, send)
        try:
            if route is None:
                raise HTTPException(404, "no such WebSocket")
            await call(route.handler, **await values_for(route.plan, socket))
        except WebSocketDisconnect:
            return
        except HTTPException:
            # ASGI www, "Close": before accept, the server answers the handshake with 403.
            await socket.close(1008)


def local_path(scope: Scope) -> str:
    """The path below the place where this application is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", "")).rstrip("/")
    # Where a segment ends: "/apiary/1" is not below "/api", though it begins with it.
    return path[len(root) :] if path == root or path.startswith(f"{root}/") else path


def http_exception(request: Request, error: HTTPException) -> Response:
    """The answer to an HTTPException, unless an application has one of its own."""
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)
