"""What a check tells the probe to do: references, calls, inner applications that follow a script, scopes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from workshop.run.probe_values import encode


def ref(text: str) -> dict[str, Any]:
    """The learner's object "module:attribute", as an argument for the probe."""
    return {"$import": text}


def made(function: Any, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """The result of a call in the learner's process: made("middleware:timing", inner), or of a `ref`."""
    fn = ref(function) if isinstance(function, str) else function
    return {"$call": {"fn": fn, "args": list(args), "kwargs": kwargs}}


def method(thing: Any, name: str, *args: Any, **kwargs: Any) -> dict[str, Any]:
    """A method call on something in the learner's process, often on a `named` result."""
    return made({"$attr": [thing, name]}, *args, **kwargs)


def attribute(thing: Any, name: str) -> dict[str, Any]:
    return {"$attr": [thing, name]}


def named(name: str) -> dict[str, Any]:
    """The result of an earlier step that was given this name."""
    return {"$ref": name}


def wsgi_app(**script: Any) -> dict[str, Any]:
    """An inner WSGI application that follows a script: see ScriptedWSGI in workshop/run/probe.py."""
    return {"$wsgi": script}


def asgi_app(*steps: list[Any], **script: Any) -> dict[str, Any]:
    """An inner ASGI application that follows a script: see ScriptedASGI in workshop/run/probe.py."""
    return {"$asgi": {"steps": list(steps), **script}}


def note(name: str, *answers: Any) -> dict[str, Any]:
    """A function in the learner's process whose calls become events "noted", with this name and `args`.

    It returns `answers` in turn, the last one again and again; None when there are none.
    """
    return {"$note": {"name": name, "answers": list(answers)} if answers else name}


def recv(*pieces: bytes) -> dict[str, Any]:
    """A `recv(size)` function that hands out these pieces, then b""."""
    return {"$recv": list(pieces)}


def outgoing(value: Any) -> Any:
    """`encode` for requests: tags that are already there stay as they are."""
    if type(value) is str or value is None:  # as most are
        return value
    if isinstance(value, dict):
        return {key: outgoing(item) for key, item in value.items()}
    if isinstance(value, list):
        return [outgoing(item) for item in value]
    if isinstance(value, tuple):
        return {"$tuple": [outgoing(item) for item in value]}
    return encode(value)


def http_scope(
    method: str = "GET",
    path: str = "/",
    query: bytes = b"",
    headers: Iterable[tuple[bytes, bytes]] = ((b"host", b"localhost"),),
    **more: Any,
) -> dict[str, Any]:
    """An HTTP scope as the ASGI specification has it (www, "HTTP Connection Scope")."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query,
        "root_path": "",
        "headers": [[name, value] for name, value in headers],
        "client": ["127.0.0.1", 50000],
        "server": ["127.0.0.1", 80],
        **more,
    }


def body_event(data: bytes = b"", more: bool = False) -> dict[str, Any]:
    return {"type": "http.request", "body": data, "more_body": more}


def modules_in(value: Any) -> list[str]:
    """The learner's modules that a request names, in order: they are imported before the call."""
    found: dict[str, None] = {}

    def look(value: Any) -> None:
        if isinstance(value, dict):
            if len(value) == 1 and "$import" in value:
                found[value["$import"].partition(":")[0]] = None
                return
            value = value.values()
        elif not isinstance(value, list):
            return
        for item in value:
            if not isinstance(item, str):
                look(item)

    look(value)
    return list(found)


def describe(value: Any) -> str:
    """A value for the probe as somebody would write it."""
    if isinstance(value, dict):
        match value:
            case {"$import": text}:
                return str(text.partition(":")[2] or text)
            case {"$ref": name} | {"$note": {"name": name}} | {"$note": name}:
                return str(name)
            case {"$attr": [thing, name]}:
                return f"{describe(thing)}.{name}"
            case {"$call": {"fn": fn, "args": args, "kwargs": kwargs}}:
                inner = [describe(item) for item in args]
                inner += [f"{key}={describe(item)}" for key, item in kwargs.items()]
                return f"{describe(fn)}({', '.join(inner)})"
            case {"$recv": pieces}:
                return f"recv of {pieces!r}"
            case {"$wsgi": script} | {"$asgi": script}:
                return str(script.get("name", "inner"))
        text = "{" + ", ".join(f"{key!r}: {describe(item)}" for key, item in value.items()) + "}"
        return text if len(text) < 300 else f"{text[:200]} … ({len(value)} long)"
    if isinstance(value, list):
        return f"[{', '.join(describe(item) for item in value)}]"
    return repr(value) if len(repr(value)) < 300 else f"{repr(value)[:200]} … ({len(value)} long)"
