"""What a service spends while nobody asks it: all along is not the same as once."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from workshop.judge.processor_time import ProcessorTime
from workshop.judge.stack import EMBEDDED, Address, Stack
from workshop.labs import find
from workshop.run import process

PARENT, CHILD, NEW = 11, 12, 13


class Told(Stack):
    """A stack whose agent says these ticks, look by look, and this number of waits more each time."""

    looks: Iterator[dict[int, int]]
    waits: int = 10
    looked: int = 0

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        ticks = next(self.looks)
        self.looked += 1
        waits = [self.looked * self.waits] * len(ticks)
        return {"pids": list(ticks), "ticks": list(ticks.values()), "waits": waits}


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


@pytest.mark.usefixtures("clock")
@pytest.mark.parametrize(
    ("looks", "waits", "spent"),
    [
        ([5, 13, 16, 19, 22, 25], 0, True),
        ([5, 13, 16, 19, 22, 25], 1, True),
        ([5, 13], 10, False),
        ([5, 13, 13], 0, False),
        ([5, 13, 14], 1, False),
        ([5, 6], 0, False),
        ([5, 13, *range(14, 26)], 0, True),
        ([5, 7, *[8] * 12], 0, False),
    ],
    ids=[
        "never",
        "hardly ever",
        "looks around",
        "once",
        "waits again",
        "once a tick",
        "starved",
        "next to none",
    ],
)
def test_who_gets_little_of_a_processor_spins_if_it_never_waits(
    looks: list[int], waits: int, spent: bool
) -> None:
    stack = Told(find("5"), "starter", EMBEDDED, Path(), Address("127.0.0.1", 15001), "")
    stack.looks, stack.waits = iter([{PARENT: ticks} for ticks in looks]), waits
    assert ProcessorTime(stack, "patient").is_spent() is spent


def test_a_process_that_spins_never_waits() -> None:
    """What the kernel counts, of two real processes: one looks around, and one runs on."""
    with started("import time\nwhile True: time.sleep(0.01)") as looks, started("while True: pass") as spins:
        before = [(process.cpu_ticks([pid]), process.waits(pid)) for pid in (looks, spins)]
        while process.cpu_ticks([spins]) < before[1][0] + 20 or process.waits(looks) < before[0][1] + 5:
            time.sleep(0.01)
        after = [(process.cpu_ticks([pid]), process.waits(pid)) for pid in (looks, spins)]
    (looked, waited), (span, rested) = (
        (new[0] - old[0], new[1] - old[1]) for new, old in zip(after, before, strict=True)
    )
    assert looked < waited
    assert rested < span


@contextlib.contextmanager
def started(source: str) -> Iterator[int]:
    """The pid of a Python process that has begun with this."""
    with subprocess.Popen(
        [sys.executable, "-c", f"print(flush=True)\n{source}"], stdout=subprocess.PIPE
    ) as running:
        assert running.stdout is not None
        running.stdout.readline()
        yield running.pid
        running.kill()
