"""One machine that grades by one manifest: seats side by side, and a judge process for all, until closed."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

from workshop.errors import InfraError
from workshop.grade.judging.idle_time import IdleTime
from workshop.grade.judging.judge_process import JudgeProcess
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.one_submission import grade_one
from workshop.grade.judging.outcome import Outcome
from workshop.grade.sandboxes.sandbox import Engine
from workshop.judge.patience import Patience, Time
from workshop.judge.verdict import Verdict
from workshop.labs import target_folder

BUDGET_LEAST = 60.0  # seconds for one submission
BUDGET_TIMES = 5.0  # times what the lab's own solution takes on this machine
FIRST_BUDGET = 300.0
TRIES = 2
Files = dict[str, bytes]


class LocalPool:
    """Grades submissions on this machine, as many at once as threads ask it to."""

    def __init__(self, manifest: Manifest, engine: Engine) -> None:
        self.manifest, self.engine = manifest, engine
        self.budget = FIRST_BUDGET
        self.usual: dict[str, float] = {}
        self.more = 0.0  # submissions that there was time for beside the lab's own solution
        self._lock = threading.Lock()
        self._judge_process: JudgeProcess | None = None
        self._seats = 0
        self._free: list[int] = []
        self._closed = False

    def calibrate(self) -> None:
        """Grade the lab's own solution: it must pass here, and tells how long a submission takes.

        Raises InfraError when it does not pass.
        """
        lab = self.manifest.lab
        folder = target_folder(lab, "solution")
        files = {name: (folder / name).read_bytes() for name in lab.edit}
        self._judge().await_ready()
        for _ in range(TRIES):
            idle = IdleTime()
            outcome = self.grade(files)
            seconds = idle.seconds()
            failed = [check for check in outcome.checks if check["verdict"] != Verdict.PASS]
            if not failed:
                self.budget = max(BUDGET_LEAST, BUDGET_TIMES * outcome.run["seconds"])
                self.usual = outcome.seconds
                judged: float = sum(outcome.run["judge_process"].get("cpu", ()))
                if outcome.processor_seconds:  # not every sandbox tells
                    self.more = seconds / (outcome.processor_seconds + judged)
                return
        worst = f"{failed[0]['name']}: {failed[0]['verdict']}, {failed[0]['finding'].get('got', '')}"
        raise InfraError(
            f"Nothing was graded: lab {lab.number}'s own solution fails {len(failed)} checks here ({worst})."
        )

    def grade(self, files: Files, only: list[str] | None = None, time: Time = Time.ALL) -> Outcome:
        """One submission, at a free seat. Raises InfraError when the pool is closed."""
        patience = Patience(self.usual, False) if only is None else Patience.alone(self.usual, time)
        budget = self.budget * patience.times
        with self._seat() as slot:
            idle = IdleTime()
            outcome = grade_one(
                files, self.manifest, self.engine, self._judge(), slot, budget, only, patience
            )
            outcome.run["others"] = round(idle.others(outcome.processor_seconds), 2)
        return outcome

    def close(self) -> None:
        """End the judge process; what is being graded ends with it, and nothing more is."""
        with self._lock:
            self._closed = True
            judge_process, self._judge_process = self._judge_process, None
        if judge_process is not None:
            judge_process.end()

    def _judge(self) -> JudgeProcess:
        """The judge process; another one where it has died."""
        with self._lock:
            self._must_be_open()
            if self._judge_process is not None and not self._judge_process.is_alive():
                self._judge_process.end()
                self._judge_process = None
            self._judge_process = self._judge_process or JudgeProcess(self.manifest.folder)
            return self._judge_process

    @contextlib.contextmanager
    def _seat(self) -> Iterator[int]:
        """A number that no other submission has meanwhile, from 0."""
        with self._lock:
            self._must_be_open()
            if not self._free:
                self._free.append(self._seats)
                self._seats += 1
            slot = self._free.pop()
        try:
            yield slot
        finally:
            with self._lock:
                self._free.append(slot)

    def _must_be_open(self) -> None:
        if self._closed:
            raise InfraError("The grading was ended.")
