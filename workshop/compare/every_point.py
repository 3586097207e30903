"""A pytest plug-in beside the judge's: a check goes on after a point that does not hold, and each is kept.

A check that judges a learner ends at its first failure. Real servers differ in several points of one check,
so here `expect` and `that` keep what they found and return, and so does a function beside the checks that
returns None, after a `fail` in it, or where it raises over what it found. Another `fail`, or a wire error,
ends the check as it always does: what is left of it is not reached. The verdict of the check is that of its
first point.

`pytest -p workshop.compare.every_point --points=FILE labs/05-wsgi-server …` writes JSON.
"""

from __future__ import annotations

import ast
import functools
import inspect
import json
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Generator
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from workshop.judge import checks
from workshop.judge.http_client import Trail
from workshop.judge.http_wire import WireError
from workshop.judge.probe_client import Probe
from workshop.judge.probe_transcript import Transcript
from workshop.judge.verdict import Verdict

SAME = 16  # the same failure so often is a loop that waits for it to end
# As much time as a check that ends at its first failure: others may come, and each takes some. A call has it,
# too: where a learner's file has a function, an adapter may have to start a program.
TIMES = 3


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--points", help="the file to write")


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(EveryPoint(config), "workshop-every-point")


class EveryPoint:
    """The points of each check: what it expected, and whether that held."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config
        self.checks: dict[str, dict[str, Any]] = {}
        self.current: dict[str, Any] = {}
        self.first: checks.Failed | None = None
        self.trail: Trail | None = None
        self.seen: Counter[tuple[str, str]] = Counter()
        self._go_on("expect", checks.expect)
        self._go_on("that", checks.that)
        self._be_patient(Probe._ask)

    def _be_patient(self, original: Callable[..., Transcript]) -> None:
        def ask(self: Probe, kind: str, request: dict[str, Any], value: Any, seconds: float) -> Transcript:
            return original(self, kind, request, value, TIMES * seconds)

        Probe._ask = ask  # type: ignore[method-assign]

    def _go_on(self, name: str, original: Any) -> None:
        """Put a function in its place that keeps what it raises. Check files import it after this."""

        def kept(*words: Any, **more: str) -> None:
            try:
                original(*words, **more)
            except checks.Failed as failed:
                self._differs(failed)
                if self.seen[failed.got, failed.expected] >= SAME:
                    raise
            else:
                self._holds(point_of(name, words, more))

        setattr(checks, name, kept)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        """Have what returns nothing go on after a `fail` in it, wherever it was imported."""
        folders = {item.path.parent for item in session.items}
        modules = [module for module in list(sys.modules.values()) if is_in(module, folders)]
        wrapped: dict[FunctionType, Callable[..., None]] = {}
        for module in modules:
            for name, function in list(vars(module).items()):
                if isinstance(function, FunctionType) and returns_nothing(function, folders):
                    if function not in wrapped:
                        wrapped[function] = self._going_on(function)
                    setattr(module, name, wrapped[function])

    def _going_on(self, function: FunctionType) -> Callable[..., None]:
        @functools.wraps(function)
        def kept(*words: Any, **more: Any) -> None:
            before = self.seen.total()
            try:
                function(*words, **more)
            except checks.Failed as failed:
                self._differs(failed)
                if self.seen[failed.got, failed.expected] >= SAME:
                    raise
            except (LookupError, TypeError, AttributeError):
                if self.seen.total() == before:
                    raise  # or else it is over an answer that was not as the function expected

        return kept

    def _holds(self, point: str) -> None:
        if self.current and point not in self.current["held"]:
            self.current["held"].append(point)

    def _differs(self, failed: checks.Failed) -> None:
        self.seen[failed.got, failed.expected] += 1
        self.first = self.first or failed
        self._keep(failed.expected, failed.got, failed.rule, failed.sent)

    def _keep(self, point: str, got: str, rule: str = "", sent: str = "") -> None:
        known = [one["point"] for one in self.current["differs"]]
        if point not in known:
            sent = sent or (self.trail.sent_text if self.trail else "")
            rule = rule or self.current["rule"]
            self.current["differs"].append({"point": point, "clause": rule, "sent": sent, "came": got})

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        mark = item.get_closest_marker("check")
        rule = mark.kwargs["rule"] if mark else ""
        title = (getattr(item, "obj", None).__doc__ or item.name).strip().splitlines()[0]
        self.current = {"title": title, "rule": rule, "held": [], "differs": [], "whole": True}
        self.checks[item.name] = self.current
        self.first, self.seen = None, Counter()
        self.trail = getattr(item, "trail", None)
        if clock := getattr(item, "funcargs", {}).get("clock"):
            clock.seconds, clock._end = TIMES * clock.seconds, clock._end + (TIMES - 1) * clock.seconds
        try:
            yield
        except Exception as error:
            self.current["whole"] = False
            if not self._ended_by(error) and self.first is not None:
                raise self.first from None  # what a check raises over an answer that it does not expect
            raise
        if self.first is not None:
            raise self.first

    def _ended_by(self, error: Exception) -> bool:
        """Keep what ended a check; False where it is none of its own words."""
        match error:
            case checks.Failed():
                self._keep(error.expected, error.got, error.rule, error.sent)
                return True
            case WireError():
                self._keep(error.expected, error.got)
                return True
        run = self.config.pluginmanager.get_plugin("workshop-lab-run")
        assert run is not None
        verdict, finding = run._judged(self.trail or Trail(), error)
        if verdict in (Verdict.INFRA_ERROR, Verdict.SKIPPED):
            return self.first is None
        self._keep(finding.expected, finding.got, finding.rule, finding.sent)
        return True

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self) -> None:
        results = self.config.pluginmanager.get_plugin("workshop-lab-run").results  # type: ignore[union-attr]
        for name, result in results.items():
            found = result.finding
            unwritten = any(line.startswith("NotImplementedError") for line in found.trace)
            unwritten = unwritten or "NotImplementedError: lab " in found.got  # of a learner's own test
            self.checks.setdefault(name, {})["unwritten"] = unwritten
        Path(self.config.option.points).write_text(json.dumps(self.checks), encoding="utf-8")


def is_in(module: ModuleType, folders: set[Path]) -> bool:
    """Whether a module is one of a lab's checks, or beside them."""
    path = Path(getattr(module, "__file__", None) or "/")
    return path.parent in folders or (path.parent.parent in folders and path.parent.name == "checks")


def returns_nothing(function: FunctionType, folders: set[Path]) -> bool:
    """Whether it is a function beside a lab's checks that never returns a value: then it may end early."""
    if function.__name__.startswith("test_") or not is_in(sys.modules[function.__module__], folders):
        return False
    try:
        (made,) = ast.parse(textwrap.dedent(inspect.getsource(function))).body
    except (OSError, SyntaxError, ValueError):
        return False
    values = (ast.Yield, ast.YieldFrom)
    return isinstance(made, ast.FunctionDef) and not any(
        isinstance(node, values) or (isinstance(node, ast.Return) and node.value is not None)
        for node in ast.walk(made)
    )


def point_of(name: str, words: tuple[Any, ...], more: dict[str, str]) -> str:
    """What a call that held would have said it expected."""
    if name == "that":
        return str(words[2] if len(words) > 2 else more["expected"])
    what, expected = words[0], words[2]
    why = words[3] if len(words) > 3 else more.get("why", "")
    return f"{what} = {checks.shown(expected)}{f'     {why}' if why else ''}"
