"""How much memory one call takes, as the kernel counts it: that of its fork, and of all that works for it.

The learner's code may start processes, and say that another one is the fork that was called: what was there
before the call counts by what it has grown, the fork by what it has more than the probe that it was forked
from, and any other process by all that it shares with nobody.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from workshop.run import process

PROC = Path("/proc")
LOOK_SECONDS = 0.02  # between two looks, at most
OWN = ("RssAnon:", "RssShmem:")
PRIVATE = ("Private_Clean:", "Private_Dirty:")


class CallMemory:
    """Made before a call, of the probe that forks for it. `look` adds up what there is at this moment.

    Nothing counts before the call has said its first word: until then nobody knows what is to be done.
    """

    def __init__(self, probe: int) -> None:
        self._probe, self._fork, self._has_begun = probe, 0, False
        self._base = read(probe, "status", OWN)
        self._known = {pid: read(pid, "status", OWN) for pid in working_for(probe)} if self._base else {}
        self._before = self._most = 0

    def begin(self, pid: object) -> None:
        """The call's first word: in an honest one, which process its fork is."""
        if self._has_begun:
            return
        self._has_begun = True
        if type(pid) is int and pid not in self._known and process.parent(pid) == self._probe:
            self._fork, self._before = pid, read(pid, "status", ("VmRSS:",))
            self._base = min(self._base, read(pid, "status", OWN))

    def look(self) -> None:
        if self._base and self._has_begun:
            self._most = max(self._most, sum(map(self._taken, working_for(self._probe))))

    def most(self) -> int | None:
        """Bytes at most so far; None where nobody can tell."""
        self.look()
        return self._most if self._base else None

    def _taken(self, pid: int) -> int:
        if pid in self._known:
            return max(0, read(pid, "status", OWN) - self._known[pid])
        if pid == self._fork:
            at_once = read(pid, "status", ("VmHWM:",)) - self._before
            return max(0, at_once, read(pid, "status", OWN) - self._base)
        return read(pid, "smaps_rollup", PRIVATE) or read(pid, "status", OWN)


def working_for(probe: int) -> Iterator[int]:
    """The processes below the probe, and those that it or they have left behind."""
    waiting = [*process.children(probe), *process.left_behind()]
    while waiting:
        pid = waiting.pop()
        waiting += process.children(pid)
        yield pid


def read(pid: int, name: str, fields: tuple[str, ...]) -> int:
    """The sum of some sizes in a process's file, in bytes; 0 where it can't be read."""
    found = 0
    with contextlib.suppress(OSError, ValueError, IndexError):
        descriptor = os.open(f"{PROC}/{pid}/{name}", os.O_RDONLY)
        with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith(fields):
                    found += int(line.split()[1]) << 10
    return found
