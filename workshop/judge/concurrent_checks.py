"""Checks that mostly wait run at the same time: a thread for each lane, the checks of a lane in turn.

    together = SideBySide(prefork=Preforks)

    @check(task=4, rule=TIMEOUT)
    @together.on("frozen")           # the lane: no other lane uses the services that its checks use
    def test_task4_frozen_worker_is_replaced(prefork, rng): ...

The first of them that pytest comes to starts the lanes of all that were chosen. What a check found is said
when its own turn comes: order, words and verdicts are those of one check after another. A check has a
connection to the agent, a trail and random numbers of its own, and names what it wants of them as arguments.

With on("") a check runs in its turn. A lane ends at its first failure, for the report still looks at what
that failure left; the rest of the lane runs when its turn comes, on services that begin anew. One check at a
time it is in a sandbox, where transcripts are kept by check, under a debugger, and with --one-at-a-time.
"""

from __future__ import annotations

import dataclasses
import inspect
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workshop.judge import checks
from workshop.judge.checks import Deadline
from workshop.judge.http_client import Trail
from workshop.judge.stack import SANDBOX, Stack


@dataclass
class Means:
    """What one check has of its own. `dirty` is shared: the services that a failed check has left."""

    stack: Stack
    rng: random.Random
    seconds: float
    dirty: set[str]
    run: Any  # the LabRun that the check is of
    trail: Trail = field(default_factory=Trail)
    used: set[str] = field(default_factory=set)

    def late(self, failed: checks.Failed) -> None:
        """A failure of this check because something was late, while its connections are open."""
        self.run.look_where_it_waits(self.trail, failed)


class Job:
    """One check: it runs once, in its lane or in its turn."""

    def __init__(self, name: str, task: int, function: Callable[..., None], lane: str) -> None:
        self.name, self.task, self.function, self.lane = name, task, function, lane
        self.means: Means | None = None
        self.error: BaseException | None = None
        self.passed_by = threading.Event()  # its lane has run it, or has ended before it

    def run(self, means: Means, fixtures: dict[str, Callable[[Means], Any]]) -> None:
        self.means = means
        checks.lateness.observer = means.late
        try:
            wanted = inspect.signature(self.function).parameters
            self.function(**{name: fixtures[name](means) for name in wanted})
        except BaseException as error:  # pytest is told, whatever it is, when its turn comes
            self.error = error
            means.dirty |= means.used


class SideBySide:
    """The lanes of one test file. `fixtures` make a check's arguments from its Means, by name."""

    def __init__(self, **fixtures: Callable[[Means], Any]) -> None:
        self.fixtures: dict[str, Callable[[Means], Any]] = {
            "stack": lambda means: means.stack,
            "rng": lambda means: means.rng,
            "trail": lambda means: means.trail,
            **fixtures,
        }
        self.jobs: dict[str, Job] = {}
        self.dirty: set[str] = set()
        self.started = False
        self.marked: dict[str, tuple[Callable[..., None], str]] = {}

    def on(self, lane: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Mark a check: it runs in this lane, or, with "", in its turn."""

        def mark(function: Callable[..., None]) -> Callable[..., None]:
            def turn(request: Any, stack: Stack, trail: Trail) -> None:
                self._turn(request, stack, trail)

            turn.__doc__, turn.__name__ = function.__doc__, function.__name__
            self.marked[function.__name__] = (function, lane)
            return turn

        return mark

    def _turn(self, request: Any, stack: Stack, trail: Trail) -> None:
        """What pytest runs: wait for what the lane found, and say it; or run the check now."""
        run = request.config.pluginmanager.get_plugin("workshop-lab-run")
        if not self.jobs:
            self._plan(request.session.items)
        job = self.jobs[request.node.name]
        if job.lane and not self.started:
            self._start(run, stack)
            self.started = True
        if job.lane:
            job.passed_by.wait()
        if job.means is None:
            job.run(self._means(run, job, stack), self.fixtures)
        assert job.means is not None
        vars(trail).update(vars(job.means.trail))
        if isinstance(job.error, Deadline):  # every service is ended after it: let the others be through
            for other in self.jobs.values():
                if other.lane and (run.everything or other.task == job.task):
                    other.passed_by.wait()
        if job.error is not None:
            raise job.error

    def _plan(self, items: list[Any]) -> None:
        for item in items:
            if item.name in self.marked:
                task = item.get_closest_marker("check").kwargs["task"]
                self.jobs[item.name] = Job(item.name, task, *self.marked[item.name])

    def _start(self, run: Any, stack: Stack) -> None:
        """Start the lanes, those of later tasks first: they wait longest."""
        one_at_a_time = stack.mode == SANDBOX or run.one_at_a_time
        for lane in dict.fromkeys(job.lane for job in reversed(self.jobs.values()) if job.lane):
            jobs = [job for job in self.jobs.values() if job.lane == lane]
            if not one_at_a_time:
                threading.Thread(target=self._go, args=[run, stack, jobs], daemon=True).start()
            else:
                for job in jobs:
                    job.passed_by.set()

    def _go(self, run: Any, stack: Stack, jobs: list[Job]) -> None:
        """A lane, from its first check to its last, or to the first that fails."""
        own = dataclasses.replace(stack, _connection=None, _one_at_a_time=threading.Lock())
        try:
            for job in jobs:
                if not any(one.error for one in jobs):
                    job.run(self._means(run, job, own), self.fixtures)
                job.passed_by.set()
        finally:
            for job in jobs:  # whatever ended the lane: what has not run runs in its turn
                job.passed_by.set()
            own.close()

    def _means(self, run: Any, job: Job, stack: Stack) -> Means:
        # Who works beside others is given their time as well.
        seconds = run.seconds_of(job.name, 1 if job.lane == "" else 3)
        return Means(stack, random.Random(f"{run.seed}:{job.name}"), seconds, self.dirty, run)
