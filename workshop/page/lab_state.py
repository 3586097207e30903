"""What the page shows of a lab: its tasks and checks, the last verdict of each, and what is going on.

It hears of everything through the feed (workshop/judge/verdict_feed.py), one message at a time.
"""

from __future__ import annotations

import ast
import json
from typing import Any

from workshop import clauses
from workshop.labs import Lab
from workshop.last_verdicts import last_result
from workshop.learn import hints
from workshop.paths import STATE

REPORTS = STATE / "reports"
Json = dict[str, Any]


def titles(lab: Lab) -> dict[str, str]:
    """Every check's title, from its docstring: the checks are read here, and never imported."""
    found = {}
    for path in sorted(lab.folder.glob("test_*.py")):
        if path.name in lab.edit:
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and (said := ast.get_docstring(node)):
                found[node.name] = said.splitlines()[0]
    return found


def latest_load(lab: Lab) -> Json | None:
    """The numbers of a lab's last load run; None when there was none."""
    for path in sorted(REPORTS.glob(f"{lab.name}-*.json"), reverse=True):
        try:
            found: Json = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        return found
    return None


class LabState:
    """What is known now. `version` grows with every change."""

    def __init__(self, lab: Lab, target: str) -> None:
        self.lab, self.target = lab, target
        self.version = 0
        self.status: Json = {"judging": False, "whole": True, "saved": "", "seed": None, "mode": ""}
        self.checks: dict[str, Json] = {}
        self.due: set[str] = set()  # checks that the verdict that runs has not come to
        self.timelines: dict[str, Json] = {}
        self._recorded: dict[str, int] = {}  # the version in which a timeline came
        self.load = latest_load(lab)
        self._titles = titles(lab)
        self._hints = hints.sections(lab) if (lab.folder / "hints.md").exists() else []
        if target == "starter":
            for check in (last_result(lab) or {}).get("checks", []):
                self._take(check)

    def hear(self, message: Json) -> None:
        """Take in what the feed says."""
        match message:
            case {"saved": name}:
                self.status |= {"saved": str(name), "judging": True}
                self.due = set(self.lab.checks)
            case {"began": names}:
                self.status["judging"] = True
                self.due = set(names)
            case {"check": check}:
                self.due.discard(check["name"])
                self._take(check)
            case {"result": result}:
                self.status |= {"judging": False, "whole": True}
                self.status |= {"seed": result["seed"], "mode": result["mode"]}
                self.due.clear()
            case {"idle": _}:  # after a result, or without one: then what is due was not judged, or not told
                self.status |= {"judging": False, "whole": self.status["whole"] and not self.due}
                self.due.clear()
            case {"load": _}:
                self.load = latest_load(self.lab)
            case _:
                return
        self.version += 1

    def _take(self, check: Json) -> None:
        name = check["name"]
        if name not in self.lab.checks:
            return
        timeline = check.pop("timeline", None)
        if timeline is None:
            self.timelines.pop(name, None)
        else:
            self.timelines[name] = timeline
            self._recorded[name] = self.version
        self.checks[name] = check

    def as_dict(self) -> Json:
        """All of it but the timelines, which are fetched one by one."""
        lab = self.lab
        tasks: list[Json] = [
            {
                "number": task.number,
                "title": task.title,
                "checks": [self._check(name, task.number) for name in task.checks],
            }
            for task in lab.tasks
        ]
        checks = [check for task in tasks for check in task["checks"]]
        return {
            "lab": lab.number,
            "version": self.version,
            "status": self.status,
            "points": sum(check["points"] for check in checks),
            "of": lab.points,
            "tasks": tasks,
            "load": self.load,
        }

    def _check(self, name: str, task: int) -> Json:
        known = self.checks.get(name)
        points = self.lab.points_of(name)
        if known is None:
            return {
                "name": name,
                "title": self._titles.get(name, name),
                "verdict": "",
                "points": 0,
                "of": points,
                "due": name in self.due,
            }
        failed = known["verdict"] not in ("PASS", "SKIPPED")
        return {
            **{key: known[key] for key in ("name", "title", "verdict", "points", "of")},
            "due": name in self.due,
            "finding": known["finding"] if failed else None,
            "link": (clauses.link(known["finding"]["rule"]) or "") if failed else "",
            "hint": self._hint(task, known["finding"]) if failed else "",
            "timeline": self._recorded[name] if name in self.timelines else None,
        }

    def _hint(self, task: int, finding: Json) -> str:
        """The id of the hints that `make hint` would give."""
        fitting = [one for one in self._hints if one.task == task]
        if not fitting:
            return ""
        return hint_id(self._hints, hints.fitting_best(fitting, hints.symptom_of(finding)))


def hint_id(sections: list[hints.Section], section: hints.Section) -> str:
    return f"hints-{sections.index(section)}"
