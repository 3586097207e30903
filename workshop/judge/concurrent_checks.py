"""Checks that mostly wait run at the same time: a thread for each lane, the checks of a lane in turn.

    together = SideBySide(prefork=Preforks)

    @check(task=4, rule=TIMEOUT)
    @together.on("frozen")           # the lane: no other lane uses the services that its checks use
    def test_task4_frozen_worker_is_replaced(prefork, rng): ...

The first of them that pytest comes to starts the lanes of all that were chosen. What a check found is said
when its own turn comes: order, words and verdicts are those of one check after another. A check has a
connection to the agent, a trail and random numbers of its own, and names what it wants of them as arguments.

With on("") a check runs in its turn, or while one before it waits for its lane. A lane ends at its first
failure, for the report still looks at what that failure left; the rest of the lane runs when its turn comes,
on services that begin anew. One check at a time it is in a sandbox, where transcripts are kept by check,
under a debugger, and with --one-at-a-time.

With on("slow", apart="front") the lane has a stack of its own, nginx and all: for a check that waits, with
services that others end or hold up. Those that nginx shows start at once, or those that are named. In
Docker, where there is one of each container, it runs in its turn.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import inspect
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from workshop.errors import InfraError, Refusal
from workshop.judge import checks
from workshop.judge.checks import Deadline
from workshop.judge.http_client import Clock, Trail
from workshop.judge.probe_client import ProbeTrouble
from workshop.judge.stack import EMBEDDED, SANDBOX, Stack, embedded
from workshop.judge.verdict import Verdict


@dataclass
class Means:
    """What one check has of its own."""

    stack: Stack
    rng: random.Random
    seconds: float
    run: Any  # the LabRun that the check is of
    trail: Trail = field(default_factory=Trail)

    def __post_init__(self) -> None:
        self.clock = Clock(self.seconds)
        self.trail.stack = self.stack

    def random_numbers(self) -> random.Random:
        """What the check's inputs are drawn from: the same seed, the same inputs."""
        self.trail.seed = self.run.seed
        return self.rng

    def late(self, failed: checks.Failed) -> None:
        """A failure of this check because something was late, while its connections are open."""
        self.run.look_where_it_waits(self.trail, failed)


class Job:
    """One check: it runs once, in its lane or in its turn."""

    def __init__(self, name: str, task: int, function: Callable[..., None], lane: str, apart: str) -> None:
        self.name, self.task, self.function = name, task, function
        self.lane, self.apart = lane, apart
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
            means.stack.dirty |= means.trail.used


def is_late(error: BaseException | None) -> bool:
    """Whether the verdict over it is TIMEOUT: a check that was not through, or a call that did not end."""
    hangs = isinstance(error, ProbeTrouble) and error.verdict is Verdict.TIMEOUT
    return hangs or isinstance(error, Deadline)


class Lane:
    """Checks that run one after the other, in a thread: on the run's stack, or on one of their own.

    A stack of its own ends with its lane; where a check has failed, with the run: the report looks at it.
    """

    def __init__(self, jobs: list[Job], run: Any, stack: Stack, apart: str) -> None:
        self.jobs, self._public = jobs, stack.public
        self._exits = contextlib.ExitStack()
        self._ending = threading.Lock()  # whoever comes second waits until all has ended
        if apart:
            own = self._exits.enter_context(embedded(stack.lab, stack.target, early=apart))
            run.config.add_cleanup(self.end)
        used = own if apart else stack
        self.stack = dataclasses.replace(used, _connection=None, _one_at_a_time=threading.Lock())

    def end(self) -> None:
        with self._ending:
            self._exits.close()

    def go(self, run_one: Callable[[Job, Stack], None]) -> None:
        """From its first check to its last, or to the first that fails."""
        try:
            self.stack.await_front()
            self.stack.public = self._public  # where a person asks, whichever port its own nginx has got
            for job in self.jobs:
                if not any(one.error for one in self.jobs):
                    run_one(job, self.stack)
                job.passed_by.set()
        except InfraError:
            pass  # no nginx of its own, or the run has ended meanwhile: in its turn, each check tells
        finally:
            for job in self.jobs:  # whatever ended the lane: what has not run runs in its turn
                job.passed_by.set()
            if not any(one.error for one in self.jobs):
                self.stack.close()
                self.end()


