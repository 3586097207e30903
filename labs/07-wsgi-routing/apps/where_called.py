"""Answers with where it was called: what a router made of a request, as JSON."""

import json
from collections.abc import Callable, Iterable
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


def here(route: str) -> WSGIApplication:
    """A WSGI application that says which route led to it, with which parameters, and what its environ has."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        _, values = environ.get("wsgiorg.routing_args", ((), {}))
        said = {
            "route": route,
            "values": values,
            **{
                key: environ.get(key, "")
                for key in ("REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING")
            },
        }
        body = json.dumps(said, default=str).encode() + b"\n"
        start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
        return [body]

    return application


def broken(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """An application with a mistake of its own: it raises KeyError."""
    tasks: dict[int, bytes] = {}
    return [tasks[42]]


def answered(app: WSGIApplication, environ: WSGIEnvironment) -> dict[str, Any]:
    """A whole answer, read to its end and closed: its status; its headers, by names in lower case."""
    said: dict[str, Any] = {"status": "", "headers": {}}

    def start_response(
        status: str, headers: list[tuple[str, str]], exc_info: Any = None, /
    ) -> Callable[[bytes], object]:
        said.update(status=status, headers={name.lower(): value for name, value in headers})
        return lambda data: None

    body = app(environ, start_response)
    for _ in body:
        pass
    if hasattr(body, "close"):
        body.close()
    return said
