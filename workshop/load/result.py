"""A load run's result, as `--json` prints it and as the page of a run shows it."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field
from typing import Any

from workshop.load.load_verdict import (
    Outcome,
    Ratio,
    Run,
)


@dataclass
class LoadResult:
    """A load run as `--json` prints it."""

    lab: int
    name: str
    title: str
    target: str
    mode: str
    users: int
    seconds: int
    outcome: Outcome
    runs: list[Run] = field(default_factory=list)
    ratios: list[Ratio] = field(default_factory=list)
    connections: dict[str, dict[str, int]] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    trace: list[str] = field(default_factory=list)
    report: str = ""

    def as_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        outcome = plain.pop("outcome")
        for ratio in plain["ratios"]:
            ratio["high"] = ratio["high"] if math.isfinite(ratio["high"]) else None
        return {**plain, "verdict": outcome["verdict"], "reasons": outcome["reasons"]}
