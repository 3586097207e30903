"""The pytest plugin that turns a lab's test file into a verdict: `pytest labs/05-wsgi-server` is enough.

It starts a stack (or joins the one that the environment names), runs the checks in the order of lab.toml,
stops after the first task that fails, and prints what was sent, got and expected instead of assertions.
"""

from __future__ import annotations

import contextlib
import json
import random
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from workshop.errors import EXIT_FAILED, EXIT_INFRA, EXIT_PASSED, InfraError
from workshop.judge import http_connection
from workshop.judge.agent_replies import Misbehaved
from workshop.judge.ask import (
    Client,
    Clock,
    ConfigurationTrouble,
    MissingAttribute,
    Probe,
    ProbeTrouble,
    StartTrouble,
    Trail,
    exit_text,
    import_trouble,
    start_text,
)
from workshop.judge.checks import Failed
from workshop.judge.idle_service import POLL, Rest
from workshop.judge.stack import SANDBOX, Address, Stack, attached, embedded, is_attached
from workshop.judge.verdict import CheckResult, Finding, LabResult, Verdict, last_traceback, show
from workshop.labs import Lab, Service, of_folder
from workshop.learn.debug import DAY, debugging
from workshop.learn.progress import remember
from workshop.paths import STATE
from workshop.run.nginx_config import is_own

