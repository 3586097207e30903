"""The same hostile programs in the weak sandbox, but for those that, as their cases say, it does not hold."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.grade.run_as_anyone import reachable
from tests.hostile import test_hostile
from tests.hostile.cases import PROGRAMS
from tests.hostile.hostile_grading import Weakly
from tests.judging import environment
from workshop.paths import ROOT

SECONDS = 1200.0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a submission a user of its own")
@pytest.mark.whole("hostile programs")
def test_hostile_submissions_are_held_weakly() -> None:
    """In a process of their own: another user must be able to reach this checkout and its Python."""
    words = [*reachable(), sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider"]
    words += [test_hostile.__file__]
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
    held = len([case for case in PROGRAMS if not case.weak]) + 1  # and what is left behind
    assert done.returncode == 0 and f"{held} passed" in done.stdout, done.stdout + done.stderr
