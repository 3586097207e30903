"""How long a check may take while a class is graded: a program that hangs must not hold up all the others.

The lab's own solution says how long each check takes on this machine. In the first pass a check gets twice
that and MORE seconds. What is not through by then has no verdict yet: it is asked again, when all others are.
There it has all of its lab's time, until one check has hung to the end of that: the others are asked once
more, with three times what they take for the solution, and MORE, so that a slow program that hangs once still
gets its other points. On a machine that other work keeps busy, none of that says much: what was not through
there has BUSY times as long, alone.
"""

from __future__ import annotations

import enum
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

MORE = 2.0  # seconds
FIRST, AGAIN = 2.0, 3.0  # times what the solution takes
BUSY = 3  # times all of its lab's time, where the machine has had none for it
ENOUGH = 2  # checks that are not through: the rest of a first pass is not asked
VARIABLE = "WORKSHOP_PATIENCE"


class Time(enum.StrEnum):
    """How much time a check has that is asked alone."""

    ALL = "all"  # that its lab gives
    LESS = "less"  # one of the same program has hung
    MORE = "more"  # the machine is busy with other work


@dataclass
class Patience:
    """`usual`: the solution's seconds by check; empty where nobody knows: then all have all their time.

    `again` is whether this is the second pass; `hung` counts the checks that were not through, and the starts
    that did not end; `times` is how often all of its time a check has; `short` names the checks that had not
    all of their time.
    """

    usual: Mapping[str, float] = field(default_factory=dict)
    again: bool = True
    hung: int = 0
    times: int = 1
    timed_out: bool = False  # a check was not through, here
    short: set[str] = field(default_factory=set)
    _given: dict[str, float] = field(default_factory=dict)
    _began: float = 0.0

    @classmethod
    def of_environment(cls) -> Self:
        return cls(*json.loads(os.environ.get(VARIABLE) or "[]"))

    def told(self) -> str:
        """For the environment of who judges."""
        return json.dumps([dict(self.usual), self.again, self.hung, self.times])

    @classmethod
    def alone(cls, usual: Mapping[str, float], time: Time) -> Self:
        return cls(usual, hung=int(time is Time.LESS), times=BUSY if time is Time.MORE else 1)

    def seconds(self, name: str, whole: float) -> float:
        """The time of a check that begins now, of the `whole` that its lab gives it."""
        self._began = time.monotonic()
        self._given.pop(name, None)
        if name not in self.usual or (self.again and not self.hung) or self.times > 1:
            return whole * self.times
        given = self.usual[name] * (AGAIN if self.again else FIRST) + MORE
        if given < whole:
            self._given[name] = given
        return min(given, whole)

    def forgive(self, seconds: float) -> None:
        """A start took so long: it is not the check's time."""
        self._began += seconds

    def decides(self, name: str, passed: bool) -> bool:
        """Whether a check that has ended is one that was not through, whatever it says itself.

        It is when it came to the end of a time that was not all of its own; in a second pass, only where it
        would pass: less may have been seen in less time. What it says there else is noted as short: on a busy
        machine it is asked once more.
        """
        given = self._given.get(name)
        if given is None or time.monotonic() - self._began < 0.98 * given:
            return False
        if not (self.again and passed):
            self.short.add(name)
        return passed or not self.again

    def note(self, timed_out: bool) -> None:
        """A check was not through, or (`timed_out` is False) a service did not start in time."""
        self.hung += 1
        self.timed_out = self.timed_out or timed_out

    @property
    def is_short_for_starts(self) -> bool:
        """Whether services get less time to start: one has hung already."""
        return bool(self.usual) and bool(self.hung) and self.times == 1

    @property
    def is_enough(self) -> bool:
        """Whether the rest of this pass is better not asked: it is short, too.

        In a second pass that is when the first check has hung: the rest may be asked side by side.
        """
        if not self.usual or self.times > 1:
            return False
        return self.timed_out and self.hung == 1 if self.again else self.hung >= ENOUGH
