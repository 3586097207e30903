"""A grader that is not root: the same results, in bubblewrap's own user namespace, and nothing left."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from tests.grade.reach import grade, place
from tests.judging import mistakes, starter
from workshop.grade import engines
from workshop.labs import find
from workshop.paths import SOLUTIONS

LAB = find("5")
FILE = LAB.edit[0]
USER = 1234

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user (and others are one)"),
    pytest.mark.skipif(bool(engines.bubblewrap_trouble()), reason=engines.bubblewrap_trouble()),
]


def results(out: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in out.glob("students/*/results.json")}


def test_results_are_those_of_root() -> None:
    solution = (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8")
    first = mistakes(LAB)[0]
    here = place()
    try:
        home, tmp = here / "home", here / "home" / "tmp"
        tmp.mkdir(parents=True)
        for name, text in {
            "right": solution,
            "starter": (starter(LAB) / FILE).read_text(encoding="utf-8"),
            "mistaken": solution.replace(first.find, first.replace),
            "exits": "import os; os._exit(0)",
            "forks": "import os\nwhile True:\n    os.fork()\n",
        }.items():
            (home / "in" / name).mkdir(parents=True)
            (home / "in" / name / FILE).write_text(text, encoding="utf-8")
        for path in (home, *home.rglob("*")):
            os.chown(path, USER, USER)
        words = [str(home / "in"), "--lab", str(LAB.number), "--seed", "3", "--sandbox", "bubblewrap"]
        done = grade(*words, "--out", str(home / "out"), user=USER, home=tmp)
        assert done.returncode == 0, done.stdout + done.stderr
        assert not list(tmp.iterdir()), "something was left behind"
        found = results(home / "out")
        run = json.loads((home / "out" / "students" / "right" / "run.json").read_text())
        assert "a user namespace" in run["attempts"][0]["run"]["isolation"]
        assert json.loads(found["right"])["verdict"] == "PASS"
        done = grade(*words, "--out", str(here / "out"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert found == results(here / "out") and len(found) == 5
    finally:
        shutil.rmtree(here)
