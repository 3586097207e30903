"""Gradescope's autograder: the zip, unpacked and run as Gradescope does it, elsewhere than in /autograder."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.grade.run_as_anyone import place, reachable
from tests.judging import environment, run, starter
from workshop.grade.results.gradescope_json import document
from workshop.grade.results.student_result import Result
from workshop.grade.sandboxes import choose_sandbox
from workshop.labs import all_labs, find
from workshop.paths import ROOT, SOLUTIONS

LAB = find("5")
FILE = LAB.edit[0]
SECONDS = 600.0
# https://gradescope-autograders.readthedocs.io/en/latest/specs/: every field that is named there; its type.
NUMBER = (int, float)
FORMATS = ("text", "html", "simple_format", "md", "ansi")
VISIBILITIES = ("hidden", "after_due_date", "after_published", "visible")
TOP: dict[str, Any] = {
    "score": NUMBER,
    "execution_time": NUMBER,
    "output": str,
    "output_format": FORMATS,
    "test_output_format": FORMATS,
    "test_name_format": FORMATS,
    "visibility": VISIBILITIES,
    "stdout_visibility": VISIBILITIES,
    "extra_data": dict,
    "tests": list,
    "leaderboard": list,
}
TEST: dict[str, Any] = {
    "score": NUMBER,
    "max_score": NUMBER,
    "status": ("passed", "failed"),
    "name": str,
    "name_format": FORMATS,
    "number": str,
    "output": str,
    "output_format": FORMATS,
    "tags": list,
    "visibility": VISIBILITIES,
    "extra_data": dict,
}
HIDDEN = """
from workshop.judge.checks import check, that


@check(task=6, rule="none")
def test_task6_secret(service):
    \"\"\"A secret\"\"\"
    BODY
