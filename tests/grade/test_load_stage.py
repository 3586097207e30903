"""The load stage: what decides, what is written, and who is believed."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from tests.judging import environment
from workshop.errors import InfraError, Refusal
from workshop.grade.judging import load_stage as stage_of
from workshop.grade.judging.agents_as_one import TwoAgents
from workshop.grade.judging.load_stage import BROKEN, NO_START, SLOW, UNSURE, LoadOutcome, LoadStage
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome import blank
from workshop.grade.judging.outcome_cache import canonical
from workshop.grade.results import gradescope_json, html_pages, junit_xml, results_folder, summary_csv
from workshop.grade.results.late_policy import Policy
from workshop.grade.results.student_result import Graded, Result, result_of
from workshop.grade.sandboxes import choose_sandbox
from workshop.grade.sandboxes.sandbox import Engine
from workshop.grade.sandboxes.tcp_to_unix import TcpToUnix
from workshop.grade.submissions.class_roster import Person
from workshop.grade.submissions.collect import Submission
from workshop.judge.agent_replies import Misbehaved
from workshop.judge.stack import Stack
from workshop.judge.verdict import Verdict
from workshop.labs import Lab, Load, find
from workshop.load import load_verdict, locust_runs
from workshop.load import runner as loading
from workshop.load.load_verdict import REFERENCE, YOURS, LoadVerdict, Ratio, Run
from workshop.load.result import LoadResult
from workshop.paths import ROOT, SOLUTIONS

LAB = find("5")
SOLUTION = (SOLUTIONS / LAB.name / "server.py").read_text(encoding="utf-8")
SHORT = locust_runs.Plan(users=4, seconds=3)
TASKS_ONLY = """
import random
from two_sides import Visitor

class User(Visitor):
    def visit(self, site):
        title = f"Ask {random.randrange(10**9)}"
        made = site.post("/tasks", json={"title": title}, status=201)
        if made.status_code == 201:
            site.expect(made.json()["title"] == title, "another title")
