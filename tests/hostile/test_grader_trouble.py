"""What goes wrong on our side while a class is graded: loud, no number, nothing lost, nothing left behind.

Each test is a case of batch/, by its name.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.hostile import hostile_grading
from tests.hostile.cases import CASES, FIRST_CHECK, named
from tests.hostile.held import note
from tests.judging import environment
from workshop import cli
from workshop.errors import EXIT_INFRA, InfraError
from workshop.grade.judging.judge_process import JudgeProcess
from workshop.grade.judging.manifest import Manifest, digest_of
from workshop.grade.judging.one_submission import grade_one
from workshop.grade.judging.outcome import Outcome
from workshop.grade.judging.outcome_cache import Store, canonical
from workshop.grade.judging.whole_class import Batch
from workshop.grade.results.late_policy import Policy
from workshop.grade.results.student_result import Graded, result_of
from workshop.grade.sandboxes import choose_sandbox, docker
from workshop.grade.sandboxes.bubblewrap import Wrapped
from workshop.grade.sandboxes.sandbox import Facts, Running
from workshop.grade.submissions.class_roster import Person
from workshop.grade.submissions.collect import Submission
from workshop.labs import find, load
from workshop.paths import ROOT

EVENTS = [case for case in CASES if case.more.get("event")]
QUICK = find("1")
WAIT = 60.0  # seconds for something that happens at once on an idle machine

pytestmark = [
    pytest.mark.whole("events while a class is graded"),
    pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()),
]


@pytest.fixture(scope="module")
def room() -> Iterator[hostile_grading.Room]:
    made = hostile_grading.Room("bubblewrap", "5", FIRST_CHECK)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture(autouse=True)
def held(request: pytest.FixtureRequest) -> Iterator[None]:
    """Note a case's row, whatever becomes of it; what an event leaves in the temporary folder fails it."""
    began, before, failed = time.monotonic(), traces(), request.session.testsfailed
    yield
    left = traces() - before
    fine = request.session.testsfailed == failed and not left
    for case in EVENTS:
        if case.folder.name == slug(request.node.originalname):
            note("bubblewrap", case.family, case.name, fine, time.monotonic() - began)
    assert not left


def slug(test: str) -> str:
    return test.removeprefix("test_").replace("_", "-")


def traces(pid: int | None = None) -> set[str]:
    """What a grader has in the temporary folder; of this process, without its rooms' folders."""
    found = {path.name for path in Path(tempfile.gettempdir()).glob(f"wg-{pid or os.getpid()}-*")}
    return {name for name in found if "-lab-" not in name or pid}


def submission(name: str, files: dict[str, bytes]) -> Submission:
    return Submission(Person(name, name), 1, files)


def with_check(room: hostile_grading.Room, folder: Path, line: str) -> Manifest:
    """The room's manifest with one more line at the start of its only known check."""
    made = Manifest.make(room.lab, folder, 7)
    toml = made.folder / "lab.toml"
    toml.write_text((room.manifest.folder / "lab.toml").read_text().split("[[tasks]]")[0])
    with toml.open("a") as file:
        file.write('[[tasks]]\ntitle = "One"\n[tasks.checks]\ntest_task1_ours = 1\n')
    for path in made.folder.glob("test_*.py"):
        path.unlink()
    (made.folder / "test_ours.py").write_text(
        "from workshop.judge.checks import check, that\n"
        '@check(task=1, rule="none")\n'
        "def test_task1_ours(service):\n"
        '    answer = service("tasks").get("/tasks")\n'
        f"    {line}\n"
        '    that(answer.status == 200, "no", "200")\n'
    )
    return Manifest(load(made.folder), made.folder, 7, digest_of(made.folder), made.grader)


def test_a_check_of_ours_fails_on_everybody(room: hostile_grading.Room, tmp_path: Path) -> None:
    kept = Store(tmp_path / "store")
    batch = Batch(with_check(room, tmp_path / "m", "1 / 0"), room.engine, kept, workers=1, quiet=True)
    with pytest.raises(InfraError, match="Nothing was graded: lab 5's own solution fails 1 checks"):
        batch.grade([submission("ada", room.honest)])
    assert not list(kept.folder.glob("*"))