OUTPUT_PATIENCE = 0.3  # seconds in which a traceback may still come, after an answer
BROKEN_PATIENCE = 1.5  # the same after a 5xx, or no answer: then one is likely
SERVER_ERROR = re.compile(r"\[(ERROR|CRITICAL)\]|^(ERROR|CRITICAL):")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("workshop")
    group.addoption("--target", default="starter", help="starter, solution, oracle, or a folder")
    group.addoption("--seed", type=int, default=None, help="the seed that varies the inputs")
    group.addoption("--all", action="store_true", dest="everything", help="don't stop at a failing task")
    group.addoption("--json", action="store_true", dest="as_json", help="print the whole result as JSON")
    group.addoption("--debug-calls", action="store_true", help="call in this process, for breakpoint()")
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
        self.debug: bool = option.debug_calls
        self.port: int = option.front_port
        self.seed: int = random.randrange(10**6) if option.seed is None else option.seed
        self.lab: Lab | None = None
        self.results: dict[str, CheckResult] = {}
        self.chosen: list[str] = []
        self.failed_task: int | None = None
        self.notes: list[str] = []
        self._exits = contextlib.ExitStack()
        self._stack: Stack | None = None

    # --- collecting

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        """A lab's checks may import what is in its folder `checks`, and nothing that a learner can edit."""
        folder = collector.path.parent / "checks"
        if isinstance(collector, pytest.Module) and folder.is_dir() and str(folder) not in sys.path:
            sys.path.insert(0, str(folder))

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

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.chosen = [item.name for item in session.items]

    # --- the stack

    @property
    def stack(self) -> Stack:
        """The stack of this run; started, or joined, when it is first asked for."""
        if self._stack is None:
            assert self.lab is not None
            if self.debug:
                self._stack = self._exits.enter_context(debugging(self.lab, self.target))
            elif is_attached():
                self._stack = attached(self.lab, self.target)
                self._exits.callback(self._stack.close)
            else:
                self._stack = self._exits.enter_context(embedded(self.lab, self.target, self.port))
            self.notes += self._stack.notes
            self._stack.await_front()
        return self._stack

    # --- running

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """Skip what comes after a failing task, unless everything was asked for."""
        if not self.everything and self.failed_task is not None and self._task(item) > self.failed_task:
            got = f"task {self.failed_task} comes first"
            self._record(item, Verdict.SKIPPED, Finding(got=got))
            pytest.skip(got)

    def pytest_report_teststatus(self) -> tuple[str, str, str]:
        """No letters: the verdict is printed at the end."""
        return "", "", ""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[Any]) -> Any:
        report = yield
        if call.when == "call" and call.excinfo is None:
            self.results.setdefault(item.name, self._result(item, Verdict.PASS, Finding()))
        elif call.excinfo is not None and (call.when == "teardown" or item.name not in self.results):
            self._judge(item, call.excinfo.value)
        return report

    def _judge(self, item: pytest.Item, error: BaseException) -> None:
        trail = getattr(item, "trail", None) or Trail()
        try:
            verdict, finding = Judge(self, trail).of(error)
        except InfraError as infra:
            verdict, finding = Verdict.INFRA_ERROR, Finding(got=str(infra))
        except Misbehaved as stranger:
            verdict, finding = Verdict.CRASH, misbehaved(stranger)
        if verdict is Verdict.INFRA_ERROR:
            self._keep(error)
        mark = item.get_closest_marker("check")
        finding.rule = finding.rule or (mark.kwargs["rule"] if mark else "")
        finding.again = self._again(item, trail)
        self._record(item, verdict, finding)
        if verdict is Verdict.TIMEOUT:
            with contextlib.suppress(Misbehaved):
                self.stack.ask("restart")  # a service that hangs would fail every check after this one

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
        lines = [f'make lab-{self.lab.number} ARGS="-k {short}"']
        return [*lines, trail.curl] if trail.curl else lines

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
        if self.lab is not None and self.results:
            codes = {Verdict.PASS: EXIT_PASSED, Verdict.INFRA_ERROR: EXIT_INFRA}
            session.exitstatus = codes.get(self.result().verdict, EXIT_FAILED)

    def pytest_terminal_summary(self) -> None:
        if self.lab is None or not self.results:
            return
        result = self.result()
        learners = result.whole and not self.debug and result.mode != SANDBOX
        first = remember(result) if learners else False
        if self.as_json:
            print(json.dumps(result.as_dict(), indent=2))
        else:
            show(result, Console(file=sys.stdout, highlight=False), self.everything, first_run=first)

    # --- fixtures

    @pytest.fixture(name="trail")
    def trail_fixture(self, request: pytest.FixtureRequest) -> Trail:
        """What this check asked last."""
        trail = Trail()
        request.node.trail = trail
        return trail

    @pytest.fixture(name="clock")
    def clock_fixture(self) -> Clock:
        """The check's total time, from lab.toml."""
        assert self.lab is not None
        return Clock(DAY if self.debug else self.lab.check_seconds)

    @pytest.fixture(name="rng")
    def rng_fixture(self, request: pytest.FixtureRequest) -> random.Random:
        """Random numbers from the printed seed, different for every check."""
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
        stack = self.stack
        if stack.front is None:
            pytest.skip("there is no nginx on this machine")
        refused = stack.ask("nginx").get("refused") if is_own(stack.lab) else ""
        if refused:
            raise ConfigurationTrouble(refused)
        return Client(stack, trail, clock, stack.front, "", lambda name: self._start(trail, name))

    @pytest.fixture(name="service")
    def service_fixture(self, trail: Trail, clock: Clock) -> Callable[[str], Client]:
        """HTTP, or raw bytes, to a service directly: service("echo")."""

        def direct(name: str) -> Client:
            reply = self._start(trail, name)
            address = Address(self.stack.service_host, reply["port"])
            return Client(self.stack, trail, clock, address, name, lambda name: self._start(trail, name))

        return direct

    def _start(self, trail: Trail, name: str) -> dict[str, Any]:
        trail.service = name
        module = application_of(self.stack.lab.services[name])
        if module in self.stack.not_imported:  # a server may listen all the same, with nobody behind it
            reply = self.stack.not_imported[module]
            raise import_trouble(reply, Path(reply["folder"]))
        reply = self.stack.ask("start", service=name)
        if reply["state"] != "ready":
            raise StartTrouble(reply)
        trail.marks.setdefault(name, reply["mark"])
        return reply


def application_of(service: Service) -> str:
    """The module with the application that a service serves, where that is the learner's; else ""."""
    module = re.search(r"\b(\w+):\w+\b", service.command)
    return module[1] if module and service.learner == "application" else ""


def misbehaved(error: Misbehaved) -> Finding:
    """What somebody reads whose code broke the sandbox that it ran in."""
    return Finding(
        got=error.got,
        expected="a sandbox that still works",
        where="your program: it has ended or confused what ran it",
    )


