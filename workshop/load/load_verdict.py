"""What a load run says: pure functions from what was measured to PASS, FAIL or INCONCLUSIVE.

Nothing here is compared with a number of milliseconds. What failed, what was lost and what ran at once are
facts. How fast is a ratio of two means of the same run, whose visitors went to both sides in turn; its range
comes from the run itself (a jackknife over blocks of half a second), so that noise is not taken for a fault.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from workshop.labs import Load

YOURS, REFERENCE = "yours", "reference"
FEW_BLOCKS = 4
CROWDED = 8.0
LATE = re.compile(r"no (whole )?answer|nginx wrote it")  # faults that a crowded machine may cause


class LoadVerdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"


@dataclass(frozen=True)
class Series:
    """The requests of one side and one way. `blocks`: (when in half seconds, requests, milliseconds)."""

    side: str
    way: str
    requests: int
    failed: int
    milliseconds: float
    blocks: tuple[tuple[int, int, float], ...] = ()

    @property
    def mean(self) -> float:
        """In milliseconds; not a number when there were no requests."""
        return self.milliseconds / self.requests if self.requests else math.nan


@dataclass(frozen=True)
class FactResult:
    title: str
    side: str
    instead: str


@dataclass(frozen=True)
class Limit:
    """On your side, the mean of one way is at most `ratio` times that of another."""

    way: str
    ratio: float
    other: str


@dataclass(frozen=True)
class Run:
    """One run of locust. `crowding`: how much longer work took than the processor time it needed."""

    ways: tuple[str, ...]
    series: tuple[Series, ...]
    faults: dict[str, dict[str, int]] = field(default_factory=dict)
    facts: tuple[FactResult, ...] = ()
    limits: tuple[Limit, ...] = ()
    crowding: float = 1.0

    def find(self, side: str, way: str) -> Series:
        none = Series(side, way, 0, 0, 0.0)
        return next((one for one in self.series if (one.side, one.way) == (side, way)), none)

    def completed(self, side: str) -> int:
        return sum(one.requests - one.failed for one in self.series if one.side == side)


def read(result: dict[str, Any], crowding: float) -> Run:
    """The run that services/load/two_sides.py wrote down."""
    found = [
        Series(
            one["side"],
            one["way"],
            one["requests"],
            one["failed"],
            one["milliseconds"],
            tuple((int(when), int(requests), ms) for when, requests, ms in one["blocks"]),
        )
        for one in result["series"]
    ]
    return Run(
        tuple(result["ways"]),
        tuple(found),
        result["faults"],
        tuple(FactResult(**one) for one in result["facts"]),
        tuple(Limit(**one) for one in result["limits"]),
        crowding,
    )


@dataclass(frozen=True)
class Ratio:
    """How two means relate, `one` over the `other`: the value, the range it may have by chance, its limit."""

    one: str
    other: str
    value: float
    low: float
    high: float
    limit: float

    @property
    def is_over(self) -> bool:
        return not self.value <= self.limit

    @property
    def is_clearly_over(self) -> bool:
        return self.low > self.limit

    @property
    def is_clearly_within(self) -> bool:
        return self.high <= self.limit


def compare(one: Series, other: Series, limit: float) -> Ratio | None:
    """The ratio of two means with its range; None when one of them has no requests."""
    if not one.requests or not other.requests or not other.milliseconds:
        return None
    names = (one.side, other.side) if one.way == other.way else (one.way, other.way)
    if one.way == other.way and one.way:
        names = (f"{one.way}, {one.side}", other.side)
    value = one.mean / other.mean
    left_out = list(_without_each_block(one, other))
    if len(left_out) < FEW_BLOCKS:
        return Ratio(*names, value, 0.0, math.inf, limit)
    middle = sum(left_out) / len(left_out)
    spread = sum((each - middle) ** 2 for each in left_out) * (len(left_out) - 1) / len(left_out)
    error = 2 * math.sqrt(spread)
    return Ratio(*names, value, max(0.0, value - error), value + error, limit)


def _without_each_block(one: Series, other: Series) -> list[float]:
    ours, theirs = ({when: rest for when, *rest in side.blocks} for side in (one, other))
    found = []
    for when in sorted(ours.keys() | theirs.keys()):
        requests, ms = ours.get(when, [0, 0.0])
        other_requests, other_ms = theirs.get(when, [0, 0.0])
        if one.requests > requests and other.requests > other_requests and other.milliseconds > other_ms:
            mean = (one.milliseconds - ms) / (one.requests - requests)
            found.append(mean / ((other.milliseconds - other_ms) / (other.requests - other_requests)))
    return found


def ratios(run: Run, load: Load) -> list[Ratio]:
    """Every ratio that a run is judged by."""
    beside = [compare(run.find(YOURS, way), run.find(REFERENCE, way), load.ratio) for way in run.ways]
    between = [
        compare(run.find(YOURS, limit.way), run.find(YOURS, limit.other), limit.ratio) for limit in run.limits
    ]
    return [ratio for ratio in [*beside, *between] if ratio is not None]


@dataclass(frozen=True)
class Outcome:
    verdict: LoadVerdict
    reasons: tuple[str, ...]


def judge(runs: Sequence[Run], load: Load) -> Outcome:
    """The verdict. A second run is there when the first one's ratio was over: then its ratio counts."""
    run = runs[-1]
    inconclusive = LoadVerdict.INCONCLUSIVE
    of_reference = broken(run, REFERENCE)
    if of_reference and not is_to_blame(run):
        said = "The reference had trouble in the same run, so this says nothing about your code"
        return Outcome(inconclusive, (f"{said}: {of_reference[0]}",))
    of_yours = broken(run, YOURS)
    if of_yours:
        return Outcome(LoadVerdict.FAIL, tuple(of_yours))
    if not run.completed(YOURS):
        return Outcome(inconclusive, ("Not one request was completed.",))
    if run.crowding > CROWDED:
        return Outcome(inconclusive, (_crowded(run.crowding),))
    over = [ratio for ratio in ratios(run, load) if ratio.is_over]
    if over:
        verdict = LoadVerdict.FAIL if any(ratio.is_clearly_over for ratio in over) else inconclusive
        return Outcome(verdict, tuple(_over(ratio, len(runs)) for ratio in over))
    if run.completed(YOURS) < load.at_least:
        few = f"Only {run.completed(YOURS)} requests were completed; {load.at_least} are needed to tell."
        return Outcome(inconclusive, (few,))
    return Outcome(LoadVerdict.PASS, ())


