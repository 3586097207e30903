"""A class in real sandboxes: the same bytes for any number of workers, and nothing done twice or lost."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.grade.make_class import kinds
from tests.judging import environment
from workshop.errors import InfraError
from workshop.grade.judging.local_pool import LocalPool
from workshop.grade.judging.manifest import Manifest, digest_of
from workshop.grade.judging.outcome import Outcome
from workshop.grade.judging.outcome_cache import Store, canonical
from workshop.grade.judging.whole_class import Batch
from workshop.grade.results.student_result import verdict_of
from workshop.grade.sandboxes import choose_sandbox
from workshop.grade.sandboxes.sandbox import Engine
from workshop.grade.submissions.class_roster import Person
from workshop.grade.submissions.collect import Submission
from workshop.labs import find, load
from workshop.paths import ROOT, SOLUTIONS

LAB = find("5")
TINY = '''"""Two checks that take no time."""

from workshop.judge.checks import check, that


@check(task=1, rule="RFC 9110 §15.3.1")
def test_task1_answers(service):
    """It answers"""
    that(service("tasks").get("/tasks").status == 200, "another status", "200")


@check(task=1, rule="RFC 9110 §15.5.5")
def test_task1_finds_nothing(service):
    """It does not find what is not there"""
    that(service("tasks").get("/nothing").status == 404, "another status", "404")
'''
CHECKS = "[[tasks]]\ntitle = 'Two'\n[tasks.checks]\ntest_task1_answers = 1\ntest_task1_finds_nothing = 1\n"

pytestmark = [
    pytest.mark.whole("classes in sandboxes"),
    pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()),
]


def tiny_manifest(folder: Path, checks: str = TINY) -> Manifest:
    """Lab 5's services, judged by two checks."""
    made = Manifest.make(LAB, folder, secret=7)
    for path in made.folder.glob("test_*.py"):
        path.unlink()
    toml = made.folder / "lab.toml"
    toml.write_text(re.split(r"^\[\[tasks\]\]", toml.read_text(), maxsplit=1, flags=re.M)[0] + CHECKS)
    (made.folder / "test_tiny.py").write_text(checks)
    return Manifest(load(made.folder), made.folder, 7, digest_of(made.folder), made.grader)


def the_class() -> list[Submission]:
    """One of each kind."""
    works = [found[0] for kind, found in sorted(kinds(LAB).items()) if kind != "bad"]
    works += [("twin", works[0][1]), ("exits", {"server.py": b"import os; os._exit(0)"})]
    works += [("syntax", {"server.py": b"def x(:"})]
    found = [Submission(Person(word, word), 1, files) for word, files in works]
    return [*found, Submission(Person("none", "none"), 1, trouble=["nothing was handed in"])]


def shown(outcomes: dict[str, Outcome], batch: Batch, submissions: list[Submission]) -> str:
    return canonical({one.person.id: outcomes[batch.key(one)].checks for one in submissions})


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with contextlib.closing(choose_sandbox.choose(LAB, "bubblewrap")) as chosen:
        yield chosen


def test_results_are_the_same_bytes_for_any_number_of_workers(engine: Engine, tmp_path: Path) -> None:
    submissions = the_class()
    seen = set()
    for workers in (1, 3):
        manifest = tiny_manifest(tmp_path / f"manifest{workers}")
        batch = Batch(manifest, engine, Store(tmp_path / f"store{workers}"), workers=workers, quiet=True)
        order = submissions if workers == 1 else submissions[::-1]
        outcomes = batch.grade(order)
        seen.add(shown(outcomes, batch, submissions))
        verdicts = {one.person.id: str(verdict_of(outcomes[batch.key(one)])) for one in submissions}
        assert verdicts["solution"] == "PASS" and verdicts["starter"] == "FAIL"
        assert verdicts["exits"] == verdicts["syntax"] == verdicts["none"] == "NO_START"
    assert len(seen) == 1


def test_a_second_run_grades_only_what_is_new(engine: Engine, tmp_path: Path) -> None:
    submissions = [one for one in the_class() if one.person.id in ("solution", "exits", "none")]
    manifest, store = tiny_manifest(tmp_path / "manifest"), Store(tmp_path / "store")
    first = Batch(manifest, engine, store, workers=1, quiet=True)
    before = shown(first.grade(submissions[:2]), first, submissions[:2])
    assert first.graded_now == 2 - ("none" in [one.person.id for one in submissions[:2]])
    second = Batch(manifest, engine, store, workers=1, quiet=True)
    after = second.grade(submissions)
    assert second.graded_now == 3 - 1 - first.graded_now
    assert shown(after, second, submissions[:2]) == before


