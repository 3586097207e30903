"""What became of one submission: a verdict for each check of the manifest, and what the kernel said."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from workshop.grade.judging import exchange_log
from workshop.grade.judging.manifest import Hidden, Manifest
from workshop.grade.sandboxes.sandbox import Facts, overrun
from workshop.grade.untrusted_text import plain, steady
from workshop.judge.verdict import Verdict

FIELDS = ("sent", "got", "expected", "rule", "where")
LINES = 12
AGAIN = (Verdict.TIMEOUT, Verdict.CRASH, Verdict.NO_START)
RANK = {
    Verdict.PASS: 0,
    Verdict.FAIL: 1,
    Verdict.TIMEOUT: 2,
    Verdict.CRASH: 3,
    Verdict.NO_START: 4,
    Verdict.INFRA_ERROR: 5,
}
Json = dict[str, Any]


@dataclass
class Outcome:
    """`checks` is canonical: the same code gives the same bytes. `run` is what may differ: times, memory.

    So may `transcript`: what was said on the way (workshop/grade/judging/exchange_log.py). `seconds` is how
    long each check took, `short` names those that were not through, and did not have all of their time.
    """

    checks: list[Json]
    run: Json = field(default_factory=dict)
    transcript: str = ""
    seconds: dict[str, float] = field(default_factory=dict)
    short: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(check["points"] for check in self.checks)

    @property
    def infra(self) -> list[str]:
        """The checks that our own failure kept from a verdict."""
        return [check["name"] for check in self.checks if check["verdict"] == Verdict.INFRA_ERROR]

    @property
    def doubtful(self) -> list[str]:
        """The checks whose verdict a crowded machine could have caused."""
        return [check["name"] for check in self.checks if check["verdict"] in AGAIN]

    @property
    def has_waited(self) -> bool:
        """Whether its program has waited most of the time: then it takes nothing from one beside it."""
        return "facts" in self.run and self.processor_seconds < max(1.0, 0.25 * float(self.run["seconds"]))

    @property
    def processor_seconds(self) -> float:
        """What its sandbox has used."""
        return float(self.run.get("facts", {}).get("cpu", 0.0))

    @property
    def others(self) -> float:
        """What share of all processors' time others had meanwhile."""
        return float(self.run.get("others", 0.0))

    def weighed(self, manifest: Manifest) -> Outcome:
        """The same verdicts with a manifest's points, and its words for hidden checks."""
        for check in self.checks:
            worth, verdict = manifest.lab.points_of(check["name"]), Verdict(check["verdict"])
            check |= {"of": worth, "points": worth if verdict is Verdict.PASS else 0}
            if check["name"] in manifest.hidden:
                check |= _hidden(manifest.hidden[check["name"]], verdict)
        return self

    def as_dict(self) -> Json:
        return {
            "checks": self.checks,
            "run": self.run,
            "transcript": self.transcript,
            "seconds": self.seconds,
            "short": self.short,
        }

    @classmethod
    def of_dict(cls, data: Json) -> Outcome:
        return cls(**data)

    def better(self, again: Outcome) -> Outcome:
        """Of two runs the better verdict for each check; `run` says which were not the same (flaky).

        Where the first did not give a check all of its time, the second decides; and where the second failed
        on our side, there is no verdict: what was in doubt has not been tried again.
        """
        seconds = {check["name"]: check for check in again.checks}
        checks, flaky = [], []
        for first in self.checks:
            second = seconds.get(first["name"], first)
            if first["name"] in self.short or second["verdict"] == Verdict.INFRA_ERROR:
                checks.append(second)
                continue
            best = min(first, second, key=lambda check: RANK[Verdict(check["verdict"])])
            checks.append(best)
            if first["verdict"] != second["verdict"]:
                flaky.append(first["name"])
        both = f"{self.transcript}\n(once more, alone)\n{again.transcript}"
        return Outcome(checks, {**self.run, "flaky": flaky, "again": again.run}, both)

    def without(self, names: Collection[str]) -> Outcome:
        """The same, less these checks."""
        kept = [check for check in self.checks if check["name"] not in names]
        short = [name for name in self.short if name not in names]
        transcript = exchange_log.without(self.transcript, names)
        return replace(self, checks=kept, transcript=transcript, short=short)