class SideBySide:
    """The lanes of one test file. `fixtures` make a check's arguments from its Means, by name."""

    def __init__(self, **fixtures: Callable[[Means], Any]) -> None:
        self.fixtures: dict[str, Callable[[Means], Any]] = {
            "stack": lambda means: means.stack,
            "rng": Means.random_numbers,
            "trail": lambda means: means.trail,
            **fixtures,
        }
        self.jobs: dict[str, Job] = {}
        self.marked: dict[str, tuple[Callable[..., None], str, str]] = {}

    def on(self, lane: str, apart: str = "") -> Callable[[Callable[..., None]], Callable[..., None]]:
        """Mark a check: it runs in this lane; with "", in its turn, or while one before it waits."""

        def mark(function: Callable[..., None]) -> Callable[..., None]:
            def turn(request: Any, stack: Stack, trail: Trail) -> None:
                self._turn(request, stack, trail)

            turn.__doc__, turn.__name__ = function.__doc__, function.__name__
            self.marked[function.__name__] = (function, lane, apart)
            return turn

        return mark

    def _turn(self, request: Any, stack: Stack, trail: Trail) -> None:
        """What pytest runs: wait for what the lane found, and say it; or run the check now."""
        run = request.config.pluginmanager.get_plugin("workshop-lab-run")
        if not self.jobs:
            self._plan(request.session.items)
            self._start(run, stack)
        job = self.jobs[request.node.name]
        self._meanwhile(run, job, request.session.items, stack)
        job.passed_by.wait()
        if job.means is None:
            self._run(run, job, stack, trail)
        assert job.means is not None
        vars(trail).update(vars(job.means.trail))
        trail.used = set()  # when it failed they were noted: other checks may have had them since
        if is_late(job.error):  # every service and probe is ended after it: let the others be through
            for other in self.jobs.values():
                if run.everything or other.task == job.task:
                    other.passed_by.wait()
        if job.error is not None:
            raise job.error

    def _meanwhile(self, run: Any, job: Job, items: list[Any], stack: Stack) -> None:
        """While the lane of this check is at work, run those that would be next in their turn."""
        names = [item.name for item in items]
        for name in names[names.index(job.name) + 1 :]:
            other = self.jobs.get(name)
            failed = any(one.error for one in self.jobs.values() if not one.lane)
            if other is None or failed or job.passed_by.is_set():
                return  # where one has failed, the report still looks at what that left
            if not other.lane and other.means is None:
                self._run(run, other, stack)

    def _plan(self, items: list[Any]) -> None:
        for item in items:
            if item.name in self.marked:
                task = item.get_closest_marker("check").kwargs["task"]
                self.jobs[item.name] = Job(item.name, task, *self.marked[item.name])

    def _start(self, run: Any, stack: Stack) -> None:
        """Start the lanes, those of later tasks first: they wait longest. What is in none may run at once."""
        lanes = []
        for name in dict.fromkeys(job.lane for job in reversed(self.jobs.values())):
            jobs = [job for job in self.jobs.values() if job.lane == name]
            made = self._lane(run, jobs, stack) if name else None
            if made is not None:
                lanes.append(made)
            else:
                for job in jobs:
                    job.passed_by.set()
        for lane in lanes:  # when the processes of all are made: some of them are forks of this one
            run_one = functools.partial(self._run, run)
            threading.Thread(target=lane.go, args=[run_one], daemon=True).start()

    @staticmethod
    def _lane(run: Any, jobs: list[Job], stack: Stack) -> Lane | None:
        """A lane for these checks; None where they are to run in their turn."""
        apart = jobs[0].apart
        if stack.mode == SANDBOX or run.one_at_a_time or (apart and stack.mode != EMBEDDED):
            return None
        with contextlib.suppress(Refusal, OSError):  # no port, no folder: there is one stack, then
            return Lane(jobs, run, stack, apart)
        return None

    def _run(self, run: Any, job: Job, stack: Stack, trail: Trail | None = None) -> None:
        # Who works beside others is given their time as well.
        beside = job.lane and not (stack.mode == SANDBOX or run.one_at_a_time)
        seconds = run.seconds_of(job.name, 3 if beside else 1)
        rng = random.Random(f"{run.seed}:{job.name}")
        job.run(Means(stack, rng, seconds, run, trail or Trail()), self.fixtures)
