"""The pytest plugin that turns a lab's test file into a verdict: `pytest labs/05-wsgi-server` is enough.

It starts a stack (or joins the one that the environment names), runs the checks in the order of lab.toml,
stops after the first task that fails, and prints what was sent, got and expected instead of assertions.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import shlex
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from workshop.errors import EXIT_FAILED, EXIT_INFRA, EXIT_PASSED, InfraError
from workshop.judge import checks
from workshop.judge.agent_replies import Misbehaved
from workshop.judge.diagnosis import Judge, is_of_this_machine, misbehaved, unreadable
from workshop.judge.http_client import Client, Clock, Trail
from workshop.judge.http_wire import Deadline
from workshop.judge.lab_lanes import ChecksOfLab
from workshop.judge.patience import Patience
from workshop.judge.probe_client import Probe
from workshop.judge.recorder import Recorder
from workshop.judge.report import show
from workshop.judge.stack import (
    DEFAULT_PORT,
    DOCKER,
    SANDBOX,
    Address,
    Stack,
    attached,
    embedded,
    is_attached,
)
from workshop.judge.stack_override import OTHER_STACK, OtherStack
from workshop.judge.started_services import started, through_nginx
from workshop.judge.timeline import Timeline
from workshop.judge.verdict import CheckResult, Finding, LabResult, Verdict
from workshop.judge.verdict_feed import Feed
from workshop.labs import Lab, of_folder
from workshop.last_verdicts import digests, remember
from workshop.paths import STATE


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("workshop")
    group.addoption("--target", default="starter", help="starter, solution, oracle, or a folder")
    group.addoption("--seed", type=int, default=None, help="the seed that varies the inputs")
    group.addoption("--all", action="store_true", dest="everything", help="don't stop at a failing task")
    group.addoption("--json", action="store_true", dest="as_json", help="print the whole result as JSON")
    group.addoption("--one-at-a-time", action="store_true", help="no checks side by side, for debugging")
    group.addoption("--record", action="store_true", help="record what happens on every hop")
    group.addoption("--draw", action="store_true", help="the same, and draw it below the reports")
    group.addoption("--front-port", type=int, default=0, help="nginx's port; 0 takes any")


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Keep pytest's own reporter quiet: the verdict is printed at the end."""
    config.option.verbose = min(config.option.verbose, -2)
    config.option.no_header = config.option.no_summary = True
    config.option.showcapture = "no"
    config.option.tbstyle = "no"
    config.option.importmode = "importlib"  # the learner's folder is not on the path of what judges
    config.pluginmanager.register(LabRun(config), "workshop-lab-run")


