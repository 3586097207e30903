"""FastAPI: the lab has its names. Its middleware are classes, or functions like the lab's."""

from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect
from fastapi.responses import JSONResponse, StreamingResponse
from fastapi.responses import PlainTextResponse as Response
from starlette.middleware import Middleware

__all__ = ["HTTPException", "JSONResponse", "Request", "Response", "StreamingResponse", "WebSocket"]
__all__ += ["App", "WebSocketDisconnect"]


class App(FastAPI):
    def __init__(self, *, lifespan=None, middleware=()):
        super().__init__(lifespan=lifespan, middleware=[Middleware(layer) for layer in middleware])
