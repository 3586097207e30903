"""Whose layer is in use: a lab may run on a learner's own earlier labs, where their whole check passed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from workshop.errors import Refusal
from workshop.labs import Lab, load
from workshop.last_verdicts import PASSED, standing_of
from workshop.paths import LABS, SOLUTIONS


@dataclass(frozen=True)
class Layer:
    """An earlier lab: the folders of both, and how the learner's own stands ("passed", or why not)."""

    lab: str
    title: str
    yours: str
    reference: str
    standing: str

    @property
    def is_yours(self) -> bool:
        return self.standing == PASSED


def layers(lab: Lab, folder: Path) -> list[Layer]:
    """The labs that `lab` runs on. Only the learner's own folder of it runs on the learner's own labs."""
    found = []
    for name in lab.on:
        try:
            earlier = load(LABS / name)
        except Refusal:  # a sandbox has the references alone
            found.append(Layer(name, name, "", str(SOLUTIONS / name), "not here"))
            continue
        own = folder.resolve() == lab.folder
        standing = standing_of(earlier) if own else "yours are for your own folder"
        found.append(Layer(name, earlier.title, str(earlier.folder), str(SOLUTIONS / name), standing))
    return found


def as_text(lab: Lab, folder: Path) -> str:
    """The same as JSON, for the process that puts the layers together."""
    return json.dumps([asdict(one) for one in layers(lab, folder)])


def table(lab: Lab, folder: Path) -> list[str]:
    """Which layer is whose, a line each, for the start of a run."""
    rows = [
        (one.lab, "yours" if one.is_yours else f"the reference ({one.standing})")
        for one in layers(lab, folder)
    ]
    width = max((len(name) for name, _ in rows), default=0)
    return [f"  {name:<{width}}  {whose}" for name, whose in rows]
