"""What nginx logs of each request, as long as somebody wants to see it: the last ones, and never on a disk.

nginx sends each line as a datagram to a Unix socket in the run's folder (its `access_log syslog:`), once a
request has ended. Times are nginx's own: seconds with three digits.
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections import deque
from pathlib import Path
from typing import Any

SOCKET = "nginx-log.sock"
KEPT = 2000  # requests
DATAGRAM = 1 << 16


class NginxLog:
    """The requests that nginx has logged, as dictionaries; their keys are in services/nginx/log_format.j2."""

    def __init__(self, run: Path) -> None:
        path = run / SOCKET
        path.unlink(missing_ok=True)
        self.lines: deque[dict[str, Any]] = deque(maxlen=KEPT)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        path.chmod(0o666)  # in Docker nginx is another user
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while True:
            with contextlib.suppress(ValueError):
                self.lines.append(parsed(self._socket.recv(DATAGRAM)))

    def since(self, moment: float) -> list[dict[str, Any]]:
        """The requests that ended after a moment of the wall clock."""
        return [line for line in list(self.lines) if line["end"] >= moment]


def parsed(datagram: bytes) -> dict[str, Any]:
    """A request from `<190>Nov 29 02:14:13 nginx: {…}`. Raises ValueError when it is none."""
    found = json.loads(datagram[datagram.index(b"{") :].decode("latin-1"))
    if not isinstance(found, dict) or not isinstance(found.get("end"), float | int):
        raise ValueError("no line of ours")
    return found
