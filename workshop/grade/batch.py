"""A class, graded side by side: a slot a core, a sandbox a submission, nothing lost on the way."""

from __future__ import annotations

import os
import queue
import sys
import threading
from collections.abc import Callable, Iterable
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

from workshop.errors import InfraError
from workshop.grade.intake import Submission
from workshop.grade.manifest import Manifest
from workshop.grade.one import grade_one, nothing_to_grade
from workshop.grade.outcome import Outcome
from workshop.grade.proctor import Proctor
from workshop.grade.sandbox import Engine
from workshop.grade.store import Store
from workshop.labs import target_folder
from workshop.verdict import Verdict

BUDGET_LEAST = 60.0  # seconds for one submission
BUDGET_TIMES = 5.0  # times what the lab's own solution takes on this machine
FIRST_BUDGET = 300.0


@dataclass
class Batch:
    """Grades submissions by one manifest; outcomes go to the store as soon as they are known."""

    manifest: Manifest
    engine: Engine
    store: Store
    workers: int = field(default_factory=lambda: os.cpu_count() or 1)
    fresh: bool = False
    quiet: bool = False

    def __post_init__(self) -> None:
        self.budget = FIRST_BUDGET
        self._proctors: list[Proctor] = []
        self._stopping = False
        self.graded_now = 0

    def grade(self, submissions: Iterable[Submission]) -> dict[str, Outcome]:
        """Outcomes by the submission's key: each distinct one is graded once.

        Raises InfraError when the lab's own solution does not pass here: then nothing is graded at all.
        """
        wanted: dict[str, Submission] = {}
        for one in submissions:
            wanted.setdefault(self.key(one), one)
        known = {key: self.known(key, one) for key, one in wanted.items()}
        missing = [key for key in wanted if known[key] is None]
        found = {key: outcome for key, outcome in known.items() if outcome is not None}
        if not missing:
            return found
        self.engine.sweep()
        try:
            self._calibrate()
            found |= self._all({key: wanted[key].files for key in missing})
        finally:
            self.end()
            self.engine.sweep()
        return found

    def key(self, submission: Submission) -> str:
        if submission.trouble:
            return f"none {submission.trouble}"
        return self.manifest.key(submission.digest, f"{self.engine.name} {sys.version}")

    def known(self, key: str, submission: Submission) -> Outcome | None:
        """What needs no sandbox: a submission without files, or one that was graded before."""
        if submission.trouble:
            return nothing_to_grade(self.manifest, submission.trouble)
        return None if self.fresh else self.store.get(key)

    def end(self) -> None:
        """End the proctors; a run that goes on is ended with them."""
        self._stopping = True
        for proctor in self._proctors:
            proctor.end()
        self._proctors.clear()

    # --- the work

    def _calibrate(self) -> None:
        """Grade the lab's own solution: it must pass here, and tells how long a submission takes."""
        lab = self.manifest.lab
        folder = target_folder(lab, "solution")
        files = {name: (folder / name).read_bytes() for name in lab.edit}
        proctor = Proctor()
        self._proctors.append(proctor)
        for _ in range(2):
            outcome = grade_one(files, self.manifest, self.engine, proctor, 0, FIRST_BUDGET)
            failed = [check for check in outcome.checks if check["verdict"] != Verdict.PASS]
            self.budget = max(BUDGET_LEAST, BUDGET_TIMES * outcome.run.get("seconds", 0.0))
            if not failed:
                return
        worst = f"{failed[0]['name']}: {failed[0]['verdict']}, {failed[0]['finding'].get('got', '')}"
        raise InfraError(
            f"Nothing was graded: lab {lab.number}'s own solution fails {len(failed)} checks here ({worst})."
        )

    def _all(self, files: dict[str, dict[str, bytes]]) -> dict[str, Outcome]:
        workers = max(1, min(self.workers, len(files)))
        self._proctors += [Proctor() for _ in range(workers - len(self._proctors))]
        waiting: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        done: queue.SimpleQueue[tuple[str, Outcome | BaseException]] = queue.SimpleQueue()
        for key in files:
            waiting.put(key)
        threads = []
        for slot in range(workers):
            waiting.put(None)
            work = (slot, self._proctors[slot], waiting, done, files)
            threads.append(threading.Thread(target=self._slot, args=work, daemon=True))
        with self._progress() as progress:
            bar = progress.add_task("grading", total=len(files))
            for thread in threads:
                thread.start()
            try:
                found, again = self._gather(done, len(files), lambda: progress.advance(bar))
            finally:
                if len(files) and any(thread.is_alive() for thread in threads):
                    self._stopping = True
                    if sys.exc_info()[0] is not None:
                        self.end()
                for thread in threads:
                    thread.join()
            self._stopping = False
            progress.update(bar, total=len(files) + len(again), description="once more, alone")
            for key in again:
                found[key] = self._once_more(files[key], found[key])
                self._keep(key, found[key])
                progress.advance(bar)
        return found

    def _gather(
        self,
        done: queue.SimpleQueue[tuple[str, Outcome | BaseException]],
        count: int,
        advance: Callable[[], object],
    ) -> tuple[dict[str, Outcome], list[str]]:
        found, again = {}, []
        for _ in range(count):
            key, outcome = done.get()
            if isinstance(outcome, BaseException):
                raise outcome
            found[key] = outcome
            if outcome.doubtful:
                again.append(key)
            else:
                self._keep(key, outcome)
            advance()
        return found, sorted(again)

    def _slot(
        self,
        slot: int,
        proctor: Proctor,
        waiting: queue.SimpleQueue[str | None],
        done: queue.SimpleQueue[tuple[str, Outcome | BaseException]],
        files: dict[str, dict[str, bytes]],
    ) -> None:
        while (key := waiting.get()) is not None and not self._stopping:
            try:
                done.put((key, grade_one(files[key], self.manifest, self.engine, proctor, slot, self.budget)))
            except BaseException as error:  # ours: the batch ends with it
                done.put((key, error))

    def _once_more(self, files: dict[str, bytes], first: Outcome) -> Outcome:
        """What a crowded machine may have caused is asked again, alone, in a fresh sandbox."""
        proctor = self._proctors[0]
        second = grade_one(files, self.manifest, self.engine, proctor, 0, self.budget, first.doubtful)
        return first.better(second)

    def _keep(self, key: str, outcome: Outcome) -> None:
        """Outcomes that are our own failures are not kept: the next run tries again."""
        self.graded_now += 1
        if not outcome.infra:
            self.store.put(key, outcome)

    def _progress(self) -> Progress:
        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        return Progress(*columns, TimeRemainingColumn(), console=console, disable=self.quiet)
