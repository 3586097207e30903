"""Flask: a WSGI application, which a2wsgi calls for an ASGI server. It has no lifespan and no WebSockets."""

import asyncio

import flask
from a2wsgi import WSGIMiddleware
from shared_framework import values, wants_json
from shared_werkzeug import HTTPException, WebSocketDisconnect, rule_of, words_for

__all__ = ["HTTPException", "JSONResponse", "Request", "Response", "StreamingResponse", "WebSocket"]
__all__ += ["App", "WebSocketDisconnect"]


class Request:
    def __init__(self):
        own = flask.request
        self.headers, self.query_params, self.path_params = own.headers, own.args, own.view_args
        self.method, self.scope = own.method, own.environ["asgi.scope"]

    async def body(self):
        return flask.request.get_data()


class WebSocket:
    pass


class Response(flask.Response):
    default_mimetype = "text/plain"

    def __init__(self, content=b"", status_code=200, headers=None, media_type="text/plain"):
        super().__init__(**words_for(content, status_code, headers, media_type))


class JSONResponse(Response):
    def __init__(self, content, status_code=200, headers=None):
        super().__init__(flask.json.dumps(content), status_code, headers, "application/json")


class StreamingResponse(Response):
    def __init__(self, content, status_code=200, headers=None, media_type=None):
        super().__init__(in_turn(content), status_code, headers, media_type)


def in_turn(pieces):
    """The pieces of an asynchronous iterator, in a thread."""
    with asyncio.Runner() as runner:
        while True:
            try:
                yield runner.run(anext(pieces))
            except StopAsyncIteration:
                return


class App:
    def __init__(self, *, lifespan=None, middleware=()):
        self.flask = flask.Flask("framework_features")
        self.adapter = WSGIMiddleware(self.flask)

    async def __call__(self, scope, receive, send):
        await self.adapter(scope, receive, send)

    def on(self, method, path, status_code):
        def register(handler):
            def view(**path_params):
                data = flask.request.get_json() if wants_json(handler) else None
                try:
                    given = values(handler, Request(), Request, path_params, flask.request.args, data)
                except ValueError as error:
                    raise HTTPException(400, str(error)) from error
                result = self.flask.ensure_sync(handler)(**given)
                if result is None:
                    return Response(b"", status_code)
                return result if isinstance(result, flask.Response) else JSONResponse(result, status_code)

            self.flask.add_url_rule(rule_of(path, handler), f"{method} {path}", view, methods=[method])
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
        return lambda handler: handler

    def exception_handler(self, kind):
        def register(handler):
            def explain(error):
                return self.flask.ensure_sync(handler)(Request(), error)

            self.flask.register_error_handler(kind, explain)
            return handler

        return register

    def mount(self, prefix, app):
        """It is werkzeug's DispatcherMiddleware that mounts, and WSGI applications alone."""
