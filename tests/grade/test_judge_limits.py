"""What the reading of answers may take of the machine that judges."""

from __future__ import annotations

import contextlib
import os
import re
import signal

import pytest

from workshop.grade.judging import judge_limits
from workshop.judge.diagnosis import is_of_this_machine
from workshop.judge.http_wire import Deadline


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge_limits, "SECONDS", 0.1)
    monkeypatch.setattr(judge_limits, "AGAIN", 0.1)


def test_a_regular_expression_that_takes_hours_is_ended(quick: None) -> None:
    with pytest.raises(Deadline, match="a processor"), judge_limits.bound_check():
        re.fullmatch(r"Basic\s+(.*,\s*)?x", "Basic" + " " * 1_000_000)


def test_who_takes_it_for_something_else_is_told_again(quick: None) -> None:
    told = 0
    with pytest.raises(Deadline), judge_limits.bound_check():
        while True:
            with contextlib.nullcontext() if told == 2 else contextlib.suppress(Deadline):
                told += 1
                while True:
                    pass
    assert told == 3


def test_afterwards_nothing_is_left_of_it(quick: None) -> None:
    before = signal.getsignal(signal.SIGPROF)
    with judge_limits.bound_check():
        pass
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert signal.getsignal(signal.SIGPROF) == before


def test_memory_beyond_the_bound_is_an_error_over_an_answer() -> None:
    """In a fork: nobody can have a bound taken away again."""
    pid = os.fork()
    if pid == 0:
        code = 1
        with contextlib.suppress(MemoryError):
            judge_limits.bound_memory()
            bytearray(judge_limits.MEMORY)
            code = 2
        os._exit(0 if code == 1 else code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert not is_of_this_machine(MemoryError())