def is_to_blame(run: Run) -> bool:
    """Whether your side failed, and what the reference lacked may come of that: no way out of a verdict.

    Visitors that wait for one side come less often to the other, where then less runs at once; and a flood of
    bytes makes everybody late. The reference's own faults, if any, are late answers, and yours are others.
    """
    yours, theirs = (run.faults.get(side, {}) for side in (YOURS, REFERENCE))
    if not theirs:
        return bool(yours)
    return not all(map(LATE.search, yours)) and all(map(LATE.search, theirs))


def is_worth_repeating(run: Run, load: Load) -> bool:
    """Whether only a ratio stands between a run and PASS."""
    outcome = judge([run], load)
    return (
        outcome.verdict is not LoadVerdict.PASS
        and not broken(run, YOURS)
        and not broken(run, REFERENCE)
        and run.crowding <= CROWDED
        and any(ratio.is_over for ratio in ratios(run, load))
    )


def broken(run: Run, side: str) -> list[str]:
    """What failed on a side and which facts do not hold there, the most frequent first."""
    faults = sorted(run.faults.get(side, {}).items(), key=lambda item: -item[1])
    said = [f"{times} × {fault}" for fault, times in faults]
    return said + [
        f"{fact.title}: {fact.instead}" for fact in run.facts if fact.side == side and fact.instead
    ]


def _over(ratio: Ratio, times: int) -> str:
    said = f"{ratio.one} takes {ratio.value:.1f} times as long as {_the(ratio.other)}"
    unsure = "" if ratio.is_clearly_over else ", and chance may explain it"
    again = " (measured twice)" if times > 1 else ""
    return f"{said}; the limit is {ratio.limit:g}{unsure}{again}."


def _crowded(crowding: float) -> str:
    return (
        f"This machine is busy with something else: work took {crowding:.1f} times as long as the processor "
        "time it needed. End what else is running, then run it again."
    )


def _the(name: str) -> str:
    return f"the {name}" if name == REFERENCE else name
