"""A class, graded: each distinct submission once, what is doubtful once more, nothing lost on the way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
from workshop.grade.judging.outcome import Outcome
from workshop.grade.judging.outcome_cache import Store
from workshop.grade.judging.second_pass import SecondPass
from workshop.grade.judging.worker_pools import Pool, Threads
from workshop.grade.sandboxes.sandbox import Engine
from workshop.grade.submissions.collect import Submission


@dataclass
class Batch:
    """Grades submissions by one manifest; outcomes go to the store as soon as they are known.

    `place` is a pool, or this machine's sandboxes: then `workers` are graded side by side, or as many as
    keep the machine busy.
    """

    manifest: Manifest
    place: Engine | Pool
    store: Store
    workers: int | None = None
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
            second = SecondPass(self.pool, files, {key: found[key] for key in sorted(again)})
            for key, outcome in second.run():
                found[key] = outcome
                self._keep(key, outcome)
                progress.advance(bar)
        return found

    def _keep(self, key: str, outcome: Outcome) -> None:
        """Outcomes that are our own failures are not kept: the next run tries again."""
        self.graded_now += 1
        if not outcome.infra:
            self.store.put(key, outcome)

    def _progress(self) -> Progress:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, TimeRemainingColumn(), console=console, disable=self.quiet)
