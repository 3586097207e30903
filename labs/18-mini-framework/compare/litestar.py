"""Litestar: it finds values by annotations, under names of its own: request, socket, data for the body.

An application is made of all its handlers at once: here when it is called first.
"""

import inspect
from contextlib import asynccontextmanager
from dataclasses import is_dataclass
from functools import cached_property, partial
from typing import Any

import litestar
from litestar.datastructures import Headers as LitestarHeaders
from litestar.datastructures import MultiDict
from litestar.exceptions import HTTPException as LitestarHTTPException
from litestar.exceptions import WebSocketDisconnect
from litestar.response import Stream
from litestar.types import Receive, Scope, Send
from shared_framework import asked_for, rewritten

__all__ = ["HTTPException", "JSONResponse", "Request", "Response", "StreamingResponse", "WebSocket"]
__all__ += ["App", "WebSocketDisconnect"]


class Headers(LitestarHeaders):
    def getlist(self, name):
        return self.getall(name, [])


class Query(MultiDict):
    def getlist(self, name):
        return self.getall(name, [])


class Request(litestar.Request):
    headers = property(lambda self: Headers.from_scope(self.scope))
    query_params = property(lambda self: Query(litestar.Request.query_params.fget(self).multi_items()))
    state = property(lambda self: self.app.state)


class WebSocket(litestar.WebSocket):
    state = property(lambda self: self.app.state)

    async def accept(self, subprotocol=None):
        await super().accept(subprotocols=subprotocol)

    def iter_text(self):
        return self.iter_data("text")


class HTTPException(LitestarHTTPException):
    def __init__(self, status_code, detail=None, headers=None):
        super().__init__(detail=detail or "", status_code=status_code, headers=headers)


class Response(litestar.Response):
    def __init__(self, content=b"", status_code=200, headers=None, media_type="text/plain"):
        super().__init__(content, status_code=status_code, headers=headers, media_type=media_type)


class JSONResponse(Response):
    def __init__(self, content, status_code=200, headers=None):
        super().__init__(content, status_code, headers, "application/json")


class StreamingResponse(Stream):
    def __init__(self, content, status_code=200, headers=None, media_type=None):
        super().__init__(content, status_code=status_code, headers=headers, media_type=media_type)


def own_name(name, kind):
    if isinstance(kind, type) and issubclass(kind, Request | WebSocket):
        return "request" if issubclass(kind, Request) else "socket"
    return "data" if is_dataclass(kind) else name


def endpoint_of(handler, returns):
    """The same handler, with its parameters under Litestar's names."""
    asked = asked_for(handler)
    names = {name: own_name(name, kind) for name, (kind, _) in asked.items()}

    def given(values):
        return {name: values[own] for name, own in names.items()}

    if inspect.iscoroutinefunction(handler):

        async def endpoint(**values):
            return await handler(**given(values))
    else:

        def endpoint(**values):
            return handler(**given(values))

    parameters = [
        inspect.Parameter(names[name], inspect.Parameter.KEYWORD_ONLY, default=default, annotation=kind)
        for name, (kind, default) in asked.items()
    ]
    endpoint.__signature__ = inspect.Signature(parameters, return_annotation=returns)
    endpoint.__annotations__ = {names[name]: kind for name, (kind, _) in asked.items()} | {"return": returns}
    return endpoint


def called(layer, app):
    """A layer as Litestar calls it: app is a keyword there."""
    return layer(app)


def answered(handler):
    """An exception handler as Litestar calls it: it is no coroutine there. These never wait."""

    def respond(request, error):
        try:
            handler(request, error).send(None)
        except StopIteration as done:
            return done.value

    return respond


class App:
    def __init__(self, *, lifespan=None, middleware=()):
        self.lifespan, self.middleware = lifespan, middleware
        self.handlers, self.errors = [], {}

    @cached_property
    def litestar(self):
        @asynccontextmanager
        async def life(app):
            async with self.lifespan(self) as values:
                app.state.update(values or {})
                yield

        return litestar.Litestar(
            self.handlers,
            exception_handlers=self.errors,
            lifespan=[life] if self.lifespan else [],
            middleware=[partial(called, layer) for layer in self.middleware],
            request_class=Request,
            websocket_class=WebSocket,
            openapi_config=None,
        )

    async def __call__(self, scope, receive, send):
        await self.litestar(scope, receive, send)

    def on(self, method, path, status_code):
        def register(handler):
            endpoint = endpoint_of(handler, None if status_code in (204, 304) else Any)
            own = rewritten(path, handler, "{name:kind}")
            thread = {} if inspect.iscoroutinefunction(handler) else {"sync_to_thread": True}
            self.handlers.append(method(own, status_code=status_code, **thread)(endpoint))
            return handler

        return register

    def get(self, path, status_code=200):
        return self.on(litestar.get, path, status_code)

    def post(self, path, status_code=200):
        return self.on(litestar.post, path, status_code)

    def patch(self, path, status_code=200):
        return self.on(litestar.patch, path, status_code)

    def delete(self, path, status_code=200):
        return self.on(litestar.delete, path, status_code)

    def websocket(self, path):
        def register(handler):
            own = rewritten(path, handler, "{name:kind}")
            self.handlers.append(litestar.websocket(own)(endpoint_of(handler, None)))
            return handler

        return register

    def exception_handler(self, kind):
        return lambda handler: self.errors.update({kind: answered(handler)}) or handler

    def mount(self, prefix, app):
        async def mounted(scope: Scope, receive: Receive, send: Send) -> None:
            await app(scope, receive, send)

        self.handlers.append(litestar.asgi(prefix, is_mount=True, copy_scope=True)(mounted))
