"""Starter and solution put in place, with the learner's work kept: nothing is ever lost."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from workshop.errors import Refusal
from workshop.labs import Lab
from workshop.paths import ROOT, SOLUTIONS, STATE


def starter(lab: Lab) -> Path:
    return lab.folder / ".starter"


def reset(lab: Lab) -> str:
    """Put the starter back; what was there goes to the attic. The line to say."""
    return _put(lab, starter(lab), "the starter")


def apply_solution(lab: Lab) -> str:
    """Put the solution into the learner's folder; what was there goes to the attic."""
    return _put(lab, SOLUTIONS / lab.name, "the solution")


def _put(lab: Lab, source: Path, what: str) -> str:
    if all(_same(source / name, lab.folder / name) for name in lab.edit):
        return f"labs/{lab.name} already is {what}: nothing changed."
    kept = keep(lab)
    for name in lab.edit:
        # A draft beside it and a rename: a full disk leaves the old file whole.
        draft = lab.folder / f".{name}.new"
        draft.write_bytes((source / name).read_bytes())
        draft.replace(lab.folder / name)
    where = f" Your work is in {kept.relative_to(ROOT)}." if kept else ""
    return (
        f"labs/{lab.name} is {what} again.{where}" if what == "the starter" else f"{what}: in place.{where}"
    )


def keep(lab: Lab) -> Path | None:
    """Copy the learner's files to the attic; where they are now, or None when there are none."""
    present = [lab.folder / name for name in lab.edit if (lab.folder / name).exists()]
    if not present:
        return None
    folder = STATE / "attic" / lab.name / time.strftime("%Y-%m-%dT%H-%M-%S")
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{time.strftime('%Y-%m-%dT%H-%M-%S')}-{number}")
    folder.mkdir(parents=True)
    for path in present:
        shutil.copy2(path, folder / path.name)
        if not _same(path, folder / path.name):
            raise Refusal(f"{path} could not be kept in {folder}: nothing was changed.")
    return folder


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.read_bytes() == other.read_bytes()
