"""Starlette: it reads no annotations, so values are found by hand, and results become responses."""

import asyncio

from shared_framework import rewritten, values, wants_json
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, StreamingResponse
from starlette.responses import PlainTextResponse as Response
from starlette.responses import Response as AnyResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

__all__ = ["HTTPException", "JSONResponse", "Request", "Response", "StreamingResponse", "WebSocket"]
__all__ += ["App", "WebSocketDisconnect"]

KINDS = (Request, WebSocket)


class App(Starlette):
    def __init__(self, *, lifespan=None, middleware=()):
        super().__init__(lifespan=lifespan, middleware=[Middleware(layer) for layer in middleware])

    def on(self, method, path, status_code):
        def register(handler):
            async def endpoint(request):
                data = await request.json() if wants_json(handler) else None
                try:
                    given = values(handler, request, KINDS, request.path_params, request.query_params, data)
                except ValueError as error:
                    raise HTTPException(400, str(error)) from error
                if asyncio.iscoroutinefunction(handler):
                    result = await handler(**given)
                else:
                    result = await run_in_threadpool(handler, **given)
                if result is None:
                    return Response(status_code=status_code)
                return result if isinstance(result, AnyResponse) else JSONResponse(result, status_code)

            own = rewritten(path, handler, "{name:kind}")
            self.router.routes.append(Route(own, endpoint, methods=[method]))
            return handler

        return register

    def get(self, path, status_code=200):
        return self.on("GET", path, status_code)

    def post(self, path, status_code=200):
        return self.on("POST", path, status_code)

    def patch(self, path, status_code=200):
        return self.on("PATCH", path, status_code)

    def delete(self, path, status_code=200):
        return self.on("DELETE", path, status_code)

    def websocket(self, path):
        def register(handler):
            async def endpoint(websocket):
                try:
                    given = values(handler, websocket, KINDS, websocket.path_params, websocket.query_params)
                except ValueError:
                    return await websocket.close()
                return await handler(**given)

            self.router.routes.append(WebSocketRoute(rewritten(path, handler, "{name:kind}"), endpoint))
            return handler

        return register

    def exception_handler(self, kind):
        return lambda handler: self.add_exception_handler(kind, handler) or handler
