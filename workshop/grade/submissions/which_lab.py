"""Which lab a folder of submissions is of, where nobody said so: by what is left in them of its starter."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

from workshop.errors import Refusal
from workshop.grade.submissions.class_roster import Roster
from workshop.grade.submissions.collect import collect
from workshop.labs import Lab, all_labs

LEAST = 0.1  # of a starter's lines, on average
CLEARLY = 2.0  # times as much as of any other lab's


def lab_of(folder: Path) -> Lab:
    """The lab whose starter most of the submissions began with. Raises Refusal when it is not plain."""
    shares = sorted(((share(lab, folder), lab) for lab in all_labs()), key=lambda pair: -pair[0])
    (most, lab), (next_most, other) = shares[:2]
    if most < LEAST:
        raise Refusal(f"Nothing in {folder} looks like a lab's: say which one it is, such as LAB=5.")
    if most < CLEARLY * next_most:
        raise Refusal(f"{folder} may be of lab {lab.number} or of lab {other.number}: say which, LAB=…")
    return lab


def share(lab: Lab, folder: Path) -> float:
    """How much of a lab's starter is in the submissions, on average: 0 for nothing, 1 for every line."""
    starter = {name: lines((lab.folder / ".starter" / name).read_bytes()) for name in lab.edit}
    found = [one.files for one in collect(folder, lab, Roster()) if one.files]
    return (
        fmean(
            fmean(len(its & lines(files.get(name, b""))) / len(its) for name, its in starter.items())
            for files in found
        )
        if found
        else 0.0
    )


def lines(data: bytes) -> set[bytes]:
    """The lines that say something."""
    return {line.strip() for line in data.splitlines() if len(line.strip()) > 3}