def test_a_check_of_ours_fails_on_an_answer(room: hostile_grading.Room, tmp_path: Path) -> None:
    kept = Store(tmp_path / "store")
    manifest = with_check(room, tmp_path / "m", "answer.status == 200 or 1 / 0")
    batch = Batch(manifest, room.engine, kept, workers=2, quiet=True)
    found = [submission("ada", room.honest), submission("mallory", named("fast 500s").files)]
    outcomes = batch.grade(found)
    ada, mallory = (outcomes[batch.key(one)] for one in found)
    assert [check["verdict"] for check in ada.checks] == ["PASS"]
    (check,) = mallory.checks
    assert check["verdict"] == "CRASH" and "ZeroDivisionError" in check["finding"]["got"]
    assert {path.stem for path in kept.folder.glob("*.json")} == {batch.key(one) for one in found}


def assert_no_number(manifest: Manifest, one: Submission, outcome: Outcome) -> None:
    """INFRA_ERROR, and None where others have a score."""
    assert outcome.infra
    result = result_of(manifest, Policy(), [Graded(one, outcome)])
    assert result.data["verdict"] == "INFRA_ERROR"
    assert result.score is None and result.data["raw"] is None


def test_a_judge_process_is_killed(
    room: hostile_grading.Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its fork ends with it; what a fork sees of a sandbox that has ended would count for nothing."""
    forks: list[int] = []

    def end(judge_process: JudgeProcess) -> None:
        forks.extend(judge_process._forks())
        judge_process._process.kill()
        await_that(lambda: not any(Path("/proc", str(pid)).exists() for pid in forks))

    def end_and_wait(sandbox: Wrapped) -> Facts:
        facts = ended(sandbox)
        await_that(lambda: not any(Path("/proc", str(pid)).exists() for pid in forks))
        return facts

    ended = Wrapped.end
    monkeypatch.setattr(Wrapped, "end", end_and_wait)
    outcome = graded_until(room, end)
    assert_no_number(room.manifest, submission("ada", room.honest), outcome)
    assert_right_again(room)


def test_a_fork_of_the_judge_process_is_killed(room: hostile_grading.Room, tmp_path: Path) -> None:
    def end(judge_process: JudgeProcess) -> None:
        for pid in judge_process._forks():
            os.kill(pid, signal.SIGKILL)

    outcome = graded_until(room, end)
    assert_no_number(room.manifest, submission("ada", room.honest), outcome)
    assert_right_again(room)


def graded_until(room: hostile_grading.Room, end: Callable[[JudgeProcess], None]) -> Outcome:
    """What becomes of a submission that never answers when `end` is done while it is asked."""
    judge_process = JudgeProcess(room.manifest.folder)
    outcomes: list[Outcome] = []
    files = named("never answers").files

    def grade() -> None:
        outcomes.append(
            grade_one(files, room.manifest, room.engine, judge_process, 0, hostile_grading.BUDGET)
        )

    thread = threading.Thread(target=grade)
    thread.start()
    try:
        await_that(lambda: bool(judge_process._forks()))
        end(judge_process)
        thread.join(WAIT)
        return outcomes[0]
    finally:
        judge_process.end()
        thread.join()


def await_that(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


def assert_right_again(room: hostile_grading.Room) -> None:
    judge_process = JudgeProcess(room.manifest.folder)
    try:
        outcome = grade_one(room.honest, room.manifest, room.engine, judge_process, 0, hostile_grading.BUDGET)
        assert [check["verdict"] for check in outcome.checks] == ["PASS", "PASS"], outcome.checks
    finally:
        judge_process.end()


def test_a_sandbox_does_not_come_up(room: hostile_grading.Room, tmp_path: Path) -> None:
    toml = hostile_grading.given(room.engine) / "lab.toml"
    text = toml.read_text()
    judge_process = JudgeProcess(room.manifest.folder)
    try:
        toml.write_text("this is no TOML")
        outcome = grade_one(room.honest, room.manifest, room.engine, judge_process, 0, hostile_grading.BUDGET)
    finally:
        toml.write_text(text)
        judge_process.end()
    assert_no_number(room.manifest, submission("ada", room.honest), outcome)
    assert "did not come up" in canonical(outcome.checks)
    assert_right_again(room)


def test_a_second_try_fails_on_our_side(
    room: hostile_grading.Room, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first sandbox of what never answers comes up, and no other of it."""
    silent = named("never answers").files
    tried: list[int] = []
    start = room.engine.start

    def starts(files: Path, slot: int) -> Running:
        if all((files / name).read_bytes() == text for name, text in silent.items()):
            tried.append(slot)
            if len(tried) > 1:
                raise InfraError("The sandbox did not come up.")
        return start(files, slot)

    monkeypatch.setattr(room.engine, "start", starts)
    kept = Store(tmp_path / "store")
    batch = Batch(room.manifest, room.engine, kept, workers=1, quiet=True)
    one = submission("mallory", silent)
    outcome = batch.grade([one])[batch.key(one)]
    assert len(tried) > 1, "it was not tried again"
    assert_no_number(room.manifest, one, outcome)
    assert not list(kept.folder.glob("*")), "the next run would not try again"


@pytest.mark.parametrize("engine", [name for name, _ in choose_sandbox.available()])
def test_something_else_ends_a_sandbox(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is gone before anything is asked of it."""
    if trouble := dict(choose_sandbox.available())[engine]:  # not before: all processes collect the same
        pytest.skip(trouble)
    with contextlib.closing(hostile_grading.Room(engine, "5", FIRST_CHECK)) as room:
        start = room.engine.start

        def starts(files: Path, slot: int) -> Running:
            sandbox = start(files, slot)
            assert isinstance(sandbox, Wrapped | docker.Container)
            if isinstance(sandbox, Wrapped):
                sandbox.popen.kill()
            else:
                docker.call(["rm", "-f", "-v", sandbox._name])
            sandbox.popen.wait(WAIT)
            return sandbox

        monkeypatch.setattr(room.engine, "start", starts)
        try:
            outcome = grade_one(
                room.honest, room.manifest, room.engine, room.judge_process, 0, hostile_grading.BUDGET
            )
        finally:
            room.judge_process.end()
        assert outcome.run["facts"]["taken"]
        assert_no_number(room.manifest, submission("ada", room.honest), outcome)


def class_of_three(folder: Path) -> list[str]:
    """Three submissions of lab 1 in a folder, and the words that grade it."""
    bodies = {
        "ada": hostile_grading.solution(QUICK)["app.py"],
        "bob": b"def x(:",
        "mallory": named("exits with 0 at import").files["server.py"],
    }
    for name, body in bodies.items():
        (folder / "in" / name).mkdir(parents=True)
        (folder / "in" / name / "app.py").write_bytes(body)
    return ["grade", str(folder / "in"), "--lab", "1", "--seed", "3", "--sandbox", "bubblewrap"]


def test_a_grader_is_killed(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "workshop", *class_of_three(tmp_path)]
    kept = tmp_path / "in-graded" / "store"
    first = subprocess.Popen(
        [*words, "--workers", "1"],
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        await_that(lambda: bool(list(kept.glob("*.json"))) or first.poll() is not None)
    finally:
        first.kill()
        first.wait()
    second = subprocess.run(
        words, cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=300, check=False
    )
    assert second.returncode == 0, second.stdout + second.stderr
    results = (tmp_path / "in-graded" / "students").glob("*/results.json")
    scores = {path.parent.name: json.loads(path.read_text())["score"] for path in results}
    assert scores == {"ada": QUICK.points, "bob": 0, "mallory": 0}
    assert not traces(first.pid), "the next run did not sweep up"


def test_the_disk_of_the_results_is_full(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = class_of_three(tmp_path)
    out = tmp_path / "in-graded"
    written = 0
    real = os.fsync

    def full(descriptor: int) -> None:
        nonlocal written
        written += 1
        if written > 2:  # the seed, and one outcome
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    code = cli.main(words)
    said = capsys.readouterr().err.strip().splitlines()
    assert code == EXIT_INFRA
    assert "No space left on device. What was graded before is kept" in said[-1]
    assert "Traceback" not in "\n".join(said)
    assert not list(out.rglob(".draft-*"))
    for path in out.rglob("*.json"):
        json.loads(path.read_text())
    monkeypatch.undo()
    assert cli.main(words) == 0
    assert len(list((out / "students").glob("*/results.json"))) == 3


def test_every_event_has_a_test() -> None:
    tests = {slug(name) for name in globals() if name.startswith("test_")}
    assert {case.folder.name for case in EVENTS} == tests - {"every-event-has-a-test"}
