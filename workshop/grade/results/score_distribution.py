"""How the scores of a class are spread: ten bars, as the class's page draws them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median

BARS = 10


@dataclass(frozen=True)
class Bar:
    """Students from `low` to below `high` percent of the points; the last bar has those with all of them."""

    low: int
    high: int
    count: int


@dataclass(frozen=True)
class Distribution:
    bars: list[Bar]
    mean: float
    median: float

    @property
    def most(self) -> int:
        return max(bar.count for bar in self.bars)

    @property
    def words(self) -> str:
        """The same, for those who can't see it."""
        return ", ".join(f"{bar.low} to {bar.high} %: {bar.count}" for bar in self.bars if bar.count)


def distribution(scores: Sequence[tuple[float, float]]) -> Distribution | None:
    """Of scores, each with the points that there were; None when nobody has a score."""
    if not scores:
        return None
    step = 100 // BARS
    places = [min(BARS - 1, max(0, int(BARS * score / of))) if of else 0 for score, of in scores]
    bars = [Bar(step * place, step * (place + 1), places.count(place)) for place in range(BARS)]
    return Distribution(
        bars, round(mean(one for one, _ in scores), 1), round(median(one for one, _ in scores), 1)
    )
