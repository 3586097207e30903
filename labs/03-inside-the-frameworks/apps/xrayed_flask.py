"""The Flask greeting behind the `wsgi_xray` of xray.py; GET /trace shows the last two hundred events."""

from collections import deque
from collections.abc import Iterable
from functools import cache
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import greeting_flask

events: deque[tuple[Any, ...]] = deque(maxlen=200)


def record(*event: Any) -> None:
    events.append(event)


@cache
def traced() -> WSGIApplication:
    """Made at the first request: a wsgi_xray that isn't there yet fails a request, and no start."""
    from xray import wsgi_xray

    made: WSGIApplication = wsgi_xray(greeting_flask.application, record)
    return made


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    if environ.get("PATH_INFO") != "/trace":
        return traced()(environ, start_response)
    body = "".join(f"{number} {kind:15}{_details(rest)}\n" for number, kind, *rest in list(events)).encode()
    start_response(
        "200 OK", [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    )
    return [body]


def _details(rest: list[Any]) -> str:
    return "  ".join(map(repr, rest))
