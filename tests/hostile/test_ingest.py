"""Hostile hand-ins as a class of their own: laid out, collected and graded as `make grade` does it.

One class with all of them and an honest student, and one with the honest student alone: what he gets is the
same bytes; nothing is left behind; the memory and time of taking them in are bounded; no secret is readable.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
import time
import tracemalloc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile import hostile_grading
from tests.hostile.cases import CASES, FIRST_CHECK, Case
from tests.hostile.handed_in import HandedIn
from tests.hostile.held import note
from tests.pages import without_ours
from workshop.grade.judging.outcome_cache import Store, canonical
from workshop.grade.judging.whole_class import Batch
from workshop.grade.results import results_folder
from workshop.grade.results.late_policy import Policy
from workshop.grade.results.student_result import Graded, Result, result_of
from workshop.grade.sandboxes import choose_sandbox
from workshop.grade.submissions.class_roster import Roster
from workshop.grade.submissions.collect import Submission, collect
from workshop.labs import find

LAB = find("5")
INGEST = [case for case in CASES if case.family == "ingest"]
INTAKE_MEMORY = 400 << 20  # bytes of Python objects at most, while a class is taken in
pytestmark = pytest.mark.whole("hostile hand-ins")
ENGINES = [name for name, _ in choose_sandbox.available()]


@dataclass
class Graders:
    """A class's results by student, and the submissions as they were taken in."""

    folder: Path
    results: dict[str, Result]
    taken: dict[str, Submission]


@dataclass
class Class:
    """The hostile class, the honest student alone, and whose each case is."""

    hostile: Graders
    alone: Graders
    ids: dict[str, str]
    memory: int
    seconds: float
    left: set[str]


@pytest.fixture(scope="module")
def graded(request: pytest.FixtureRequest) -> Iterator[Class]:
    """Both classes, graded in one kind of sandbox."""
    trouble = dict(choose_sandbox.available())[request.param]
    if trouble:
        pytest.skip(trouble)
    with tempfile.TemporaryDirectory(prefix="hostile-in-") as place:
        folder = Path(place)
        room = hostile_grading.Room(request.param, "5", FIRST_CHECK)
        try:
            yield both_classes(room, folder)
        finally:
            room.close()


def both_classes(room: hostile_grading.Room, folder: Path) -> Class:
    solution = room.honest["server.py"]
    for name in ("alone", "hostile"):
        (folder / name / "ada").mkdir(parents=True)
        (folder / name / "ada" / "server.py").write_bytes(solution)
    layer = HandedIn(folder / "hostile", solution, room.folder / "extra")
    ids = {case.id: layer.lay(case) for case in INGEST}
    before = traces()
    began = time.monotonic()
    tracemalloc.start()
    submissions = collect(folder / "hostile", LAB, Roster())
    memory = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    hostile = grade(room, submissions, folder / "hostile-graded")
    seconds = time.monotonic() - began
    alone = grade(room, collect(folder / "alone", LAB, Roster()), folder / "alone-graded")
    return Class(hostile, alone, ids, memory, seconds, traces() - before)


def grade(room: hostile_grading.Room, submissions: list[Submission], out: Path) -> Graders:
    """What `workshop grade` does between the folder of submissions and the folder of results."""
    batch = Batch(room.manifest, room.engine, Store(out / "store"), workers=2, quiet=True)
    outcomes = batch.grade(submissions)
    graded = [Graded(one, outcomes[batch.key(one)]) for one in submissions]
    results = [result_of(room.manifest, Policy(), [one]) for one in graded]
    results_folder.write_all(out, results)
    by_id = {one.person.id: one for one in submissions}
    return Graders(out, {one.submission.person.id: r for one, r in zip(graded, results, strict=True)}, by_id)


def traces() -> set[str]:
    return {path.name for path in Path(tempfile.gettempdir()).glob(f"wg-{os.getpid()}-*")}


@pytest.mark.parametrize("case", INGEST, ids=lambda case: case.id)
@pytest.mark.parametrize("graded", ENGINES, indirect=True, scope="module")
def test_a_hostile_hand_in_is_held(case: Case, graded: Class, request: pytest.FixtureRequest) -> None:
    held = False
    try:
        student = graded.ids[case.id]
        result, taken = graded.hostile.results[student], graded.hostile.taken[student]
        assert result.data["checks"][0]["verdict"] in case.verdicts, result.data["checks"][0]
        said = " ".join([*taken.trouble, *taken.refused])
        assert case.more["says"] in said, said
        assert set(taken.files) <= set(LAB.edit)
        assert set(taken.files) or said, "nothing was taken, and nobody is told why"
        place = graded.hostile.folder / results_folder.STUDENTS / result.folder
        assert_harmless(place, student)
        held = True
    finally:
        name = request.node.callspec.params["graded"]
        note(name, case.family, case.name, held, graded.seconds / len(INGEST))


def assert_harmless(place: Path, student: str) -> None:
    """A student's files show a name that is markup or marks as text, and hold nothing of the host's."""
    harm = [hostile_grading.CANARY, "root:x:0", "daemon:", "\x07", "\u202e"]
    for path in place.iterdir():
        text = without_ours(path.read_text(encoding="utf-8"))
        words = [*harm, "<script>"] if path.suffix in (".html", ".xml") else harm
        assert not [word for word in words if word in text], path
    assert place.name.isascii() and len(place.name) < 120


@pytest.mark.parametrize("graded", ENGINES, indirect=True, scope="module")
def test_nobody_else_notices(graded: Class) -> None:
    honest = canonical(graded.alone.results["ada"].data)
    assert canonical(graded.hostile.results["ada"].data) == honest
    assert graded.alone.results["ada"].data["verdict"] == "PASS"
    assert graded.left == set()
    assert graded.memory < INTAKE_MEMORY
    folders = {path.name.casefold() for path in (graded.hostile.folder / results_folder.STUDENTS).iterdir()}
    assert len(folders) == len(INGEST) + 1, "two students have one folder"


@pytest.mark.parametrize("graded", ENGINES, indirect=True, scope="module")
def test_no_name_is_a_formula_in_the_summary(graded: Class) -> None:
    text = (graded.hostile.folder / "summary.csv").read_bytes().decode()
    rows = list(csv.reader(io.StringIO(text)))
    assert len(rows) == len(INGEST) + 2
    assert not [cell for row in rows for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