class LabRun:
    """One run of one lab's checks: its stack, its seed and its results."""

    def __init__(self, config: pytest.Config) -> None:
        option = config.option
        self.config = config
        self.target: str = option.target
        self.everything: bool = option.everything
        self.as_json: bool = option.as_json
        self.port: int = option.front_port
        self.seed: int = random.randrange(10**6) if option.seed is None else option.seed
        self.lab: Lab | None = None
        self.results: dict[str, CheckResult] = {}
        self.chosen: list[str] = []
        self.failed_task: int | None = None
        self.notes: list[str] = []
        self.unreadable = ""
        self.files: dict[str, str] = {}  # what the learner's held when the stack began
        self._exits = contextlib.ExitStack()
        self._stack: Stack | None = None
        self.feed = Feed()
        self.patience = Patience.of_environment()
        self._clock: Clock | None = None
        self.recorder = Recorder() if option.record or option.draw else None
        if self.recorder is not None:
            self.recorder.listen()
            self._exits.callback(self.recorder.leave)

    # --- collecting

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """A lab's checks may import what is in its folder `checks`, and nothing that a learner can edit."""
        folder = collector.path.parent / "checks"
        if isinstance(collector, pytest.Module) and folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))

    def pytest_pycollect_makemodule(
        self, module_path: Path, parent: pytest.Collector
    ) -> pytest.Module | None:
        if not (module_path.parent / "lab.toml").exists():
            return None
        module: pytest.Module = ChecksOfLab.from_parent(parent, path=module_path)
        return module

    def pytest_ignore_collect(self, collection_path: Path) -> bool | None:
        """Tests that a learner writes are theirs: they run where their other code runs, never here."""
        folder = collection_path.parent
        if (folder / "lab.toml").exists() and collection_path.name in of_folder(folder).edit:
            return True
        return None

    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Put a lab's checks into the order of lab.toml."""
        folders = {item.path.parent for item in items}
        if len(folders) > 1:
            raise pytest.UsageError("one lab at a time: name its folder, as in `pytest labs/01-the-callable`")
        if not folders or not (folders.pop() / "lab.toml").exists():
            return
        self.lab = of_folder(items[0].path.parent)
        order = self.lab.checks
        unlisted = [item.name for item in items if item.name not in order]
        if unlisted:
            raise pytest.UsageError(f"{unlisted[0]} is not in {self.lab.name}/lab.toml: it has no points")
        items.sort(key=lambda item: order.index(item.name))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """A test file that can't be read is the workshop's own fault."""
        if report.failed and not self.unreadable:
            self.unreadable = report.longreprtext.strip().splitlines()[-1]

    def begin(self, seed: int, items: list[pytest.Item]) -> None:
        """Where the checks were read before anybody knew for whom: run these, with a seed and a patience."""
        self.seed, self.patience = seed, Patience.of_environment()
        self.chosen = [item.name for item in items]

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.chosen = [item.name for item in session.items]
        self.feed.tell(began=self.chosen)

    # --- the stack

    @property
    def one_at_a_time(self) -> bool:
        """Whether checks that mostly wait are not to run side by side."""
        recorded = self.recorder is not None  # what happens belongs to the check that runs
        return self.other is not None or recorded or bool(self.config.option.one_at_a_time)

    @property
    def other(self) -> OtherStack | None:
        """The stack that a plug-in brings along, for debugging."""
        return self.config.stash.get(OTHER_STACK, None)

    @property
    def stack(self) -> Stack:
        """The stack of this run; started, or joined, when it is first asked for."""
        if self._stack is None:
            assert self.lab is not None
            self.files = digests(self.lab)
            if self.other is not None:
                self._stack = self._exits.enter_context(self.other.stack(self.lab, self.target))
            elif is_attached():
                self._stack = attached(self.lab, self.target)
                self._stack.imports_once = bool(self.patience.usual)
                self._exits.callback(self._stack.close)
                if self._stack.mode == DOCKER and not is_a_watch_s():
                    self._stack.ask("restart")  # `docker compose up` stays while files change
            else:
                record = self.recorder is not None
                made = embedded(self.lab, self.target, self.port, record=record)
                self._stack = self._exits.enter_context(made)
            self._stack.await_front()
            self.notes += self._stack.notes
        return self._stack

    # --- running

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip what comes after a failing task, unless everything was asked for."""
        if not self.everything and self.failed_task is not None and self._task(item) > self.failed_task:
            got = f"task {self.failed_task} comes first"
            self._record(item, Verdict.SKIPPED, Finding(got=got))
            pytest.skip(got)
        if self.patience.is_enough:
            got = "it is asked alone: other checks were not through in their time"
            self.patience.short.add(item.name)
            self._record(item, Verdict.TIMEOUT, Finding(got=got))
            pytest.skip(got)
        if self.recorder is not None:
            self.recorder.begin()

    def pytest_report_teststatus(self) -> tuple[str, str, str]:
        """No letters: the verdict is printed at the end."""
        return "", "", ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
        report = yield
        timeline = self._timeline(item, call)
        if call.when == "call" and self.patience.decides(item.name, call.excinfo is None):
            self._judge(item, Deadline("it was not through in the time allowed"))
        if call.when == "call" and call.excinfo is None:
            self.results.setdefault(item.name, self._result(item, Verdict.PASS, Finding()))
        elif call.excinfo is not None and (call.when == "teardown" or item.name not in self.results):
            self._judge(item, call.excinfo.value)
        if timeline is not None and item.name in self.results:
            self.results[item.name].timeline = timeline
        if call.when == "teardown" and item.name in self.results:
            self.feed.tell(check=self.results[item.name].as_dict())
        return report

    def _timeline(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Timeline | None:
        """What happened in a check that has just ended: before it is judged, which may end services."""
        has_ended = call.when == "call" or (call.when == "setup" and call.excinfo is not None)
        if self.recorder is None or self._stack is None or not has_ended or item.name in self.results:
            return None
        with contextlib.suppress(InfraError):  # said once, by the verdict
            return self.recorder.end(self._stack)
        return None

    def _judge(self, item: pytest.Item, error: BaseException) -> None:
        trail = getattr(item, "trail", None) or Trail()
        verdict, finding = self._judged(trail, error)
        if verdict is Verdict.INFRA_ERROR:
            self._keep(error)
        mark = item.get_closest_marker("check")
        finding.rule = finding.rule or (mark.kwargs["rule"] if mark else "")
        finding.again = self._again(item, trail)
        self._record(item, verdict, finding)
        self._note_left(trail)
        if verdict is Verdict.TIMEOUT or getattr(error, "hung", False):
            self.patience.note(verdict is Verdict.TIMEOUT)
        if verdict is Verdict.TIMEOUT:
            with contextlib.suppress(Misbehaved):
                self.stack.ask("restart")  # a service that hangs would fail every check after this one

    def _note_left(self, trail: Trail) -> None:
        """The services of a failed check begin anew: the next one is not to fail for what it left there."""
        if self._stack is not None:
            self._stack.dirty |= trail.used

    def _judged(self, trail: Trail, error: BaseException) -> tuple[Verdict, Finding]:
        """The verdict over whatever ended a check.

        The lab's own solution has been through the same checks before a stranger's code is: what a check, or
        what judges it, raises over a stranger's data is that stranger's doing.
        """
        is_stranger = self._stack is not None and self._stack.mode == SANDBOX
        try:
            verdict, finding = Judge(self, trail).of(error)
        except InfraError as infra:
            return Verdict.INFRA_ERROR, Finding(got=str(infra))
        except Misbehaved as stranger:
            return Verdict.CRASH, misbehaved(stranger)
        except Exception as own:
            if not is_stranger or is_of_this_machine(own):
                raise
            return Verdict.CRASH, unreadable(own)
        if verdict is Verdict.INFRA_ERROR and is_stranger and not is_of_this_machine(error):
            return Verdict.CRASH, unreadable(error)
        return verdict, finding

    def _record(self, item: pytest.Item, verdict: Verdict, finding: Finding) -> None:
        self.results[item.name] = self._result(item, verdict, finding)
        if verdict not in (Verdict.PASS, Verdict.SKIPPED) and self.failed_task is None:
            self.failed_task = self._task(item)

    def _result(self, item: pytest.Item, verdict: Verdict, finding: Finding) -> CheckResult:
        assert self.lab is not None
        of = self.lab.points_of(item.name)
        title = (getattr(item, "obj", None).__doc__ or item.name).strip().splitlines()[0]
        points = of if verdict is Verdict.PASS else 0
        return CheckResult(item.name, self._task(item), title, verdict, points, of, finding)

    def _task(self, item: pytest.Item) -> int:
        task = self.lab.task_of(item.name) if self.lab else None
        return task.number if task else 0

    def _again(self, item: pytest.Item, trail: Trail) -> list[str]:
        assert self.lab is not None
        short = item.name.removeprefix("test_")
        seed = "" if trail.seed is None else f" --seed {trail.seed}"
        target = target_word(self.target, self._stack.mode if self._stack else "")
        lines = [f'make lab-{self.lab.number}{target} ARGS="-k {short}{seed}"']
        if not trail.curl:
            return lines
        if is_a_watch_s():
            return [*lines, trail.curl]
        usual = f"http://127.0.0.1:{os.environ.get('PORT') or DEFAULT_PORT}"
        return [*lines, f"make serve-{self.lab.number}{target}", trail.curl.replace(self.stack.public, usual)]

    def _keep(self, error: BaseException) -> None:
        """Keep the workshop's own traceback where a maintainer can find it."""
        with contextlib.suppress(OSError):
            STATE.mkdir(exist_ok=True)
            lines = traceback.format_exception(error)
            (STATE / "infra.log").write_text("".join(lines), encoding="utf-8")

    # --- reporting

    def result(self) -> LabResult:
        assert self.lab is not None
        checks = [self.results[name] for name in self.chosen if name in self.results]
        of = sum(self.lab.points_of(name) for name in self.chosen)
        mode = self._stack.mode if self._stack else "embedded"
        lab = self.lab
        whole = len(self.chosen) == len(lab.checks)
        head = (lab.number, lab.name, lab.title, self.target, mode, self.seed)
        return LabResult(*head, checks, of, whole, list(self.notes))

    def pytest_keyboard_interrupt(self) -> None:
        """Ctrl-C: half a verdict is none, so nothing more is said."""
        self.results.clear()
        self.config.pluginmanager.unregister(name="terminalreporter")

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> Iterator[None]:
        """End the stack, and let pytest's exit code say what the verdict says."""
        self._exits.close()
        yield
        if self.unreadable:
            session.exitstatus = EXIT_INFRA
            print(
                f"The checks can't be read, which is the workshop's own fault: {self.unreadable}",
                file=sys.stderr,
            )
        elif self.lab is not None and self.results:
            codes = {Verdict.PASS: EXIT_PASSED, Verdict.INFRA_ERROR: EXIT_INFRA}
            session.exitstatus = codes.get(self.result().verdict, EXIT_FAILED)

    def pytest_terminal_summary(self) -> None:
        if self.lab is None or not self.results:
            return
        result = self.result()
        self.feed.tell(result={**result.as_dict(), "checks": []})
        learners = result.whole and self.other is None and result.mode != SANDBOX
        first = remember(result.as_dict(), self.files) if learners else False
        if self.as_json:
            print(json.dumps(result.as_dict(), indent=2))
        else:
            console = Console(file=sys.stdout, highlight=False)
            show(result, console, self.everything, first_run=first, draws=self.config.option.draw)

    def pytest_unconfigure(self) -> None:
        self.feed.close()

    # --- fixtures

    @pytest.fixture(name="trail")
    def trail_fixture(self, request: pytest.FixtureRequest) -> Trail:
        """What this check asked last."""
        trail = Trail()
        request.node.trail = trail
        checks.lateness.observer = lambda failed: self.look_where_it_waits(trail, failed)
        return trail

    def look_where_it_waits(self, trail: Trail, failed: checks.Failed) -> None:
        """While the client is still there: where the service waits that was late. The service ends by it."""
        if not self.config.pluginmanager.has_plugin("workshop-every-point"):
            with contextlib.suppress(InfraError, Misbehaved):
                failed.stacks = Judge(self, trail).stacks(failed.waits or trail.service)

    @pytest.fixture(name="clock")
    def clock_fixture(self, request: pytest.FixtureRequest) -> Clock:
        """The check's total time, from lab.toml."""
        self._clock = Clock(self.seconds_of(request.node.name))
        return self._clock

    def seconds_of(self, name: str, times: int = 1) -> float:
        """The time of a check that begins now; `times` as much where it works beside others."""
        assert self.lab is not None
        if self.other is not None:
            return self.other.check_seconds
        return self.patience.seconds(name, self.lab.check_seconds * times)

    @pytest.fixture(name="rng")
    def rng_fixture(self, request: pytest.FixtureRequest, trail: Trail) -> random.Random:
        """Random numbers from the printed seed, different for every check."""
        trail.seed = self.seed
        return random.Random(f"{self.seed}:{request.node.name}")

    @pytest.fixture(name="stack")
    def stack_fixture(self) -> Stack:
        """The running stack, for signals, pids and output."""
        return self.stack

    @pytest.fixture(name="probe")
    def probe_fixture(self, trail: Trail, clock: Clock) -> Probe:
        """Calls the learner's code in the learner's process."""
        return Probe(self.stack, trail, clock)

    @pytest.fixture(name="front")
    def front_fixture(self, trail: Trail, clock: Clock) -> Client:
        """HTTP through nginx, as a browser would speak it."""
        return through_nginx(self.stack, trail, clock, lambda name: self._start(trail, name))

    @pytest.fixture(name="service")
    def service_fixture(self, trail: Trail, clock: Clock) -> Callable[[str], Client]:
        """HTTP, or raw bytes, to a service directly: service("echo")."""

        def direct(name: str) -> Client:
            reply = self._start(trail, name)
            address = Address(self.stack.service_host, reply["port"])
            return Client(self.stack, trail, clock, address, name, lambda name: self._start(trail, name))

        return direct

    def _forgive(self, seconds: float) -> None:
        """A service took so long to start: it has a time of its own for that."""
        self.patience.forgive(seconds)
        if self._clock is not None:
            self._clock.forgive(seconds)

    def _start(self, trail: Trail, name: str) -> dict[str, Any]:
        began = time.monotonic()
        reply = started(self.stack, trail, name, hurry=self.patience.is_short_for_starts)
        self._forgive(time.monotonic() - began)
        return reply


def is_a_watch_s() -> bool:
    """Whether the stack is a watch's: it begins anew by itself, and is still there when a report is read."""
    return bool(os.environ.get("WORKSHOP_STAYS"))


def target_word(target: str, mode: str) -> str:
    """What `make` is told so that it takes the same target: " TARGET=solution"; it stands before ARGS.

    Nothing where it is the learner's own folder, and while a class is graded: a student has the files there.
    In a container a folder has another name than outside; WORKSHOP_TARGET is the one outside.
    """
    if target == "starter" or mode == SANDBOX:
        return ""
    if target not in ("solution", "oracle"):
        target = os.environ.get("WORKSHOP_TARGET") or str(Path(target).resolve())
    return f" TARGET={shlex.quote(target)}"
