"""The same hostile programs in the weak sandbox, but for those that, as their cases say, it does not hold."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.grade.run_as_anyone import reachable
from tests.hostile import test_hostile
from tests.hostile.cases import PROGRAMS, Case
from tests.hostile.hostile_grading import Weakly
from tests.judging import environment
from workshop.grade.sandboxes.weak_sandbox import not_promised
from workshop.labs import find
from workshop.paths import ROOT

SECONDS = 1200.0


FAMILIES = sorted({case.family for case in PROGRAMS if not case.weak})
LARGE = ["http", "start"]  # each has as many programs as all others together
PARTS = [*([one] for one in LARGE), [one for one in FAMILIES if one not in LARGE]]


@pytest.mark.parametrize("case", [case for case in PROGRAMS if case.weak], ids=lambda case: case.id)
def test_what_it_does_not_hold_is_said_with_each_result(case: Case) -> None:
    assert any(case.weak in said for said in not_promised(find(case.lab), is_root=True)), case.weak


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a submission a user of its own")
@pytest.mark.whole("hostile programs")
@pytest.mark.parametrize("families", PARTS, ids=" ".join)
def test_hostile_submissions_are_held_weakly(families: list[str]) -> None:
    """In a process of their own: another user must be able to reach this checkout and its Python."""
    words = [*reachable(), sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider"]
    words += [test_hostile.__file__, "-k", " or ".join([*(f"{one}/" for one in families), "left_behind"])]
    done = subprocess.run(
        words,
        cwd=ROOT,
        env={**environment(), "HOSTILE_ENGINES": Weakly.name},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    mine = [case for case in PROGRAMS if not case.weak and case.family in families]
    held = len(mine) + 1  # and what is left behind
    assert done.returncode == 0 and f"{held} passed" in done.stdout, done.stdout + done.stderr
