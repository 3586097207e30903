"""Given: what requests and responses are made of, and what goes wrong with them."""

from __future__ import annotations

from dataclasses import dataclass, field

Fields = list[tuple[str, str]]  # field lines in the order in which they came, repeats and all


@dataclass(frozen=True)
class Request:
    """One request. Text is latin-1, so that each character is one byte of the wire; the body is bytes."""

    method: str  # "GET"
    target: str  # "/tasks/42?done=1", nothing decoded
    version: str  # "HTTP/1.1"
    fields: Fields = field(default_factory=list)  # [("Host", "localhost"), ...], names as they were sent
    body: bytes = b""
    trailers: Fields = field(default_factory=list)  # the fields after a chunked body


@dataclass(frozen=True)
class Response:
    """One response, as `fetch` returns it."""

    status: int
    reason: str
    version: str
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)


class Refused(Exception):
    """The other side sent what is no HTTP/1.1 message, or too much of it; `status` is the answer to that."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class BadAnswer(Exception):
    """What came back to `fetch` is no response, or not a whole one."""


def values(fields: Fields, name: str) -> list[str]:
    """Every value of a field, in order: names compare without case (RFC 9110 §5.1)."""
    return [value for key, value in fields if key.lower() == name.lower()]
