"""A lane with a stack of its own: its report is of that stack, and nothing of it stays behind."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests import judging
from tests.test_broken import WAIT_FOR_END, left_running
from workshop.errors import InfraError
from workshop.judge import concurrent_checks
from workshop.judge.concurrent_checks import Job, Lane
from workshop.judge.stack import EMBEDDED, Address, Stack
from workshop.labs import Lab, find
from workshop.paths import SOLUTIONS

LAB = find("19")
OF_TWO = "server @two@ max_fails=10 fail_timeout=1s;"
SLOW = "test_task4_slow_answer_is_given_up_and_streams_are_not"
PUBLIC, ELSEWHERE = "http://127.0.0.1:15001", "http://127.0.0.1:15002"


def changed(folder: Path, before: str, after: str) -> Path:
    """The lab's solution with another text in nginx.conf."""
    target = shutil.copytree(SOLUTIONS / LAB.name, folder / "target")
    text = (target / "nginx.conf").read_text(encoding="utf-8")
    assert before in text
    (target / "nginx.conf").write_text(text.replace(before, after), encoding="utf-8")
    return target


def expect_nothing_left(target: Path) -> None:
    deadline = time.monotonic() + WAIT_FOR_END
    while left_running(target) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert left_running(target) == []


def test_lanes_that_are_still_at_work_end_with_the_run(tmp_path: Path) -> None:
    target = changed(tmp_path, f"{OF_TWO}\n    keepalive", "server @two@ backup;\n    keepalive")
    result = judging.read_result(judging.run_warm(*judging.check_words(LAB, target)[:4], "--json"))
    assert result["checks"][0]["verdict"] == "FAIL", judging.failures(result)
    assert result["by_name"][SLOW]["verdict"] == "SKIPPED"
    expect_nothing_left(target)


@pytest.mark.parametrize("alone", [(), ("--one-at-a-time",)], ids=["beside others", "one at a time"])
def test_report_is_of_the_stack_that_was_asked(tmp_path: Path, alone: tuple[str, ...]) -> None:
    """What nginx has logged of it, and which directive is wrong: the same words, wherever the check ran."""
    target = changed(tmp_path, "max_fails=10 fail_timeout=1s", "max_fails=1 fail_timeout=20s")
    result = judging.judge(LAB, target, "-k", "both_instances or slow_answer", *alone)
    said = judging.report(result["by_name"][SLOW])
    assert "HTTP/1.1 502 Bad Gateway for GET /whoami, after four responses that took too long" in said
    assert "nginx's log says: no live upstreams" in said
    expect_nothing_left(target)


class Moved(Stack):
    """A stack whose nginx found its port taken, and has another one."""

    def await_front(self) -> None:
        self.public = ELSEWHERE


def stack_of(made: type[Stack]) -> Stack:
    return made(find("10"), "starter", EMBEDDED, Path(), Address("127.0.0.1", 15001), PUBLIC)


@pytest.mark.parametrize("apart", ["", "front"], ids=["on the run's stack", "on a stack of its own"])
def test_commands_are_for_the_address_that_a_person_has(apart: str, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def embedded(lab: Lab, target: str, early: str) -> Iterator[Stack]:
        yield stack_of(Moved)

    monkeypatch.setattr(concurrent_checks, "embedded", embedded)
    run = SimpleNamespace(config=SimpleNamespace(add_cleanup=lambda function: None))
    job = Job("test_some_check", 1, lambda: None, "waits", apart)
    seen = []
    lane = Lane([job], run, stack_of(Stack if apart else Moved), apart)
    lane.go(lambda job, stack: seen.append(stack.public))
    assert seen == [PUBLIC] and job.passed_by.is_set()


class Fallen(Stack):
    """A stack whose nginx has ended: the run did, while it started."""

    def await_front(self) -> None:
        raise InfraError("nginx ended at start")


def test_lane_without_its_nginx_leaves_its_checks_to_their_turn() -> None:
    """What a thread raises, nobody reads: pytest would show it in the place of the verdict."""
    run = SimpleNamespace(config=SimpleNamespace(add_cleanup=lambda function: None))
    job = Job("test_some_check", 1, lambda: None, "waits", "")
    seen: list[Job] = []
    Lane([job], run, stack_of(Fallen), "").go(lambda job, stack: seen.append(job))
    assert not seen and job.passed_by.is_set()
