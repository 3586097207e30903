"""What a call's memory is: the fork's own, and that of all that work for it, whoever says what."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workshop.run.call_memory import CallMemory, working_for

MIB = 1 << 20
pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="it is the kernel that knows"
)


@contextlib.contextmanager
def forked(work: Callable[[], object]) -> Iterator[int]:
    """A fork that has done some work, keeps what came of it, and waits."""
    ready, done = os.pipe()
    pid = os.fork()
    if pid == 0:
        kept = work()
        os.write(done, b"!")
        signal.pause()
        os._exit(len(repr(kept)) & 1)
    try:
        os.read(ready, 1)
        yield pid
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(ready)
        os.close(done)


def bytes_of(count: int) -> Callable[[], object]:
    return lambda: b"x" * count


def nothing() -> None:
    return None


def test_a_fork_counts_by_what_it_has_more_than_its_probe() -> None:
    memory = CallMemory(os.getpid())
    with forked(bytes_of(30 * MIB)) as fork:
        memory.begin(fork)
        assert 30 * MIB <= (memory.most() or 0) < 45 * MIB


def test_what_was_there_before_is_not_the_fork_and_counts_by_its_growth() -> None:
    with forked(bytes_of(30 * MIB)) as sleeper:
        memory = CallMemory(os.getpid())
        memory.begin(sleeper)
        assert (memory.most() or 0) < 5 * MIB
        with forked(bytes_of(20 * MIB)) as fork:
            memory.begin(fork)  # too late
            assert (memory.most() or 0) >= 20 * MIB


def test_nothing_counts_before_the_first_word() -> None:
    memory = CallMemory(os.getpid())
    with forked(bytes_of(20 * MIB)) as fork:
        assert memory.most() == 0
        memory.begin(fork)
        assert (memory.most() or 0) >= 20 * MIB


def test_a_second_one_that_says_it_is_the_fork_counts_as_a_helper() -> None:
    memory = CallMemory(os.getpid())
    with forked(nothing) as fork, forked(bytes_of(20 * MIB)) as other:
        memory.begin(fork)
        memory.begin(other)
        assert (memory.most() or 0) >= 20 * MIB


def test_a_helper_below_the_fork_counts_and_what_was_most_stays() -> None:
    memory = CallMemory(os.getpid())

    def with_helper() -> object:
        helper = os.fork()
        if helper == 0:
            kept = b"x" * (20 * MIB)
            signal.pause()
            os._exit(len(kept) & 1)
        return helper

    with forked(with_helper) as fork:
        memory.begin(fork)
        helpers = [pid for pid in working_for(os.getpid()) if pid != fork]
        while (memory.most() or 0) < 20 * MIB:  # until it has it
            pass
        for pid in helpers:
            os.kill(pid, signal.SIGKILL)
    assert (memory.most() or 0) >= 20 * MIB
