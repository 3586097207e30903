"""What a crowded machine may have caused is asked once more, alone, in a fresh sandbox.

Programs that only wait take nothing from each other: they are asked side by side, and one that works is
alone among them. When one of a program's checks has hung to the end of all of its time, the others get less
(workshop/judge/patience.py) and are asked in parts, at one time. Where programs were side by side and did
work, those that are still in doubt are asked again alone; and with more time, where other work than ours
kept the machine busy.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait

from workshop.grade.judging.local_pool import Files
from workshop.grade.judging.outcome import Outcome, joined
from workshop.grade.judging.worker_pools import Pool
from workshop.judge.patience import Time
from workshop.judge.verdict import Verdict

PARTS = 4  # of the checks of a program that waits
CROWDED = 0.3  # of all processors: more than programs use that only wait
ONE = 1.2  # processors: more than one program uses that works alone
OTHERS = 0.75  # of all processors, had by others: what was late may not have been late by itself


class SecondPass:
    """`first` are the doubtful outcomes of the first pass, `files` what was handed in, both by key."""

    def __init__(self, pool: Pool, files: Mapping[str, Files], first: Mapping[str, Outcome]) -> None:
        self.pool, self.files, self.first = pool, files, first
        self.cores = os.cpu_count() or 1
        self._room = threading.Semaphore(pool.together)
        self._lock = threading.Lock()
        self._used: defaultdict[str, float] = defaultdict(float)  # seconds of a processor, by key
        self._crowded = False

    def run(self) -> Iterator[tuple[str, Outcome]]:
        """The better outcomes, by key, as they come."""
        many = self.pool.together > 1
        waiting = [key for key, outcome in self.first.items() if many and outcome.has_waited]
        threads, began = ThreadPoolExecutor(max(1, len(waiting))), time.monotonic()
        try:
            beside = {key: threads.submit(self._waiting, key) for key in waiting}
            for key in self.first:
                if key not in beside:
                    yield key, self._working(key, list(beside.values()))
            wait(beside.values())
            most = CROWDED * self.cores * (time.monotonic() - began)
            self._crowded = self._crowded or sum(self._used[key] for key in beside) > most
            for key, future in beside.items():
                outcome = future.result()
                known = self.first[key].better(outcome)
                left = in_doubt(known, outcome)
                if left and (self._crowded or outcome.others > OTHERS):
                    outcome = self._alone(key, left)
                    known = known.better(outcome)
                yield key, self._with_more_time(key, known, outcome)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _waiting(self, key: str) -> Outcome:
        """One that only waits, among others."""
        return self._in_parts(key, self._asked(key, self.first[key].doubtful), PARTS)

    def _working(self, key: str, beside: list[Future[Outcome]]) -> Outcome:
        """One that works: on one processor beside those that wait, and on all of them afterwards."""
        if self.cores == 1:
            wait(beside)
        among = not all(one.done() for one in beside)
        outcome = self._asked(key, self.first[key].doubtful)
        if among and outcome.processor_seconds > ONE * float(outcome.run.get("seconds", 0.0)):
            self._crowded = True
        if outcome.short:
            wait(beside)
        outcome = self._in_parts(key, outcome, self.cores)
        return self._with_more_time(key, self.first[key].better(outcome), outcome)

    def _alone(self, key: str, names: list[str]) -> Outcome:
        return self._in_parts(key, self._asked(key, names), self.cores)

    def _with_more_time(self, key: str, known: Outcome, last: Outcome) -> Outcome:
        """What is still in doubt, once more, where others kept the machine from it."""
        left = in_doubt(known, last)
        if not left or last.others <= OTHERS:
            return known
        return known.better(self._asked(key, left, Time.MORE))

    def _in_parts(self, key: str, outcome: Outcome, parts: int) -> Outcome:
        """An outcome, and those of the checks that it names as short, which are asked at one time."""
        left = outcome.short
        if not left:
            return outcome
        parts = min(parts, len(left), self.pool.together)
        threads = ThreadPoolExecutor(parts)
        try:
            asked = [threads.submit(self._asked, key, left[n::parts], Time.LESS) for n in range(parts)]
            return joined([outcome.without(left), *(part.result() for part in asked)])
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _asked(self, key: str, names: list[str], time: Time = Time.ALL) -> Outcome:
        with self._room:
            outcome = self.pool.alone(self.files[key], names, time)
        with self._lock:
            self._used[key] += outcome.processor_seconds
        return outcome


def in_doubt(known: Outcome, last: Outcome) -> list[str]:
    """The checks whose verdict a crowded machine could have caused: a time that was cut short, too."""
    failed = [check["name"] for check in known.checks if check["verdict"] != Verdict.PASS]
    return [name for name in failed if name in known.doubtful or name in last.short]
