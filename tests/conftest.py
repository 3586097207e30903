"""Shared by the repository's own tests: who runs beside whom, what is left, what is said."""

from __future__ import annotations

import os
import signal
import time
from pathlib import PurePath
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped, unused-ignore]

from tests import proof_parts
from tests.hostile import held
from tests.kill_matrix import forget_kills, matrix

# The launcher lets one run of a command at a time into a checkout.
ONE_AT_A_TIME = dict.fromkeys(("test_bad_input", "test_surroundings", "test_docker_page"), "launcher")
# The same examples in each run: a proof that is red is red again.
settings.register_profile("proof", derandomize=True)
settings.load_profile("proof")
BEGAN = time.monotonic()
LEFT = pytest.StashKey[dict[str, int]]()
# `make proof` has three parts. What takes or measures the whole machine is run by itself. What starts
# sandboxes or stacks of its own is run two files at a time, the longest first; all else where there is room.
ALONE = (
    "test_hostile",
    "test_load",
    "test_load_stage",
    "test_load_generator",
    "test_compare",
    "test_interrupted_proof",
)
IN_PAIRS = (
    *("test_weakly", "test_modes", "test_cluster", "test_ingest", "test_weak_sandbox", "test_gradescope"),
    *("test_shards", "test_workflow", "test_batch", "test_grader_trouble", "test_unprivileged"),
    "test_interrupted",
)
# What is judged is not collected: lab 16's learners write tests.
collect_ignore_glob = ["alternatives/*", "oracles/*", "broken/*"]


class _Scheduling(LoadScopeScheduling):  # type: ignore[misc, unused-ignore]
    """Tests that share a thing go to one worker, one after the other; the others where there is room."""

    def _split_scope(self, nodeid: str) -> str:
        file = PurePath(nodeid.split("::")[0]).stem
        return ONE_AT_A_TIME.get(file, file if file in (*IN_PAIRS, *ALONE) else nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    return _Scheduling(config, log)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Two a core: half of a verdict is waiting, for a process to start or to end."""
    return 2 * (os.cpu_count() or 1)


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        return
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # leaves as little as Ctrl-C does
    forget_kills()
    held.forget()
    os.environ["SEED"] = proof_parts.seed()  # for the processes that run the tests


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--share", type=int, default=1, metavar="N", help="of what make test leaves, draw one in N"
    )


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    config.stash[LEFT] = dict(proof_parts.draw(items, proof_parts.seed()))
    items[:] = proof_parts.share(items, proof_parts.seed(), config.option.share)
    for item in items:
        if item.path.stem in ALONE:
            item.add_marker(pytest.mark.alone)
        if item.path.stem in IN_PAIRS:
            item.add_marker(pytest.mark.in_pairs)
    items.sort(key=lambda item: IN_PAIRS.index(item.path.stem) if item.path.stem in IN_PAIRS else -1)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Tell the process that reports what is left, which it does not collect itself."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["left"] = session.config.stash.get(LEFT, {})


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    if output := getattr(node, "workeroutput", None):
        node.config.stash[LEFT] = output.get("left", {})


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    ran = [name for name in ("passed", "failed", "error", "skipped") if terminalreporter.stats.get(name)]
    count = sum(len(terminalreporter.stats[name]) for name in ran)
    drawn, markers = os.environ["SEED"], config.option.markexpr
    said = proof_parts.summary(count, time.monotonic() - BEGAN, config.stash.get(LEFT, {}), drawn, markers)
    if config.option.share > 1:
        said.append(f"of what `make test` leaves, one test in {config.option.share} was drawn")
    for title, lines in (
        ("kill matrix (■ the named check, □ another one)", matrix()),
        ("hostile submissions", held.table()),
        ("how much was proven", said),
    ):
        if lines:
            terminalreporter.section(title)
        for line in lines:
            terminalreporter.write_line(line)
