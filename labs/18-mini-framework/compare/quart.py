"""Quart: Flask's interface on ASGI. Its request and its websocket are there without being asked for."""

from types import SimpleNamespace

import quart
from shared_framework import values, wants_json
from shared_werkzeug import HTTPException, WebSocketDisconnect, rule_of, words_for

__all__ = ["HTTPException", "JSONResponse", "Request", "Response", "StreamingResponse", "WebSocket"]
__all__ += ["App", "WebSocketDisconnect"]


class Connection:
    def __init__(self, own):
        self.headers, self.query_params, self.path_params = own.headers, own.args, own.view_args
        self.scope, self.state = own.scope, SimpleNamespace(**quart.current_app.kept)


class Request(Connection):
    method = property(lambda self: quart.request.method)

    async def body(self):
        return await quart.request.get_data()


class WebSocket(Connection):
    async def accept(self, subprotocol=None):
        await quart.websocket.accept(subprotocol=subprotocol)

    async def receive_text(self):
        return await quart.websocket.receive()

    async def iter_text(self):
        while True:
            yield await quart.websocket.receive()

    async def send_text(self, text):
        await quart.websocket.send(text)

    async def send_bytes(self, data):
        await quart.websocket.send(data)

    async def close(self, code=1000, reason=""):
        await quart.websocket.close(code, reason)


class Response(quart.Response):
    default_mimetype = "text/plain"

    def __init__(self, content=b"", status_code=200, headers=None, media_type="text/plain"):
        super().__init__(**words_for(content, status_code, headers, media_type))


class JSONResponse(Response):
    def __init__(self, content, status_code=200, headers=None):
        super().__init__(quart.json.dumps(content), status_code, headers, "application/json")


class StreamingResponse(Response):
    pass


class App(quart.Quart):
    def __init__(self, *, lifespan=None, middleware=()):
        super().__init__("framework_features")
        self.kept = {}
        for layer in reversed(middleware):
            self.asgi_app = layer(self.asgi_app)
        if lifespan:

            @self.while_serving
            async def life():
                async with lifespan(self) as found:
                    self.kept.update(found or {})
                    yield

    def on(self, method, path, status_code):
        def register(handler):
            async def view(**path_params):
                request, query = Request(quart.request), quart.request.args
                data = await quart.request.get_json() if wants_json(handler) else None
                try:
                    given = values(handler, request, Connection, path_params, query, data)
                except ValueError as error:
                    raise HTTPException(400, str(error)) from error
                result = await self.ensure_async(handler)(**given)
                if result is None:
                    return Response(b"", status_code)
                return result if isinstance(result, quart.Response) else JSONResponse(result, status_code)

            self.add_url_rule(rule_of(path, handler), f"{method} {path}", view, methods=[method])
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
            async def view(**path_params):
                query = quart.websocket.args
                try:
                    given = values(handler, WebSocket(quart.websocket), Connection, path_params, query)
                except ValueError as error:
                    raise HTTPException(400, str(error)) from error
                await handler(**given)

            self.add_websocket(rule_of(path, handler), f"websocket {path}", view)
            return handler

        return register

    def exception_handler(self, kind):
        def register(handler):
            async def explain(error):
                return await handler(Request(quart.request), error)

            self.register_error_handler(kind, explain)
            return handler

        return register

    def mount(self, prefix, app):
        """Quart mounts no application."""
