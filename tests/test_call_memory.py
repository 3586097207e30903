"""What a call's memory is: the fork's own, and that of all that work for it, whoever says what."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workshop.run import process
from workshop.run.call_memory import CallMemory

MIB = 1 << 20
LARGE = 40 * MIB  # so much is mapped anew: malloc would have less from what this process has freed
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
    with forked(bytes_of(2 * LARGE)) as fork:
        memory.begin(fork)
        assert 2 * LARGE <= (memory.most() or 0) < 2 * LARGE + 15 * MIB


def test_what_was_there_before_is_not_the_fork_and_counts_by_its_growth() -> None:
    with forked(bytes_of(2 * LARGE)) as sleeper:
        memory = CallMemory(os.getpid())
        memory.begin(sleeper)
        assert (memory.most() or 0) < 5 * MIB
        with forked(bytes_of(LARGE)) as fork:
            memory.begin(fork)  # too late
            assert (memory.most() or 0) >= LARGE


def test_nothing_counts_before_the_first_word() -> None:
    memory = CallMemory(os.getpid())
    with forked(bytes_of(LARGE)) as fork:
        assert memory.most() == 0
        memory.begin(fork)
        assert (memory.most() or 0) >= LARGE


def test_a_second_one_that_says_it_is_the_fork_counts_as_a_helper() -> None:
    memory = CallMemory(os.getpid())
    with forked(nothing) as fork, forked(bytes_of(LARGE)) as other:
        memory.begin(fork)
        memory.begin(other)
        assert (memory.most() or 0) >= LARGE


def test_a_helper_below_the_fork_counts_and_what_was_most_stays() -> None:
    memory = CallMemory(os.getpid())

    def with_helper() -> object:
        helper = os.fork()
        if helper == 0:
            kept = b"x" * (LARGE)
            signal.pause()
            os._exit(len(kept) & 1)
        return helper

    with forked(with_helper) as fork:
        memory.begin(fork)
        helpers = process.children(fork)
        while (memory.most() or 0) < LARGE:  # until it has it
            pass
        for pid in helpers:
            os.kill(pid, signal.SIGKILL)
    assert (memory.most() or 0) >= LARGE
