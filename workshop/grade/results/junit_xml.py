"""JUnit's XML, as CI systems read it."""

from __future__ import annotations

import re
from typing import Any
from xml.etree import ElementTree

from workshop.grade.results.gradescope_json import told
from workshop.grade.results.student_result import Result

NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def document(result: Result) -> str:
    """One suite: a failure for a wrong answer, an error for whatever kept a check from one."""
    checks = [*result.data["checks"], *_load(result.data.get("load"))]
    failures = sum(check["verdict"] == "FAIL" for check in checks)
    errors = sum(check["verdict"] not in ("FAIL", "PASS") for check in checks)
    counts = {"tests": len(checks), "failures": failures, "errors": errors}
    name = _text(f"{result.data['lab']['name']}: {result.id}")
    suite = ElementTree.Element("testsuite", {"name": name, **{key: str(n) for key, n in counts.items()}})
    for check in checks:
        place = f"{result.data['lab']['name']}.{'task' if check['task'] else ''}{check['task'] or 'load'}"
        case = ElementTree.SubElement(suite, "testcase", {"classname": place, "name": check["name"]})
        if check["verdict"] != "PASS":
            kind = "failure" if check["verdict"] == "FAIL" else "error"
            problem = ElementTree.SubElement(
                case, kind, {"message": _text(check["title"]), "type": check["verdict"]}
            )
            problem.text = _text("\n".join(told(check)))
    ElementTree.indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(suite, encoding="unicode")}\n'


def _load(load: dict[str, Any] | None) -> list[dict[str, Any]]:
    """The load stage in the shape of a check, of no task."""
    if load is None:
        return []
    title = "under load, beside the reference"
    finding = {"got": load["reason"]} if load["reason"] else {}
    return [{"name": "load", "task": 0, "title": title, "verdict": load["verdict"], "finding": finding}]


def _text(text: str) -> str:
    return NOT_XML.sub("�", text)
