"""`make catch-up LAB=5`: at the start of a lab, whatever became of those before it; no work is touched."""

from __future__ import annotations

from pathlib import Path

from workshop.labs import Lab, all_labs
from workshop.last_verdicts import PASSED, standing_of
from workshop.learn.starter_and_solution import bring_back, starter
from workshop.run import layers_in_use


def catch_up(lab: Lab) -> list[str]:
    """Have a lab ready to begin with. Lines that say whose files are there, and what it runs on.

    A file that is gone comes back as the starter's. What somebody has begun stays.
    """
    back = bring_back(lab)
    head = f"lab {lab.number} · {lab.title}: {lab.minutes} min, edit {' '.join(lab.edit)}"
    lines = [head, f"labs/{lab.name}: {_whose(lab, back)}"]
    lent = (
        layers_in_use.table(lab, lab.folder) if lab.yours else [f"  {name}  the reference" for name in lab.on]
    )
    if lent:
        lines += ["It runs on", *lent]
    lines += _earlier(lab)
    return [*lines, f"Next: make lab-{lab.number}"]


def _whose(lab: Lab, back: list[str]) -> str:
    if back:
        return f"{', '.join(back)} was gone, and is the starter's again"
    if all(_same(lab.folder / name, starter(lab) / name) for name in lab.edit):
        return "the starter"
    return (
        f"your own work, as you left it (`make reset-{lab.number}` brings the starter, and keeps your work)"
    )


def _same(one: Path, other: Path) -> bool:
    return one.read_bytes() == other.read_bytes()


def _earlier(lab: Lab) -> list[str]:
    """Which labs before this one are open. None of them is needed for it."""
    opened = [one for one in all_labs() if one.number < lab.number and standing_of(one) != PASSED]
    if not opened:
        return []
    which = f"Lab {opened[0].number} is" if len(opened) == 1 else f"{len(opened)} labs before it are"
    return [
        f"{which} not passed yet. Your files there stay as they are; lab {lab.number} does not need them."
    ]
