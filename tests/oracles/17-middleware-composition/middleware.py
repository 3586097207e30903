"""The same layers over Starlette's, and the adapters of a2wsgi, with what they leave to others.

Added here: weights in Accept-Encoding (by werkzeug) and weak ETags around Starlette's GZipMiddleware, 204
and 304 past it, and a list of headers that it may write into; a copy of the scope for
AuthenticationMiddleware; for a2wsgi's adapters an end when clients leave, and a header that waits for the
first byte.
"""

from __future__ import annotations

import asyncio
import hmac
import re
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

import a2wsgi
from starlette.authentication import AuthCredentials, AuthenticationBackend, AuthenticationError
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.middleware.authentication import AuthenticationMiddleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from tasks_wsgi import application as tasks
from werkzeug.http import parse_accept_header

TOKENS = {"lovelace-1843": "Ada"}


def timing(app: ASGIApp, clock: Callable[[], float] = time.perf_counter) -> ASGIApp:
    async def timed(scope: Scope, receive: Receive, send: Send) -> None:
        began = clock()

        async def stamped(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {"headers": [], **message}
                took = (clock() - began) * 1000
                MutableHeaders(scope=message).append("server-timing", f"app;dur={took:.3f}")
            await send(message)

        await app(scope, receive, stamped)

    return timed


def request_id(app: ASGIApp) -> ASGIApp:
    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await app(scope, receive, send)
            return
        given = Headers(scope=scope).get("x-request-id", "")
        own = given if re.fullmatch(r"[A-Za-z0-9._-]{1,64}", given) else uuid.uuid4().hex
        scope = {**scope, "headers": list(scope["headers"])}
        MutableHeaders(scope=scope)["x-request-id"] = own

        async def named(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message = {**message, "headers": [tuple(pair) for pair in message.get("headers", ())]}
                MutableHeaders(scope=message)["x-request-id"] = own
            await send(message)

        await app(scope, receive, named)

    return identified


class Tokens(AuthenticationBackend):
    def __init__(self, tokens: Mapping[str, str]) -> None:
        self._tokens = tokens

    async def authenticate(self, conn: HTTPConnection) -> tuple[AuthCredentials, Any]:
        given = conn.headers.getlist("authorization")
        scheme, _, token = (given[0] if len(given) == 1 else "").partition(" ")
        for mine, user in self._tokens.items():
            if hmac.compare_digest(token.encode(), mine.encode()) and scheme.lower() == "bearer":
                return AuthCredentials(["authenticated"]), user
        raise AuthenticationError("shown" if given else "")


def bearer(app: ASGIApp, tokens: Mapping[str, str], realm: str = "tasks") -> ASGIApp:
    def refused(conn: HTTPConnection, error: Exception) -> Response:
        said = ', error="invalid_token"' if str(error) else ""
        return PlainTextResponse("Who?\n", 401, {"WWW-Authenticate": f'Bearer realm="{realm}"{said}'})

    door = AuthenticationMiddleware(app, backend=Tokens(tokens), on_error=refused)

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        await door(scope if scope["type"] == "lifespan" else dict(scope), receive, send)

    return guarded


def gzip(app: ASGIApp, minimum: int = 500, level: int = 6) -> ASGIApp:
    async def packing(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        past = False

        async def inner(scope: Scope, receive: Receive, pack: Send) -> None:
            async def chosen(message: Message) -> None:
                nonlocal past
                past = past or message.get("status") in (204, 304)
                if "headers" in message:  # GZipMiddleware writes into the list that it is given
                    message = {**message, "headers": [*message["headers"]]}
                await (send if past else pack)(dict(message))

            await app(mine, receive, chosen)

        async def weak(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(raw=[tuple(pair) for pair in message["headers"]])
                if "gzip" in headers.get("content-encoding", "") and headers.get("etag", "W/")[:2] != "W/":
                    headers["etag"] = f"W/{headers['etag']}"
                message = {**message, "headers": headers.raw}
            await send(message)

        mine = scope
        scope = {**scope, "headers": list(scope["headers"])}
        headers = MutableHeaders(scope=scope)
        weights = parse_accept_header(", ".join(headers.getlist("accept-encoding")))
        named = {name.lower(): weight for name, weight in weights}
        headers["accept-encoding"] = "gzip" if named.get("gzip", named.get("*", 0)) > 0 else ""
        await GZipMiddleware(inner, minimum_size=minimum, compresslevel=level)(scope, receive, weak)

    return packing


async def refuse_websocket(receive: Receive, send: Send) -> None:
    await WebSocketClose()({"type": "websocket"}, receive, send)


def stack(app: ASGIApp, layers: Iterable[Callable[[ASGIApp], ASGIApp]]) -> ASGIApp:
    for cls, args, kwargs in reversed([Middleware(layer) for layer in layers]):
        app = cls(app, *args, **kwargs)
    return app


def asgi_from_wsgi(app: Any, threads: int = 8) -> ASGIApp:
    def until_left(environ: Any, start_response: Any) -> Iterator[bytes]:
        held: list[Any] = []
        write: Any = None

        def later(status: str, headers: Any, exc_info: Any = None) -> Any:
            if write is not None:
                if exc_info:  # a2wsgi would raise a TypeError of its own
                    raise exc_info[1].with_traceback(exc_info[2])
                return start_response(status, headers, exc_info)
            held[:] = [status, headers]
            return lambda data: begin()(data) if data else None

        def begin() -> Any:
            nonlocal write
            write = write or start_response(*held)
            return write

        body = app(environ, later)
        try:
            for chunk in body:
                if chunk:
                    begin()
                    yield chunk
                if environ["asgi.scope"]["oracle.left"].is_set():
                    return
            begin()
        finally:
            getattr(body, "close", lambda: None)()

    adapter = a2wsgi.WSGIMiddleware(until_left, workers=threads, send_queue_size=1)  # type: ignore[arg-type]

    async def adapted(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await adapter(scope, receive, send)
            return
        left = threading.Event()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

        async def nothing() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        watching = asyncio.ensure_future(watch()) if scope["method"] == "GET" else None
        try:
            await adapter({**scope, "oracle.left": left}, nothing if watching else receive, send)  # type: ignore
        finally:
            if watching:
                watching.cancel()

    return adapted


def wsgi_from_asgi(app: Any) -> Any:
    tasks_of: dict[int, asyncio.Task[Any]] = {}
    failed: dict[int, BaseException] = {}

    async def known(scope: Any, receive: Any, send: Any) -> None:
        tasks_of[id(scope["wsgi_environ"])] = asyncio.current_task()  # type: ignore[assignment]
        try:
            await app(scope, receive, send)
        except Exception as error:
            failed[id(scope["wsgi_environ"])] = error
            raise

    adapter = a2wsgi.ASGIMiddleware(known)

    def adapted(environ: Any, start_response: Any) -> Iterator[bytes]:
        try:
            yield from adapter(environ, start_response)
            # a2wsgi ends in silence where the task has ended before its own loop looks.
            if error := failed.get(id(environ)):
                raise error
        finally:
            failed.pop(id(environ), None)
            task = tasks_of.pop(id(environ), None)
            if task is not None:
                adapter.loop.call_soon_threadsafe(task.cancel)

    return adapted


application = stack(
    asgi_from_wsgi(tasks),
    [request_id, timing, gzip, partial(bearer, tokens=TOKENS)],
)
