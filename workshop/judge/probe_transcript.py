"""What happened in one call of the probe, as a check reads it: events in order, values as plain Python."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.judge.tracebacks import own


@dataclass
class Transcript:
    """What happened in one call, in order. See workshop/run/probe.py for the events and their fields."""

    events: list[dict[str, Any]]
    folder: Path
    output: str = ""

    def all(self, *names: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["event"] in names]

    def first(self, *names: str) -> dict[str, Any] | None:
        return next(iter(self.all(*names)), None)

    def names(self) -> list[str]:
        return [event["event"] for event in self.events]

    @property
    def raised(self) -> dict[str, Any] | None:
        return self.first("raised")

    @property
    def trace(self) -> list[str]:
        """The learner's frames of what was raised, and the exception itself."""
        error = self.raised
        if error is None:
            return []
        return [*own(error["trace"], self.folder), f"{error['type']}: {error['message']}".rstrip(": ")]

    @property
    def odd_shape(self) -> str:
        """A clause for headers that are a dict, or a body without a list around it; "" for neither."""
        starts = [one for one in self.sends if isinstance(one, dict) and isinstance(one.get("headers"), dict)]
        if starts or any(event.get("of") == "dict" for event in self.all("start_response")):
            return "; the headers are a dict: a list of pairs is expected"
        if any(event.get("type") in ("int", "str") for event in self.all("chunk")):
            return (
                "; the body has no list around it: the loop over text or bytes gives one character at a time"
            )
        return ""

    # WSGI

    @property
    def status(self) -> str | None:
        """The status of the last start_response."""
        starts = self.all("start_response")
        return starts[-1]["status"] if starts else None

    @property
    def headers(self) -> list[tuple[str, str]]:
        starts = self.all("start_response")
        return [tuple(pair) for pair in starts[-1]["headers"]] if starts else []

    @property
    def chunks(self) -> list[bytes]:
        return [event["data"] for event in self.all("chunk", "write")]

    @property
    def body(self) -> bytes:
        return b"".join(chunk for chunk in self.chunks if isinstance(chunk, bytes))

    # ASGI

    @property
    def sends(self) -> list[dict[str, Any]]:
        return [event["message"] for event in self.all("send")]

    # steps

    @property
    def memory(self) -> int | None:
        """How much memory the steps took at most, in bytes, by the kernel; None where nobody can tell."""
        return self.memories[-1] if self.memories else None

    @property
    def memories(self) -> list[int | None]:
        """The same after each of the steps."""
        return [event.get("memory") for event in self.all("value")]

    @property
    def values(self) -> list[Any]:
        return [event["value"] for event in self.all("value")]


def decoded(value: Any) -> Any:
    """A value of the probe's as plain Python: bytes as bytes, a tuple as a tuple, an object as a `Thing`."""
    if isinstance(value, list):
        return [decoded(item) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) != 1:
        return {key: decoded(item) for key, item in value.items()}
    match value:
        case {"$bytes": data}:
            return base64.b64decode(data)
        case {"$dict": pairs}:
            return {decoded(key): decoded(item) for key, item in pairs}
        case {"$tuple": items}:
            return tuple(decoded(item) for item in items)
        case {"$object": {"type": name, "fields": fields}}:
            return Thing(name, {key: decoded(item) for key, item in fields.items()})
        case {"$repr": {"type": name, "text": text}}:
            return Thing(name, {}, text)
    return {key: decoded(item) for key, item in value.items()}


@dataclass
class Thing:
    """An object of the learner's, known by its type's name and its attributes only."""

    type: str
    attributes: dict[str, Any]
    text: str = ""

    def __getattr__(self, name: str) -> Any:
        try:
            return self.attributes[name]
        except KeyError:
            raise MissingAttribute(self, name) from None

    def __repr__(self) -> str:
        inner = ", ".join(f"{key}={value!r}" for key, value in self.attributes.items())
        return self.text or f"{self.type}({inner})"


class MissingAttribute(AttributeError):
    """The learner's object lacks an attribute that the lab's contract gives it."""

    def __init__(self, thing: Thing, attribute: str) -> None:
        super().__init__(f"{thing!r} has no {attribute!r}")
        self.thing, self.attribute = thing, attribute
