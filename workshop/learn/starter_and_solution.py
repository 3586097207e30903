"""Starter and solution put in place, with the learner's work kept: nothing is ever lost."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

from workshop.errors import Refusal
from workshop.labs import Lab, all_labs
from workshop.paths import ROOT, SOLUTIONS, STATE

ATTIC = STATE / "attic"


def starter(lab: Lab) -> Path:
    return lab.folder / ".starter"


def reset(lab: Lab) -> str:
    """Put the starter back; what was there goes to the attic. The line to say."""
    return _put(lab, starter(lab), "the starter")


def apply_solution(lab: Lab) -> str:
    """Put the solution into the learner's folder; what was there goes to the attic."""
    return _put(lab, SOLUTIONS / lab.name, "the solution")


def bring_back(lab: Lab) -> list[str]:
    """Put the starter's files where the learner's are gone; the names of those."""
    gone = [name for name in lab.edit if not (lab.folder / name).exists()]
    for name in gone:
        _replace(lab.folder / name, (starter(lab) / name).read_bytes())
    return gone


def kept_work(lab: Lab) -> list[Path]:
    """What is kept of a lab, the latest first."""
    folder = ATTIC / lab.name
    return sorted(folder.iterdir(), key=_when, reverse=True) if folder.is_dir() else []


def _when(kept: Path) -> tuple[str, int]:
    stamp, _, number = kept.name.partition("_")
    return stamp, int(number) if number.isdigit() else 1


def restore(lab: Lab, name: str | None = None) -> str:
    """Bring work back: what `name` names, or the latest that is a learner's own. The line to say.

    What is in its place goes to the attic.
    """
    there = kept_work(lab)
    chosen = (
        [one for one in there if one.name == name] if name else [one for one in there if _is_work(lab, one)]
    )
    if not chosen:
        known = f"It has {', '.join(one.name for one in there)}." if there else "It has nothing of this lab."
        raise Refusal(f"The attic has no {name or 'other work'} of lab {lab.number}. {known}")
    now = keep(lab)
    for path in chosen[0].iterdir():
        _replace(lab.folder / path.name, path.read_bytes())
    before = f" What was there is in {now.relative_to(ROOT)}." if now else ""
    return f"labs/{lab.name} is the work of {chosen[0].name} again.{before}"


def _is_work(lab: Lab, kept: Path) -> bool:
    """Whether it is a learner's own, and not what is in place already."""
    others = (lab.folder, starter(lab), SOLUTIONS / lab.name)
    names = [path.name for path in kept.iterdir()]
    return not any(all(_same(kept / name, other / name) for name in names) for other in others)


def _replace(path: Path, data: bytes) -> None:
    """A draft beside it and a rename: a full disk leaves the old file whole."""
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(data)
    draft.replace(path)


def listing() -> list[str]:
    """What the attic has, a line each: the lab, when it was kept, and what of."""
    lines = []
    for lab in all_labs():
        for kept in kept_work(lab):
            files = ", ".join(_described(path) for path in sorted(kept.iterdir()))
            lines.append(f"lab {lab.number:<3} {kept.name}   {files}")
    if not lines:
        return ["Nothing is kept: `make reset-N`, `make restore-N` and FROM=solution put work there."]
    return [*lines, "", 'The latest comes back with `make restore-N`, another one with ARGS="--kept NAME".']


def _described(path: Path) -> str:
    return f"{path.name} ({len(path.read_bytes().splitlines())} lines)"


def _put(lab: Lab, source: Path, what: str) -> str:
    if all(_same(source / name, lab.folder / name) for name in lab.edit):
        return f"labs/{lab.name} already is {what}: nothing changed."
    kept = keep(lab)
    for name in lab.edit:
        _replace(lab.folder / name, (source / name).read_bytes())
    where = f" Your work is in {kept.relative_to(ROOT)}." if kept else ""
    return (
        f"labs/{lab.name} is {what} again.{where}" if what == "the starter" else f"{what}: in place.{where}"
    )


def keep(lab: Lab) -> Path | None:
    """Copy the learner's files to the attic; where they are now, or None when there are none."""
    present = [lab.folder / name for name in lab.edit if (lab.folder / name).exists()]
    if not present:
        return None
    folder = ATTIC / lab.name / time.strftime("%Y-%m-%dT%H-%M-%S")
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{time.strftime('%Y-%m-%dT%H-%M-%S')}_{number}")
    folder.mkdir(parents=True)
    for path in present:
        shutil.copy2(path, folder / path.name)
        if not _same(path, folder / path.name):
            raise Refusal(f"{path} could not be kept in {folder}: nothing was changed.")
    return folder


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.read_bytes() == other.read_bytes()
