"""Load stages: each submission that started, and the lab's solution, under the same load, in a sandbox each.

          ┌──────────▶ port ─▶ relay ─▶ sandbox of the submission
  locust ─┤                                 ▲
          └──▶ port ─▶ relay ─▶ sandbox of the solution
  locust, measure ─▶ agent.sock (agents_as_one) ─▶ the agents of both

locust and what it concludes stay outside; neither sandbox has a way to the other. A stage has the machine to
itself: no check runs meanwhile, and of several graders one drives at a time.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from workshop.errors import InfraError, Refusal
from workshop.grade.judging.agents_as_one import TwoAgents
from workshop.grade.judging.local_pool import Files
from workshop.grade.judging.manifest import digest_of
from workshop.grade.judging.outcome import Outcome
from workshop.grade.judging.outcome_cache import canonical, write_whole
from workshop.grade.sandboxes.sandbox import DRIVEN, Engine, Running
from workshop.grade.sandboxes.sandbox_sockets import own_name
from workshop.grade.sandboxes.tcp_to_unix import TcpToUnix
from workshop.judge.stack import SANDBOX, Address, Stack
from workshop.judge.start_failure import start_text
from workshop.judge.verdict import Verdict
from workshop.labs import Lab, target_folder
from workshop.load import locust_runs
from workshop.load import runner as loading
from workshop.load.load_verdict import LATE, YOURS, LoadVerdict, broken
from workshop.load.result import LoadResult
from workshop.paths import SERVICES
from workshop.run import unix_to_tcp

TRIES = 3  # of the lab's own solution beside itself
NO_START = "it did not start"
BROKEN = "requests failed, or what must hold under load did not"
SLOW = "it takes clearly longer than the reference, or one of its own ways, allows"
UNSURE = "measured twice, and not clear either time"


@dataclass
class LoadOutcome:
    """`verdict` and `reason` are the same for the same work; what was measured is in `run`."""

    verdict: LoadVerdict
    reason: str = ""
    run: dict[str, Any] = field(default_factory=dict)

    def points(self, of: int) -> int | None:
        """All or nothing; None where there is no verdict."""
        return {LoadVerdict.PASS: of, LoadVerdict.FAIL: 0}.get(self.verdict)

    def as_result(self, of: int) -> dict[str, Any]:
        """The part of results.json."""
        return {"verdict": str(self.verdict), "reason": self.reason, "points": self.points(of), "of": of}

    @property
    def details(self) -> list[str]:
        """What was seen, in words and numbers that another run would not repeat."""
        return [str(line) for line in self.run.get("reasons", [])]


class LoadStage:
    """Drives submissions of one lab, one after the other; outcomes go to `folder` as soon as they are known.

    `plan` is the lab's own when it is None. Raises Refusal where there is nothing to drive, or to drive with.
    """

    def __init__(
        self,
        lab: Lab,
        engine: Engine,
        folder: Path,
        plan: locust_runs.Plan | None = None,
        fresh: bool = False,
        quiet: bool = False,
    ) -> None:
        script = lab.folder / "locustfile.py"
        if not script.exists():
            raise Refusal(f"Lab {lab.number} has no load script: grade it without --load.")
        if engine.name == "weak":
            raise Refusal("--load needs bubblewrap or Docker: a weak sandbox could reach the reference.")
        self.lab, self.engine, self.folder, self.fresh, self.quiet = lab, engine, folder, fresh, quiet
        self.plan = plan or locust_runs.Plan(lab.load.users, lab.load.seconds)
        solution = target_folder(lab, "solution")
        self._solution = {name: (solution / name).read_bytes() for name in lab.edit}
        self._digest = f"{digest_of(script, SERVICES / 'load')} {self.plan} {asdict(lab.load)}"
        self.driven_now = 0

    def drive(self, submissions: dict[str, tuple[Files, Outcome]]) -> dict[str, LoadOutcome]:
        """Outcomes by the key under which a submission's checks are kept.

        Raises InfraError when the solution does not pass beside itself: then nobody is driven.
        """
        found, missing = {}, {}
        for key, (files, outcome) in submissions.items():
            known = without_driving(outcome) or self._known(key)
            if known is not None:
                found[key] = known
            else:
                missing[key] = files
        if not missing:
            return found
        locust_runs.program()
        loading.raise_open_files()
        self.engine.room = DRIVEN
        with whole_machine(), loading.terminable(), self._progress() as progress:
            self._calibrate()
            for key in progress.track(sorted(missing), description="load"):
                found[key] = self.measured(missing[key])
                self.driven_now += 1
                self._keep(key, found[key])
        return found

    def measured(self, files: Files) -> LoadOutcome:
        """One submission's outcome. What the machine may have spoiled is run again, and that run counts.

        Raises InfraError where the load generator was ended both times, and the solution does not pass now.
        """
        first = self._run(files)
        if not is_doubtful(first):
            return first
        second = self._run(files)
        if is_lost(second):
            self._calibrate()
        second.run["first"] = {"verdict": first.verdict, "reasons": first.details}
        return second

    def _calibrate(self) -> None:
        for _ in range(TRIES):
            outcome = self._run(self._solution)
            if outcome.verdict is LoadVerdict.PASS:
                return
        raise InfraError(
            f"Nobody was driven: lab {self.lab.number}'s own solution is {outcome.verdict} beside itself "
            f"({'; '.join(outcome.details[:1]) or outcome.reason}). What is graded so far is kept."
        )

    # --- what is known already

    def _path(self, key: str) -> Path:
        return self.folder / f"{hashlib.sha256(f'{key} {self._digest}'.encode()).hexdigest()}.load.json"

    def _known(self, key: str) -> LoadOutcome | None:
        if self.fresh:
            return None
        try:
            data = json.loads(self._path(key).read_text(encoding="utf-8"))
            return LoadOutcome(LoadVerdict(data["verdict"]), data["reason"], data["run"])
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _keep(self, key: str, outcome: LoadOutcome) -> None:
        """What is no verdict is not kept: the next run tries again."""
        if outcome.verdict is not LoadVerdict.INCONCLUSIVE:
            write_whole(self._path(key), canonical(asdict(outcome)))

    def _progress(self) -> Progress:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        return Progress(*columns, console=Console(stderr=True), disable=self.quiet)

    # --- one run

    def _run(self, files: Files) -> LoadOutcome:
        """Both sides in fresh sandboxes, driven to the end. What fails on our side is INCONCLUSIVE."""
        began = time.monotonic()
        try:
            with tempfile.TemporaryDirectory(prefix=f"{own_name()}load-") as place:
                outcome = self._driven(files, Path(place))
        except InfraError as error:
            outcome = LoadOutcome(LoadVerdict.INCONCLUSIVE, UNSURE, {"reasons": [str(error)]})
        outcome.run |= {"took": round(time.monotonic() - began, 3), "engine": self.engine.name}
        return outcome

    def _driven(self, files: Files, place: Path) -> LoadOutcome:
        with ExitStack() as opened:
            sides: dict[str, Running] = {}
            for slot, (crew, its_files) in enumerate({"learner": files, "reference": self._solution}.items()):
                sides[crew] = self.engine.start(_laid_out(its_files, place / crew), slot)
                opened.callback(sides[crew].end)
            relay = opened.enter_context(TcpToUnix())
            fronts, ports = {}, {}
            for crew, side in sides.items():
                fronts[crew] = Address("127.0.0.1", relay.open(side.wire / f"{unix_to_tcp.FRONT}.sock"))
                inside = unix_to_tcp.ports(self.lab).items()
                ports[crew] = {name: relay.open(side.wire / f"{port}.sock") for name, port in inside}
            agents = {crew: self._stack(crew, SANDBOX, side.wire) for crew, side in sides.items()}
            board = opened.enter_context(TwoAgents(place, agents, ports))
            for agent in agents.values():
                opened.callback(agent.close)
            stack = self._stack("submission", "embedded", place)
            stack.front, stack.reference_front = fronts["learner"], fronts["reference"]
            opened.callback(stack.close)
            return self._judged(stack, board, place)

    def _stack(self, target: str, mode: str, run: Path) -> Stack:
        return Stack(self.lab, target, mode, run, front=None, public="")

    def _judged(self, stack: Stack, board: TwoAgents, place: Path) -> LoadOutcome:
        try:
            if reply := loading.start_services(stack):
                return LoadOutcome(LoadVerdict.FAIL, NO_START, {"reasons": [start_text(reply)]})
            return concluded(loading.measure(stack, self.plan, place))
        except locust_runs.NoResult as error:
            return LoadOutcome(LoadVerdict.FAIL, BROKEN, {"reasons": [f"{LOST}: {error}"]})
        except InfraError:
            if [*board.misbehaved] != ["learner"]:
                raise
            return LoadOutcome(LoadVerdict.FAIL, BROKEN, {"reasons": [board.misbehaved["learner"]]})


LOST = "no whole answer to anything: the load generator was ended with it"


def _laid_out(files: Files, folder: Path) -> Path:
    for name, data in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return folder


# --- pure functions -----------------------------------------------------------------------------------


def without_driving(outcome: Outcome) -> LoadOutcome | None:
    """What needs no load: a submission of which nothing started, or whose checks we failed to run."""
    if outcome.infra:
        return LoadOutcome(LoadVerdict.INCONCLUSIVE, "its checks have no verdict yet")
    if all(check["verdict"] == Verdict.NO_START for check in outcome.checks):
        return LoadOutcome(LoadVerdict.FAIL, NO_START)
    return None


def concluded(result: LoadResult) -> LoadOutcome:
    """What a run says, without the numbers. Passing only just is not clear, and neither is failing so."""
    verdict, measured = result.outcome.verdict, result.as_dict()
    if verdict is LoadVerdict.FAIL:
        return LoadOutcome(verdict, BROKEN if broken(result.runs[-1], YOURS) else SLOW, measured)
    near = [ratio for ratio in result.ratios if not ratio.is_clearly_within]
    if verdict is LoadVerdict.PASS and near:
        verdict = LoadVerdict.INCONCLUSIVE
        measured["reasons"] = [
            f"{one.one} / {one.other} is {one.value:.2f}, too near its limit of {one.limit:g} to tell"
            for one in near
        ]
    return LoadOutcome(verdict, "" if verdict is LoadVerdict.PASS else UNSURE, measured)


def is_doubtful(outcome: LoadOutcome) -> bool:
    """Whether a crowded machine may have caused it: no verdict, no run to its end, or only missing answers.

    A wrong answer is not excused so; and a ratio was measured twice already.
    """
    if outcome.verdict is not LoadVerdict.FAIL or outcome.reason == SLOW:
        return outcome.verdict is LoadVerdict.INCONCLUSIVE
    runs = outcome.run.get("runs", [])
    faults = runs[-1]["faults"].get(YOURS, {}) if runs else {}
    return not runs or (bool(faults) and all(LATE.search(fault) for fault in faults))


def is_lost(outcome: LoadOutcome) -> bool:
    """Whether the load generator did not live to say anything: by a flood of answers, or by our own doing."""
    return any(line.startswith(LOST) for line in outcome.details)


@contextmanager
def whole_machine() -> Iterator[None]:
    """Have the only load stage of this machine: whoever comes second says so, and waits."""
    descriptor = os.open(tempfile.gettempdir(), os.O_RDONLY)  # a lock that is always there leaves no file
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print("Another grader drives its load stage on this machine: waiting …", file=sys.stderr)
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
