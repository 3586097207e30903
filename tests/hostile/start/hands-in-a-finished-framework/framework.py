from fastapi import FastAPI, HTTPException, Request, WebSocket, WebSocketDisconnect  # noqa: F401
from fastapi.responses import JSONResponse, PlainTextResponse, StreamingResponse  # noqa: F401

Response = PlainTextResponse


class App(FastAPI):
    def __init__(self, *, lifespan=None, middleware=()):
        super().__init__(lifespan=lifespan)
        for layer in reversed(middleware):
            self.add_middleware(lambda app, layer=layer: layer(app))
