"""Every hostile submission, in every sandbox that this machine has: its verdict, and five invariants.

1. What an honest submission gets at the same time, in the slot beside it, is the same bytes as without it.
2. Nothing is left behind: no process, folder or control group.
3. The grader's memory and disk are bounded.
4. So is its time.
5. No byte of a hidden check is readable.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.hostile.cases import CASES, Case
from tests.hostile.held import note
from workshop.grade.cgroup import PREFIX, TREE
from workshop.grade.engines import available
from workshop.grade.manifest import Manifest
from workshop.grade.one import grade_one
from workshop.grade.outcome import Outcome
from workshop.grade.proctor import Proctor
from workshop.grade.sandbox import MEMORY, Engine
from workshop.grade.store import canonical
from workshop.labs import find
from workshop.paths import SOLUTIONS

LAB = find("5")
HONEST = {"server.py": (SOLUTIONS / LAB.name / "server.py").read_bytes()}
CHECKS = ["test_task1_path_is_decoded_and_query_is_not", "test_task6_hidden"]
CANARY = "CANARY-31415926"
CHECK_SECONDS = 5.0
BUDGET = 60.0  # seconds for one submission; a case takes a start that never ends, and two checks at most
PROCTOR_MEMORY = 600 << 20
ROW = 64 * 1024  # bytes that one submission's result may have


@dataclass
class Bench:
    """A sandbox engine with two slots, and what the honest submission gets when it is alone."""

    engine: Engine
    manifest: Manifest
    proctors: list[Proctor]
    alone: str = ""

    def grade(self, files: dict[str, bytes], slot: int, checks: list[str]) -> Outcome:
        return grade_one(files, self.manifest, self.engine, self.proctors[slot], slot, BUDGET, checks)


def manifest_with_a_secret(folder: Path) -> Manifest:
    """Lab 5's checks with little patience, and one that nobody may read."""
    extra = folder / "extra"
    extra.mkdir()
    (extra / "extra.toml").write_text('[[tasks]]\ntitle = "Hidden"\n[tasks.checks]\ntest_task6_hidden = 1\n')
    (extra / "test_extra.py").write_text(
        "from workshop.checks import check, that\n"
        '@check(task=6, rule="none")\n'
        "def test_task6_hidden(service):\n"
        f'    that(service("tasks").get("/{CANARY}").status == 404, "{CANARY}", "404")\n'
    )
    made = Manifest.make(LAB, folder / "manifest", 7, extra)
    toml = made.folder / "lab.toml"
    toml.write_text(toml.read_text().replace("check_seconds = 20.0", f"check_seconds = {CHECK_SECONDS}"))
    return made


@pytest.fixture(scope="module")
def bench(request: pytest.FixtureRequest) -> Iterator[Bench]:
    trouble = dict(available()).get(request.param, "there is no sandbox here")
    if trouble:
        pytest.skip(trouble)
    from workshop.grade.engines import choose

    engine = choose(LAB, request.param)
    folder = Path(tempfile.mkdtemp(prefix="hostile-"))
    made = Bench(engine, manifest_with_a_secret(folder), [Proctor(), Proctor()])
    try:
        honest = made.grade(HONEST, 0, CHECKS)
        assert [check["verdict"] for check in honest.checks] == ["PASS"] * 2, honest.checks
        made.alone = canonical(honest.checks)
        yield made
    finally:
        for proctor in made.proctors:
            proctor.end()
        engine.close()
        shutil.rmtree(folder)


# What is answered over HTTP meets the proctor, which is the same for every sandbox: once is enough.
PAIRS = [
    pytest.param(name, case, id=f"{name}-{case.name}")
    for name, _ in available()
    for case in CASES
    if name == "bubblewrap" or case.family in ("resources", "crossing over")
]


@pytest.mark.parametrize(("bench", "case"), PAIRS, indirect=["bench"])
def test_a_hostile_submission_is_held(case: Case, bench: Bench) -> None:
    before = traces(bench)
    began = time.monotonic()
    held = False
    try:
        outcome, honest = side_by_side(bench, case)
        seconds = time.monotonic() - began
        assert_verdicts(case, outcome)
        assert canonical(honest.checks) == bench.alone, "somebody else's result is another one"
        assert traces(bench) == before, "something was left behind"
        assert_bounded(outcome, seconds)
        assert CANARY not in canonical(outcome.as_dict()), "a hidden check could be read"
        held = True
    finally:
        note(bench.engine.name, case.family, case.name, held, time.monotonic() - began)


def side_by_side(bench: Bench, case: Case) -> tuple[Outcome, Outcome]:
    """The hostile submission's outcome, and an honest one's beside it, graded as a batch grades them."""
    beside: list[Outcome] = []
    honest = threading.Thread(target=lambda: beside.append(bench.grade(HONEST, 0, CHECKS)))
    honest.start()
    try:
        source = case.source.encode("utf-8", "surrogatepass")
        outcome = bench.grade({"server.py": source}, 1, CHECKS)
    finally:
        honest.join()
    if beside[0].doubtful:  # what a crowded machine may have caused is asked once more, alone
        beside.append(beside[0].better(bench.grade(HONEST, 0, beside[0].doubtful)))
    return outcome, beside[-1]


def assert_verdicts(case: Case, outcome: Outcome) -> None:
    verdicts = [check["verdict"] for check in outcome.checks]
    assert len(verdicts) == 2, outcome.checks[0]
    assert verdicts[0] in case.verdicts, outcome.checks[0]
    assert verdicts[1] not in ("PASS", "INFRA_ERROR"), outcome.checks[1]
    assert outcome.points == 0
    if case.hunts:
        said = outcome.checks[0]["finding"].get("trace", [])
        assert "FOUND nothing" in said, said


def assert_bounded(outcome: Outcome, seconds: float) -> None:
    assert seconds < BUDGET + 30
    assert outcome.run["proctor"]["memory"] < PROCTOR_MEMORY
    assert outcome.run["facts"]["memory"] < 1.5 * MEMORY
    assert len(canonical(outcome.as_dict())) < ROW


def traces(bench: Bench) -> set[str]:
    """What a sandbox of this process could leave: processes of its user or tag, folders, control groups."""
    folders = {path.name for path in Path(tempfile.gettempdir()).glob(f"wg-{os.getpid()}-*")}
    found = {f"folder {name}" for name in folders}
    found |= {
        f"group {path}"
        for tree in ("memory", "pids", "")
        for path in (TREE / tree).glob(f"{PREFIX}{os.getpid()}-*")
    }
    uid = getattr(bench.engine, "uid", None)
    if uid is not None and os.geteuid() == 0:
        for path in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if path.stat().st_uid == uid(1):
                    found.add(f"process {path.name}")
    return found


def test_the_suite_is_as_large_as_it_says() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names)) >= 60
