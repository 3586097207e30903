"""Another shape: Starlette routes, pydantic checks, and a wrapper around each handler does the rest."""

import asyncio
import dataclasses
import inspect
import typing

import pydantic
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse as Plain
from starlette.responses import PlainTextResponse
from starlette.responses import Response as PlainResponse
from starlette.responses import StreamingResponse as Stream
from starlette.routing import Match, Mount, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

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


class Response(OneLine, PlainTextResponse):
    pass


class StreamingResponse(OneLine, Stream):
    """Starlette leaves the pieces to the garbage collector when `send` raises."""

    async def __call__(self, scope, receive, send):
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self.body_iterator.aclose()


class JSONResponse(OneLine, Plain):
    def render(self, content):
        return pydantic.TypeAdapter(typing.Any).dump_json(content)


def content(value, status_code, headers=None):
    """As JSON, where there may be content at all (RFC 9110 §15.3.5, §15.4.5)."""
    if status_code in (204, 304):
        return Response(status_code=status_code, headers=headers)
    return JSONResponse(value, status_code, headers)


class App(Starlette):
    def __init__(self, *, lifespan=None, middleware=()):
        super().__init__(lifespan=lifespan, middleware=[Middleware(layer) for layer in middleware])
        self.router.redirect_slashes = False
        self.add_exception_handler(HTTPException, self.explained)

    def mount(self, path, app):
        self.router.routes.append(Mount(path, app=app))

    async def explained(self, request, error):
        headers = dict(error.headers or {})
        if error.status_code == 405:
            routes = [one for one in self.routes if one.matches(request.scope)[0] is not Match.NONE]
            headers["Allow"] = ", ".join({name for one in routes for name in one.methods})
        return content({"detail": error.detail}, error.status_code, headers)

    def route(self, path, methods, status_code=200):
        def register(handler):
            async def endpoint(request):
                result = await called(handler, request)
                if isinstance(result, PlainResponse):
                    return result
                return content(result, status_code)

            self.router.routes.append(Route(path, endpoint, methods=list(methods)))
            return handler

        return register

    def get(self, path, status_code=200):
        return self.route(path, ["GET"], status_code)

    def post(self, path, status_code=200):
        return self.route(path, ["POST"], status_code)

    def patch(self, path, status_code=200):
        return self.route(path, ["PATCH"], status_code)

    def delete(self, path, status_code=200):
        return self.route(path, ["DELETE"], status_code)

    def exception_handler(self, kind):
        return lambda handler: self.add_exception_handler(kind, handler) or handler

    def websocket(self, path):
        def register(handler):
            async def endpoint(websocket):
                try:
                    await called(handler, websocket)
                except HTTPException:
                    await websocket.close(1008)
                except WebSocketDisconnect:
                    pass

            self.router.routes.append(WebSocketRoute(path, endpoint))
            return handler

        return register


async def called(handler, connection):
    """Look at the signature at every call, ask pydantic for each value, and collect what it complains of."""
    values, problems = {}, []
    hints = typing.get_type_hints(handler)
    for name, one in inspect.signature(handler).parameters.items():
        kind = hints.get(name, str)
        if isinstance(kind, type) and issubclass(kind, Request | WebSocket):
            values[name] = connection
            continue
        try:
            values[name] = await value_of(name, kind, one.default, connection)
        except Complaint as error:
            problems += error.args[0]
    if problems:
        raise HTTPException(422, problems)
    if inspect.iscoroutinefunction(handler):
        return await handler(**values)
    return await asyncio.get_running_loop().run_in_executor(None, lambda: handler(**values))


class Complaint(Exception):
    """A list of what is wrong with one value."""


async def value_of(name, kind, default, connection):
    if dataclasses.is_dataclass(kind):
        body = await connection.body()
        if not body:
            raise Complaint([{"loc": ["body"], "msg": "nothing was sent"}])
        if connection.headers.get("content-type", "").partition(";")[0].lower() != "application/json":
            raise HTTPException(415, "only application/json")
        return located(lambda: pydantic.TypeAdapter(kind).validate_json(body), ["body"])
    source = "path" if name in connection.path_params else "query"
    texts = connection.path_params if source == "path" else connection.query_params
    if name in texts:
        return located(lambda: pydantic.TypeAdapter(kind).validate_python(texts[name]), [source, name])
    if default is inspect.Parameter.empty:
        raise Complaint([{"loc": [source, name], "msg": "nothing was sent"}])
    return default


def located(validate, where):
    """What pydantic returns; its complaints get the place where the value came from."""
    try:
        return validate()
    except pydantic.ValidationError as error:
        lines = [{"loc": [*where, *one["loc"]], "msg": one["msg"]} for one in error.errors()]
        raise Complaint(lines) from None
