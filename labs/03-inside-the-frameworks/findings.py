r"""Reads recordings like those of `traffic/`, and says what is wrong. Each stack has three layers:

server ──(outer)── middleware ──(inner)── application

A recording is a list of events: boundary, kind, details. The first one is line 1.

    [("outer", "called", "GET", "", "/tasks.csv"), …, ("inner", "chunk", b"id,title\n"), …]
"""

import ast
import sys
from pathlib import Path

LAYERS = ("server", "middleware", "application", "nobody")

RULES = {
    "lazy": "a chunk is passed on before the next one is asked for",
    "length": "Content-Length is the number of bytes that follow",
    "close": "a body that has a close is closed, also after an exception; a list has none",
    "exc_info": "a second start_response passes exc_info",
    "path": "SCRIPT_NAME and PATH_INFO together stay what they were",
    "more_body": "the last http.response.body has no more_body",
    "body": "the request's body is the application's to read",
    "scope": "an application raises on a scope type that it doesn't know",
    "none": "nothing is wrong",
}


def finding(events):
    """The layer, the rule (a key of RULES) and the first line at which it is broken.

    Where something is missing at the end: the last line. Where nothing is wrong: ("nobody", "none", 0).
    """
    # TODO task 4: one rule after another. This is the first of them:
    if (line := lost_path(events)) is not None:
        return "middleware", "path", line
    raise NotImplementedError("lab 3 task 4: say which layer broke which rule")


def lost_path(events):
    """Given, as a pattern: the line of the inner call when its path is not the outer call's; else None."""
    (_, outer), (line, inner) = at(events, "outer", "called")[0], at(events, "inner", "called")[0]
    return line if "".join(outer[3:]) != "".join(inner[3:]) else None


def at(events, boundary, kind):
    r"""Given: those events, with their lines: [(7, ("inner", "chunk", b"id,title\n")), …]"""
    return [(line, event) for line, event in enumerate(events, 1) if event[:2] == (boundary, kind)]


def read(text):
    """Given: the events of a file of traffic/, whose columns are two spaces apart."""
    rows = [[item.strip() for item in line[4:].split("  ") if item] for line in text.splitlines()]
    return [(boundary, kind, *map(ast.literal_eval, details)) for boundary, kind, *details in rows]


if __name__ == "__main__":  # python findings.py traffic/01.txt …
    for name in sys.argv[1:]:
        print(name, finding(read(Path(name).read_text(encoding="utf-8"))))
