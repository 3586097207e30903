"""When a service has nothing left to do: then whatever it was to say or do of itself has been said and done.

A thread that waits for its turn on a busy machine is not at rest: the kernel calls it runnable. So this is
no guess about how fast a machine is, and nobody has to wait out a time that is long enough for all of them.
"""

from __future__ import annotations

import time

from workshop.judge.stack import Stack
from workshop.run.process import PROC

ENOUGH = 0.2  # seconds on end in which all threads wait for something
POLL = 0.02


class Rest:
    """Looks at one service of a stack, from the time that it is made."""

    def __init__(self, stack: Stack, service: str) -> None:
        self._stack, self._service = stack, service
        self._since = time.monotonic()

    def is_long(self) -> bool:
        """Whether, at every look, all threads rested for `ENOUGH` seconds; False where nobody can tell."""
        began = time.monotonic()
        if not self._stack.ask("rest", service=self._service)["at_rest"]:
            self._since = time.monotonic()
        return began > self._since + ENOUGH

    def comes(self, seconds: float) -> bool:
        """Wait for a long rest, at most so many seconds; whether it came."""
        deadline = time.monotonic() + seconds
        while not (rests := self.is_long()) and time.monotonic() < deadline:
            time.sleep(POLL)
        return rests


def is_through(stack: Stack, service: str, seconds: float) -> bool:
    """Wait until all threads of a service wait at one look, at most so long; whether that came.

    What it was woken for before has been done then. Where nobody can tell, nobody waits for it.
    """
    deadline = time.monotonic() + seconds
    while (PROC / "self").exists():
        if stack.ask("rest", service=service)["at_rest"]:
            return True
        if time.monotonic() > deadline:
            break
    return False
