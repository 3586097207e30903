"""What the adapters of lab 14 share: the lab's exceptions and events."""

from dataclasses import dataclass

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
MAX_MESSAGE = 1 << 20


class Refused(Exception):
    def __init__(self, status, reason, headers=None):
        super().__init__(reason)
        self.status, self.reason, self.headers = status, reason, headers or []


class Violation(Exception):
    def __init__(self, code, reason):
        super().__init__(reason)
        self.code, self.reason = code, reason


class NotOpen(Exception):
    pass


@dataclass(frozen=True)
class Offer:
    key: bytes
    subprotocols: list
    headers: list


@dataclass(frozen=True)
class Text:
    data: str


@dataclass(frozen=True)
class Binary:
    data: bytes


@dataclass(frozen=True)
class Ping:
    data: bytes


@dataclass(frozen=True)
class Pong:
    data: bytes


@dataclass(frozen=True)
class Closed:
    code: int
    reason: str


@dataclass(frozen=True)
class Failed:
    code: int
    reason: str
