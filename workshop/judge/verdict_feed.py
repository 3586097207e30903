"""Tells the lab page what is being judged, as it happens: one JSON object a line, on a Unix socket.

WORKSHOP_FEED names the socket. Where there is none, or nobody takes what is said, nothing is said any more:
a verdict never waits for a page.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
from typing import Any

ENV = "WORKSHOP_FEED"
SECONDS = 1.0


class Feed:
    def __init__(self, path: str | None = None) -> None:
        self._socket: socket.socket | None = None
        path = os.environ.get(ENV) if path is None else path
        if path:
            with contextlib.suppress(OSError):
                made = socket.socket(socket.AF_UNIX)
                made.settimeout(SECONDS)
                made.connect(path)
                self._socket = made

    def tell(self, **message: Any) -> None:
        if self._socket is None:
            return
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:
            self.close()

    def fileno(self) -> int:
        """A descriptor that can be read when the page says something; -1 without a page."""
        return self._socket.fileno() if self._socket is not None else -1

    def heard(self) -> bytes:
        """What the page says; b"" when it has gone."""
        try:
            return self._socket.recv(4096) if self._socket is not None else b""
        except OSError:
            return b""

    def close(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
