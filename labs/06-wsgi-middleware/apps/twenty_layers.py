"""The tasks API behind twenty layers: what lab 6 asks for, four times over. `application` is the outermost.

It is built at the first request, so that a lab with holes in it can be started.
"""

import importlib
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

import tasks_wsgi

USERS = {"Ada": "lovelace"}
ORIGINS = ["https://tasks.example"]


def nowhere(line: str) -> None:
    """A log that keeps nothing: what is measured is the layers, not a terminal."""


@cache
def chain() -> WSGIApplication:
    lab: Any = importlib.import_module("middleware")
    layers: list[Callable[..., WSGIApplication]] = [
        lab.request_id,
        partial(lab.access_log, log=nowhere),
        lab.timing,
        partial(lab.cors, origins=ORIGINS),
        partial(lab.basic_auth, users=USERS),
    ]
    twenty: WSGIApplication = lab.stack(tasks_wsgi.application, layers * 4)
    return twenty


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    return chain()(environ, start_response)
