"""Gradescope's results.json: https://gradescope-autograders.readthedocs.io/en/latest/specs/"""

from __future__ import annotations

from typing import Any

from workshop.grade.results.student_result import Result

LINES = ("category", "hint", "sent", "got", "expected", "rule", "where")


def document(result: Result) -> dict[str, Any]:
    """A test for each check.

    Without a score (INFRA_ERROR) no test has one either: Gradescope would add them up.
    """
    data = result.data
    scored = data["score"] is not None
    found: dict[str, Any] = {
        "output": said(data),
        "output_format": "text",  # the default would show a submission's file names as HTML
        "visibility": "visible",
        "stdout_visibility": "hidden",
        "tests": [*(_test(check, scored) for check in data["checks"]), *_load(result, scored)],
    }
    if scored:
        found["score"] = data["score"]
    return found


def _test(check: dict[str, Any], scored: bool) -> dict[str, Any]:
    found = {
        "name": f"task {check['task']} · {check['title']}",
        "name_format": "text",
        "status": "passed" if check["verdict"] == "PASS" else "failed",
        "output": "\n".join(told(check)),
        "output_format": "text",
    }
    return found | {"score": check["points"], "max_score": check["of"]} if scored else found


def _load(result: Result, scored: bool) -> list[dict[str, Any]]:
    """The load stage as one more test, where there was one."""
    load = result.data.get("load")
    if load is None:
        return []
    said = [line for line in (load["reason"], *result.load_details) if line]
    test = {
        "name": "under load, beside the reference",
        "output": "\n".join([load["verdict"], *said]),
        "output_format": "text",
    }
    if load["verdict"] != "INCONCLUSIVE":
        test |= {"status": "passed" if load["verdict"] == "PASS" else "failed"}
    if scored and load["of"] and load["points"] is not None:
        test |= {"score": load["points"], "max_score": load["of"]}
    return [test]


def told(check: dict[str, Any]) -> list[str]:
    """What a check says, a line each."""
    lines = [] if check["verdict"] in ("PASS", "FAIL") else [check["verdict"]]
    lines += [f"{label:<10}{text}" for label, text in labelled(check) if label != "trace"]
    return lines + [f"{'':<10}{line}" for line in check["finding"].get("trace", [])]


def labelled(check: dict[str, Any]) -> list[tuple[str, str]]:
    """What a check says, each part with its label."""
    finding = check["finding"]
    found = [(label, finding[label]) for label in LINES if finding.get(label)]
    return [*found, *([("trace", "\n".join(finding["trace"]))] if finding.get("trace") else [])]


def said(data: dict[str, Any]) -> str:
    """What holds for the whole submission."""
    lines = [f"seed {data['seed']}"]
    if data["penalty_percent"]:
        lines.append(f"{data['raw']} points, {data['penalty_percent']} % off for lateness")
    if data["hidden_checks"]:
        lines.append(f"{data['hidden_checks']} of the checks are hidden")
    return "\n".join([*lines, *data["trouble"], *data["refused"]])
