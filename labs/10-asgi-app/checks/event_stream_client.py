"""A browser's end of /events: parses the stream (WHATWG HTML §9.2.5, §9.2.6), waits for its events."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any, Self

from asgi_answer import json_of, media_type
from tasks_client import PATIENCE

from workshop.judge.checks import Client, Deadline, NoAnswer, expect, fail, request_bytes

NGINX_WAITS = 2.0  # proxy_read_timeout in lab.toml, in seconds
EVENT_STREAM = "WHATWG HTML §9.2.6, interpreting an event stream"
MANY = 50  # comments in a second
SILENCE = "a sign of life (a comment, `: still here`)"


def parsed(block: bytes) -> dict[str, str] | None:
    """One event as a browser reads it, or None when there is no data in it (a comment)."""
    event: dict[str, str] = {}
    for line in block.decode("utf-8", "replace").split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data" and "data" in event:
            event["data"] += f"\n{value}"
        elif field in ("data", "event", "id"):
            event[field] = value
    return event if "data" in event else None


def with_lf(data: bytes) -> bytes:
    """CR, LF and CRLF all end a line."""
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


class Listener:
    """One client of /events, on a connection of its own; use it with `with`, which ends the connection."""

    pieces: Iterator[bytes]

    def __init__(self, client: Client, *fields: tuple[str, str], seconds: float = PATIENCE) -> None:
        self.link = client.connect(seconds=seconds)
        self.buffer, self.seen = b"", b""
        self.sent = ", ".join(["GET /events HTTP/1.1", *(f"{key}: {value}" for key, value in fields)])
        try:
            self._begin([("Accept", "text/event-stream"), *fields, ("Connection", "close")])
        except BaseException:
            self.link.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.link.close()

    def _begin(self, fields: list[tuple[str, str]]) -> None:
        self.link.send(request_bytes("GET", "/events", fields))
        try:
            head, self.pieces = self.link.stream()
        except Deadline:
            fail(
                f"not even the head of the response, in {PATIENCE:.0f} s",
                "the head, and something after it, at once: the head waits for the first body event; and "
                "nginx keeps back what comes unless the response says x-accel-buffering: no",
                sent=self.sent,
            )
        if head.status == 200:
            self.awaited("the first bytes")
        expect("status", head.status, 200, sent=self.sent)
        why = "a browser's EventSource refuses others"
        expect("Content-Type", media_type(head.get("Content-Type")), "text/event-stream", why, sent=self.sent)

    def awaited(self, what: str) -> bytes:
        """Read a piece more."""
        try:
            piece = next(self.pieces, None)
        except Deadline:
            fail(
                f"{what} did not arrive, the stream stayed open; it said {self.seen[-120:]!r}",
                f"{what}, when it happens: a body event of its own, sent at once",
                sent=self.sent,
            )
        except NoAnswer:
            piece = None
        if piece is None:
            fail(
                f"the stream ended before {what} arrived; it said {self.seen[-120:]!r}",
                "a stream that goes on: more_body True each time, and something (a comment) in every silence "
                f"that would last longer than nginx's proxy_read_timeout of {NGINX_WAITS:.0f} s",
                sent=self.sent,
            )
        data = piece or b""
        self.seen += data
        self.buffer = with_lf(self.buffer + data)
        return data

    def next(self, what: str) -> dict[str, str]:
        """The next event that has data; comments are passed over."""
        while True:
            block, end, rest = self.buffer.partition(b"\n\n")
            if not end:
                self.awaited(what)
                continue
            self.buffer = rest
            event = parsed(block)
            if event is not None:
                return event

    def task(self, kind: str, task: dict[str, Any]) -> dict[str, str]:
        """The next event; fails unless it is of this kind and this task."""
        event = self.next(f"the event {kind!r} of task {task.get('id')}")
        expect("event", event.get("event"), kind, f"task {task.get('id')} was {kind}", sent=self.sent)
        data = json_of(event["data"].encode())
        if isinstance(data, dict) and data.get("id") != task.get("id"):
            told = f"{self.sent}; then {kind} was task {task.get('id')}"
            fail(
                f"the event of task {data.get('id')}",
                f"the event of task {task.get('id')}, which came after this stream began: what is new, once, "
                "in order",
                sent=told,
            )
        expect("data", data, task, "the task, as JSON", sent=self.sent)
        return event

    def until(self, task: dict[str, Any]) -> dict[str, str]:
        """The event of this task; others are passed over: where a stream begins is asked elsewhere."""
        while True:
            event = self.next(f"the event of task {task.get('id')}")
            if json_of(event["data"].encode()) == task:
                return event

    def signs_of_life(self, wanted: int) -> None:
        """Wait, while nothing happens, until so many pieces came; fails when nginx ends the stream first.

        And when there is no silence between them: when `MANY` comments come within a second.
        """
        seen, comments, second = 0, 0, time.monotonic() + 1.0
        while seen < wanted or time.monotonic() < second:
            data = self.awaited(SILENCE)
            seen += bool(data.strip(b"\r\n"))
            comments += with_lf(data).count(b"\n\n")
            if comments >= MANY and time.monotonic() < second:
                got = f"{MANY} comments within a second, while nothing happened"
                fail(got, "a comment after HEARTBEAT seconds of silence, no sooner", sent=self.sent)