"""

sandboxed = pytest.mark.skipif(
    bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()
)


@pytest.fixture
def engine() -> Iterator[Engine]:
    made = choose_sandbox.choose(LAB, "bubblewrap")
    yield made
    made.close()


@pytest.fixture
def quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """How busy this machine is with other tests is not the matter here."""
    monkeypatch.setattr(loading, "crowding", lambda: 1.0)


# --- what decides: pure functions ---------------------------------------------------------------------


def result_with(verdict: LoadVerdict, *runs: Run, ratios: tuple[Ratio, ...] = ()) -> LoadResult:
    outcome = load_verdict.Outcome(verdict, ("why: 7",) if verdict is not LoadVerdict.PASS else ())
    return LoadResult(5, "n", "t", "s", "m", 4, 3, outcome, list(runs), list(ratios))


def faulty(*kinds: str, side: str = YOURS) -> Run:
    return Run(("",), (), faults={side: dict.fromkeys(kinds, 3)})


def test_reason_has_no_number_of_the_run() -> None:
    wrong = stage_of.concluded(result_with(LoadVerdict.FAIL, faulty("a wrong body, such as b'17'")))
    slow = stage_of.concluded(result_with(LoadVerdict.FAIL, faulty(side=REFERENCE)))
    assert (wrong.reason, slow.reason) == (BROKEN, SLOW)
    assert wrong.as_result(3) == {"verdict": "FAIL", "reason": BROKEN, "points": 0, "of": 3}
    assert wrong.details == ["why: 7"]


@pytest.mark.parametrize(("high", "verdict"), [(1.4, LoadVerdict.PASS), (2.1, LoadVerdict.INCONCLUSIVE)])
def test_passing_only_just_is_not_clear(high: float, verdict: LoadVerdict) -> None:
    near = Ratio("yours", REFERENCE, 1.2, 1.0, high, limit=2.0)
    outcome = stage_of.concluded(result_with(LoadVerdict.PASS, faulty(side=REFERENCE), ratios=(near,)))
    assert outcome.verdict is verdict
    assert outcome.points(3) == (3 if verdict is LoadVerdict.PASS else None)


@pytest.mark.parametrize(
    ("kinds", "doubtful"),
    [
        (("no answer within 2 s",), True),
        (("one thread: no whole answer: OSError: reset", "status 502 instead of 200: nginx wrote it"), True),
        (("no answer within 2 s", "a wrong body"), False),
        (("status 500 instead of 200",), False),
        ((), False),
    ],
)
def test_only_what_a_busy_machine_may_cause_is_run_again(kinds: tuple[str, ...], doubtful: bool) -> None:
    outcome = stage_of.concluded(result_with(LoadVerdict.FAIL, faulty(*kinds)))
    assert stage_of.is_doubtful(outcome) is doubtful


def test_the_second_run_of_a_doubtful_one_counts(monkeypatch: pytest.MonkeyPatch, engine: Engine) -> None:
    runs = [
        LoadOutcome(LoadVerdict.INCONCLUSIVE, UNSURE, {"reasons": ["a busy machine"]}),
        LoadOutcome(LoadVerdict.PASS),
    ]
    stage = LoadStage(LAB, engine, Path("unused"), SHORT)
    monkeypatch.setattr(stage, "_run", lambda files: runs.pop(0))
    outcome = stage.measured({})
    assert outcome.verdict is LoadVerdict.PASS and not runs
    assert outcome.run["first"] == {"verdict": "INCONCLUSIVE", "reasons": ["a busy machine"]}


def test_a_load_generator_that_is_lost_twice_counts_only_where_the_solution_passes(
    monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    solution = {"server.py": SOLUTION.encode()}
    drives_the_solution = LoadVerdict.PASS

    def run(files: dict[str, bytes]) -> LoadOutcome:
        if files == solution:
            return LoadOutcome(drives_the_solution, "", {"reasons": ["the disk is full"]})
        return LoadOutcome(LoadVerdict.FAIL, BROKEN, {"reasons": [f"{stage_of.LOST}: Killed"]})

    stage = LoadStage(LAB, engine, Path("unused"), SHORT)
    monkeypatch.setattr(stage, "_run", run)
    assert stage.measured({}).verdict is LoadVerdict.FAIL
    drives_the_solution = LoadVerdict.INCONCLUSIVE
    with pytest.raises(InfraError, match="the disk is full"):
        stage.measured({})


@pytest.mark.parametrize(
    ("misbehaved", "verdict"),
    [(["learner"], LoadVerdict.FAIL), (["learner", "reference"], LoadVerdict.INCONCLUSIVE)],
)
def test_a_sandbox_that_ends_under_load_is_driven_again(
    misbehaved: list[str], verdict: LoadVerdict, monkeypatch: pytest.MonkeyPatch, engine: Engine
) -> None:
    def ended(stack: Stack) -> None:
        board.misbehaved |= dict.fromkeys(misbehaved, "the sandbox ended, or no longer answers")
        raise InfraError("The agent could not do it.")

    board = TwoAgents.__new__(TwoAgents)
    board.misbehaved = {}
    monkeypatch.setattr(loading, "start_services", ended)
    stage = LoadStage(LAB, engine, Path("unused"), SHORT)

    def driven(files: dict[str, bytes], place: Path) -> LoadOutcome:
        return stage._judged(stage._stack("submission", "embedded", place), board, place)

    monkeypatch.setattr(stage, "_driven", driven)
    outcome = stage._run({})
    assert outcome.verdict is verdict
    assert stage_of.is_doubtful(outcome), "it is run again before that counts"


def test_what_did_not_start_is_not_driven(manifest: Manifest) -> None:
    none = stage_of.without_driving(blank(manifest, Verdict.NO_START, "", "", ""))
    assert none is not None and (none.verdict, none.reason) == (LoadVerdict.FAIL, NO_START)
    ours = stage_of.without_driving(blank(manifest, Verdict.INFRA_ERROR, "", "", ""))
    assert ours is not None and ours.verdict is LoadVerdict.INCONCLUSIVE
    assert stage_of.without_driving(blank(manifest, Verdict.FAIL, "", "", "")) is None


def test_a_lab_without_a_script_and_a_weak_sandbox_are_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="no load script"):
        LoadStage(replace(LAB, folder=tmp_path), engine, tmp_path)
    engine.name = "weak"
    with pytest.raises(Refusal, match="needs bubblewrap or Docker"):
        LoadStage(LAB, engine, tmp_path)


def test_a_second_grader_says_that_it_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    order = []

    def second() -> None:
        with stage_of.whole_machine():
            order.append("second")

    with stage_of.whole_machine():
        other = threading.Thread(target=second)
        other.start()
        while "waiting" not in capsys.readouterr().err:
            assert other.is_alive()
        order.append("first")
    other.join()
    assert order == ["first", "second"] and not list(tmp_path.iterdir())


def test_a_locust_without_a_result_is_no_infra_error(
    tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    def ended(*_: object) -> LoadResult:
        raise locust_runs.NoResult("locust gave no result: MemoryError")

    monkeypatch.setattr(loading, "start_services", lambda stack: None)
    monkeypatch.setattr(loading, "measure", ended)
    outcome = LoadStage(LAB, engine, tmp_path, SHORT)._run({"server.py": SOLUTION.encode()})
    assert (outcome.verdict, outcome.reason) == (LoadVerdict.FAIL, BROKEN)
    assert stage_of.is_doubtful(outcome), "it is run again before that counts"


# --- what is written ----------------------------------------------------------------------------------


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest.make(LAB, tmp_path / "manifest", secret=7)


def graded(manifest: Manifest, load: LoadOutcome | None, points: int) -> Result:
    attempt = Submission(Person("ada", "Ada"), 1, {"server.py": b""})
    outcome = blank(manifest, Verdict.PASS, "", "", "")
    return result_of(manifest, Policy(), [Graded(attempt, outcome, load)], points)


def written(result: Result) -> str:
    return (
        html_pages.student(result)
        + html_pages.grid([result])
        + summary_csv.document([result])
        + junit_xml.document(result)
    )


def test_without_a_stage_nothing_is_said_of_load(manifest: Manifest) -> None:
    result = graded(manifest, None, 0)
    assert "load" not in result.data and result.score == result.data["of"] == LAB.points
    assert "under load" not in written(result) + json.dumps(gradescope_json.document(result))


@pytest.mark.parametrize(
    ("verdict", "points", "score"),
    [
        ("PASS", 4, LAB.points + 4),
        ("FAIL", 4, LAB.points),
        ("INCONCLUSIVE", 4, None),
        ("PASS", 0, LAB.points),
        ("FAIL", 0, LAB.points),
        ("INCONCLUSIVE", 0, LAB.points),
    ],
)
def test_points_are_all_or_nothing_or_held(
    manifest: Manifest, verdict: str, points: int, score: float | None
) -> None:
    reason = "" if verdict == "PASS" else BROKEN
    load = LoadOutcome(LoadVerdict(verdict), reason, {"reasons": ["3 × <b>what</b> was seen"], "took": 14.2})
    result = graded(manifest, load, points)
    assert result.score == score and result.data["of"] == LAB.points + points
    assert "14.2" not in json.dumps(result.data) and "was seen" not in json.dumps(result.data)
    assert result.run["attempts"][0]["load"]["took"] == 14.2
    said = written(result)
    assert verdict in said and "<b>what" not in said
    assert ("3 × &lt;b&gt;what" in html_pages.student(result)) == (verdict != "PASS")
    assert result.data["load"]["verdict"] in summary_csv.document([result]).splitlines()[1]
    assert f'classname="{LAB.name}.load"' in junit_xml.document(result)
    last = gradescope_json.document(result)["tests"][-1]
    assert last["name"].startswith("under load") and last["output"].startswith(verdict)
    assert last.get("max_score") == (points if points and score is not None else None)


# --- between locust and the sandboxes -----------------------------------------------------------------


def test_relay_carries_a_half_close_and_refuses_what_is_refused(tmp_path: Path) -> None:
    def inside(listener: socket.socket) -> None:
        for first in (b"+", b"-"):
            link, _ = listener.accept()
            with link:
                link.sendall(first)
                said = b""
                while piece := link.recv(100):
                    said += piece
                with suppress(OSError):
                    link.sendall(said[::-1])

    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as listener, TcpToUnix() as relay:
        listener.bind(str(path))
        listener.listen()
        served = threading.Thread(target=inside, args=[listener])
        served.start()
        port = relay.open(path)
        heard = []
        for _ in range(2):
            with socket.create_connection(("127.0.0.1", port), timeout=30) as link, suppress(OSError):
                link.sendall(b"abc")
                link.shutdown(socket.SHUT_WR)
                heard.append(link.recv(100))
        served.join()
    assert heard[0] == b"cba" and heard[1:] in ([b""], [])
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=30)


class Stranger(Stack):
    """An agent whose sandbox talks nonsense about one thing."""

    def ask(self, do: str, **fields: Any) -> dict[str, Any]:
        if do == "pids":
            raise Misbehaved("the sandbox answered with JSON that is not an object")
        return {"state": "ready", "port": 8001, "service": fields["service"]}


def test_switchboard_believes_nobody(tmp_path: Path) -> None:
    sides = {crew: Stranger(LAB, crew, "sandbox", tmp_path, None, "") for crew in ("learner", "reference")}
    ports = {"learner": {"tasks": 30001}, "reference": {"tasks": 30002}}
    run = Stack(LAB, "t", "embedded", tmp_path, None, "")
    with TwoAgents(tmp_path, sides, ports) as board:
        assert run.ask("start", service="tasks", crew="learner")["port"] == 30001
        assert run.ask("start", service="tasks", crew="reference")["port"] == 30002
        with pytest.raises(InfraError, match="not an object"):
            run.ask("pids", service="tasks", crew="learner")
        with pytest.raises(InfraError, match="not an object"):  # it is not asked again
            run.ask("start", service="tasks", crew="learner")
        assert run.ask("start", service="tasks", crew="reference")["port"] == 30002
        assert list(board.misbehaved) == ["learner"]
        run.close()


# --- real submissions in real sandboxes ---------------------------------------------------------------

SPEAKS = """
import json, os, socket, sys, threading, time
arguments = dict(zip(sys.argv[2::2], sys.argv[3::2]))
listener = socket.create_server((arguments["--host"], int(arguments["--port"])), backlog=512)

