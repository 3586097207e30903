"""Where a class is graded side by side: threads over this machine's sandboxes, or other machines'."""

from __future__ import annotations

import contextlib
import math
import os
import sys
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from pathlib import Path

from workshop.grade.judging.local_pool import Files, LocalPool
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome import Outcome
from workshop.grade.sandboxes.sandbox import MEMORY, Engine
from workshop.judge.patience import Time

TOGETHER = 16
SEATS = 8  # a core, at most


class Pool(ABC):
    """`image` names what an outcome depends on besides submission and manifest: sandbox and Python."""

    image: str

    @property
    def together(self) -> int:
        """How many `alone` takes at once, of programs that only wait."""
        return 1

    @abstractmethod
    def open(self, manifest: Manifest) -> None:
        """Get ready to grade by a manifest; the lab's own solution must pass first.

        Raises InfraError when it does not: then nothing is graded at all.
        """

    @abstractmethod
    def grade(self, files: Mapping[str, Files]) -> Iterator[tuple[str, Outcome]]:
        """The outcomes by the files' keys, as they come."""

    @abstractmethod
    def alone(self, files: Files, only: list[str], time: Time = Time.ALL) -> Outcome:
        """One more outcome, of `only` some checks, while nothing else is graded.

        With Time.ALL it ends with the first check that hangs, and names the rest as short.
        """

    @abstractmethod
    def end(self) -> None:
        """End what still runs of a class, and sweep up."""

    @abstractmethod
    def close(self) -> None:
        """Let go of sandboxes and machines."""


class Threads(Pool):
    """Threads on this machine: `workers`, or as many as keep its processors busy with this lab."""

    def __init__(self, engine: Engine, workers: int | None = None) -> None:
        self.engine, self.workers = engine, workers
        self.image = image_of(engine)
        self._desk: LocalPool | None = None
        self._threads: ThreadPoolExecutor | None = None

    @property
    def together(self) -> int:
        if self.engine.one_at_a_time:
            return 1
        return max(self.seats, min(TOGETHER, free_memory() // MEMORY))  # each may take all that it may

    @property
    def seats(self) -> int:
        """How many submissions are graded side by side.

        One that waits leaves its core to others: to as many as this machine would have had time for when it
        graded the lab's own solution.
        """
        if self.workers is not None or self.engine.one_at_a_time:
            return self.workers or 1
        cores = os.cpu_count() or 1
        wanted = min(math.ceil(1 + self.local_pool.more), SEATS * cores)
        return max(cores, min(wanted, free_memory() // MEMORY))

    @property
    def local_pool(self) -> LocalPool:
        assert self._desk is not None, "open() comes first"
        return self._desk

    def open(self, manifest: Manifest) -> None:
        self.engine.sweep()
        self._desk = LocalPool(manifest, self.engine)
        self._desk.calibrate()

    def grade(self, files: Mapping[str, Files]) -> Iterator[tuple[str, Outcome]]:
        self._threads = ThreadPoolExecutor(max(1, min(self.seats, len(files))))
        keys: dict[Future[Outcome], str] = {}
        for key, one in files.items():
            keys[self._threads.submit(self.local_pool.grade, one)] = key
        for done in as_completed(keys):
            yield keys[done], done.result()

    def alone(self, files: Files, only: list[str], time: Time = Time.ALL) -> Outcome:
        return self.local_pool.grade(files, only, time)

    def end(self) -> None:
        with contextlib.ExitStack() as last:
            last.callback(self.engine.sweep)
            if self._threads is not None:
                last.callback(self._threads.shutdown)
                self._threads.shutdown(wait=False, cancel_futures=True)
            if self._desk is not None:
                self._desk.close()

    def close(self) -> None:
        self.engine.close()


def free_memory() -> int:
    """Bytes that programs can have now; 0 where the system does not say."""
    with contextlib.suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0


def image_of(engine: Engine) -> str:
    return f"{engine.name} {sys.version}"
