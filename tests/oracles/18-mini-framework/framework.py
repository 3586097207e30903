"""The lab's framework as FastAPI has it: a thin layer for what is spelled differently."""

from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse
from fastapi.responses import Response as PlainResponse
from fastapi.responses import StreamingResponse as Stream
from starlette.middleware import Middleware
from starlette.routing import Match

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


class OneLine:
    """Starlette writes a header's line breaks as they are; the server refuses them, or not."""

    def init_headers(self, headers=None):
        for name, value in (headers or {}).items():
            if any(end in name + value for end in "\r\n"):
                raise ValueError(f"{name!r}: {value!r} is more than one line")
        super().init_headers(headers)


class Response(OneLine, PlainResponse):
    pass


class StreamingResponse(OneLine, Stream):
    """Starlette leaves the pieces to the garbage collector when `send` raises."""

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.body_iterator.aclose()


class App(FastAPI):
    """Layers are functions; GET has HEAD (FastAPI leaves that to you); 405 names every route's methods."""

    def __init__(self, *, lifespan=None, middleware=()):
        super().__init__(lifespan=lifespan, middleware=[Middleware(layer) for layer in middleware])
        self.add_exception_handler(405, self.not_allowed)

    def get(self, path, status_code=200):
        return self.api_route(path, methods=["GET", "HEAD"], status_code=status_code)

    def route(self, path, methods, status_code=200):
        return self.api_route(path, methods=list(methods), status_code=status_code)

    async def not_allowed(self, request, error):
        """Starlette names the methods of the first route only; RFC 9110 §15.5.6 means the resource's."""
        fitting = [route for route in self.routes if route.matches(request.scope)[0] is not Match.NONE]
        allowed = {method for route in fitting for method in getattr(route, "methods", None) or ()}
        return JSONResponse({"detail": error.detail}, 405, {"Allow": ", ".join(sorted(allowed))})
