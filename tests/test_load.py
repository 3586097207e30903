"""Load: what makes a run PASS, FAIL or INCONCLUSIVE, and that real runs of every lab's script say so."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests import judging
from workshop.errors import EXIT_USAGE, Refusal
from workshop.judge.stack import Stack, embedded
from workshop.labs import Lab, Load, all_labs, find
from workshop.load import locust_runs
from workshop.load import runner as loading
from workshop.load.load_verdict import (
    REFERENCE,
    YOURS,
    LoadVerdict,
)
from workshop.load.result import LoadResult
from workshop.paths import ROOT, SOLUTIONS
from workshop.run import process

LIMITS = Load(users=10, seconds=6, at_least=100, ratio=2.0)
QUIET = 2.0
SECONDS = 60.0  # for what happens at once on an idle machine


# --- real runs ----------------------------------------------------------------------------------------


@contextmanager
def scenario(tmp_path: Path, locustfile: str, target: str = "solution", **limits: Any) -> Iterator[Stack]:
    """Lab 1's stack under a load script of the test's own."""
    lab = find("1")
    (tmp_path / "locustfile.py").write_text(locustfile, encoding="utf-8")
    with embedded(lab, target, load=True) as stack:
        stack.lab = replace(lab, folder=tmp_path, load=replace(LIMITS, **limits))
        stack.await_front()
        assert loading.start_services(stack) is None
        yield stack


def measured(tmp_path: Path, locustfile: str, workers: int = 0, **limits: Any) -> LoadResult:
    with scenario(tmp_path, locustfile, **limits) as stack:
        plan = locust_runs.Plan(users=4, seconds=3, workers=workers)
        return loading.measure(stack, plan, tmp_path)


GREETING = """
from two_sides import Visitor, at_most, fact, moment

class Reader(Visitor):
    def visit(self, site):
        for answer in site.together(3, lambda: site.get("/", body=b"Hello, world!\\n")):
            site.saw("length", answer.headers["content-length"])

@fact("each length is right")
def lengths(side):
    return "" if set(side.saw["length"]) == {"14"} else f"{dict(side.saw['length'])}"

@fact("every request was noted")
def noted(side):
    said = f"{side.requests()} requests, noted {dict(side.saw['length'])}"
    return "" if side.saw["length"]["14"] == side.requests() > 0 else said
