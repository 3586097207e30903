"""What the adapters of lab 7 share: the lab's Route and Mount, and patterns as a library writes them."""

import re
from collections.abc import Sequence
from typing import NamedTuple
from wsgiref.types import WSGIApplication

ARGS = "wsgiorg.routing_args"
PARAMETER = re.compile("<(?:([a-z]+):)?([a-z]+)>")


class Route(NamedTuple):
    pattern: str
    app: WSGIApplication
    methods: Sequence[str] = ("GET",)
    name: str = ""


class Mount(NamedTuple):
    prefix: str
    app: WSGIApplication


def rewritten(pattern: str, plain: str, converted: str) -> str:
    """A pattern with its <name> as `plain` says ("{name}") and its <kind:name> as `converted` does."""

    def parameter(found: re.Match[str]) -> str:
        kind, name = found.groups()
        shape = plain if kind in (None, "str") else converted
        return shape.replace("kind", kind or "").replace("name", name)

    return PARAMETER.sub(parameter, pattern)
