"""What the adapters of parsers share: lab 2's Request and Refused, and a body that is put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

Fields = list[tuple[str, str]]


@dataclass(frozen=True)
class Request:
    method: str
    target: str
    version: str
    fields: Fields = field(default_factory=list)
    body: bytes = b""
    trailers: Fields = field(default_factory=list)


class Refused(Exception):
    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status, self.reason = status, reason


class Reader(Protocol):
    def feed(self, data: bytes) -> None: ...

    def next_request(self) -> Request | None: ...


def text(data: bytes) -> str:
    return data.decode("latin-1")


def parsed_by(reader: Reader, data: bytes) -> Request:
    """What lab 2's parse_request returns, of a Reader."""
    reader.feed(data)
    request = reader.next_request()
    if request is None:
        reader.feed(b"")
        request = reader.next_request()
    if request is None:
        raise Refused(400, "no request")
    return request