class Judge:
    """Says, of whatever ended a check, which verdict it is and how it reads."""

    def __init__(self, run: LabRun, trail: Trail) -> None:
        self.run, self.trail = run, trail
        self._last_words: dict[str, dict[str, Any]] = {}

    def of(self, error: BaseException) -> tuple[Verdict, Finding]:
        match error:
            case pytest.skip.Exception():
                return Verdict.SKIPPED, Finding(got=str(error))
            case StartTrouble(reply=reply):
                return self._not_started(reply)
            case ConfigurationTrouble():
                where = f"{self.run.stack.lab.nginx['file']}: nginx read it, and does not start with it"
                accepted = "a configuration that `nginx -t` accepts"
                return Verdict.NO_START, Finding(got=str(error), expected=accepted, where=where)
            case ProbeTrouble(verdict=verdict, got=got, trace=trace):
                if verdict is not Verdict.NO_START:
                    return verdict, self._finding(got, "a call that returns", trace)
                where = "your file: it is imported before anything is asked of it"
                return verdict, Finding(got=got, expected="a module that imports", where=where, trace=trace)
            case Failed():
                return self._failed(error)
            case http_connection.WireError():
                return self._wire(error)
            case Misbehaved():
                return Verdict.CRASH, misbehaved(error)
            case MissingAttribute(thing=thing, attribute=attribute):
                return Verdict.FAIL, self._finding(repr(thing), f"an object with the attribute {attribute!r}")
        kind = type(error).__name__
        return Verdict.INFRA_ERROR, Finding(
            got=f"a fault of the workshop's own: {kind}: {error}. Its traceback is in .workshop/infra.log"
        )

    def _finding(self, got: str, expected: str, trace: list[str] | None = None) -> Finding:
        return Finding(
            sent=self.trail.sent_text, got=got, expected=expected, where=self._where(), trace=trace or []
        )

    def _not_started(self, reply: dict[str, Any]) -> tuple[Verdict, Finding]:
        folder = Path(reply["folder"])
        trace = last_traceback(reply["output"], folder)
        if not trace and not reply["flooded"]:
            trace = [line[:200] for line in reply["output"].strip().splitlines()[-3:]]
        if any(line.startswith("NotImplementedError") for line in trace):
            verdict = Verdict.FAIL
        else:
            verdict = Verdict.NO_START
        finding = Finding(
            got=start_text(reply),
            expected=f"a service that listens on port {reply['port']} and stays",
            where="your program: nothing was sent to it yet",
            trace=trace,
        )
        return verdict, finding

    def _failed(self, error: Failed) -> tuple[Verdict, Finding]:
        finding = self._finding(error.got, error.expected, self._trace())
        finding.rule, finding.where = error.rule, error.where or finding.where
        finding.sent = error.sent or finding.sent
        response = self.trail.response
        if response is not None and response.status >= 500:
            return self._broken(finding) or (Verdict.FAIL, finding)
        return self._crashed(finding) or (Verdict.FAIL, finding)

    def _wire(self, error: http_connection.WireError) -> tuple[Verdict, Finding]:
        finding = self._finding(error.got, error.expected, self._trace())
        broken = self._broken(finding)
        if broken:
            return broken
        return (Verdict.TIMEOUT if isinstance(error, http_connection.Deadline) else Verdict.FAIL), finding

    def _broken(self, finding: Finding) -> tuple[Verdict, Finding] | None:
        """NO_START, when the application does not import (gunicorn listens all the same), or CRASH."""
        response = self.trail.response
        nobody_answered = response is None or response.status == 502
        if nobody_answered or not finding.trace:
            problem = self._import_problem()
            if problem is not None:
                return self.of(problem)
        finding.trace = finding.trace or self._server_said()
        return self._crashed(finding)

    def _import_problem(self) -> ProbeTrouble | None:
        """What keeps the application, and so what it imports of the learner's, from being imported."""
        lab = self.run.stack.lab
        for name in self._services_asked():
            module = application_of(lab.services[name])
            if module:
                reply = self.run.stack.ask("probe", kind="steps", modules=[module], seconds=1, steps=[])
                if "not_imported" in reply:
                    return import_trouble(reply, Path(reply["folder"]))
        return None

    def _settled(self, name: str) -> dict[str, Any]:
        """What became of a service since the check began, once the last of its output has come."""
        if name in self._last_words:
            return self._last_words[name]
        response, rest = self.trail.response, Rest(self.run.stack, name)
        broken = response is None or response.status >= 500
        deadline = time.monotonic() + (BROKEN_PATIENCE if broken else OUTPUT_PATIENCE)
        while True:
            is_over = rest.is_long() or time.monotonic() > deadline
            reply = self.run.stack.ask("status", service=name, since=self.trail.marks.get(name, 0))
            if is_over or reply["state"] != "running" or "Traceback" in reply["output"]:
                self._last_words[name] = reply
                return reply
            time.sleep(POLL)

    def _services_asked(self) -> list[str]:
        return list(self.trail.marks) or ([self.trail.service] if self.trail.service else [])

    def _trace(self) -> list[str]:
        """The learner's traceback since the check began, from the probe or from the services' output."""
        if self.trail.via == "probe":
            return self.trail.probe_trace
        for name in self._services_asked():
            reply = self._settled(name)
            trace = last_traceback(reply["output"], Path(reply["folder"]))
            if trace:
                return trace
        return self._hole()

    def _hole(self) -> list[str]:
        """What a starter's configuration answers where something is to be written: 501, and which task's."""
        response = self.trail.response
        if response is None or response.status != 501:
            return []
        return [line for line in response.text.splitlines() if line.startswith("NotImplementedError")][:1]

    def _server_said(self) -> list[str]:
        """What the server in between logged as errors since the check began."""
        for name in self._services_asked():
            lines = self._settled(name)["output"].splitlines()
            said = [line for line in lines if SERVER_ERROR.search(line)]
            if said:
                return said[-2:]
        return []

    def _crashed(self, finding: Finding) -> tuple[Verdict, Finding] | None:
        """CRASH, when a service that was asked is no longer there."""
        if self.trail.via == "probe":
            return None
        for name in self._services_asked():
            reply = self.run.stack.ask("status", service=name)
            if reply["state"] == "exited" and not reply.get("told"):
                flooded = ", after more than 16 MiB of output" if reply["flooded"] else ""
                finding.got += f"; its process ended ({exit_text(reply['code'])}{flooded})"
                finding.where = "your program: it ended while it was asked"
                hole = any(line.startswith("NotImplementedError") for line in finding.trace)
                return (Verdict.FAIL if hole else Verdict.CRASH), finding
        return None

    def _where(self) -> str:
        """Which hop broke the contract: we own all of them, so we can tell."""
        trail, lab = self.trail, self.run.stack.lab
        if trail.via == "probe":
            edited = [f"{module}.py" for module in trail.modules if f"{module}.py" in lab.edit]
            called = edited[-1] if edited else lab.edit[0]
            return f"{called}, called directly: no server and no nginx in between"
        if not trail.via:
            return ""
        if is_own(lab):
            hop = "your nginx.conf, and the instances behind it"
            return hop if trail.via == "nginx" else "an instance, asked directly: no nginx in between"
        response = trail.response
        if response is not None and response.get("X-Written-By") == "nginx":
            return response.text.strip()
        service = lab.services[trail.service] if trail.service else self._shown_at(trail)
        words = service.command.split()
        program = Path(words[1] if words[0] == "python" else words[0]).name
        if service.learner == "application":
            hops = program if trail.via == "direct" else f"{program} and nginx"
            if response is None:
                return f"your application: {hops} waited for its answer"
            return f"your application: {hops} passed on what it answered"
        if trail.via == "direct":
            return "your server: the bytes went straight to it, without nginx"
        return "your server: nginx passed the bytes on unchanged"

    def _shown_at(self, trail: Trail) -> Service:
        """The service to which nginx passed what was sent last: the longest prefix wins."""
        services = self.run.stack.lab.services
        words = bytes(trail.connection.sent if trail.connection else b"").split(b" ", 2)
        target = words[1].decode("latin-1") if len(words) > 1 else "/"
        matching = [one for one in services.values() if one.at and target.startswith(one.at)]
        return max(matching, key=lambda one: len(one.at or ""), default=next(iter(services.values())))
