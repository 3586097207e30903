"""What is beside the learner's code in a call: nobody can guess it from its name, so the report says it.

An inner application's script is told in one line; what comes from a lab's `apps/`, or from services/apps, by
the first line of its docstring.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

PIECE = 24  # the most bytes of one chunk that are shown
PIECES = 4  # the most chunks, or messages
PLAIN = {"name", "environ", "scope", "chunks"}  # of an application that a router calls: its name says all
TEXT = [("Content-Type", "text/plain")]


def beside(value: Any, folders: Iterable[Path]) -> list[str]:
    """A line for each thing in a probe's request that is not the learner's; `folders` have what is given."""
    places = list(folders)
    said = [f"{name}: {text}" for name, text in dict(_given(value, places)).items()]
    script = script_text(value)
    return [*said, *([script] if script else [])]


def _given(value: Any, folders: list[Path]) -> Iterator[tuple[str, str]]:
    """The names of the given functions in a request, each with what it is."""
    if isinstance(value, dict) and set(value) == {"$import"}:
        module, _, name = value["$import"].partition(":")
        text = next(
            (found for folder in folders if (found := _docstrings(folder / f"{module}.py").get(name))), ""
        )
        if text:
            yield name, text
    elif isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _given(item, folders)


@cache
def _docstrings(path: Path) -> dict[str, str]:
    """The first lines of a file's docstrings, by the names of its functions and classes. It is only read."""
    if not path.is_file():
        return {}
    body = ast.parse(path.read_text(encoding="utf-8")).body
    known = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {
        one.name: text.splitlines()[0]
        for one in body
        if isinstance(one, known) and (text := ast.get_docstring(one))
    }


def scripts_in(value: Any) -> list[dict[str, Any]]:
    """The scripted applications of a request for the probe: `{"$wsgi": …}` and `{"$asgi": …}`, each once."""
    found: list[dict[str, Any]] = []
    if isinstance(value, dict):
        if set(value) in ({"$wsgi"}, {"$asgi"}):
            return [value]
        items = list(value.values())
    else:
        items = list(value) if isinstance(value, list | tuple) else []
    for item in items:
        found += [one for one in scripts_in(item) if one not in found]
    return found


def script_text(value: Any) -> str:
    """What the one scripted application of a request does; "" where there is none, or more than one."""
    scripts = scripts_in(value)
    if len(scripts) != 1:
        return ""
    (kind, script), *_ = scripts[0].items()
    if "name" in script and not set(script) - PLAIN:
        return ""
    does = _wsgi(script) if kind == "$wsgi" else _asgi(script["steps"])
    return f"{script.get('name', 'inner')}: {does}"


def _wsgi(script: dict[str, Any]) -> str:
    """start_response('200 OK', …), then chunks b'a', b'b'."""
    if script.get("raises") == "call":
        return "raises RuntimeError when it is called"
    headers = [tuple(pair) for pair in script.get("headers", TEXT)]
    fields = "…" if headers == TEXT else repr(headers)
    start = f"start_response({script.get('status', '200 OK')!r}, {fields})"
    does = [f"{start}{' when its first chunk is asked for' if script.get('late_start') else ''}"]
    if script.get("read"):
        does.insert(0, f"wsgi.input.read({'' if script['read'] < 0 else script['read']})")
    does += [f"write({_bytes(data)})" for data in script.get("write", [])]
    return ", ".join([*does, *_wsgi_body(script)])


def _wsgi_body(script: dict[str, Any]) -> list[str]:
    chunks = script.get("chunks", [b"inner body"])
    raises = script.get("raises")
    given = chunks[:-1] if raises == "iteration" else chunks
    does = [f"chunk {_bytes(data)}" for data in given[:PIECES]] or ["no chunk"]
    does += [f"{len(given)} chunks in all"] if len(given) > PIECES else []
    if script.get("exc_info"):
        does.insert(1, "start_response('500 Failed', …, exc_info)")
    if raises == "iteration":
        does.append("then it raises RuntimeError")
    return [*does, "close raises RuntimeError"] if raises == "close" else does


def _asgi(steps: list[Any]) -> str:
    """send(http.response.start 200), send(http.response.body b'a')."""
    does = [_step(step) for step in steps[: PIECES + 2]]
    does += [f"… {len(steps)} steps in all"] if len(steps) > PIECES + 2 else []
    return ", ".join(does) or "returns at once"


def _step(step: list[Any]) -> str:
    match step:
        case ["send", dict() as message]:
            return f"send({_message(message)})"
        case ["raise", *_]:
            return "raises RuntimeError"
        case ["wait"]:
            return "waits until it is cancelled"
        case ["receive"]:
            return "receive()"
    return f"receive() until {step[1]}"


def _message(message: dict[str, Any]) -> str:
    """http.response.body b'a' (more)."""
    words = [str(message.get("type"))]
    words += [str(message["status"])] if "status" in message else []
    data = message.get("body") or message.get("bytes") or message.get("text")
    words += [_bytes(data)] if isinstance(data, bytes | str) else []
    return " ".join([*words, *(["(more)"] if message.get("more_body") else [])])


def _bytes(data: bytes | str) -> str:
    return repr(data) if len(data) <= PIECE else f"{data[:PIECE]!r}… ({len(data)} long)"
