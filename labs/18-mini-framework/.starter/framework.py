"""A web framework for ASGI. The names are Starlette's and FastAPI's; the code behind them is yours."""

from connection import Connection, HTTPException, WebSocketDisconnect  # noqa: F401 - applications import them from here


class Request(Connection):
    """A request: method, headers, query_params, path_params and state; and its body, read when asked for."""

    @property
    def method(self):
        raise NotImplementedError("lab 18 task 1: the method")

    async def body(self):
        """All bytes of the body, read once and kept. Raises ClientDisconnect when the client leaves early."""
        raise NotImplementedError("lab 18 task 1: read the body")


class Response:
    """A response, and the ASGI application that sends it: `await response(scope, receive, send)`.

    Response("hi", 404, {"X-Note": "a"})   404 with content-type text/plain, content-length 2 and x-note
    """

    media_type = "text/plain; charset=utf-8"

    def __init__(self, content=b"", status_code=200, headers=None, media_type=None):
        """Text is sent as UTF-8. Raises ValueError for a header with a line break in it."""
        raise NotImplementedError("lab 18 task 1: a response")


class JSONResponse(Response):
    """Any value that is JSON, dataclasses too."""


class StreamingResponse(Response):
    """`content` is an async iterator of bytes or text: close it at its end, and when the client leaves."""


class WebSocket(Connection):
    """accept(subprotocol=None), receive_text(), send_text(), send_bytes(), iter_text(), close(code, reason)

    receive_text raises WebSocketDisconnect(code) when the client has closed; send, after OSError, with 1006.
    iter_text returns instead. close before accept refuses. code is 1000 and reason "", unless they are given.
    """

    def __init__(self, scope, receive, send):
        # TODO task 3
        raise NotImplementedError("lab 18 task 3: a WebSocket")


class App:
    """An application. Handlers are registered with decorators; the first route that matches is taken.

    @app.get("/tasks/{number}")                       {number} is one segment, {rest:path} is anything
    async def show(request: Request, number: int, done: bool | None = None): ...
    @app.post("/tasks", status_code=201)
    async def create(task: Task): ...                 # a dataclass: the body's JSON
    @app.websocket("/rooms/{room}")
    async def chat(websocket: WebSocket, room: str): ...

    What a handler returns is sent as JSON; a Response is sent as it is. A plain function runs in a thread.
    422 is {"detail": [{"loc": ["query", "done"], "msg": "should be true or false"}]}, an entry for each wrong
    value; loc is ["path", name], ["query", name], ["body", field, …] or ["body"]. HTTPException is
    {"detail": detail}.
    """

    def __init__(self, *, lifespan=None, middleware=()):
        """lifespan(app) is an async context manager: what it yields, a dict or None, is requests' state.

        middleware: functions from ASGI application to ASGI application; the first is outermost.
        """
        self.lifespan, self.middleware = lifespan, middleware
        self.routes, self.sockets, self.mounts, self.handlers = [], [], [], {}

    # Given: registration stores its arguments, and returns the function. Read annotations here, or later.

    def route(self, path, methods, status_code=200):
        return lambda handler: self.routes.append((path, methods, status_code, handler)) or handler

    def get(self, path, status_code=200):
        return self.route(path, {"GET", "HEAD"}, status_code)

    def post(self, path, status_code=200):
        return self.route(path, {"POST"}, status_code)

    def patch(self, path, status_code=200):
        return self.route(path, {"PATCH"}, status_code)

    def delete(self, path, status_code=200):
        return self.route(path, {"DELETE"}, status_code)

    def websocket(self, path):
        return lambda handler: self.sockets.append((path, handler)) or handler

    def exception_handler(self, kind):
        """handler(request, error) → response, for `kind` and its subclasses; the nearest class wins.

        Of two handlers for one class, the last one wins.
        """
        return lambda handler: self.handlers.update({kind: handler}) or handler

    def mount(self, prefix, app):
        """`app` gets the requests below `prefix`: root_path is longer by it, path stays whole."""
        self.mounts.append((prefix, app))

    async def __call__(self, scope, receive, send):
        """Raises for a type but http, websocket, lifespan. An unhandled exception: send 500, raise it."""
        # TODO task 1: find the route; call the handler with the Request, whatever the parameter's name.
        # TODO task 2: its other values. TODO task 3: the other two types.
        # TODO task 4: self.handlers, self.middleware, self.mounts.
        raise NotImplementedError("lab 18 task 1: find the route, call its handler, send what it returns")
