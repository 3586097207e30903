"""Another shape: one pass over the recording, line by line, by something that remembers what it saw."""

from __future__ import annotations

from typing import Any

LAYER = {"inner": "application", "outer": "middleware"}


class Boundary:
    """What went over one boundary so far."""

    def __init__(self, name: str) -> None:
        self.name, self.layer = name, LAYER[name]
        self.starts, self.path, self.body_type = 0, "", ""
        self.promised: int | None = None
        self.sent, self.closed, self.open_line = 0, False, 0


class Reader:
    """Reads a recording; `faults` are (layer, rule, line) as they are met, or suspected."""

    def __init__(self) -> None:
        self.inner, self.outer = Boundary("inner"), Boundary("outer")
        self.faults: list[tuple[str, str, int]] = []
        self.held: list[int] = []  # lines of what the outer side gave, and the inner has not got
        self.waiting, self.lifespan = False, False

    def fault(self, layer: str, rule: str, line: int) -> None:
        self.faults.append((layer, rule, line))

    def event(self, line: int, boundary: str, kind: str, *details: Any) -> None:
        getattr(self, f"on_{kind}")(self.inner if boundary == "inner" else self.outer, line, *details)

    def on_called(self, side: Boundary, line: int, *details: str) -> None:
        side.path = "".join(details[1:])
        self.lifespan = details[0] == "lifespan"
        if side is self.inner and side.path != self.outer.path:
            self.fault("middleware", "path", line)

    def on_start_response(self, side: Boundary, line: int, status: str, headers: Any, kind: Any) -> None:
        side.starts += 1
        if side.starts > 1 and kind is None:
            self.fault(side.layer, "exc_info", line)
        lengths = [int(value) for name, value in headers if name.lower() == "content-length"]
        side.promised = lengths[0] if lengths else None

    def on_returned(self, side: Boundary, line: int, body_type: str = "") -> None:
        side.body_type = body_type

    def on_chunk(self, side: Boundary, line: int, data: bytes) -> None:
        side.sent += len(data)
        if side.promised is not None and side.sent > side.promised:
            self.fault(side.layer, "length", line)
        if side is self.inner and self.waiting:
            self.fault("middleware", "lazy", line)
        self.waiting = side is self.inner

    def on_exhausted(self, side: Boundary, line: int) -> None:
        if side.promised is not None and side.sent < side.promised:
            self.fault(side.layer, "length", line)

    def on_close(self, side: Boundary, line: int) -> None:
        side.closed = True

    def on_receive(self, side: Boundary, line: int, message: Any) -> None:
        if side is self.outer:
            self.held.append(line)
        else:
            self.held = self.held[:-1]

    def on_send(self, side: Boundary, line: int, message: Any) -> None:
        if self.lifespan and not message["type"].startswith("lifespan"):
            self.fault(side.layer, "scope", line)
        side.open_line = line if message.get("more_body") else 0

    def end(self, line: int) -> tuple[str, str, int]:
        """What was wrong first of all; what is missing at the end counts when nothing else was."""
        if self.held:
            self.fault("middleware", "body", self.held[0])
        for side in (self.inner, self.outer):
            if side.open_line:
                self.fault(side.layer, "more_body", side.open_line)
        for side, layer in ((self.outer, "server"), (self.inner, "middleware")):
            if side.body_type not in ("", "list", "tuple") and not side.closed:
                self.fault(layer, "close", line)
        first = [one for one in self.faults if one[0] == "application"] or self.faults
        return first[0] if first else ("nobody", "none", 0)


def finding(events: list[Any]) -> tuple[str, str, int]:
    reader = Reader()
    for line, event in enumerate(events, 1):
        reader.event(line, *event)
    return reader.end(len(events))
