"""What one locust process has measured and noted: series, faults, and what `saw` was told."""

from __future__ import annotations

import os
import time
from collections import Counter, defaultdict
from typing import Any

YOURS = "yours"
REFERENCE = "reference"
FRONTS = {
    YOURS: os.environ.get("FAIR_YOURS", "http://127.0.0.1:8000"),
    REFERENCE: os.environ.get("FAIR_REFERENCE", "http://127.0.0.1:8001"),
}
BLOCK_SECONDS = 0.5
SHOWN = 120
KINDS = 200  # of faults that are told apart


class Series:
    """The requests of one side and one way: how many, how long, and when (in blocks of half a second)."""

    def __init__(self) -> None:
        self.requests = self.failed = 0
        self.milliseconds = 0.0
        self.blocks: dict[int, list[float]] = {}

    def add(self, milliseconds: float, failed: bool) -> None:
        self.failed += failed
        self.requests += 1
        self.milliseconds += milliseconds
        block = self.blocks.setdefault(int(time.time() / BLOCK_SECONDS), [0, 0.0])
        block[0] += 1
        block[1] += milliseconds

    def plain(self) -> dict[str, Any]:
        return {
            "requests": self.requests,
            "failed": self.failed,
            "milliseconds": self.milliseconds,
            "blocks": sorted([when, *block] for when, block in self.blocks.items()),
        }

    def merge(self, plain: dict[str, Any]) -> None:
        self.requests += plain["requests"]
        self.failed += plain["failed"]
        self.milliseconds += plain["milliseconds"]
        for when, requests, milliseconds in plain["blocks"]:
            block = self.blocks.setdefault(int(when), [0, 0.0])
            block[0] += requests
            block[1] += milliseconds


class Measurements:
    """Everything that one locust process has noted: series, faults, and what `saw` was told."""

    def __init__(self) -> None:
        self.series: dict[tuple[str, str], Series] = defaultdict(Series)
        self.faults: dict[str, Counter[str]] = {side: Counter() for side in FRONTS}
        self.examples: dict[str, dict[str, str]] = {side: {} for side in FRONTS}
        self.saw: dict[str, dict[str, Counter[str]]] = {side: defaultdict(Counter) for side in FRONTS}

    def fault(self, side: str, kind: str, example: str = "") -> None:
        """Count a fault; the first example of its kind is kept."""
        kind = kind[:SHOWN]
        if kind not in self.faults[side] and len(self.faults[side]) >= KINDS:
            kind = "other faults"
        self.faults[side][kind] += 1
        if example:
            self.examples[side].setdefault(kind, example)

    def plain(self) -> dict[str, Any]:
        return {
            "examples": self.examples,
            "series": [{"side": side, "way": way, **one.plain()} for (side, way), one in self.series.items()],
            "faults": {side: dict(faults) for side, faults in self.faults.items()},
            "saw": {
                side: {word: dict(seen) for word, seen in words.items()} for side, words in self.saw.items()
            },
        }

    def merge(self, plain: dict[str, Any]) -> None:
        for one in plain["series"]:
            self.series[one["side"], one["way"]].merge(one)
        for side in FRONTS:
            self.faults[side].update(plain["faults"][side])
            self.examples[side] = {**plain["examples"][side], **self.examples[side]}
            for word, seen in plain["saw"][side].items():
                self.saw[side][word].update(seen)
