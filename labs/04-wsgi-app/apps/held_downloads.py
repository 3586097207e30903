"""Downloads of /tasks.csv that hold their places while two more ask for one: how many there are at one time.

    app = Downloads(application, 3)     # POST /tasks also opens three downloads, each in a thread of its own
    GET /tasks.csv                      # in a traced thread: read to its end and closed, as a server does it
    GET /tasks.csv                      # in another thread: one line; closed when the traced one is over
    GET /places                         # closes the three: were there too many at one time, too few later?

`every_interleaving` stops the traced one before each of its steps, and lets the other one come.
"""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from call_in_steps import Alone, Visit, environ_for

PATH = "/tasks.csv"
PATIENCE = 2.0  # seconds


class Downloads:
    """The application, with `open_before` downloads under way; it has `places` of them."""

    def __init__(self, app: Callable[..., Iterable[bytes]], open_before: int, places: int) -> None:
        self._app, self._open_before, self._places = app, open_before, places
        self._before: list[Alone] = []
        self._lock, self._over = threading.Lock(), threading.Event()
        self._open = self._most = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/places":
            return self._counted(start_response)
        if environ["PATH_INFO"] == PATH:
            return self._download(environ, start_response)
        body = self._app(environ, start_response)
        if environ["REQUEST_METHOD"] == "POST":
            self._begin()
        return body

    def _begin(self) -> None:
        self._end()
        self._over.clear()
        self._before = self._opened(self._open_before)
        self._open = self._most = len(self._before)

    def _end(self) -> None:
        for one in self._before:
            one.close()
        self._before = []

    def _opened(self, count: int) -> list[Alone]:
        """Of so many downloads those that were not refused; one line of each is read."""
        opened = [Alone(self._app, environ_for("GET", PATH)) for _ in range(count)]
        lines = [b"".join(one.take(1)) for one in opened]
        for one, line in zip(opened, lines, strict=True):
            if b'"error"' in line:
                one.close()
        return [one for one, line in zip(opened, lines, strict=True) if b'"error"' not in line]

    def _download(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        traced = sys.gettrace() is not None
        visit = Visit(self._app, environ)
        line = b"".join(visit.take(1))
        given = visit.status.startswith("200")
        self._count(given)
        if not traced:
            self._over.wait(PATIENCE)
        self._count(-given)
        visit.take()
        visit.close()
        if traced:
            self._over.set()
        start_response(visit.status, visit.headers)
        return [line]

    def _count(self, more: int) -> None:
        with self._lock:
            self._open += more
            self._most = max(self._most, self._open)

    def _counted(self, start_response: Any) -> Iterable[bytes]:
        """Words, not numbers: reports that differ in numbers only are taken for the same one."""
        self._end()
        free = self._opened(self._places + 1)
        for one in free:
            one.close()
        found = {"too many": self._most > self._places, "lost": len(free) < self._places}
        found["made up"] = len(free) > self._places
        start_response("200 OK", [])
        return [json.dumps(found).encode()]
