"""A class, graded: each distinct submission once, what is doubtful once more, nothing lost on the way."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from workshop.grade.judging.local_pool import Files
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.one_submission import nothing_to_grade
from workshop.grade.judging.outcome import Outcome, joined
from workshop.grade.judging.outcome_cache import Store
from workshop.grade.judging.worker_pools import Pool, Threads
from workshop.grade.sandboxes.sandbox import Engine
from workshop.grade.submissions.collect import Submission

PARTS = 4  # of the checks of a program that waits, when they are asked again
CROWDED = 0.3  # of all processors: more than programs use that only wait


class Beside(dict[str, Outcome]):
    """Outcomes of submissions that were asked at one time, and whether they were in each other's way."""

    processor = 0.0  # seconds
    worked = False


@dataclass
class Batch:
    """Grades submissions by one manifest; outcomes go to the store as soon as they are known.

    `place` is a pool, or this machine's sandboxes: then `workers` are graded side by side.
    """

    manifest: Manifest
    place: Engine | Pool
    store: Store
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    fresh: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        self.pool = self.place if isinstance(self.place, Pool) else Threads(self.place, self.workers)
        self.graded_now = 0

    def grade(self, submissions: Iterable[Submission]) -> dict[str, Outcome]:
        """Outcomes by the submission's key: each distinct one is graded once.

        Raises InfraError when the lab's own solution does not pass here: then nothing is graded at all.
        """
        wanted: dict[str, Submission] = {}
        for one in submissions:
            wanted.setdefault(self.key(one), one)
        known = {key: self.known(key, one) for key, one in wanted.items()}
        missing = {key: wanted[key].files for key in wanted if known[key] is None}
        found = {key: outcome for key, outcome in known.items() if outcome is not None}
        if not missing:
            return found
        try:
            self.pool.open(self.manifest)
            return found | self._all(missing)
        finally:
            self.pool.end()

    def key(self, submission: Submission) -> str:
        if submission.trouble:
            return f"none {submission.trouble}"
        return self.manifest.key(submission.digest, self.pool.image)

    def known(self, key: str, submission: Submission) -> Outcome | None:
        """What needs no sandbox: a submission without files, or one that was graded before."""
        if submission.trouble:
            return nothing_to_grade(self.manifest, submission.trouble)
        kept = None if self.fresh else self.store.get(key)
        return kept and kept.weighed(self.manifest)

    # --- the work

    def _all(self, files: dict[str, Files]) -> dict[str, Outcome]:
        found: dict[str, Outcome] = {}
        again = []
        with self._progress() as progress:
            bar = progress.add_task("grading", total=len(files))
            for key, outcome in self.pool.grade(files):
                found[key] = outcome
                if outcome.doubtful:
                    again.append(key)
                else:
                    self._keep(key, outcome)
                progress.advance(bar)
            if again:
                progress.update(bar, total=len(files) + len(again), description="once more, alone")
            for key, outcome in self._all_once_more(files, {key: found[key] for key in sorted(again)}):
                found[key] = outcome
                self._keep(key, outcome)
                progress.advance(bar)
        return found

    def _all_once_more(
        self, files: dict[str, Files], first: dict[str, Outcome]
    ) -> Iterator[tuple[str, Outcome]]:
        """Programs that only wait are asked again side by side, in PARTS each; one that works is alone.

        So is, in the end, one that those side by side may have kept from its time: where they did work.
        """
        room = self.pool.together
        waiting = [key for key, outcome in first.items() if outcome.has_waited and room > 1]
        beside = self._side_by_side({key: files[key] for key in waiting}, first, room)
        for key, outcome in first.items():
            known = beside.get(key)
            if known is None:
                yield key, self._once_more(files[key], outcome)
            elif beside.worked and known.doubtful:
                yield key, self._once_more(files[key], known)
            else:
                yield key, known

    def _side_by_side(self, files: dict[str, Files], first: dict[str, Outcome], room: int) -> Beside:
        """These, asked again at one time."""
        beside, began = Beside(), time.monotonic()
        threads = ThreadPoolExecutor(room)
        try:
            asked = {key: self._in_parts(threads, files[key], first[key]) for key in files}
            for key, futures in asked.items():
                parts = [part.result() for part in futures]
                beside[key] = first[key].better(joined(parts))
                beside.processor += sum(part.processor_seconds for part in parts)
        finally:
            threads.shutdown(wait=False, cancel_futures=True)
        beside.worked = beside.processor > CROWDED * (os.cpu_count() or 1) * (time.monotonic() - began)
        return beside

    def _in_parts(self, threads: ThreadPoolExecutor, files: Files, first: Outcome) -> list[Future[Outcome]]:
        """What one of the checks waits for, others do meanwhile."""
        names = first.doubtful
        parts = [names[number::PARTS] for number in range(min(PARTS, len(names)))]
        return [threads.submit(self.pool.alone, files, part) for part in parts]

    def _once_more(self, files: Files, first: Outcome) -> Outcome:
        """What a crowded machine may have caused is asked again, alone, in a fresh sandbox."""
        return first.better(self.pool.alone(files, first.doubtful))

    def _keep(self, key: str, outcome: Outcome) -> None:
        """Outcomes that are our own failures are not kept: the next run tries again."""
        self.graded_now += 1
        if not outcome.infra:
            self.store.put(key, outcome)

    def _progress(self) -> Progress:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, TimeRemainingColumn(), console=console, disable=self.quiet)
