"""Starlette: its Router, called with the scope that an environ makes. What it sends is the response."""

from http import HTTPStatus

from shared_router import ARGS, Mount, Route, rewritten
from starlette import routing
from starlette._utils import get_route_path
from starlette.requests import Request

__all__ = ["Mount", "Route", "Router"]


def text(of_environ):
    return of_environ.encode("latin-1").decode("utf-8", "replace")  # as uvicorn decodes a path


def latin(of_scope):
    return of_scope.encode("utf-8").decode("latin-1")


def scope_of(environ):
    root = text(environ.get("SCRIPT_NAME", ""))
    host = environ.get("HTTP_HOST")
    return {
        "type": "http",
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
        "path": root + text(environ.get("PATH_INFO", "")),
        "root_path": root,
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "headers": [(b"host", host.encode("latin-1"))] if host else [],
    }


class Endpoint:
    """Not a function, so Starlette calls it with the scope; it says which application was found."""

    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        await send({"type": "found", "app": self.app, "scope": scope})


class Router:
    def __init__(self, routes):
        self.router = routing.Router([self.made(one) for one in routes])

    @staticmethod
    def made(one):
        if isinstance(one, Mount):
            return routing.Mount(one.prefix, Endpoint(one.app))
        path = rewritten(one.pattern, "{name}", "{name:kind}")
        return routing.Route(path, Endpoint(one.app), methods=one.methods, name=one.name)

    def __call__(self, environ, start_response):
        sent = []

        async def send(message):
            sent.append(message)

        try:
            self.router(scope_of(environ), None, send).send(None)  # it awaits nothing but `send`
        except StopIteration:
            first, *rest = sent
        if first["type"] == "found":
            return first["app"](self.environ_of(environ, first["scope"]), start_response)
        headers = [(name.decode(), value.decode("latin-1")) for name, value in first["headers"]]
        start_response(f"{first['status']} {HTTPStatus(first['status']).phrase}", headers)
        return [message["body"] for message in rest]

    @staticmethod
    def environ_of(environ, scope):
        path, root = latin(get_route_path(scope)), latin(scope["root_path"])
        return {**environ, "SCRIPT_NAME": root, "PATH_INFO": path, ARGS: ((), scope["path_params"])}

    def url_for(self, environ, name, /, **values):
        return Request({**scope_of(environ), "router": self.router}).url_for(name, **values).path
