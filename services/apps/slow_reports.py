"""A library that blocks: it writes reports, and takes its time in the thread that calls it.

It stands for every library that knows nothing of an event loop: a database driver, an SDK, a PDF writer.
It counts its own calls, so that an application can say how many run, and how many ever ran at once.
"""

from __future__ import annotations

import threading
import time
from typing import Any

LONGEST = 5.0

running = 0
most = 0
_lock = threading.Lock()


def render(tasks: list[dict[str, Any]], seconds: float = 0.2) -> str:
    """A report of the tasks as text, after `seconds` (0 to LONGEST) asleep in the thread that calls."""
    global running, most
    with _lock:
        running += 1
        most = max(most, running)
    try:
        time.sleep(max(0.0, min(seconds, LONGEST)))
        done = sum(bool(task["done"]) for task in tasks)
        return f"{len(tasks)} tasks, {done} done\n"
    finally:
        with _lock:
            running -= 1
