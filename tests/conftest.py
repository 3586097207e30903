"""Shared by the repository's own tests: who may run beside whom, and the kill matrix at the end."""

from __future__ import annotations

import os
from pathlib import PurePath
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped, unused-ignore]

from tests.hostile import held
from tests.kills import forget_kills, matrix

# The launcher lets one run of a command at a time into a checkout, two loads disturb each other, and the
# hostile submissions share a sandbox engine.
ONE_AT_A_TIME = {
    "test_bad_input": "launcher",
    "test_modes": "launcher",
    "test_load": "load",
    "test_load_stage": "load",
    "test_hostile": "hostile",
    "test_ingest": "ingest",
    "test_events": "events",
}
TOLD = 3000  # characters of a failure that a second try did not have
# What is judged is not collected: lab 16's learners write tests.
collect_ignore_glob = ["alternatives/*", "oracles/*", "broken/*"]


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
    """Tests that share a thing go to one worker, one after the other; the others where there is room."""

    def _split_scope(self, nodeid: str) -> str:
        return ONE_AT_A_TIME.get(PurePath(nodeid.split("::")[0]).stem, nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _Scheduling(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        forget_kills()
        held.forget()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = matrix()
    if lines:
        terminalreporter.section("kill matrix (■ the named check, □ another one)")
        for line in lines:
            terminalreporter.write_line(line)
    lines = held.table()
    if lines:
        terminalreporter.section("hostile submissions")
        for line in lines:
            terminalreporter.write_line(line)
    for report in terminalreporter.stats.get("rerun", []):  # what passes later was wrong once all the same
        terminalreporter.section(f"tried again: {report.nodeid}")
        terminalreporter.write_line(report.longreprtext[-TOLD:])
