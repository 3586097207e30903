"""What a service spends while nobody asks it: all along is not the same as once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workshop.judge.processor_time import ProcessorTime
from workshop.judge.stack import EMBEDDED, Address, Stack
from workshop.labs import find

PARENT, CHILD, NEW = 11, 12, 13


class Told(Stack):
    """A stack whose agent says these ticks, look by look."""

    looks: Iterator[dict[int, int]]

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        ticks = next(self.looks)
        return {"pids": list(ticks), "ticks": list(ticks.values())}


@pytest.fixture(name="clock")
def clock_fixture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look comes a second after the one before."""
    seconds = iter(range(100))
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    monkeypatch.setattr(time, "sleep", lambda _: None)


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("looks", "pid", "spent"),
    [
        ([{PARENT: 5}, {PARENT: 12}], None, False),
        ([{PARENT: 5}, {PARENT: 60}, {PARENT: 62}], None, False),
        ([{PARENT: 5}, {PARENT: 60}, {PARENT: 100}], None, True),
        ([{PARENT: 5, CHILD: 0}, {PARENT: 6, CHILD: 90}], PARENT, False),
        ([{PARENT: 5, CHILD: 0}, {PARENT: 6, CHILD: 90}, {CHILD: 170}], None, True),
        ([{PARENT: 5}, {PARENT: 6, NEW: 90}], None, False),
        ([{}, {}], None, False),
    ],
    ids=["it waits", "once", "all along", "its child", "any of them", "since it began", "nobody can tell"],
)
def test_it_spins_or_it_waits(looks: list[dict[int, int]], pid: int | None, spent: bool) -> None:
    stack = Told(find("5"), "starter", EMBEDDED, Path(), Address("127.0.0.1", 15001), "")
    stack.looks = iter(looks)
    assert ProcessorTime(stack, "patient", pid).is_spent() is spent