"""
HIDDEN_TOML = '[[tasks]]\ntitle = "Hidden"\n[tasks.checks]\ntest_task6_secret = 2\n'
BUBBLEWRAP = pytest.mark.skipif(
    bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()
)
ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="Gradescope's containers run as root")


def assert_documented(found: dict[str, Any]) -> None:
    for name, fields, known in [("the top", found, TOP), *(("a test", one, TEST) for one in found["tests"])]:
        for key, value in fields.items():
            allowed = known[key]  # a KeyError: the field is not documented
            strings = isinstance(allowed, tuple) and isinstance(allowed[0], str)
            assert value in allowed if strings else isinstance(value, allowed), (name, key, value)
    assert "score" in found or all("score" in one for one in found["tests"])


@dataclass
class Autograder:
    """One unpacked autograder, in the place of /autograder."""

    home: Path

    @property
    def source(self) -> Path:
        return self.home / "source"

    def call(self, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*reachable(), *words],
            cwd=self.home,
            env=environment() | {"AUTOGRADER": str(self.home)} | more,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def grade(self, files: dict[str, str], **more: str) -> tuple[subprocess.CompletedProcess[str], Path]:
        """Run it on a submission; the process, and where its result should be."""
        shutil.rmtree(self.home / "submission", ignore_errors=True)
        (self.home / "submission").mkdir()
        for name, text in files.items():
            (self.home / "submission" / name).write_text(text, encoding="utf-8")
        (self.home / "results").mkdir(exist_ok=True)
        (self.home / "results" / "results.json").write_text('{"score": 30}')  # of an earlier run
        done = self.call("sh", str(self.source / "run_autograder"), **more)
        return done, self.home / "results" / "results.json"

    def score(self, files: dict[str, str], **more: str) -> dict[str, Any]:
        done, path = self.grade(files, **more)
        assert done.returncode == 0, done.stdout + done.stderr
        found: dict[str, Any] = json.loads(path.read_text())
        assert_documented(found)
        return found


def unpacked(home: Path, zipped: Path) -> Autograder:
    made = Autograder(home)
    with zipfile.ZipFile(zipped) as archive:
        archive.extractall(made.source)
    (made.source / "workshop" / ".venv").symlink_to(ROOT / ".venv")  # made from the same lock files
    return made


def hidden_checks(folder: Path, body: str) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "extra.toml").write_text(HIDDEN_TOML)
    (folder / "test_secret.py").write_text(HIDDEN.replace("BODY", body))
    return folder


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    folder = place()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(scope="module")
def autograder(home: Path) -> Autograder:
    """One with a hidden check, set up; the self test at the end of setup.sh has passed."""
    extra = hidden_checks(home / "extra", 'that(service("tasks").get("/tasks").status == 200, "no", "200")')
    done = run("autograder", "--lab", "5", "--out", str(home / "a.zip"), "--seed", "3", "--extra", str(extra))
    assert done.returncode == 0, done.stdout + done.stderr
    made = unpacked(home / "autograder", home / "a.zip")
    done = made.call("bash", str(made.source / "setup.sh"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{LAB.points + 2}.0 of {LAB.points + 2} points" in done.stdout
    return made


def solution() -> str:
    return (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8")


def test_the_zip_holds_one_lab_and_the_same_bytes_each_time(tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        done = run("autograder", "--lab", "5", "--out", str(tmp_path / name), "--seed", "3")
        assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        names = archive.namelist()
        modes = {name: archive.getinfo(name).external_attr >> 16 & 0o777 for name in names}
    assert modes["setup.sh"] == modes["run_autograder"] == 0o755
    others = [lab.name for lab in all_labs() if lab.name != LAB.name]
    assert [name for name in names if any(f"/{other}/" in name for other in others)] == []
    assert not [name for name in names if "/tests/test_" in name or "__pycache__" in name or ".git" in name]
    assert f"workshop/solutions/{LAB.name}/{FILE}" in names
    assert {path.name for path in tmp_path.iterdir()} == {"one.zip", "two.zip"}


def test_a_lab_brings_the_references_that_it_stands_on(tmp_path: Path) -> None:
    lab = next(one for one in all_labs() if one.on)
    run("autograder", "--lab", str(lab.number), "--out", str(tmp_path / "a.zip"))
    with zipfile.ZipFile(tmp_path / "a.zip") as archive:
        names = archive.namelist()
    assert all(any(name.startswith(f"workshop/solutions/{one}/") for name in names) for one in lab.on)


def test_hidden_checks_that_can_not_be_used_are_refused(tmp_path: Path) -> None:
    done = run("autograder", "--lab", "5", "--out", str(tmp_path / "a.zip"), "--extra", str(tmp_path))
    assert done.returncode == 2 and "extra.toml can't be used" in done.stderr
    assert not (tmp_path / "a.zip").exists()


def test_without_a_score_no_test_has_one_either() -> None:
    check = {"task": 1, "title": "t", "points": 0, "of": 2, "verdict": "INFRA_ERROR", "finding": {}}
    data: dict[str, Any] = {
        "score": None,
        "seed": 3,
        "penalty_percent": 0,
        "hidden_checks": 0,
        "trouble": [],
        "refused": [],
    }
    found = document(Result({**data, "checks": [check]}, {}))
    assert not re.search(r'"(max_)?score"', json.dumps(found))
    assert_documented(document(Result({**data, "score": 0.0, "checks": [check]}, {})))


@pytest.mark.whole("classes in sandboxes")
@BUBBLEWRAP
def test_scores_are_those_of_the_work(autograder: Autograder) -> None:
    found = autograder.score({FILE: solution()})
    assert found["score"] == LAB.points + 2 == sum(one["max_score"] for one in found["tests"])
    assert all(one["status"] == "passed" for one in found["tests"])
    found = autograder.score({FILE: (starter(LAB) / FILE).read_text(encoding="utf-8")})
    assert found["score"] < LAB.points / 2 and "failed" in [one["status"] for one in found["tests"]]
    found = autograder.score({"<b>notes.txt": "I forgot"})
    assert found["score"] == 0 and FILE in found["output"] + found["tests"][0]["output"]
    results = autograder.home / "results" / "results.json"
    exits = f"import os\nopen({str(results)!r}, 'w').write('{{\"score\": 99}}')\nos._exit(0)\n"
    found = autograder.score({FILE: f"import contextlib\nwith contextlib.suppress(OSError):\n {exits}"})
    assert found["score"] == 0
    found = autograder.score({FILE: "import time\ntime.sleep(3600)\n"})
    assert found["score"] == 0 and {one["status"] for one in found["tests"]} == {"failed"}


@pytest.mark.whole("classes in sandboxes")
@ROOT_ONLY
def test_where_no_namespace_can_be_made_it_is_the_weak_sandbox(autograder: Autograder) -> None:
    programs = autograder.home / "programs"
    programs.mkdir()
    (programs / "bwrap").write_text("#!/bin/sh\necho 'Creating new namespace failed' >&2\nexit 1\n")
    (programs / "bwrap").chmod(0o755)
    weakly = {"PATH": f"{programs}:{os.environ['PATH']}", "DOCKER_HOST": "unix:///nowhere"}
    reads = f"""
import glob, os
for place in ("hidden", "workshop/solutions", "workshop/labs", "seed.json"):
    try:
        open(os.path.join({str(autograder.source)!r}, place)).close()
        os._exit(0)
    except PermissionError:
        pass
"""
    future = "from __future__ import annotations\n"
    done, path = autograder.grade({FILE: solution().replace(future, future + reads)}, **weakly)
    assert done.returncode == 0 and "WEAK ISOLATION" in done.stderr, done.stdout + done.stderr
    assert json.loads(path.read_text())["score"] == LAB.points + 2


@pytest.mark.whole("classes in sandboxes")
@BUBBLEWRAP
def test_a_failure_of_our_own_is_no_score(autograder: Autograder, home: Path) -> None:
    broken = Autograder(home / "broken")
    shutil.copytree(autograder.source, broken.source, symlinks=True)
    hidden_checks(broken.source / "hidden", "1 / 0")
    done, path = broken.grade({FILE: solution()})
    assert done.returncode == 3 and "no score" in done.stdout, done.stdout + done.stderr
    assert not path.exists()
    assert "Traceback" not in done.stdout + done.stderr
