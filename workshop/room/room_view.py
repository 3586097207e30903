"""What the host's pages are sent: where each learner is now, and how many are through each task."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import asdict
from functools import cache
from typing import Any

from workshop.labs import Lab, all_labs
from workshop.page.lab_state import titles
from workshop.room.room_database import Standing
from workshop.room.room_report import HINT_LEVELS, lab_of

SILENT_SECONDS = 60.0  # four reports that did not come
Json = dict[str, Any]


@cache
def _titles(number: int) -> dict[str, str]:
    lab = lab_of(number)
    return titles(lab) if lab is not None else {}


def view(standings: list[Standing], now: float) -> Json:
    """Everything that is shown, from what each learner has reported, the latest lab first."""
    current: dict[int, Standing] = {}
    for one in standings:
        current.setdefault(one.learner, one)
    names = Counter(one.name.casefold() for one in current.values())
    return {
        "now": now,
        "silent": SILENT_SECONDS,
        "hints": HINT_LEVELS,
        "learners": [_learner(one, names[one.name.casefold()] > 1) for one in current.values()],
        "labs": _labs(standings),
    }


def _learner(one: Standing, shares_name: bool) -> Json:
    lab = lab_of(one.lab)
    tasks = lab.tasks if lab is not None else ()
    known = one.task is not None and one.task <= len(tasks)
    return {
        **asdict(one),
        "number": one.learner if shares_name else None,
        "lab_title": lab.title if lab is not None else "",
        "task_title": tasks[one.task - 1].title if known and one.task is not None else "",
        "check_title": _titles(one.lab).get(one.check or "", one.check or ""),
        "tasks": len(tasks),
    }


def _labs(standings: list[Standing]) -> list[Json]:
    """By lab and task, how many are through; labs as the course has them."""
    there: dict[int, list[Standing]] = defaultdict(list)
    for one in standings:
        there[one.lab].append(one)
    return [_lab(lab, there[lab.number]) for lab in all_labs() if lab.number in there]


def _lab(lab: Lab, standings: list[Standing]) -> Json:
    tasks = [
        {
            "number": task.number,
            "title": task.title,
            "through": sum(one.through >= task.number for one in standings),
        }
        for task in lab.tasks
    ]
    latest = max(one.seen for one in standings)
    return {
        "number": lab.number,
        "title": lab.title,
        "learners": len(standings),
        "seen": latest,
        "tasks": tasks,
    }
