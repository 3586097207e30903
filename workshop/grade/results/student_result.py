"""A student's result: canonical data, the same for the same work whoever graded it, where and when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from workshop.grade.judging.exchange_log import without
from workshop.grade.judging.load_stage import LoadOutcome
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome import Outcome
from workshop.grade.results.late_policy import Policy, score
from workshop.grade.submissions.collect import Submission
from workshop.grade.untrusted_text import file_name, one_line
from workshop.judge.verdict import Verdict

SCHEMA = 1
DETAILS = 10  # lines of what was seen under load


@dataclass(frozen=True)
class Graded:
    """One attempt with what became of it."""

    submission: Submission
    outcome: Outcome
    load: LoadOutcome | None = None


@dataclass
class Result:
    """One student. `data` is results.json; `run` is what stands beside it: times, sandbox, flaky checks.

    `transcript` is what was said while the attempt that counts was graded, less the hidden checks.
    """

    data: dict[str, Any]
    run: dict[str, Any]
    transcript: str = ""

    @property
    def id(self) -> str:
        return str(self.data["student"]["id"])

    @property
    def folder(self) -> str:
        """The student's folder among the results."""
        return file_name(self.id)

    @property
    def score(self) -> float | None:
        """None when there is no number: a failure of ours stands in its place."""
        found: float | None = self.data["score"]
        return found

    @property
    def flaky(self) -> list[str]:
        return [name for attempt in self.run["attempts"] for name in attempt["run"].get("flaky", [])]

    @property
    def load_details(self) -> list[str]:
        """What was seen under load, in the attempt that counts."""
        runs = [one.get("load", {}) for one in self.run["attempts"] if one["attempt"] == self.data["counted"]]
        return [one_line(str(line), 300) for run in runs for line in run.get("reasons", [])[:DETAILS]]


def result_of(manifest: Manifest, policy: Policy, attempts: Sequence[Graded], load_points: int = 0) -> Result:
    """Everything about one student; the attempt that counts is the best or the last, by the policy.

    `load_points` are what passing the load stage adds to the lab's own points.
    """
    rows = [_row(manifest, policy, graded, load_points) for graded in attempts]
    counted = _counted(policy, rows)
    graded, row = attempts[counted], rows[counted]
    person = graded.submission.person
    lab = manifest.lab
    data = {
        "schema": SCHEMA,
        "student": {"id": one_line(person.id, 200), "name": one_line(person.name, 200)},
        "lab": {"number": lab.number, "name": lab.name, "title": lab.title},
        "seed": manifest.seed,
        "manifest": manifest.digest,
        "grader": manifest.grader,
        "attempts": rows,
        "counted": row["attempt"],
        **{key: row[key] for key in ("raw", "penalty_percent", "score", "of", "verdict")},
        "checks": graded.outcome.checks,
        "hidden_checks": len(manifest.hidden),
        "trouble": [one_line(line) for line in graded.submission.trouble],
        "refused": graded.submission.refused,
    }
    if "load" in row:
        data["load"] = row["load"]
    runs = [_run(one) for one in attempts]
    said = without(graded.outcome.transcript, manifest.hidden)
    return Result(data, {"student": data["student"], "attempts": runs}, said)


def _run(graded: Graded) -> dict[str, Any]:
    found: dict[str, Any] = {"attempt": graded.submission.attempt, "run": graded.outcome.run}
    return found if graded.load is None else {**found, "load": graded.load.run}


def _row(manifest: Manifest, policy: Policy, graded: Graded, load_points: int) -> dict[str, Any]:
    outcome, penalty = graded.outcome, policy.penalty(graded.submission)
    load = graded.load.as_result(load_points) if graded.load is not None else None
    earned = load["points"] if load is not None and load_points else 0
    broken = bool(outcome.infra) or earned is None
    points = outcome.points + (earned or 0)
    row = {
        "attempt": graded.submission.attempt,
        "submission": graded.submission.digest,
        "days_late": policy.days_late(graded.submission),
        "raw": None if broken else points,
        "penalty_percent": penalty,
        "score": None if broken else score(points, penalty),
        "of": manifest.lab.points + load_points,
        "verdict": str(verdict_of(outcome)),
    }
    return row if load is None else {**row, "load": load}


def verdict_of(outcome: Outcome) -> Verdict:
    """The submission's verdict: its checks' when they agree, else FAIL; a failure of ours comes first."""
    found = {Verdict(check["verdict"]) for check in outcome.checks}
    if Verdict.INFRA_ERROR in found:
        return Verdict.INFRA_ERROR
    return found.pop() if len(found) == 1 else Verdict.FAIL


def _counted(policy: Policy, rows: list[dict[str, Any]]) -> int:
    """An attempt without a number counts first of all: it might have been the best."""
    for index, row in enumerate(rows):
        if row["score"] is None:
            return index
    if policy.attempts == "last":
        return len(rows) - 1
    return max(range(len(rows)), key=lambda index: (rows[index]["score"], index))
