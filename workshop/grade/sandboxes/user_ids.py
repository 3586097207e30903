"""User ids for sandboxes: each is held by one grader of a machine at a time, by the name of a socket."""

from __future__ import annotations

import socket
import threading

from workshop.errors import InfraError

FIRST = 61184  # from here on systemd gives ids to services that come and go: no person has one
COUNT = 4096


class Users:
    """The ids of one engine's slots."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ids: dict[int, int] = {}
        self._held: list[socket.socket] = []

    def of(self, slot: int) -> int:
        """The slot's own id: the lowest that was free when it was first asked for."""
        with self._lock:
            if slot not in self._ids:
                self._ids[slot] = self._take()
            return self._ids[slot]

    def close(self) -> None:
        with self._lock:
            self._ids.clear()
            while self._held:
                self._held.pop().close()

    def _take(self) -> int:
        for uid in range(FIRST, FIRST + COUNT):
            if held := hold(uid):
                self._held.append(held)
                return uid
        raise InfraError(f"All of the {COUNT} user ids for sandboxes are taken on this machine.")


def hold(uid: int) -> socket.socket | None:
    """Hold an id on this machine until the socket is closed, or we end. None: somebody else holds it."""
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0workshop-grade-user-{uid}")
    except OSError:
        name.close()
        return None
    return name
