"""The lab's framework as FastAPI has it: a thin layer for what is spelled differently."""

import json

from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.responses import PlainTextResponse as PlainResponse
from fastapi.responses import StreamingResponse as Stream
from fastapi.routing import APIRoute
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


class Strict(APIRoute):
    """Half a surrogate pair in a body is 422: FastAPI lets it in, and can not send it back."""

    def get_route_handler(self):
        handler = super().get_route_handler()

        async def strict(request):
            try:
                json.dumps(json.loads(await request.body() or "0"), ensure_ascii=False).encode()
            except UnicodeEncodeError as error:
                raise RequestValidationError([{"loc": ("body",), "msg": str(error)}]) from None
            except (ValueError, RecursionError):
                pass  # FastAPI knows what to say
            return await handler(request)

        return strict


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
        self.router.route_class = Strict
        self.add_exception_handler(405, self.not_allowed)
        self.add_exception_handler(RequestValidationError, self.not_valid)

    def get(self, path, status_code=200):
        return self.api_route(path, methods=["GET", "HEAD"], status_code=status_code)

    def route(self, path, methods, status_code=200):
        return self.api_route(path, methods=list(methods), status_code=status_code)

    async def not_valid(self, request, error):
        """FastAPI shows the input, too: of -Infinity it makes a 500, for no JSON can say it."""
        return JSONResponse({"detail": [{k: one[k] for k in ("loc", "msg")} for one in error.errors()]}, 422)

    async def not_allowed(self, request, error):
        """Starlette names the methods of the first route only; RFC 9110 §15.5.6 means the resource's."""
        fitting = [route for route in self.routes if route.matches(request.scope)[0] is not Match.NONE]
        allowed = {method for route in fitting for method in getattr(route, "methods", None) or ()}
        return JSONResponse({"detail": error.detail}, 405, {"Allow": ", ".join(sorted(allowed))})
