"""Five hundred routes in one router, and what it costs to find the first and the last of them.

    GET /first?id=42     finds /section-000/42, two hundred times, and answers with what was found
    GET /last?id=42      the same with /section-499/42

A request through nginx takes about a millisecond, finding a route a few millionths of a second: a difference
shows when one request finds the same route again and again. `routing` is the learner's.
"""

import importlib
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

ROUTES, TIMES = 500, 200

routing: Any = importlib.import_module("routing")


def section(number: int) -> WSGIApplication:
    """The application of one route: its body is the route's number and the id that it was given."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [f"{number} {environ['wsgiorg.routing_args'][1]['id']}".encode()]

    return application


router: WSGIApplication = routing.Router(
    [routing.Route(f"/section-{number:03}/<int:id>", section(number)) for number in range(ROUTES)]
)
PATHS = {"/first": "/section-000", "/last": f"/section-{ROUTES - 1:03}"}


def find(environ: WSGIEnvironment, path: str) -> bytes:
    """Ask the router for a path, and take what the route answers."""
    asked = {**environ, "SCRIPT_NAME": "", "PATH_INFO": path}
    return b"".join(router(asked, lambda status, headers, exc_info=None, /: lambda data: None))


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """One line: how many times the route was found, its number, and the id."""
    number = parse_qs(environ.get("QUERY_STRING", "")).get("id", ["1"])[0]
    path = f"{PATHS[environ['PATH_INFO']]}/{number}"
    found = [find(environ, path) for _ in range(TIMES)]
    body = b", ".join(b"%d times %s" % (found.count(one), one) for one in sorted(set(found))) + b"\n"
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
