"""What a lab's test file imports.

    from workshop.judge.checks import check, expect, that

    @check(task=2, rule='PEP 3333, "Unicode Issues"')
    def test_task2_path_info_is_percent_decoded(service):
        "PATH_INFO is percent-decoded"
        environ = service("echo").get("/caf%C3%A9").json()
        expect("PATH_INFO", environ["PATH_INFO"], "/caf\\xc3\\xa9", "the path's bytes, decoded as latin-1")

Fixtures: `front` (a Client through nginx), `service(name)` (a Client to a service directly), `probe`,
`rng` (a random.Random with the printed seed), `stack` (the agent, for signals and pids).
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest

from workshop.judge.http_client import Client
from workshop.judge.http_wire import (
    Deadline,
    NoAnswer,
    NotHTTP,
    Response,
    Wire,
    WireError,
    request_bytes,
)
from workshop.judge.probe_client import Probe
from workshop.judge.probe_requests import (
    asgi_app,
    attribute,
    body_event,
    http_scope,
    made,
    method,
    named,
    note,
    recv,
    ref,
    wsgi_app,
)
from workshop.judge.probe_transcript import Thing, Transcript
from workshop.judge.shown_bytes import show_bytes
from workshop.judge.websocket_client import Closed, WebSocket

__all__ = [
    "NOT_JSON",
    "Client",
    "Closed",
    "Deadline",
    "Failed",
    "NoAnswer",
    "NotHTTP",
    "Probe",
    "Response",
    "Thing",
    "Transcript",
    "WebSocket",
    "Wire",
    "WireCase",
    "WireError",
    "as_object",
    "asgi_app",
    "attribute",
    "body_event",
    "check",
    "expect",
    "fail",
    "http_scope",
    "made",
    "method",
    "name",
    "named",
    "note",
    "object_of",
    "recv",
    "ref",
    "request_bytes",
    "show_bytes",
    "that",
    "wire_cases",
    "wsgi_app",
]

Function = TypeVar("Function", bound=Callable[..., Any])
NOT_JSON = (ValueError, RecursionError)  # what json.loads raises for what is none, or nested too deeply
LONG, HEAD = 400, 200  # characters of a value: what is longer is cut, and how much of its beginning stays
BEFORE, AFTER = 20, 30  # characters around the place where two long values differ
NAMES = ("Ada", "Grace", "Edsger", "Barbara", "Dennis", "Radia", "Tim", "Margaret", "Leslie", "Karen")


class Lateness(threading.local):
    """What each thread calls with a failure of its check because something was late: connections are open."""

    observer: Callable[[Failed], None] | None = None


lateness = Lateness()


class Failed(Exception):
    """A check's own word that something is not as it must be.

    `waits` names the service that should have gone on: the report shows where it stands, and so ends it.
    """

    def __init__(
        self, got: str, expected: str, rule: str = "", where: str = "", sent: str = "", waits: str = ""
    ) -> None:
        super().__init__(f"got {got}; expected {expected}")
        self.got, self.expected, self.rule, self.where, self.sent = got, expected, rule, where, sent
        self.waits = waits
        self.stacks: list[str] = []  # where a service waited when this was raised because it was late
        if isinstance(sys.exc_info()[1], Deadline) and lateness.observer is not None:
            lateness.observer(self)


def check(task: int, rule: str) -> Callable[[Function], Function]:
    """Mark a function as a graded check of a task; `rule` is the clause that it is drawn from."""

    def mark(function: Function) -> Function:
        marked: Function = pytest.mark.check(task=task, rule=rule)(function)
        return marked

    return mark


def expect(what: str, got: Any, expected: Any, why: str = "", **more: str) -> None:
    """Fail unless `got` equals `expected`; `what` names it, `why` says why it must be so."""
    if got != expected or type(got) is not type(expected):
        reason = f"     {why}" if why else ""
        raise Failed(
            f"{what} = {shown(got)}{differs(got, expected)}", f"{what} = {shown(expected)}{reason}", **more
        )


def that(condition: object, got: str, expected: str, **more: str) -> None:
    """Fail unless the condition holds; `got` and `expected` are for a person."""
    if not condition:
        raise Failed(got, expected, **more)


def fail(got: str, expected: str, **more: str) -> None:
    raise Failed(got, expected, **more)


def object_of(response: Response) -> dict[str, Any]:
    """The JSON object in a body. Fails the check where something else is in it, whatever that is."""
    return _object(response.json(), f"{response.line} with {response.text[:200]!r}")


def as_object(text: str | bytes, got: str) -> dict[str, Any]:
    """The JSON object that a text is; `got` is the report where it is something else."""
    try:
        return _object(json.loads(text), got)
    except NOT_JSON:
        return _object(None, got)


def _object(value: Any, got: str) -> dict[str, Any]:
    that(isinstance(value, dict), got, "a JSON object")
    found: dict[str, Any] = value
    return found


def shown(value: Any) -> str:
    """A value for the report: its repr, cut in the middle when it is long. A set's is the same each time."""
    text = ascii(value) if isinstance(value, str) and holds_bytes(value) else repr(value)
    if isinstance(value, set | frozenset) and value:
        text = f"{{{', '.join(sorted(map(repr, value)))}}}"
    return text if len(text) < LONG else f"{text[:HEAD]} … {text[-150:]}"


def differs(got: Any, expected: Any) -> str:
    """Where two long values begin to differ, as far as `shown` cuts that out; "" where it does not."""
    one, other = repr(got), repr(expected)
    place = next((at for at, pair in enumerate(zip(one, other, strict=False)) if pair[0] != pair[1]), 0)
    if min(len(one), len(other)) < LONG or place < HEAD:
        return ""
    begin = place - BEFORE
    here, there = (text[begin : place + AFTER] for text in (one, other))
    return f"     (they differ first at … {here} …, where … {there} … is expected)"


def holds_bytes(text: str) -> bool:
    """Whether text is UTF-8's bytes as latin-1 characters, as in an environ: shown as \\xc3\\xa9."""
    try:
        return not text.isascii() and bool(text.encode("latin-1").decode("utf-8"))
    except UnicodeError:
        return False


def name(rng: Any) -> str:
    """Somebody's name with a number, so that a constant can't pass."""
    return f"{rng.choice(NAMES)} {rng.randrange(100, 999)}"


@dataclass(frozen=True)
class WireCase:
    """Bytes from a `.http` file, and what its comment lines say of them."""

    name: str
    data: bytes
    notes: dict[str, str]


def wire_cases(test_file: str, pattern: str = "*.http") -> list[WireCase]:
    """The wire cases beside a test file, in `requests/`, by name.

    A `.http` file begins with comment lines (`# status: 400`); after the first empty line every line is
    bytes: what is written with a backslash (\\r\\n, \\x00, \\t) stands for itself, the ends of the
    file's own lines stand for nothing.
    """
    folder = Path(test_file).parent / "requests"
    return [_wire_case(path) for path in sorted(folder.glob(pattern))]


def _wire_case(path: Path) -> WireCase:
    head, _, body = path.read_text(encoding="utf-8").partition("\n\n")
    pairs = (line.removeprefix("#").partition(":") for line in head.splitlines())
    notes = {key.strip(): value.strip() for key, _, value in pairs}
    text = body.replace("\n", "")
    data = text.encode("latin-1", "backslashreplace").decode("unicode_escape").encode("latin-1")
    return WireCase(path.stem, data, notes)
