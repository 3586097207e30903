"""A router: one WSGI application that picks another one by path and method.

    Router([Route("/tasks/<int:id>", show_task, name="task"), Mount("/api", tasks_api)])

Checks use Route, Mount, Router and url_for, as they are called here. What is inside is yours to shape.
"""

import re
from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID
from wsgiref.types import WSGIApplication


class Route(NamedTuple):
    """Given. `app` is a WSGI application; "/tasks" and "/tasks/" are two patterns."""

    pattern: str
    app: WSGIApplication
    methods: Sequence[str] = ("GET",)
    name: str = ""


class Mount(NamedTuple):
    """Given. An application that takes all paths under a prefix ("/api")."""

    prefix: str
    app: WSGIApplication


# Given: the pattern that a parameter's whole text must match, and what converts it. From narrow to wide.
CONVERTERS: dict[str, tuple[re.Pattern[str], Any]] = {
    "uuid": (re.compile("[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}"), UUID),
    "int": (re.compile("[0-9]+"), int),
    "str": (re.compile("[^/]+"), str),
    "path": (re.compile("[^/].*", re.DOTALL), str),
}


class Router:
    """A WSGI application made of routes and mounts. Their order has no effect."""

    def __init__(self, routes):
        self.routes = list(routes)  # TODO task 2: a shape in which five hundred are as quick as five

    def __call__(self, environ, start_response):
        """Call the application that PATH_INFO and REQUEST_METHOD choose, and return what it returns.

        GET /tasks      the route "/tasks" that has GET;  HEAD: that one too;  OPTIONS: 204 and Allow
        GET /nowhere    404;  PUT /tasks: 405 and Allow, with the methods of all routes that match the path
        GET /tasks/42   environ["wsgiorg.routing_args"] == ((), {"id": 42})
        """
        # TODO task 1: exact paths.  Task 2: parameters.  Task 3: mounts.  Task 4: slash redirects.
        raise NotImplementedError("lab 7 task 1: choose by path and method")

    def url_for(self, environ, name, /, **values):
        r"""The path of a named route, as a link has it: ASCII, percent-encoded, SCRIPT_NAME in front.

        url_for({"SCRIPT_NAME": "/v1"}, "hello", name="Zoë") == "/v1/hello/Zo%C3%AB/"
        Raises for a name that no route has, for a missing value, and for one that its converter doesn't
        accept: id="x". A slash in a str becomes %2F, or raises: it would lead to another route.
        """
        raise NotImplementedError("lab 7 task 4: a URL from a name")


def parse(pattern):
    r"""The segments of a pattern: "/tasks/<int:id>" -> ["tasks", ("int", "id")]; <name> is <str:name>.

    Raises ValueError for a converter that does not exist.
    """
    raise NotImplementedError("lab 7 task 2: read a pattern")


def segments(path_info):
    r"""The segments of a path as text: "/caf\xc3\xa9/x" (the bytes b"/caf\xc3\xa9/x") -> ["café", "x"]."""
    raise NotImplementedError("lab 7 task 2: read a path")


def shifted(environ, prefix):
    r"""The environ for an application mounted at a prefix, given as PATH_INFO has it.

    "/api", with {"SCRIPT_NAME": "", "PATH_INFO": "/api/tasks/42", ...}
        -> {"SCRIPT_NAME": "/api", "PATH_INFO": "/tasks/42", ...}
    """
    raise NotImplementedError("lab 7 task 3: move the prefix")


def answer(environ, start_response, status, text="", *headers):
    """Given: the router's own response, such as answer(environ, start_response, "404 Not Found", "…")."""
    body = text.encode("utf-8")
    kind = [] if status.startswith("204") else [("Content-Type", "text/plain; charset=utf-8")]
    start_response(status, [*kind, *headers])
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]
