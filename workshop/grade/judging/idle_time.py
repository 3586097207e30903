"""How much of this machine's processors nobody has used: whether what was late was in somebody's way."""

from __future__ import annotations

import os
import time
from pathlib import Path

STAT = Path("/proc/stat")


class IdleTime:
    """Since this was made."""

    def __init__(self) -> None:
        self._began, self._before = time.monotonic(), _idle()

    def seconds(self) -> float:
        """Of all processors together; 0.0 where nobody can tell."""
        return _idle() - self._before

    def others(self, own: float) -> float:
        """What share of all processors' time others had, where a program had `own` seconds of it.

        From 0.0, also where nobody can tell, to 1.0.
        """
        whole = (os.cpu_count() or 1) * (time.monotonic() - self._began)
        return max(0.0, (whole - self.seconds() - own) / whole) if whole and STAT.exists() else 0.0


def _idle() -> float:
    try:
        words = STAT.read_text(encoding="utf-8").split()
        return (int(words[4]) + int(words[5])) / os.sysconf("SC_CLK_TCK")  # idle, and waiting for a disk
    except (OSError, ValueError, IndexError):
        return 0.0
