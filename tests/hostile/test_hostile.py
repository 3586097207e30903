"""Every hostile program, in every sandbox that this machine has: its verdict, and five invariants.

1. What an honest submission gets at the same time, in the slot beside it, is the same bytes as without it.
2. Nothing is left behind: no process, container, folder or control group.
3. The grader's memory and disk are bounded.
4. So is its time.
5. No byte of a hidden check is readable.
"""

from __future__ import annotations

import csv
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.hostile.cases import PROGRAMS, Case
from tests.hostile.held import note
from tests.hostile.hostile_grading import BUDGET, CANARY, Bench, Done, Weakly
from tests.pages import without_ours
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome import Outcome
from workshop.grade.judging.outcome_cache import canonical
from workshop.grade.results import results_folder
from workshop.grade.results.late_policy import Policy
from workshop.grade.results.lms_export import filled
from workshop.grade.results.student_result import Graded, result_of
from workshop.grade.sandboxes import system_calls
from workshop.grade.sandboxes.choose_sandbox import available
from workshop.grade.sandboxes.sandbox import MEMORY
from workshop.grade.submissions.class_roster import Person, Roster
from workshop.grade.submissions.collect import Submission

JUDGE_MEMORY = 600 << 20
ROW = 64 * 1024  # bytes that one submission's result may have
WHOLE = 4 << 20  # and all that is kept of it, with what was said on the way
HARMFUL = ("<script", "<img", "\x1b", "\u202e", "\0")
ENGINES = os.environ.get("HOSTILE_ENGINES", " ".join(name for name, _ in available())).split()


def troubles() -> dict[str, str]:
    """Why a sandbox can't be used here; "" when it can."""
    return {**dict(available()), Weakly.name: "" if os.geteuid() == 0 else "only root can be other users"}


TROUBLES = troubles()
# `make test` tries one program of each family, in one sandbox: the first that can be had.
FIRST = next((engine for engine in ENGINES if not TROUBLES.get(engine, "unknown")), ENGINES[0])


def part(engine: str, family: str) -> pytest.MarkDecorator:
    what = "hostile programs"
    return pytest.mark.one_of(what, family) if engine == FIRST else pytest.mark.whole(what)


PLACED = [
    pytest.param(engine, case, id=f"{engine}-{case.id}", marks=part(engine, case.family))
    for engine in ENGINES
    for case in PROGRAMS
    if not (engine == Weakly.name and case.weak)
]
ALL = [pytest.param(engine, marks=part(engine, "what is left behind")) for engine in ENGINES]


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    """Begins with the cases of this run at once, and ends what it began."""
    trouble = TROUBLES.get(request.param, "there is no sandbox here")
    if trouble:
        pytest.skip(trouble)
    made = Bench(request.param)
    try:
        specs = [getattr(item, "callspec", None) for item in request.session.items]
        mine = [spec.params for spec in specs if spec and spec.params.get("bench") == request.param]
        made.begin([params["case"] for params in mine if "case" in params])
        yield made
    finally:
        made.close()


@pytest.mark.parametrize(("bench", "case"), PLACED, indirect=["bench"], scope="module")
def test_a_hostile_submission_is_held(case: Case, bench: Bench, tmp_path: Path) -> None:
    if case.needs and bench.name == "bubblewrap" and (lacks := system_calls.missing()):
        pytest.skip(f"{case.needs} needs {lacks}")
    done, held = bench.result(case), False
    try:
        assert_verdicts(case, done.outcome)
        assert canonical(done.honest.checks) == bench.room(case).alone, (
            "somebody else's result is another one"
        )
        assert done.left == set(), "something was left behind"
        assert_bounded(case, done)
        assert_harmless(bench.room(case).manifest, done.outcome, tmp_path)
        held = True
    finally:
        note(bench.name, case.family, case.name, held, done.seconds)


def assert_verdicts(case: Case, outcome: Outcome) -> None:
    known, hidden = outcome.checks
    assert known["verdict"] in case.verdicts, known
    assert hidden["verdict"] in case.hidden, hidden
    assert known["points"] == 0
    if case.hunts:
        assert "FOUND nothing" in canonical(known["finding"]), known["finding"]


def assert_bounded(case: Case, done: Done) -> None:
    run = done.outcome.run
    assert done.seconds < 2 * (BUDGET + 30)  # its own time, and the honest one's second run at worst
    if run:  # none where its sandbox did not come up
        assert run["seconds"] < (case.seconds or BUDGET + 30)
        assert run["judge_process"]["memory"] < JUDGE_MEMORY
        assert run["facts"]["memory"] < 1.5 * MEMORY
    assert len(canonical(done.outcome.checks)) < ROW
    assert len(canonical(done.outcome.as_dict())) < WHOLE


def assert_harmless(manifest: Manifest, outcome: Outcome, folder: Path) -> None:
    """Every file that is made of an outcome shows what it says, does nothing, and tells no hidden check."""
    graded = Graded(Submission(Person("mallory", "Mallory"), 1), outcome)
    results = [result_of(manifest, Policy(), [graded])]
    results_folder.write_all(folder, results)
    for path in [*folder.glob("students/*/report.html"), folder / "index.html"]:
        text = without_ours(path.read_text(encoding="utf-8"))
        assert not [word for word in HARMFUL if word in text], path
    assert all("<" not in path.read_text() for path in folder.glob("students/*/timelines.js"))
    told = [path for path in folder.rglob("*") if path.is_file() and CANARY.encode() in path.read_bytes()]
    assert not told, "a hidden check could be read"
    (junit,) = folder.glob("students/*/junit.xml")
    assert len(ElementTree.parse(junit).getroot()) == len(outcome.checks)
    for row in csv.reader(io.StringIO((folder / "summary.csv").read_bytes().decode())):
        assert not [cell for cell in row if cell.startswith(("=", "+", "-", "@", "\t", "\r"))]
    export = b"Student,ID,Lab\r\nMallory,mallory,\r\n"
    points = f"mallory,{outcome.points}".encode()
    assert filled(export, results, Roster(), "Lab") == (export.replace(b"mallory,", points), 1)


@pytest.mark.parametrize("bench", ALL, indirect=True, scope="module")
def test_no_folder_is_left_behind(bench: Bench) -> None:
    """Last of each engine's: what is there belongs to the rooms, which are still open."""
    ours = {path.name for path in Path(tempfile.gettempdir()).glob(f"wg-{os.getpid()}-*")}
    rooms = {room.engine.folder.name for room in bench.rooms.values()}
    assert ours == rooms
