"""A grader that is not root: the same results, in bubblewrap's own user namespace, and nothing left."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.grade.run_as_anyone import grade, place
from tests.judging import mistakes, starter
from workshop.grade.sandboxes import choose_sandbox
from workshop.grade.sandboxes.sandbox import PROCESSES
from workshop.grade.sandboxes.user_leftovers import clear, pids_of, take_user
from workshop.labs import find
from workshop.paths import SOLUTIONS

LAB = find("5")
FILE = LAB.edit[0]

pytestmark = [
    pytest.mark.whole("classes in sandboxes"),
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user (and others are one)"),
    pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()),
]


def results(out: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in out.glob("students/*/results.json")}


@contextmanager
def counted(user: int) -> Iterator[list[int]]:
    """How many processes a user has, as often as we can look; too many of them are ended here."""
    peak, over = [0], threading.Event()

    def look() -> None:
        while not over.wait(0.02):
            peak.append(len(pids_of(user)))
            if peak[-1] > 8 * PROCESSES:
                clear(user)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield peak
    finally:
        over.set()
        thread.join()


def test_results_are_those_of_root() -> None:
    solution = (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8")
    first = mistakes(LAB)[0]
    user, held = take_user()  # one of the weak sandbox's: what is left of it can be cleared
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
            os.chown(path, user, user)
        words = [str(home / "in"), "--lab", str(LAB.number), "--seed", "3", "--sandbox", "bubblewrap"]
        with counted(user) as peak:
            done = grade(*words, "--out", str(home / "out"), user=user, home=tmp)
        assert done.returncode == 0, done.stdout + done.stderr
        assert 100 < max(peak) < 2 * (PROCESSES + 50), f"{max(peak)} processes: nobody stops a fork bomb"
        assert not list(tmp.iterdir()), "something was left behind"
        found = results(home / "out")
        run = json.loads((home / "out" / "students" / "right" / "run.json").read_text())
        assert "a user namespace" in run["attempts"][0]["run"]["isolation"]
        assert json.loads(found["right"])["verdict"] == "PASS"
        done = grade(*words, "--out", str(here / "out"))
        assert done.returncode == 0, done.stdout + done.stderr
        assert found == results(here / "out") and len(found) == 5
    finally:
        held.close()
        shutil.rmtree(here)
