"""What the judge process and a sandbox said to each other, to be read when somebody asks why a check failed.

One line for one event: seconds since the check began, the connection's number and port, and what happened:
`>` bytes that were sent, `<` bytes that came, and open, refused, close, reset, end and the like.

    == test_task2_two_at_once
      0.004  #1 agent   > {"do": "start", "service": "tasks"}\\n
      0.182  #2 8001    open
      0.182  #2 8001    > GET /tasks HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterable
from pathlib import Path
from weakref import WeakKeyDictionary

from workshop.judge.http_wire import Wire
from workshop.run import unix_to_tcp

PIECE_CAP = 2048  # bytes that are kept of one event
CHECK_CAP = 64 * 1024  # characters of one check; what comes after is counted
WHOLE_CAP = 1024 * 1024  # characters of a submission
HEAD = "== "


class Recorder:
    """Writes down what happens on every connection, check by check: an observer of http_wire."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("w", encoding="ascii", buffering=1)  # its process may be ended any time
        self._lock = threading.Lock()
        self._numbers: WeakKeyDictionary[Wire, int] = WeakKeyDictionary()
        self._count = 0
        self._began = time.monotonic()
        self._room, self._whole, self._left_out = CHECK_CAP, WHOLE_CAP, 0

    def begin(self, check: str) -> None:
        """What happens from now on belongs to this check."""
        with self._lock:
            self._end()
            self._began, self._room, self._left_out = time.monotonic(), CHECK_CAP, 0
            self._file.write(f"{HEAD}{check}\n")

    def close(self) -> None:
        with self._lock:
            self._end()
            self._file.close()

    def __call__(self, connection: Wire, what: str, data: bytes) -> None:
        with self._lock:
            if connection not in self._numbers:
                self._count += 1
                self._numbers[connection] = self._count
            number = self._numbers[connection]
            where = "agent" if connection.port == unix_to_tcp.AGENT else str(connection.port)
            more = f" ... {len(data) - PIECE_CAP} bytes more" if len(data) > PIECE_CAP else ""
            said = f" {shown(data[:PIECE_CAP])}{more}" if data else ""
            line = f"{time.monotonic() - self._began:7.3f}  #{number:<3} {where:<6} {what}{said}\n"
            if len(line) > min(self._room, self._whole):
                self._left_out += 1
                return
            self._room, self._whole = self._room - len(line), self._whole - len(line)
            self._file.write(line)

    def _end(self) -> None:
        if self._left_out:
            self._file.write(f"         {self._left_out} events more\n")


def shown(data: bytes) -> str:
    """Bytes as one line of ASCII, as Python writes them between quotes."""
    return repr(data)[2:-1]


def without(text: str, checks: Iterable[str]) -> str:
    """A transcript less what belongs to these checks."""
    hidden = set(checks)
    parts = re.split(rf"(?m)^(?={HEAD})", text)
    return "".join(part for part in parts if part.split("\n", 1)[0].removeprefix(HEAD) not in hidden)
