"""The last whole verdict on a learner's own files, a lab each, and the best so far, in .workshop/results."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from workshop.labs import Lab, load
from workshop.paths import LABS, STATE

RESULTS = STATE / "results"
PASSED = "passed"


def last_result(lab: Lab) -> dict[str, Any] | None:
    """The last whole verdict on the learner's own files, as `--json` prints it; None when there is none."""
    try:
        result: dict[str, Any] = json.loads((RESULTS / f"{lab.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return result


def remember(result: dict[str, Any], files: dict[str, str]) -> bool:
    """Keep the verdict of a learner's own run, as `--json` prints it; True when it is the lab's first.

    `files` is what `digests` said when the run began: what was saved meanwhile, nobody has judged.
    """
    if result["target"] != "starter":
        return False
    path = RESULTS / f"{result['name']}.json"
    first = not path.exists()
    with suppress(OSError), _to_ourselves():
        first = not path.exists()
        draft = path.with_suffix(".new")
        lab = load(LABS / result["name"])
        said = {**result, "files": files, "best": max(best_points(lab), int(result["points"]))}
        draft.write_text(json.dumps(said, indent=2), encoding="utf-8")
        draft.replace(path)
    return first


@contextmanager
def _to_ourselves() -> Iterator[None]:
    """Be the only run that writes there: a watch and a check by hand may end at the same time."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(RESULTS, os.O_RDONLY)
    try:
        with suppress(OSError):  # not every file system has locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def best_points(lab: Lab) -> int:
    """The most points that a whole verdict has given, of those that the lab has today."""
    result = last_result(lab) or {}
    return min(int(result.get("best", result.get("points", 0))), lab.points)


def standing_of(lab: Lab) -> str:
    """How the learner's own files stand: "passed" when the last whole verdict on these very files was."""
    result = last_result(lab)
    if result is None:
        return "not begun"
    if result.get("verdict") != "PASS":
        return f"{result.get('points')} of {lab.points} points"
    return PASSED if result.get("files") == digests(lab) else "changed since it passed"


def digests(lab: Lab) -> dict[str, str]:
    """What the learner's files hold, as a hash of each; "" for one that is gone."""
    return {name: _digest(lab.folder / name) for name in lab.edit}


def _digest(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