def plain(body, status="200 OK"):
    head = f"HTTP/1.1 {status}\\r\\nContent-Type: application/json\\r\\nConnection: close\\r\\n"
    return f"{head}Content-Length: {len(body)}\\r\\n\\r\\n".encode() + body

def one(link):
    with link:
        head = link.recv(65536)
        link.sendall(answer(head))

%s

while True:
    threading.Thread(target=one, args=[listener.accept()[0]], daemon=True).start()
"""
CACHED = """
TASK = json.dumps({"id": 1, "title": "Ask Ada", "done": False}).encode()
NAP = json.dumps({"name": "Ada", "at_once": 4 if "4" in sys.argv else 1}).encode()

def answer(head):
    method, path = head.split()[:2]
    if path.startswith(b"/do/nap"):
        return plain(NAP)
    status = {b"POST": "201 Created", b"DELETE": "204 No Content"}.get(method, "200 OK")
    return plain(b"" if method == b"DELETE" else TASK, status)
"""
FAST_500 = "def answer(head): return plain(b'{}', '500 Internal Server Error')"
HANGS = "def answer(head): time.sleep(3600)"


def changed(find: str, instead: str) -> str:
    assert SOLUTION.count(find) == 1
    return SOLUTION.replace(find, instead)


DIES = changed(
    "        response = Response(connection, head, keep_alive=head.keep_alive and not last)\n",
    "        response = Response(connection, head, keep_alive=head.keep_alive and not last)\n"
    "        ANSWERED.append(1) if len(ANSWERED) < 40 else os._exit(0)\n",
).replace("def unquote_latin1", "ANSWERED: list = []\n\n\ndef unquote_latin1")
SLOWER = changed(
    "        for chunk in result:\n            response.write(chunk)\n",
    "        for chunk in result:\n            time.sleep(0.15)\n            response.write(chunk)\n",
)


@pytest.mark.whole("classes in sandboxes")
@sandboxed
@pytest.mark.usefixtures("quiet")
@pytest.mark.parametrize(
    ("source", "seen"),
    [
        (SPEAKS % CACHED, "somebody else's|given twice"),
        (SPEAKS % FAST_500, "status 500"),
        (SPEAKS % HANGS, "no answer|nginx wrote it"),
        (DIES, "nginx wrote it|no whole answer|no answer"),
    ],
    ids=["cached blob", "fast 500s", "hangs", "dies"],
)
def test_lab_5_is_not_fooled(engine: Engine, tmp_path: Path, source: str, seen: str) -> None:
    outcome = LoadStage(LAB, engine, tmp_path, SHORT)._run({"server.py": source.encode()})
    assert (outcome.verdict, outcome.reason) == (LoadVerdict.FAIL, BROKEN), outcome.details
    assert re.search(seen, "\n".join(outcome.details)), outcome.details
    assert not leftovers()


def leftovers() -> list[str]:
    """Folders of this process's graders."""
    found = Path(tempfile.gettempdir()).glob(f"wg-{os.getpid()}-*")
    return [path.name for path in found if "-lab-" not in path.name]


