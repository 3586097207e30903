"""Gradescope's results.json: https://gradescope-autograders.readthedocs.io/en/latest/specs/"""

from __future__ import annotations

from typing import Any

from workshop.grade.result import Result

LINES = ("category", "hint", "sent", "got", "expected", "rule", "where")


def document(result: Result) -> dict[str, Any]:
    """A test for each check. Without a score (INFRA_ERROR) Gradescope itself says that the grader failed."""
    data = result.data
    found: dict[str, Any] = {
        "output": said(data),
        "visibility": "visible",
        "tests": [_test(check) for check in data["checks"]],
    }
    if data["score"] is not None:
        found["score"] = data["score"]
    return found


def _test(check: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": f"task {check['task']} · {check['title']}",
        "score": check["points"],
        "max_score": check["of"],
        "status": "passed" if check["verdict"] == "PASS" else "failed",
        "output": "\n".join(told(check)),
        "output_format": "text",
    }


def told(check: dict[str, Any]) -> list[str]:
    """What a check says, a line each."""
    finding = check["finding"]
    lines = [] if check["verdict"] in ("PASS", "FAIL") else [check["verdict"]]
    lines += [f"{key:<10}{finding[key]}" for key in LINES if finding.get(key)]
    return lines + [f"{'':<10}{line}" for line in finding.get("trace", [])]


def said(data: dict[str, Any]) -> str:
    """What holds for the whole submission."""
    lines = [f"seed {data['seed']}"]
    if data["penalty_percent"]:
        lines.append(f"{data['raw']} points, {data['penalty_percent']} % off for lateness")
    if data["hidden_checks"]:
        lines.append(f"{data['hidden_checks']} of the checks are hidden")
    return "\n".join([*lines, *data["trouble"], *data["refused"]])
