"""Lab 1 over real implementations: werkzeug's wrappers, the standard library's handler, Starlette."""

from __future__ import annotations

import io
import sys
from typing import Any
from urllib.parse import unquote_to_bytes
from wsgiref.handlers import BaseHandler
from wsgiref.headers import Headers
from wsgiref.types import WSGIApplication

from starlette.applications import Starlette
from starlette.requests import Request as StarletteRequest
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request, Response

ROUTES = Map([Rule("/", methods=["GET"])])


@Request.application
def application(request: Request) -> Response | HTTPException:
    try:
        ROUTES.bind_to_environ(request.environ).match()
    except HTTPException as error:
        return error
    name = request.args.get("name", "world")
    return Response(f"Hello, {name}!\n", content_type="text/plain; charset=utf-8")


class Caller(BaseHandler):
    """wsgiref's server half, with memory for a socket. `handle_error` runs inside an except clause."""

    status: str
    headers: Headers

    def __init__(self, environ: dict[str, Any], body: bytes) -> None:
        self.base_env, self.body = environ, body
        self.sent: list[bytes] = []
        self.started: tuple[str, list[tuple[str, str]]] = ("", [])

    def get_stdin(self) -> Any:
        return io.BytesIO(self.body)

    def get_stderr(self) -> Any:
        return sys.stderr

    def add_cgi_vars(self) -> None:
        pass

    def setup_environ(self) -> None:
        self.environ = {**self.base_env, "wsgi.input": self.get_stdin(), "wsgi.errors": self.get_stderr()}

    def send_headers(self) -> None:
        self.headers_sent = True
        self.started = (self.status, self.headers.items())

    def _write(self, data: bytes) -> None:
        self.sent.append(data)

    def _flush(self) -> None:
        pass

    def handle_error(self) -> None:
        raise


def call(
    app: WSGIApplication, method: str = "GET", path: str = "/", body: bytes = b""
) -> tuple[str, list[tuple[str, str]], bytes]:
    path, _, query = path.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    caller = Caller(environ, body)
    caller.run(app)
    return *caller.started, b"".join(caller.sent)


async def greet(request: StarletteRequest) -> PlainTextResponse:
    return PlainTextResponse(f"Hello, {request.query_params.get('name', 'world')}!\n")


asgi = Starlette(routes=[Route("/", greet, methods=["GET"])])