@pytest.fixture
def tasks_only(tmp_path: Path) -> Lab:
    """Lab 5 under a load that only makes tasks, with a wide limit: what a busy machine does is not judged."""
    folder = tmp_path / "lab"
    folder.mkdir()
    (folder / "locustfile.py").write_text(TASKS_ONLY, encoding="utf-8")
    services = {"tasks": LAB.services["tasks"]}
    return replace(
        LAB, folder=folder, services=services, load=Load(users=4, seconds=3, at_least=20, ratio=6.0)
    )


@pytest.mark.whole("classes in sandboxes")
@sandboxed
@pytest.mark.usefixtures("quiet")
def test_right_but_slow_fails_by_ratio(engine: Engine, tmp_path: Path, tasks_only: Lab) -> None:
    outcome = LoadStage(tasks_only, engine, tmp_path)._run({"server.py": SLOWER.encode()})
    assert (outcome.verdict, outcome.reason) == (LoadVerdict.FAIL, SLOW), outcome.details
    assert not any(char.isdigit() for char in outcome.reason)
    assert len(outcome.run["runs"]) == 2, "a ratio is measured twice"


@pytest.mark.whole("classes in sandboxes")
@sandboxed
@pytest.mark.usefixtures("quiet")
def test_a_class_is_driven_once_and_goes_on_where_it_ended(
    engine: Engine, tmp_path: Path, tasks_only: Lab, manifest: Manifest
) -> None:
    passed, none = (blank(manifest, one, "", "", "") for one in (Verdict.PASS, Verdict.NO_START))
    submissions = {
        "a": ({"server.py": SOLUTION.encode()}, passed),
        "b": ({"server.py": (SPEAKS % FAST_500).encode()}, passed),
        "c": ({"server.py": b"def x(:"}, none),
    }
    store = tmp_path / "store"
    first = LoadStage(tasks_only, engine, store, quiet=True)
    with pytest.MonkeyPatch.context() as patch:  # the machine stops after the first one
        patch.setattr(first, "_calibrate", lambda: None)
        patch.setattr(LoadStage, "_keep", keep_then_end(LoadStage._keep))
        with pytest.raises(KeyboardInterrupt):
            first.drive(submissions)
    assert len(list(store.iterdir())) == 1
    second = LoadStage(tasks_only, engine, store, quiet=True)
    found = second.drive(submissions)
    assert second.driven_now == 1
    verdicts = {key: str(outcome.verdict) for key, outcome in found.items()}
    assert verdicts == {"a": "PASS", "b": "FAIL", "c": "FAIL"}, [one.details for one in found.values()]
    third = LoadStage(tasks_only, engine, store, quiet=True)
    again = third.drive(submissions)
    assert third.driven_now == 0
    assert {key: canonical(asdict(one)) for key, one in again.items()} == {
        key: canonical(asdict(one)) for key, one in found.items()
    }
    assert LoadStage(replace(tasks_only, load=Load(users=5)), engine, store)._known("a") is None, (
        "another plan"
    )