def joined(parts: list[Outcome]) -> Outcome:
    """Outcomes of different checks of one submission as one; `run` is the longest's."""
    longest = max(parts, key=lambda part: float(part.run.get("seconds", 0.0)))
    checks = [check for part in parts for check in part.checks]
    transcript = "\n".join(part.transcript for part in parts)
    return Outcome(checks, longest.run, transcript, short=[name for part in parts for name in part.short])


def blank(
    manifest: Manifest, verdict: Verdict, got: str, expected: str, where: str, only: list[str] | None = None
) -> Outcome:
    """The same verdict for every check (or `only` some): nothing could be asked."""
    finding = {"got": plain(got), "expected": expected, "where": where, "sent": "", "rule": "", "trace": []}
    names = manifest.lab.checks if only is None else only
    return Outcome([_check(manifest, name, verdict, finding) for name in names])


def assemble(
    manifest: Manifest, lines: list[Json], cut: bool, facts: Facts, only: list[str] | None
) -> Outcome:
    """Every check of the manifest, with what was recorded of it.

    One without a record had its time taken (`cut`: the submission's whole time was over), or is our fault.
    """
    known = {line["name"]: line for line in lines}
    checks = []
    for name in only if only is not None else manifest.lab.checks:
        line = known.get(name)
        if line is None:
            checks.append(_unrecorded(manifest, name, cut))
            continue
        verdict = Verdict(line["verdict"])
        if verdict is Verdict.SKIPPED:  # there is nothing here that a check may skip for
            verdict = Verdict.INFRA_ERROR
        finding = line["finding"]
        if verdict is Verdict.CRASH and facts.limits:
            finding["got"] += f"; {overrun(facts.limits)}"
        checks.append(_check(manifest, name, verdict, finding, line["title"]))
    return Outcome(checks)


def _unrecorded(manifest: Manifest, name: str, cut: bool) -> Json:
    if cut:
        got, where = (
            "the time for the whole submission was over",
            "your program: earlier checks took all of it",
        )
        return _check(manifest, name, Verdict.TIMEOUT, {"got": got, "expected": "an answer", "where": where})
    got = "a fault of the grader's own: the check left no result"
    return _check(manifest, name, Verdict.INFRA_ERROR, {"got": got})


def _check(manifest: Manifest, name: str, verdict: Verdict, finding: Json, title: str = "") -> Json:
    """A check's entry in results.json. Of a hidden one it says no more than category and hint."""
    task = manifest.lab.task_of(name)
    of = manifest.lab.points_of(name)
    entry: Json = {
        "name": name,
        "task": task.number if task else 0,
        "title": plain(title or name.removeprefix("test_").replace("_", " ")),
        "verdict": str(verdict),
        "points": of if verdict is Verdict.PASS else 0,
        "of": of,
        "hidden": name in manifest.hidden,
    }
    if name in manifest.hidden:
        return entry | _hidden(manifest.hidden[name], verdict)
    entry["finding"] = {} if verdict is Verdict.PASS else _finding(finding)
    return entry


def _hidden(hidden: Hidden, verdict: Verdict) -> Json:
    """What may be said of a hidden check."""
    said = {} if verdict is Verdict.PASS else {"category": hidden.category, "hint": hidden.hint}
    return {"title": f"hidden: {hidden.category}", "finding": said}


def _finding(finding: Json) -> Json:
    found: Json = {key: plain(steady(str(finding.get(key, "")))) for key in FIELDS}
    found["trace"] = [plain(steady(str(line)), 400) for line in finding.get("trace", [])[:LINES]]
    return {key: value for key, value in found.items() if value}


def read_lines(out: Path) -> list[Json]:
    """The records of a run; a last line that was cut short is left out."""
    lines = []
    for line in out.read_text(encoding="utf-8").splitlines() if out.exists() else []:
        try:
            lines.append(json.loads(line))
        except ValueError:
            break
    return lines
