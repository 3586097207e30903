"""Falcon on ASGI: a path leads to a resource, which has a responder for each method, and is given a response.

Resources are made of all handlers at once: here when the application is called first.
"""

import asyncio
from functools import cached_property
from types import SimpleNamespace

import falcon
import falcon.asgi
from shared_framework import rewritten, values, wants_json

__all__ = ["HTTPException", "JSONResponse", "Request", "Response", "StreamingResponse", "WebSocket"]
__all__ += ["App", "WebSocketDisconnect"]

WebSocketDisconnect = falcon.WebSocketDisconnected


class HTTPException(falcon.HTTPError):
    def __init__(self, status_code, detail=None, headers=None):
        super().__init__(status_code, description=detail, headers=headers)
        self.detail = detail


class Headers:
    def __init__(self, own):
        self.own = own

    def get(self, name, default=None):
        return self.own.get_header(name, default=default)

    def getlist(self, name):
        return [value for value in [self.get(name)] if value is not None]


class Query:
    def __init__(self, own):
        self.get = own.get_param

    def getlist(self, name):
        return self.own.get_param_as_list(name) or []

    def __contains__(self, name):
        return self.get(name) is not None

    def __getitem__(self, name):
        return self.get(name)


class Connection:
    def __init__(self, app, own, path_params):
        self.own, self.path_params = own, path_params
        self.scope, self.method, self.state = own.scope, own.method, SimpleNamespace(**app.kept)
        self.headers, self.query_params = Headers(own), Query(own)
        self.query_params.own = own


class Request(Connection):
    async def body(self):
        return await self.own.stream.read()


class WebSocket(Connection):
    def __init__(self, app, own, path_params, socket):
        super().__init__(app, own, path_params)
        self.receive_text, self.send_text = socket.receive_text, socket.send_text
        self.send_bytes, self.socket = socket.send_data, socket

    async def accept(self, subprotocol=None):
        await self.socket.accept(subprotocol)

    async def close(self, code=1000, reason=None):
        await self.socket.close(code, reason)

    async def iter_text(self):
        while True:
            try:
                yield await self.receive_text()
            except WebSocketDisconnect:
                return


class Response:
    """What a handler has made, for the response that a responder is given."""

    def __init__(self, content=b"", status_code=200, headers=None, media_type="text/plain"):
        self.content, self.status_code, self.headers = content, status_code, headers or {}
        self.media_type = media_type
        falcon.asgi.Response().set_headers(self.headers)  # raises where Falcon does

    def fill(self, response):
        response.status, response.content_type = self.status_code, self.media_type
        response.set_headers(self.headers)
        if isinstance(self.content, str):
            response.text = self.content
        else:
            response.data = self.content


class JSONResponse(Response):
    def __init__(self, content, status_code=200, headers=None):
        super().__init__(content, status_code, headers, "application/json")

    def fill(self, response):
        response.status, response.media = self.status_code, self.content
        response.set_headers(self.headers)


class StreamingResponse(Response):
    def fill(self, response):
        response.status, response.content_type = self.status_code, self.media_type
        response.set_headers(self.headers)
        response.stream = encoded(self.content)


async def encoded(pieces):
    async for piece in pieces:
        yield piece.encode() if isinstance(piece, str) else piece


class Life:
    """A component whose methods Falcon calls at startup and at shutdown."""

    def __init__(self, app, lifespan):
        self.app, self.lifespan = app, lifespan

    async def process_startup(self, scope, event):
        self.entered = self.lifespan(self.app)
        self.app.kept.update(await self.entered.__aenter__() or {})

    async def process_shutdown(self, scope, event):
        await self.entered.__aexit__(None, None, None)


class App:
    def __init__(self, *, lifespan=None, middleware=()):
        self.falcon = falcon.asgi.App(middleware=[Life(self, lifespan)] if lifespan else [])
        self.kept, self.resources, self.layers = {}, {}, middleware

    @cached_property
    def whole(self):
        for path, responders in self.resources.items():
            self.falcon.add_route(path, SimpleNamespace(**responders))
        app = self.falcon
        for layer in reversed(self.layers):
            app = layer(app)
        return app

    async def __call__(self, scope, receive, send):
        await self.whole(scope, receive, send)

    def keep(self, path, handler, name, responder):
        own = rewritten(path, handler, "{name:kind}").replace(":str}", "}")
        self.resources.setdefault(own, {})[name] = responder
        return handler

    def on(self, method, path, status_code):
        def register(handler):
            async def responder(own, response, **path_params):
                request = Request(self, own, path_params)
                data = await own.get_media() if wants_json(handler) else None
                try:
                    given = values(handler, request, Connection, path_params, request.query_params, data)
                except ValueError as error:
                    raise HTTPException(400, str(error)) from error
                if asyncio.iscoroutinefunction(handler):
                    result = await handler(**given)
                else:
                    result = await falcon.util.sync_to_async(handler, **given)
                if result is None:
                    response.status = status_code
                else:
                    made = result if isinstance(result, Response) else JSONResponse(result, status_code)
                    made.fill(response)

            return self.keep(path, handler, f"on_{method}", responder)

        return register

    def get(self, path, status_code=200):
        return self.on("get", path, status_code)

    def post(self, path, status_code=200):
        return self.on("post", path, status_code)

    def patch(self, path, status_code=200):
        return self.on("patch", path, status_code)

    def delete(self, path, status_code=200):
        return self.on("delete", path, status_code)

    def websocket(self, path):
        def register(handler):
            async def responder(own, socket, **path_params):
                websocket = WebSocket(self, own, path_params, socket)
                try:
                    given = values(handler, websocket, Connection, path_params, websocket.query_params)
                except ValueError as error:
                    raise HTTPException(400, str(error)) from error
                await handler(**given)

            return self.keep(path, handler, "on_websocket", responder)

        return register

    def exception_handler(self, kind):
        def register(handler):
            async def explain(own, response, error, path_params, ws=None):
                if response is None:
                    raise error
                (await handler(Request(self, own, path_params), error)).fill(response)

            self.falcon.add_error_handler(kind, explain)
            return handler

        return register

    def mount(self, prefix, app):
        """Falcon mounts no application."""
