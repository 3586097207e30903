r"""Reads recordings like those of `traffic/`, and says what is wrong. Each stack has three layers:

server ──(outer)── middleware ──(inner)── application

A recording is a list of events: boundary, kind, details. The first one is line 1.

How it works. Each rule is a function of the whole recording, with the rule's name. It gives the layer that
broke the rule and the line, or None. What is wrong at the inner boundary already is the application's doing;
what is wrong at the outer one only, the middleware's. So rules that either may break look inside first.
"""

from __future__ import annotations

import ast
import itertools
import sys
from pathlib import Path
from typing import Any

Event = tuple[Any, ...]  # ("inner", "chunk", b"id,title\n")
Events = list[Event]
Found = tuple[str, int] | None  # the layer, and the line, counted from 1

LAYERS = ("server", "middleware", "application", "nobody")
INSIDE_OUT = (("inner", "application"), ("outer", "middleware"))

RULES = {
    "lazy": "a chunk is passed on before the next one is asked for",
    "length": "Content-Length is the number of bytes that follow",
    "close": "a body that has a close is closed, in every ending; a list has none",
    "exc_info": "a second start_response passes exc_info",
    "path": "SCRIPT_NAME and PATH_INFO together stay what they were",
    "more_body": "the last http.response.body has no more_body",
    "body": "the request's body is the application's to read",
    "scope": "an application raises on a scope type that it doesn't know",
    "none": "nothing is wrong",
}


def finding(events: Events) -> tuple[str, str, int]:
    """The layer, the rule (a key of RULES) and the line; ("nobody", "none", 0) for a healthy stack."""
    for rule in (path, scope, body, exc_info, length, lazy, more_body, close):
        found = rule(events)
        if found is not None:
            layer, line = found
            return layer, rule.__name__, line
    return "nobody", "none", 0


def path(events: Events) -> Found:
    # PEP 3333, "environ Variables": together they are the URL's path, wherever an application is mounted.
    (_, outer), (line, inner) = at(events, "outer", "called")[0], at(events, "inner", "called")[0]
    return ("middleware", line) if "".join(outer[3:]) != "".join(inner[3:]) else None


def scope(events: Events) -> Found:
    # ASGI, "Applications": a server learns from the exception that lifespan is not spoken here.
    (_, called), *_ = at(events, "inner", "called")
    for line, (*_, message) in at(events, "inner", "send"):
        if called[2] == "lifespan" and not message["type"].startswith("lifespan."):
            return "application", line
    return None


def body(events: Events) -> Found:
    # ASGI www, "Request": what receive gave to the middleware, and not to the application, is lost.
    received = [(line, event) for line, event in enumerate(events, 1) if event[1] == "receive"]
    for (line, (boundary, *message)), (_, (after, *passed)) in itertools.pairwise(received):
        if boundary == "outer" and (after != "inner" or message != passed):
            return "middleware", line
    return None


def exc_info(events: Events) -> Found:
    # PEP 3333, "The start_response() Callable": a second call without exc_info is an error.
    for boundary, layer in INSIDE_OUT:
        for line, (*_, kind) in at(events, boundary, "start_response")[1:]:
            if kind is None:
                return layer, line
    return None


def length(events: Events) -> Found:
    # RFC 9110 §8.6: Content-Length is the number of bytes of the content, not of its characters.
    for boundary, layer in INSIDE_OUT:
        promised = content_length(events, boundary)
        ends = at(events, boundary, "exhausted")
        sent = 0
        for line, (*_, chunk) in at(events, boundary, "chunk"):
            sent += len(chunk)
            if promised is not None and sent > promised:
                return layer, line
        if promised is not None and sent < promised and ends:
            return layer, ends[0][0]
    return None


def content_length(events: Events, boundary: str) -> int | None:
    """What the last head that crossed this boundary promises, in bytes."""
    starts = [event for _, event in at(events, boundary, "start_response")]
    headers = starts[-1][3] if starts else []
    return next((int(value) for name, value in headers if name.lower() == "content-length"), None)


def lazy(events: Events) -> Found:
    # PEP 3333, "Middleware Handling of Block Boundaries": one out before the next one in.
    waiting = False
    for line, (boundary, kind, *_) in enumerate(events, 1):
        if kind == "chunk" and boundary == "inner" and waiting:
            return "middleware", line
        if kind == "chunk":
            waiting = boundary == "inner"
    return None


def more_body(events: Events) -> Found:
    # ASGI www, "Response Body": without a last one the client waits for more.
    for boundary, layer in INSIDE_OUT:
        messages = [event[2] for _, event in at(events, boundary, "send")]
        if messages and messages[-1].get("more_body"):
            return layer, at(events, boundary, "returned")[-1][0]
    return None


def close(events: Events) -> Found:
    # PEP 3333, "Specification Details": close() is called in every ending. Who was told must tell the next.
    if not at(events, "outer", "close") and has_close(events, "outer"):
        return "server", len(events)
    if not at(events, "inner", "close") and has_close(events, "inner"):
        return "middleware", len(events)
    return None


def has_close(events: Events, boundary: str) -> bool:
    """Whether the body that was returned here is one to be closed; an ASGI application returns none."""
    types = [event[2:] for _, event in at(events, boundary, "returned")]
    return types not in ([()], [("list",)], [("tuple",)], [])


def at(events: Events, boundary: str, kind: str) -> list[tuple[int, Event]]:
    r"""Those events, with their lines: [(7, ("inner", "chunk", b"id,title\n")), …]"""
    return [(line, event) for line, event in enumerate(events, 1) if event[:2] == (boundary, kind)]


def read(text: str) -> Events:
    """The events of a file of traffic/, whose columns are two spaces apart."""
    rows = [[item.strip() for item in line[4:].split("  ") if item] for line in text.splitlines()]
    return [(boundary, kind, *map(ast.literal_eval, details)) for boundary, kind, *details in rows]


if __name__ == "__main__":  # python findings.py traffic/01.txt …
    for name in sys.argv[1:]:
        print(name, finding(read(Path(name).read_text(encoding="utf-8"))))
