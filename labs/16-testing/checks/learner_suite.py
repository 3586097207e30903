"""Runs the learner's tests on tasks APIs that are right, or have one fault (apps/faulty_tasks_apis.py)."""

from __future__ import annotations

import json
from typing import Any

from client_steps import said

from workshop.judge.checks import expect, fail, made, object_of, ref, that

SHAPES = ("plain", "flask", "starlette")
MISSED = {
    "forgets a deletion": "an API that answers DELETE, and forgets to delete,",
    "deletes every task": "an API that deletes every task at one DELETE",
    "changes every task": "an API that changes every task at one PATCH",
    "a change resets what it does not name": "an API whose PATCH loses what the body does not name",
    "finds a task that is not there": "an API that answers 200 for a task that is not there",
    "takes a title that says nothing": "an API that takes a blank title",
    "keeps what it refuses": "an API that refuses a new task, and keeps it all the same,",
    "a wrong method is told nothing": "an API whose 405 has no Allow",
    "spoils text": "an API that spoils what is not ASCII",
    "gives an id again": "an API that gives a deleted task's id to the next one",
    "points elsewhere": "an API whose Location leads elsewhere",
}

Outcomes = list[dict[str, Any]]


class Suite:
    """The learner's tests, run on APIs of the line-up."""

    def __init__(self, probe: Any, service: Any) -> None:
        self.probe, self.lineup = probe, service("lineup")

    def run(self, shape: str, fault: str = "", client: str = "") -> Outcomes:
        """What became of each test, on an API that was opened for this run."""
        wanted = json.dumps({"shape": shape, "fault": fault}).encode()
        opened = self.lineup.request("POST", "/open", [("Content-Type", "application/json")], wanted)
        expect("status of the line-up", opened.status, 201)
        port = self.lineup.address.port
        call = made("run_learner_tests:run", ref("test_tasks"), port, object_of(opened).get("name"), client)
        seen = self.probe.steps(
            call, seconds=12.0, sent="your tests, on one of the course's APIs; its name says nothing"
        )
        if seen.raised:
            fail(said(seen.raised), "tests that can be run")
        outcomes: Outcomes = seen.values[-1]
        return outcomes


def wrong(outcomes: Outcomes) -> Outcomes:
    return [one for one in outcomes if one["outcome"] in ("failed", "error")]


def in_words(one: dict[str, Any]) -> str:
    """A failed test, its line, the last thing that it heard, and what its names stood for."""
    message = one["message"] if one["message"] != "AssertionError" else one["code"]
    values = f", with {one['values']}" if one["values"] else ""
    heard = f"; before that {one['last']}" if one["last"] else ""
    return f"{one['name']}, line {one['line']}: {message}{heard}{values}"


def must_pass(outcomes: Outcomes, what: str) -> None:
    """Every test passes, and there is one."""
    failed = wrong(outcomes)
    passed = [one for one in outcomes if one["outcome"] == "passed"]
    that(passed or failed, "test_tasks.py has no test that was run to its end", f"tests that pass on {what}")
    if failed:
        more = f"; and {len(failed) - 1} more" if len(failed) > 1 else ""
        fail(
            f"{in_words(failed[0])}{more}",
            f"every test passes on {what}: it keeps the contract, to the letter",
        )


def catches(probe: Any, service: Any, rng: Any, *faults: str) -> None:
    """The tests fail on APIs with these faults, in two shapes, and pass on right ones of the same shapes."""
    suite = Suite(probe, service)
    runs = [(one, shape) for shape in rng.sample(SHAPES, k=2) for one in ("", *faults)]
    rng.shuffle(runs)
    outcomes = [(one, suite.run(shape, one)) for one, shape in runs]
    for one, results in outcomes:
        if not one:
            must_pass(results, "a right API")
    for one, results in sorted(outcomes, key=lambda outcome: ("", *faults).index(outcome[0])):
        that(
            not one or wrong(results),
            got=f"{MISSED.get(one)} passed all {len(results)} of your tests",
            expected="a test that fails on it, and passes on the right ones",
        )