def test_other_points_need_no_second_run(engine: Engine, tmp_path: Path) -> None:
    submissions = [one for one in the_class() if one.person.id == "solution"]
    store = Store(tmp_path / "store")
    first = Batch(tiny_manifest(tmp_path / "one"), engine, store, workers=1, quiet=True)
    assert [one.points for one in first.grade(submissions).values()] == [2]
    dearer = tiny_manifest(tmp_path / "two")
    toml = dearer.folder / "lab.toml"
    toml.write_text(toml.read_text().replace("test_task1_answers = 1", "test_task1_answers = 40"))
    again = Manifest(load(dearer.folder), dearer.folder, 7, digest_of(dearer.folder), dearer.grader)
    second = Batch(again, engine, store, workers=1, quiet=True)
    assert [one.points for one in second.grade(submissions).values()] == [41]
    assert first.graded_now == 1 and second.graded_now == 0
    changed = tiny_manifest(tmp_path / "three", TINY.replace("/nothing", "/none"))
    assert changed.asked != again.asked == first.manifest.asked


def test_a_fault_in_a_check_of_ours_grades_nobody(engine: Engine, tmp_path: Path) -> None:
    broken = TINY.replace("that(service", "1 / 0; that(service", 1)
    batch = Batch(tiny_manifest(tmp_path / "m", broken), engine, Store(tmp_path / "s"), workers=1, quiet=True)
    with pytest.raises(InfraError, match="Nothing was graded"):
        batch.grade(the_class()[:1])
    assert not list((tmp_path / "s").glob("*")) if (tmp_path / "s").exists() else True


def test_the_command_writes_everything(tmp_path: Path) -> None:
    for name, text in (("ada", (SOLUTIONS / LAB.name / "server.py").read_text()), ("bob", "def x(:")):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "server.py").write_text(text)
    export = tmp_path / "canvas.csv"
    export.write_bytes(b"Student,ID,Lab 5\r\nada,1,\r\nbob,2,\r\nzoe,3,9\r\n")
    words = [sys.executable, "-m", "workshop", "grade", str(tmp_path / "in"), "--lab", "5", "--seed", "3"]
    words += ["--export", str(export), "--column", "Lab 5"]
    done = subprocess.run(
        words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    out = tmp_path / "in-graded"
    ada = json.loads((out / "students" / "ada" / "results.json").read_text())
    assert ada["score"] == ada["of"] == LAB.points and ada["verdict"] == "PASS"
    assert (out / "canvas.csv").read_bytes() == b"Student,ID,Lab 5\r\nada,1,30\r\nbob,2,0\r\nzoe,3,9\r\n"
    names = {path.name for path in (out / "students" / "bob").iterdir()}
    assert names == {
        "results.json",
        "run.json",
        "gradescope.json",
        "junit.xml",
        "report.html",
        "timelines.js",
        "transcript.txt",
    }
    assert (out / "index.html").exists() and (out / "summary.csv").exists()


def test_a_judge_process_that_died_is_replaced(engine: Engine, tmp_path: Path) -> None:
    local_pool = LocalPool(tiny_manifest(tmp_path / "manifest"), engine)
    files = the_class()[0].files
    try:
        local_pool.grade(files)
        judge_process = local_pool._judge_process
        assert judge_process is not None
        judge_process.end()
        assert not local_pool.grade(files).infra
        assert local_pool._judge_process not in (None, judge_process)
    finally:
        local_pool.close()


def test_a_regrade_shows_what_changed_falls_first(tmp_path: Path) -> None:
    """Scores that somebody wrote over are found again, and said."""
    for name in ("ada", "bob", "zoe"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / "server.py").write_text(f"def {name}(:")
    words = [sys.executable, "-m", "workshop", "grade", str(tmp_path / "in"), "--lab", "5", "--seed", "3"]

    def run(words: list[str]) -> list[str]:
        done = subprocess.run(
            words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.splitlines()

    run(words)
    for name, score in (("ada", -5.0), ("bob", 12.0)):
        path = tmp_path / "in-graded" / "students" / name / "results.json"
        path.write_text(canonical({**json.loads(path.read_text()), "score": score}))
    words[words.index("grade")] = "regrade"
    assert run([*words, "--diff"])[1:] == [
        "2 of 3 grades changed",
        "  fell        12 → 0        bob",
        "  rose        -5 → 0        ada",
    ]
