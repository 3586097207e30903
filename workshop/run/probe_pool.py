"""The probes of one target: as many as there are calls at once, one a processor at most."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterable, Iterator

from workshop.run import process
from workshop.run.probe_process import ProbeProcess

MOST = max(2, os.cpu_count() or 1)


class ProbePool:
    """Probes, each of which answers one call at a time; `start` makes one."""

    def __init__(self, start: Callable[[], ProbeProcess]) -> None:
        self._start = start
        self._idle: list[ProbeProcess] = []
        self._busy: list[ProbeProcess] = []
        self._changed = threading.Condition()

    def prepare(self) -> None:
        """Start one before anybody asks. It has imported nothing of the learner's yet."""
        with self._changed:
            if not self._idle and not self._busy:
                self._idle.append(self._start())

    @contextlib.contextmanager
    def one(self, modules: Iterable[str]) -> Iterator[ProbeProcess]:
        """A probe for one call: one that is idle, or else another, or the first that becomes idle."""
        with self._changed:
            self._changed.wait_for(lambda: self._idle or len(self._busy) < MOST)
            probe = self._taken(set(modules)) if self._idle else self._start()
            self._busy.append(probe)
        try:
            yield probe
        finally:
            with self._changed:
                self._busy.remove(probe)
                if not probe.is_over:
                    self._idle.append(probe)
                self._changed.notify_all()

    def _taken(self, modules: set[str]) -> ProbeProcess:
        """Of those that are idle, the one that has the least to import, and then the least imported.

        So that not every probe imports everything, where one of the checks at work asks for large libraries.
        """
        best = min(self._idle, key=lambda one: (len(modules - one.imported), len(one.imported)))
        self._idle.remove(best)
        return best

    def processes(self) -> list[process.Process]:
        with self._changed:
            return [one.process for one in (*self._idle, *self._busy)]

    def end(self) -> None:
        """End them: a call that goes on has no answer any more."""
        process.end_all(self.processes())
        with self._changed:
            self._changed.wait_for(lambda: not self._busy)
            for one in self._idle:
                one.end()
            self._idle.clear()
