"""The two parts of the proof: what `make test` proves, and what it leaves to `make proof`.

A test that is marked `whole("what it is")` is left. Of those that are marked `one_of("what they are", group)`
one of each group is drawn for `make test`; the others are left. Both parts draw with the same seed, that of
the commit or $SEED: nothing is done twice, and nothing is left out.
"""

from __future__ import annotations

import os
import random
import subprocess
import zlib
from collections import Counter, defaultdict

import pytest

from workshop.paths import ROOT


def seed() -> str:
    """What is drawn with: $SEED, or the commit, so that `make test` and `make proof` agree."""
    if given := os.environ.get("SEED"):
        return given
    words = ["git", "rev-parse", "--short=8", "HEAD"]
    try:
        said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    except OSError:
        said = ""
    return said.strip() or "0"


def draw(items: list[pytest.Item], drawn_with: str) -> Counter[str]:
    """Mark what is left to the whole proof; how much that is, by what it is."""
    groups: dict[tuple[str, str], list[pytest.Item]] = defaultdict(list)
    for item in items:
        mark = item.get_closest_marker("one_of")
        if mark is not None:
            groups[mark.args].append(item)
    for (what, group), members in groups.items():
        drawn = random.Random(f"{drawn_with}:{what}:{group}").choice(members)
        for item in members:
            if item is not drawn:
                item.add_marker(pytest.mark.whole(what))
    marks = (item.get_closest_marker("whole") for item in items)
    return Counter(mark.args[0] for mark in marks if mark is not None)


def share(items: list[pytest.Item], drawn_with: str, one_in: int) -> list[pytest.Item]:
    """`items`, and of those that are left to the whole proof one in `one_in`, by the seed."""
    return [
        item
        for item in items
        if item.get_closest_marker("whole") is None
        or zlib.crc32(f"{drawn_with}:{item.nodeid}".encode()) % one_in == 0
    ]


def summary(count: int, seconds: float, left: dict[str, int], drawn_with: str, markers: str) -> list[str]:
    """How much was proven, how long it took, and what is left."""
    times = os.times()
    used = times.user + times.system + times.children_user + times.children_system
    lines = [f"{count:,} tests in {spoken(seconds)}; {used:.0f} s of processor time"]
    if markers == "not whole":
        parts = ", ".join(
            f"{number} {what}" for what, number in sorted(left.items(), key=lambda one: -one[1])
        )
        lines.append(f"left to `make proof`: {sum(left.values()):,} tests ({parts})")
    lines.append(f"the samples were drawn with SEED={drawn_with}")
    return lines


def spoken(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"
