"""Shared by the repository's own tests: the kill matrix is printed when a run ends."""

from __future__ import annotations

import os

import pytest

from tests.kills import forget_kills, matrix


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" not in os.environ:
        forget_kills()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    lines = matrix()
    if lines:
        terminalreporter.section("kill matrix (■ the named check, □ another one)")
        for line in lines:
            terminalreporter.write_line(line)
