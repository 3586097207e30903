"""Records what happens during a check, for its timeline; it is there only when somebody asked for it.

It hears of every byte on the checks' own connections and of every event of the probe's. The rest (nginx's
log, what applications noted, what services printed) it asks the agent for when the check has ended.
"""

from __future__ import annotations

import base64
import threading
import time
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from workshop.judge import http_wire, probe_client
from workshop.judge.shown_bytes import clean, show_bytes
from workshop.judge.stack import Stack
from workshop.judge.timeline import WIRE_WORDS, Event, Timeline, of_nginx, timeline
from workshop.run import process

SHOWN = 1200  # bytes of one event
LOG_PATIENCE = 0.3  # seconds in which nginx's line about a request may still come
KEPT = 4000  # events of a check: a flood is counted nowhere else


class Recorder:
    """Records one check at a time. `begin`, then the check, then `end`, which gives its timeline."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._forget()

    def listen(self) -> None:
        http_wire.observers.append(self.on_wire)
        probe_client.observers.append(self.on_probe)

    def leave(self) -> None:
        http_wire.observers.remove(self.on_wire)
        probe_client.observers.remove(self.on_probe)

    def begin(self) -> None:
        with self._lock:
            self._forget()

    def _forget(self) -> None:
        self.began, self.began_wall = time.monotonic(), time.time()
        self.events: list[Event] = []
        self._numbers: WeakKeyDictionary[http_wire.Wire, int] = WeakKeyDictionary()
        self._ports: dict[int, int] = {}  # of the client's ends, with their connections' numbers
        self._to: dict[int, int] = {}  # where a connection goes to
        self._called = False

    # --- while it runs

    def on_wire(self, wire: http_wire.Wire, what: str, data: bytes) -> None:
        with self._lock:
            if wire not in self._numbers:
                self._numbers[wire] = len(self._to) + 1
                self._to[len(self._to) + 1] = wire.port
            number = self._numbers[wire]
            if what == "open" and not wire.bridged:
                self._ports[wire.socket.getsockname()[1]] = number
            size = len(data) if data else None
            self._add("client", WIRE_WORDS.get(what, what), show_bytes(data, SHOWN), size, number)

    def on_probe(self, events: list[dict[str, Any]], seconds: float) -> None:
        """Events as the probe gives them, before anything of them is decoded."""
        with self._lock:
            self._called = True
            for event in events:
                at = float(event.pop("at", time.monotonic()))
                what = str(event["event"])
                rest = {key: value for key, value in event.items() if key not in ("event", "trace", "of")}
                self._add("application", what, said(rest), size_of(event.get("data")), at=at)

    def _add(
        self, lane: str, what: str, data: str, size: int | None, number: int = 0, at: float | None = None
    ) -> None:
        if len(self.events) < KEPT:
            when = (time.monotonic() if at is None else at) - self.began
            self.events.append(Event(when, lane, what, data, size, number))

    # --- when it has ended

    def end(self, stack: Stack) -> Timeline:
        """Everything that happened since `begin`; of what was never asked, the lane says so."""
        seconds = time.monotonic() - self.began
        with self._lock:
            client = list(self.events)
        reply = self._reply(stack)
        lines = [{**line, "end": line["end"] - self.began_wall} for line in reply["nginx"] or ()]
        events = [*client, *of_nginx(lines, client, self._ports), *self._noted(reply), *self._printed(reply)]
        return timeline(_merged(events), self._silent(stack, reply), seconds)

    def _reply(self, stack: Stack) -> dict[str, Any]:
        """What the agent has; nginx writes its line after the last byte of an answer, so it may come late."""
        front = stack.front.port if stack.front is not None else 0
        asked = {one.connection for one in self.events if one.what == "sent"}
        awaited = {
            port for port, number in self._ports.items() if self._to[number] == front and number in asked
        }
        deadline = time.monotonic() + LOG_PATIENCE
        while True:
            reply = stack.ask("recorded", since=self.began, since_wall=self.began_wall - 0.002)
            lines = reply["nginx"]
            if lines is None or time.monotonic() > deadline or awaited <= {line["port"] for line in lines}:
                return reply
            time.sleep(process.POLL)

    def _noted(self, reply: dict[str, Any]) -> Iterable[Event]:
        for event in reply["events"] or ():
            text, size = clean(str(event.get("text", ""))), event.get("size")
            what = f"{event.get('what')}"
            yield Event(float(event["at"]) - self.began, "application", what, text, size)

    def _printed(self, reply: dict[str, Any]) -> Iterable[Event]:
        for pieces in reply["printed"].values():
            for at, text in pieces:
                lines = text.strip().splitlines() or [""]
                what = f"printed {clean(lines[-1])}"
                yield Event(at - self.began, "server", what, clean(text.strip())[-SHOWN:], len(text))

    def _silent(self, stack: Stack, reply: dict[str, Any]) -> dict[str, str]:
        """Why a lane has nothing."""
        ports = set(self._to.values())
        through = stack.front is not None and stack.front.port in ports
        alone = self._called and not ports
        return {
            "client": "sent nothing: the probe called the code" if alone else "sent nothing",
            "nginx": _why_no_nginx(stack, reply, through),
            "server": "not in between: the probe called the code" if alone else "printed nothing",
            "application": "was not called, or is none that the tool can look into",
        }


def _why_no_nginx(stack: Stack, reply: dict[str, Any], through: bool) -> str:
    if not through:
        return "was not asked"
    return "logged nothing" if reply["nginx"] is not None else "keeps no log in this run"


def _merged(events: list[Event]) -> Iterable[Event]:
    """Pieces that came on one connection within a millisecond, as one."""
    last: Event | None = None
    for event in sorted(events, key=lambda event: event.at):
        is_more = (
            last is not None
            and event.what == last.what == "got"
            and event.connection == last.connection
            and event.at - last.at < 0.001
        )
        if is_more and last is not None:
            last.data, last.size = (last.data + event.data)[:SHOWN], (last.size or 0) + (event.size or 0)
        else:
            last = event
            yield event


def said(value: Any) -> str:
    """Values as the probe encodes them, in a few words: bytes as bytes, tuples as tuples."""
    if isinstance(value, dict) and len(value) == 1 and next(iter(value)) in ENCODED:
        (kind, inner) = next(iter(value.items()))
        return ENCODED[kind](inner)
    if isinstance(value, dict):
        return ", ".join(f"{clean(str(key))}={said(one)}" for key, one in value.items())[:SHOWN]
    if isinstance(value, list):
        return f"[{', '.join(map(said, value[:20]))}{', …' if len(value) > 20 else ''}]"
    return clean(repr(value))[:SHOWN]


ENCODED = {
    "$bytes": lambda inner: repr(base64.b64decode(inner)[:SHOWN]),
    "$tuple": lambda inner: f"({', '.join(map(said, inner))})",
    "$dict": lambda inner: f"{{{', '.join(f'{said(key)}: {said(one)}' for key, one in inner[:20])}}}",
    "$object": lambda inner: f"{clean(str(inner['type']))}({said(inner['fields'])})",
    "$repr": lambda inner: clean(str(inner["text"]))[:SHOWN],
}


def size_of(data: Any) -> int | None:
    if isinstance(data, dict) and "$bytes" in data:
        return len(base64.b64decode(data["$bytes"]))
    return None
