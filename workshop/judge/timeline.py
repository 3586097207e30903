"""What happened during one check, hop by hop: a lane for client, nginx, server and application.

Everything here was recorded where it happened: the checks' own connections, nginx's log, what a service
printed, and the events of applications, noted in the service's process or by the probe. All but nginx tell
the time by one monotonic clock. nginx's has three digits: what it did is put between what the client sent
and what it got.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from workshop.judge.shown_bytes import show_bytes

LANES = ("client", "nginx", "server", "application")
EVENTS = 160  # of one check that are kept; what lies in the middle is counted
LONG_WAIT = 0.1  # seconds in which nothing happens, that are worth a line …
CUT = 0.005  # seconds by which nginx's clock may be behind
LARGE_PART = 0.2  # … or this part of the whole
# What an observer of http_wire hears of a connection, as a timeline says it.
WIRE_WORDS = {
    "open": "connected",
    "refused": "was refused",
    ">": "sent",
    "<": "got",
    "end": "got the end of the stream",
    "half-close": "said that it sends no more",
    "close": "closed",
    "reset": "reset the connection",
    "was reset": "saw a reset",
}


@dataclass
class Event:
    """One thing that happened. `at` is in seconds since the check began; `data` is shown bytes, or text."""

    at: float
    lane: str
    what: str
    data: str = ""
    size: int | None = None
    connection: int = 0  # of the client's connections, by number


@dataclass
class Wait:
    """A span in which no lane recorded anything, and what came before it."""

    start: float
    seconds: float
    after: str


@dataclass
class Timeline:
    """The events of one check, in order. `silent` says of a lane without any why it has none."""

    events: list[Event] = field(default_factory=list)
    waits: list[Wait] = field(default_factory=list)
    silent: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    left_out: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def timeline(events: Iterable[Event], silent: dict[str, str], seconds: float) -> Timeline:
    """Put events in order, find where nothing happened for long, and keep what a person can read."""
    ordered = sorted(events, key=lambda event: event.at)
    last = max([seconds, *(event.at for event in ordered)])
    waits = list(_waits(ordered, last))
    left_out = max(0, len(ordered) - EVENTS)
    if left_out:
        ordered[EVENTS // 2 : EVENTS // 2 + left_out] = []
    there = {event.lane for event in ordered}
    said = {lane: silent.get(lane, "recorded nothing") for lane in LANES if lane not in there}
    return Timeline(ordered, waits, said, last, left_out)


def _waits(ordered: list[Event], last: float) -> Iterable[Wait]:
    ends = [event.at for event in ordered[1:]] + [last]
    for event, end in zip(ordered, ends, strict=bool(ordered)):
        gap = end - event.at
        if gap > LONG_WAIT or (gap > LARGE_PART * last and gap > LONG_WAIT / 10):
            yield Wait(event.at, gap, f"{event.lane}: {event.what}")


def of_nginx(lines: Iterable[dict[str, Any]], client: list[Event], ports: dict[int, int]) -> list[Event]:
    """The events of the requests that nginx logged; `ports` are the client's, with the connections' numbers.

    A line's `end` is in seconds since the check began. What others asked of nginx meanwhile is left out.
    """
    found = []
    for line in lines:
        number = ports.get(line["port"])
        if number is not None:
            found += _of_request(line, number, client)
    return found


def _of_request(line: dict[str, Any], number: int, client: list[Event]) -> list[Event]:
    mine = [one for one in client if one.connection == number]
    sent = [one.at for one in mine if one.what == "sent"]
    got = [one.at for one in mine if one.what == "got"]
    # Its clock is cut to milliseconds: it took in what was sent before, and answered before that was got.
    start = line["end"] - line["took"]
    start = max([start, *(at for at in sent if start < at < start + CUT)])
    end = max(line["end"] + 0.001, start)
    end = next((at for at in reversed(got) if start < at and abs(at - end) < CUT), end)
    body = max([start, *(at for at in sent if at < end)])  # it asks once it has the whole body
    asked = show_bytes(line["request"].encode("latin-1", "replace"))
    found = [Event(start, "nginx", "took the request", asked, line["length"], number)]
    for one in _upstreams(line):
        if one["connect"] is not None:
            when = _within(body, one["connect"], end)
            found.append(Event(when, "nginx", f"connected to {one['to']}", "", None, number))
        if one["header"] is not None:
            when = _within(body, one["header"] + 0.001, end)
            found.append(Event(when, "nginx", f"got the head: {one['status']}", "", None, number))
        body = _within(body, one["response"] or 0.0, end)
        if one["header"] is None:
            found.append(Event(body, "nginx", f"got no answer from {one['to']}", "", None, number))
    found.append(Event(end, "nginx", f"answered {line['status']}", asked, line["sent"], number))
    return found


def _within(start: float, seconds: float, end: float) -> float:
    return min(start + seconds, end)


def _upstreams(line: dict[str, Any]) -> list[dict[str, Any]]:
    """The servers that nginx asked, in turn, from `a, b` and `0.001, 0.002`."""
    asked = [one for one in line["upstream"].replace(" : ", ", ").split(", ") if one and one != "-"]
    columns = {key: line[name].replace(" : ", ", ").split(", ") for key, name in COLUMNS.items()}
    return [
        {
            "to": to,
            "connect": _number(columns["connect"], index),
            "header": _number(columns["header"], index),
            "response": _number(columns["response"], index),
            "status": columns["status"][index] if index < len(columns["status"]) else "",
        }
        for index, to in enumerate(asked)
    ]


COLUMNS = {"connect": "connect", "header": "header", "response": "response", "status": "upstream_status"}


def _number(texts: list[str], index: int) -> float | None:
    try:
        return float(texts[index])
    except (ValueError, IndexError):
        return None
