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

    `transcript` is what was said while the attempt that counts was graded, less the hidden checks. All three
    are for the student. `log` is what the judge process said where it failed: that is for us.
    """

    data: dict[str, Any]
    run: dict[str, Any]
    transcript: str = ""
    log: str = ""

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
    def counted_run(self) -> dict[str, Any]:
        """How the attempt that counts was run: which program listened, what the sandbox did not promise."""
        runs = (one["run"] for one in self.run["attempts"] if one["attempt"] == self.data["counted"])
        return next(runs, {})

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
        "class": manifest.class_mark,
        "seed": row["seed"],
        "manifest": manifest.digest,
        "grader": manifest.grader,
        "attempts": rows,
        "counted": row["attempt"],
        **{key: row[key] for key in ("raw", "penalty_percent", "score", "of", "verdict")},
        "checks": shown(graded.outcome.checks),
        "hidden_checks": len(manifest.hidden),
        "trouble": [one_line(line) for line in graded.submission.trouble],
        "refused": graded.submission.refused,
    }
    if "load" in row:
        data["load"] = row["load"]
    runs = [_run(one) for one in attempts]
    said = without(graded.outcome.transcript, manifest.hidden)
    log = "".join(log_of(one.outcome.run) for one in attempts)
    return Result(data, {"student": data["student"], "attempts": runs}, said, log)


def shown(checks: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Checks as a student may see them: a hidden one has a number, and says why only where it failed."""
    names = shown_names(checks)
    return [_numbered(check, names[check["name"]]) if check["hidden"] else check for check in checks]


def _numbered(check: dict[str, Any], name: str) -> dict[str, Any]:
    category = check["finding"].get("category", "")
    title = name.replace("_", " ") + (f": {category}" if category else "")
    return {**check, "name": name, "title": title}


def shown_names(checks: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What each check is called in what students get, by its own name."""
    hidden = [check["name"] for check in checks if check["hidden"]]
    numbers = {name: f"hidden_{number}" for number, name in enumerate(hidden, 1)}
    return {check["name"]: numbers.get(check["name"], check["name"]) for check in checks}


def _run(graded: Graded) -> dict[str, Any]:
    run = _without_log(graded.outcome.run)
    if "flaky" in run:
        names = shown_names(graded.outcome.checks)
        run["flaky"] = [names.get(name, name) for name in run["flaky"]]
    found: dict[str, Any] = {"attempt": graded.submission.attempt, "run": run}
    return found if graded.load is None else {**found, "load": graded.load.run}


def _without_log(run: dict[str, Any]) -> dict[str, Any]:
    """What is known of a run, less what the judge process said: its tracebacks may name hidden checks."""
    kept = dict(run)
    if "judge_process" in kept:
        kept["judge_process"] = {key: one for key, one in kept["judge_process"].items() if key != "log"}
    if "again" in kept:
        kept["again"] = _without_log(kept["again"])
    return kept


def log_of(run: dict[str, Any]) -> str:
    again = log_of(run["again"]) if "again" in run else ""
    return str(run.get("judge_process", {}).get("log", "")) + again


def _row(manifest: Manifest, policy: Policy, graded: Graded, load_points: int) -> dict[str, Any]:
    outcome, penalty = graded.outcome, policy.penalty(graded.submission)
    load = graded.load.as_result(load_points) if graded.load is not None else None
    earned = load["points"] if load is not None and load_points else 0
    broken = bool(outcome.infra) or earned is None
    points = outcome.points + (earned or 0)
    row = {
        "attempt": graded.submission.attempt,
        "submission": graded.submission.digest,
        "seed": manifest.seed_of(graded.submission.digest),
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
