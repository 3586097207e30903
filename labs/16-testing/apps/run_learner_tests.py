"""Runs somebody's tests on a tasks API that stands elsewhere, and says what became of each.

The tests get a client and nothing else. Behind it is a `Relay`: a WSGI application that carries each request
to the line-up (faulty_tasks_apis.py), another process. So there is nothing to look at but answers.
"""

from __future__ import annotations

import http.client
import importlib
import inspect
import linecache
import re
import traceback
from collections.abc import Callable, Iterable
from types import FrameType
from typing import Any
from urllib.parse import quote

from werkzeug_client import GivenClient

SECONDS = 5.0
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
HOP_BY_HOP = ("connection", "date", "server", "transfer-encoding")


class Relay:
    """One copy of an API in the line-up, as a WSGI application."""

    def __init__(self, port: int, copy: str) -> None:
        self.copy = copy
        self.last = ""  # what was asked and answered last, for whoever reads of a failed test
        self.link = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        target = quote(environ.get("PATH_INFO") or "/", safe="/:@!$&'()*+,;=-._~", encoding="latin-1")
        if environ.get("QUERY_STRING"):
            target += f"?{environ['QUERY_STRING']}"
        method, sent = environ["REQUEST_METHOD"], body_of(environ)
        fields = self.fields(environ)
        if method in METHODS:
            self.link.request(method, target, sent, fields)
        else:  # uvicorn would answer 400 itself
            self.link.request("POST", target, sent, {**fields, "X-Lineup-Method": method})
        answer = self.link.getresponse()
        body = answer.read()
        kept = [(name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP]
        told = [f"({name}: {value})" for name, value in kept if name.lower() in ("allow", "location")]
        said = (f"{method} {target}", (sent or b"").decode("utf-8", "replace"), "was answered with")
        self.last = " ".join(
            [*filter(None, said), str(answer.status), *told, body.decode("utf-8", "replace").strip()]
        )
        start_response(f"{answer.status} {answer.reason}", kept)
        return [body]

    def fields(self, environ: dict[str, Any]) -> dict[str, str]:
        found = {
            key[5:].replace("_", "-"): value for key, value in environ.items() if key.startswith("HTTP_")
        }
        if environ.get("CONTENT_TYPE"):
            found["Content-Type"] = environ["CONTENT_TYPE"]
        for name in ("CONNECTION", "TRANSFER-ENCODING", "X-LINEUP", "X-LINEUP-METHOD", "EXPECT"):
            found.pop(name, None)
        return {**found, "X-Lineup": self.copy}


def body_of(environ: dict[str, Any]) -> bytes | None:
    length = environ.get("CONTENT_LENGTH") or "0"
    body: bytes = environ["wsgi.input"].read(int(length))
    return body or None


def run(module: Any, port: int, name: str, client: str = "") -> list[dict[str, Any]]:
    """Every test of a module, on that API: name, outcome, message, line, code, values, what it heard last.

    Each test has a copy of its own, which is empty. `client` is the class that calls the API, as
    "module:class"; "" is the given one. Outcomes: passed, failed (an assertion), error, skipped.
    """
    kind = attribute(client) if client else GivenClient
    found = []
    for number, test in enumerate(tests(module)):
        relay = Relay(port, f"{name}/{number}")
        said = outcome(test, kind(relay))
        found.append({**said, "last": " ".join(relay.last.split())[:240]})
        relay.link.close()
    return found


def attribute(text: str) -> Any:
    module, _, name = text.partition(":")
    return getattr(importlib.import_module(module), name)


def tests(module: Any) -> list[Callable[..., None]]:
    """The functions test_… that the module defines, in its order."""
    found = [value for name, value in vars(module).items() if name.startswith("test_")]
    return [value for value in found if inspect.isfunction(value)]


def outcome(test: Callable[..., None], client: Any) -> dict[str, Any]:
    said: dict[str, Any] = {
        "name": test.__name__,
        "outcome": "passed",
        "message": "",
        "code": "",
        "values": "",
    }
    said["line"] = test.__code__.co_firstlineno
    try:
        if inspect.iscoroutinefunction(test) or list(inspect.signature(test).parameters) != ["client"]:
            # A coroutine that nobody awaits would pass everywhere.
            raise TypeError(
                f"a test here is `def {test.__name__}(client)`: not async, no other arguments, no parametrize"
            )
        test(client)
    except BaseException as error:  # what pytest.fail and pytest.skip raise is no Exception
        kind = type(error).__name__
        said["outcome"] = "skipped" if kind == "Skipped" else "failed"
        if not isinstance(error, AssertionError) and kind not in ("Failed", "Skipped"):
            said["outcome"] = "error"
        said["message"] = f"{kind}: {error}".rstrip(": ")[:300]
        frames = list(traceback.walk_tb(error.__traceback__))
        own = [pair for pair in frames if pair[0].f_code.co_filename == test.__code__.co_filename]
        if own:
            frame, line = own[-1]
            said["line"], said["code"] = line, linecache.getline(frame.f_code.co_filename, line).strip()
            said["values"] = values_in(said["code"], frame)
    return said


def values_in(code: str, frame: FrameType) -> str:
    """The values of the names in a line that failed: pytest shows them, a bare assertion does not."""
    names = [name for name in dict.fromkeys(re.findall(r"[A-Za-z_]\w*", code)) if name in frame.f_locals]
    values = [f"{name} = {shown(frame.f_locals[name])}" for name in names if name != "client"]
    return ", ".join(values)[:300]


def shown(value: Any) -> str:
    """A value for the report; of a response what tests ask it for."""
    if hasattr(value, "status") and hasattr(value, "headers"):
        return f"({value.status}, {dict(value.headers)!r})"
    try:
        return repr(value)
    except Exception as error:  # somebody's own __repr__
        return f"a {type(value).__name__} whose repr raises {type(error).__name__}"
