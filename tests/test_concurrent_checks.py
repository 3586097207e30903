"""Checks that run at the same time: what a lane says of itself is what one check after another would say."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from workshop.judge import concurrent_checks
from workshop.judge.concurrent_checks import Job, Lane
from workshop.judge.stack import EMBEDDED, Address, Stack
from workshop.labs import Lab, find

PUBLIC, ELSEWHERE = "http://127.0.0.1:15001", "http://127.0.0.1:15002"


class Moved(Stack):
    """A stack whose nginx found its port taken, and has another one."""

    def await_front(self) -> None:
        self.public = ELSEWHERE


def stack_of(made: type[Stack]) -> Stack:
    return made(find("10"), "starter", EMBEDDED, Path(), Address("127.0.0.1", 15001), PUBLIC)


@pytest.mark.parametrize("apart", [False, True], ids=["on the run's stack", "on a stack of its own"])
def test_commands_are_for_the_address_that_a_person_has(apart: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.contextmanager
    def embedded(lab: Lab, target: str) -> Iterator[Stack]:
        yield stack_of(Moved)

    monkeypatch.setattr(concurrent_checks, "embedded", embedded)
    run = SimpleNamespace(config=SimpleNamespace(add_cleanup=lambda function: None))
    job = Job("test_some_check", 1, lambda: None, "waits", apart)
    seen = []
    lane = Lane([job], run, stack_of(Stack if apart else Moved), apart)
    lane.go(lambda job, stack: seen.append(stack.public))
    assert seen == [PUBLIC] and job.passed_by.is_set()
