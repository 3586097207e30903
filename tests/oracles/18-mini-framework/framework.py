"""The lab's framework as FastAPI has it: a thin layer for what is spelled differently."""

from fastapi import FastAPI, HTTPException, Request, Response, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, StreamingResponse
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