def keep_then_end(keep: Callable[..., None]) -> Callable[..., None]:
    def end(stage: LoadStage, key: str, outcome: LoadOutcome) -> None:
        keep(stage, key, outcome)
        raise KeyboardInterrupt

    return end


@pytest.mark.whole("classes in sandboxes")
@sandboxed
@pytest.mark.usefixtures("quiet")
def test_nobody_is_driven_when_the_solution_fails(
    engine: Engine, tmp_path: Path, tasks_only: Lab, manifest: Manifest
) -> None:
    broken = TASKS_ONLY.replace("status=201)", "status=202)")
    (tasks_only.folder / "locustfile.py").write_text(broken, encoding="utf-8")
    stage = LoadStage(tasks_only, engine, tmp_path / "store", quiet=True)
    passed = blank(manifest, Verdict.PASS, "", "", "")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stage_of, "TRIES", 1)
        with pytest.raises(InfraError, match=r"Nobody was driven.*status 201 instead of 202"):
            stage.drive({"a": ({"server.py": SOLUTION.encode()}, passed)})
    assert not (tmp_path / "store").exists()


def test_options_that_say_nothing_are_refused(tmp_path: Path) -> None:
    (tmp_path / "in" / "ada").mkdir(parents=True)
    words = [sys.executable, "-m", "workshop", "grade", str(tmp_path / "in"), "--lab", "5"]
    for more, said in (
        (["--load-points", "3"], "give both"),
        (["--load", "--load-points", "-1"], "not a number of points"),
        (["--load", "--load-points", "many"], "not a number of points"),
    ):
        done = subprocess.run(
            [*words, *more], cwd=ROOT, capture_output=True, text=True, env=environment(), check=False
        )
        assert done.returncode == 2 and said in done.stderr and "Traceback" not in done.stderr


