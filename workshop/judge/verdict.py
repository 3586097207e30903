"""What a check and a lab came to, as data."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from workshop.clauses import link
from workshop.judge.timeline import Timeline


class Verdict(StrEnum):
    PASS = "PASS"
    FAIL = "FAIL"
    TIMEOUT = "TIMEOUT"
    CRASH = "CRASH"
    NO_START = "NO_START"
    SKIPPED = "SKIPPED"
    INFRA_ERROR = "INFRA_ERROR"


@dataclass
class Finding:
    """Why a check did not pass. Every field is text for a person; an empty one is left out."""

    sent: str = ""
    got: str = ""
    expected: str = ""
    rule: str = ""
    where: str = ""
    trace: list[str] = field(default_factory=list)
    again: list[str] = field(default_factory=list)


@dataclass
class CheckResult:
    name: str
    task: int
    title: str
    verdict: Verdict
    points: int
    of: int
    finding: Finding = field(default_factory=Finding)
    timeline: Timeline | None = None  # only where somebody asked for a recording

    def as_dict(self) -> dict[str, Any]:
        plain = asdict(self)
        if self.timeline is None:
            del plain["timeline"]
        return plain


@dataclass
class LabResult:
    """A lab's verdict. `checks` is in the order of lab.toml; the denominator is lab.toml's."""

    lab: int
    name: str
    title: str
    target: str
    mode: str
    seed: int
    checks: list[CheckResult]
    of: int
    whole: bool = True
    notes: list[str] = field(default_factory=list)

    @property
    def points(self) -> int:
        return sum(check.points for check in self.checks)

    @property
    def verdict(self) -> Verdict:
        found = {check.verdict for check in self.checks}
        if Verdict.INFRA_ERROR in found:
            return Verdict.INFRA_ERROR
        return Verdict.PASS if found == {Verdict.PASS} else Verdict.FAIL

    def as_dict(self) -> dict[str, Any]:
        checks = [check.as_dict() for check in self.checks]
        for check in checks:
            finding = check["finding"]
            finding["rule_url"] = (link(finding["rule"]) if finding["rule"] else None) or ""
        return {**vars(self), "checks": checks, "points": self.points, "verdict": self.verdict}


# --- tracebacks -------------------------------------------------------------------------------------


# --- how it reads -----------------------------------------------------------------------------------