"""


def tolerant(result: LoadResult) -> LoadVerdict:
    """The verdict; the test is skipped on a machine too busy to tell."""
    verdict, crowding = result.outcome.verdict, result.runs[-1].crowding
    if verdict is LoadVerdict.INCONCLUSIVE and crowding > QUIET:
        pytest.skip(f"the machine is busy ({crowding:.1f}): {result.outcome.reasons[0]}")
    return verdict


@pytest.mark.whole("load scripts")
@pytest.mark.parametrize("workers", [0, 2])
def test_small_run_passes(tmp_path: Path, workers: int) -> None:
    result = measured(tmp_path, GREETING, workers, at_least=20)
    assert tolerant(result) is LoadVerdict.PASS, result.outcome.reasons
    assert [fact.instead for fact in result.runs[-1].facts] == [""] * 4
    one, other = (result.runs[-1].find(side, "") for side in (YOURS, REFERENCE))
    assert one.requests == other.requests == sum(requests for _, requests, _ in one.blocks)


@pytest.mark.whole("load scripts")
def test_run_without_requests_is_no_pass(tmp_path: Path) -> None:
    """locust itself exits 0 then."""
    idle = "from two_sides import Visitor\nclass Idler(Visitor):\n    def visit(self, site): pass\n"
    result = measured(tmp_path, idle)
    assert result.outcome.verdict is LoadVerdict.INCONCLUSIVE
    assert result.outcome.reasons == ("Not one request was completed.",)


@pytest.mark.whole("load scripts")
def test_broken_fact_and_broken_visit_fail(tmp_path: Path) -> None:
    text = GREETING + (
        "class Careless(Visitor):\n    def visit(self, site):\n"
        "        if site.side == 'yours': {}['id']\n"
        '@fact("an id was seen")\ndef ids(side):\n'
        "    return 'none' if side.name == 'yours' else ''\n"
    )
    result = measured(tmp_path, text)
    assert result.outcome.verdict is LoadVerdict.FAIL
    assert "the visit could not go on: KeyError: 'id'" in result.outcome.reasons[0]
    assert "an id was seen: none" in result.outcome.reasons


@pytest.mark.whole("load scripts")
def test_moment_reaches_both_sides(tmp_path: Path) -> None:
    """A worker killed in the middle is replaced; both arbiters live on, and somebody notices."""
    text = GREETING + (
        "import signal\n"
        '@moment(0.3, "kill a worker")\ndef kill(side):\n'
        "    arbiter, worker = side.pids('wsgi')[:2]\n"
        "    side.saw['first'][str(worker)] += 1\n"
        "    side.signal('wsgi', signal.SIGTERM, worker)\n"
        '@fact("another worker is there")\ndef other(side):\n'
        "    workers = [str(pid) for pid in side.pids('wsgi')[1:]]\n"
        "    return '' if workers and workers[0] not in side.saw['first'] else f'{workers}'\n"
    )
    result = measured(tmp_path, text, at_least=20)
    moved = [fact for fact in result.runs[-1].facts if fact.title == "another worker is there"]
    assert [fact.instead for fact in moved] == ["", ""]


@pytest.mark.whole("load scripts")
def test_connections_are_counted(tmp_path: Path) -> None:
    result = measured(tmp_path, GREETING, at_least=20)
    if not Path("/proc/net/tcp").exists():
        pytest.skip("the kernel does not say")
    sync = result.connections["wsgi"][YOURS]
    assert sync > result.runs[-1].find(YOURS, "").requests / 2, "a sync worker closes after each answer"


@pytest.mark.whole("load scripts")
def test_broken_locustfile_is_our_trouble(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="locust gave no result"):
        measured(tmp_path, "import nothing_of_that_name\n")


# --- every lab's load script ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Slow:
    """A find-and-replace on the solution that a load run must FAIL, and what its report must contain."""

    name: str
    file: str
    find: str
    replace: str
    phrase: str


def slow_ones(lab: Lab) -> list[Slow]:
    return [Slow(**table) for table in judging.tables(lab.name).get("slow", [])]


LABS = [lab for lab in all_labs() if (lab.folder / "locustfile.py").exists()]

each_lab = pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
each_slow = pytest.mark.parametrize(
    ("lab", "slow"),
    [
        pytest.param(lab, slow, id=f"{lab.name}-{slow.name.replace(' ', '-')}")
        for lab in LABS
        for slow in slow_ones(lab)
    ],
)


def drive(lab: Lab, target: str | Path) -> dict[str, Any]:
    """`workshop load`; again while it can't tell, and skipped when it still can't."""
    for _ in range(3):
        done = judging.run("load", str(lab.number), "--target", str(target), "--json")
        try:
            result: dict[str, Any] = json.loads(done.stdout)
        except ValueError:
            raise AssertionError(f"no result (exit {done.returncode}):\n{done.stderr}") from None
        codes = {"PASS": 0, "FAIL": 1, "INCONCLUSIVE": 4}
        assert done.returncode == codes[result["verdict"]]
        if result["verdict"] != "INCONCLUSIVE":
            return result
    pytest.skip("; ".join(result["reasons"]))


@pytest.mark.whole("load scripts")
@each_lab
def test_solution_passes_under_load(lab: Lab) -> None:
    result = drive(lab, "solution")
    assert result["verdict"] == "PASS", result["reasons"]
    page = ROOT / result["report"]
    assert "drawLoad(" in page.read_text(encoding="utf-8")
    kept = json.loads(page.with_suffix(".json").read_text(encoding="utf-8"))
    assert {one["side"] for one in kept["runs"][-1]["series"]} == {"yours", "reference"}


@pytest.mark.whole("load scripts")
@each_slow
def test_slow_fault_fails_under_load(lab: Lab, slow: Slow, tmp_path: Path) -> None:
    target = tmp_path / "target"
    shutil.copytree(SOLUTIONS / lab.name, target)
    text = (target / slow.file).read_text(encoding="utf-8")
    assert text.count(slow.find) == 1, f"{slow.name!r}: its `find` is there {text.count(slow.find)} times"
    (target / slow.file).write_text(text.replace(slow.find, slow.replace), encoding="utf-8")
    result = drive(lab, target)
    assert result["verdict"] == "FAIL", result["ratios"]
    assert slow.phrase in "\n".join([*result["reasons"], *result["trace"]])


@each_lab
def test_limits_are_within_reason(lab: Lab) -> None:
    assert 1 <= lab.load.users <= 500 and 4 <= lab.load.seconds <= 10
    assert lab.load.ratio >= 1.6 and lab.load.at_least >= 20
    assert slow_ones(lab), f"{lab.name}: no [[slow]] fault shows what its load script catches"


# --- what can go wrong ---------------------------------------------------------------------------------


@pytest.mark.whole("load scripts")
def test_service_that_does_not_start_is_named(tmp_path: Path) -> None:
    lab = find("1")
    (tmp_path / "app.py").write_text("def application(\n", encoding="utf-8")
    result = drive(lab, tmp_path)
    assert result["verdict"] == "FAIL" and "before it listened" in result["reasons"][0]
    assert "SyntaxError" in result["trace"][-1]


def test_no_locust_and_no_network_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locust_runs, "VENV", tmp_path / "load-venv")
    monkeypatch.setattr(locust_runs, "BUNDLE", tmp_path / "none")
    monkeypatch.setenv("UV_OFFLINE", "1")
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("WORKSHOP_LOCUST", raising=False)
    with pytest.raises(Refusal, match="locust can't be installed") as caught:
        locust_runs.program()
    assert caught.value.code == EXIT_USAGE and "\n" not in str(caught.value)
    assert not (tmp_path / "load-venv" / "ready").exists(), "the next run tries again"


@pytest.mark.parametrize("text", ["many", "-1", "33", "²"])
def test_wrong_number_of_workers_is_refused(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKERS", text)
    with pytest.raises(Refusal, match=f"WORKERS={text}"):
        loading._number("WORKERS", 32)


@pytest.mark.whole("load scripts")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["Ctrl-C", "SIGTERM"])
def test_interrupted_run_leaves_nothing_behind(number: int) -> None:
    words = [sys.executable, "-m", "workshop", "load", "1", "--target", "solution"]
    env = judging.environment() | {"WORKERS": "1"}
    run = subprocess.Popen(words, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + SECONDS
    while not (below := [pid for pid in process.descendants(run.pid) if is_locust(pid)]):
        assert run.poll() is None and time.monotonic() < deadline, "locust did not start"
        time.sleep(0.05)
    below = process.descendants(run.pid)
    run.send_signal(number)
    said, _ = run.communicate(timeout=SECONDS)
    assert run.returncode == 130 and b"Traceback" not in said, said
    deadline = time.monotonic() + SECONDS
    while left := [pid for pid in below if Path(f"/proc/{pid}").exists()]:
        assert time.monotonic() < deadline, f"still running: {left}"
        time.sleep(0.05)


def is_locust(pid: int) -> bool:
    try:
        return b"locustfile.py" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


@pytest.mark.whole("load scripts")
def test_run_joins_a_stack_that_is_there() -> None:
    """As the container `load` does."""
    lab = find("1")
    with embedded(lab, "solution", load=True) as stack:
        stack.await_front()
        done = subprocess.run(
            [sys.executable, "-m", "workshop", "load", "1", "--target", "solution"],
            cwd=ROOT,
            env={**os.environ, **stack.attachment(), "PYTEST_CURRENT_TEST": ""},
            capture_output=True,
            text=True,
            timeout=90,
            check=False,
        )
    assert done.returncode in (0, loading.EXIT_INCONCLUSIVE), done.stdout + done.stderr
    assert "yours / reference" in done.stdout and done.stdout.count(".html") == 1