@pytest.mark.whole("classes in sandboxes")
@sandboxed
def test_the_command_says_what_load_came_to(tmp_path: Path) -> None:
    """Where nothing started, nothing is driven: that needs no load generator."""
    (tmp_path / "in" / "bob").mkdir(parents=True)
    (tmp_path / "in" / "bob" / "server.py").write_text("def x(:", encoding="utf-8")
    words = [sys.executable, "-m", "workshop", "grade", str(tmp_path / "in"), "--lab", "5", "--load"]
    words += ["--load-points", "4"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=environment(), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    text = (tmp_path / "in-graded" / "students" / "bob" / "results.json").read_text(encoding="utf-8")
    result = json.loads(text)
    assert result["load"] == {"verdict": "FAIL", "reason": NO_START, "points": 0, "of": 4}
    assert (result["score"], result["of"]) == (0, LAB.points + 4)


def test_parts_with_and_without_load_are_not_merged(manifest: Manifest, tmp_path: Path) -> None:
    parts = []
    for name, load in (("ada", LoadOutcome(LoadVerdict.PASS)), ("bob", None)):
        attempt = Submission(Person(name, name), 1, {"server.py": b""})
        one = [Graded(attempt, blank(manifest, Verdict.PASS, "", "", ""), load)]
        parts.append(tmp_path / name)
        results_folder.write_all(parts[-1], [result_of(manifest, Policy(), one)])
    words = ["merge", *map(str, parts), "--out", str(tmp_path / "all")]
    done = subprocess.run(
        [sys.executable, "-m", "workshop", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=environment(),
        check=False,
    )
    assert done.returncode == 2 and "the same --load" in done.stderr, done.stdout + done.stderr
