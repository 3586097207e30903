"""What the real implementations did: `labs/NN-slug/compare/results.json`, and what has changed since.

    {"lab": "05-wsgi-server", "seed": 18,
     "implementations": {"cheroot": {"package": "cheroot", "version": "11.1.2"}, …},
     "checks": {"test_task1_…": "PATH_INFO is …", …},
     "points": [{"check": …, "clause": …, "point": "what the check expected",
                 "results": {"cheroot": {"sent": …, "came": …}, "waitress": "holds", …}}]}

A point is there when one implementation differs in it: at all others, all of them hold. Where a check ended
before it, the result is "not reached".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workshop.compare.implementations import folder_of
from workshop.compare.judged_points import SEED, Points
from workshop.labs import Lab

HOLDS, NOT_REACHED, DIFFERS = "holds", "not reached", "differs"
Record = dict[str, Any]


def path_of(lab: Lab) -> Path:
    return folder_of(lab) / "results.json"


def record(lab: Lab, found: dict[str, Points], versions: dict[str, dict[str, str]]) -> Record:
    """The data of one run of all of them, by implementation."""
    checks = {name: check["title"] for points in found.values() for name, check in points.items()}
    return {
        "lab": lab.name,
        "seed": SEED,
        "implementations": versions,
        "checks": {name: checks[name] for name in lab.checks if name in checks},
        "points": [
            {"check": check, "clause": clause, "point": point, "results": results_at(found, check, point)}
            for (check, point), clause in differing(lab, found).items()
        ],
    }


def differing(lab: Lab, found: dict[str, Points]) -> dict[tuple[str, str], str]:
    """Check and point of every difference, with its clause, in the order of the checks."""
    clauses = {
        (name, one["point"]): one["clause"]
        for points in found.values()
        for name, check in points.items()
        for one in check["differs"]
    }
    return {key: clauses[key] for key in sorted(clauses, key=lambda key: (lab.checks.index(key[0]), key[1]))}


def results_at(found: dict[str, Points], check: str, point: str) -> dict[str, Any]:
    return {name: result_at(points[check], point) for name, points in found.items() if check in points}


def result_at(check: dict[str, Any], point: str) -> Any:
    """What was sent and came where it differs, or else one word."""
    for one in check["differs"]:
        if one["point"] == point:
            return {"sent": one["sent"], "came": one["came"]}
    return HOLDS if check["whole"] or point in check["held"] else NOT_REACHED


def word_of(result: Any) -> str:
    """The same in one word."""
    return result if isinstance(result, str) else DIFFERS


def load(lab: Lab) -> Record | None:
    """What is recorded of a lab; None when nothing is."""
    try:
        data: Record = json.loads(path_of(lab).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    return data


def save(lab: Lab, data: Record) -> None:
    text = json.dumps(data, indent=1, ensure_ascii=False)
    path_of(lab).write_text(f"{text}\n", encoding="utf-8")


def changes(before: Record, now: Record) -> list[str]:
    """What is not as it was, a line each: versions, and differences that came or went."""
    lines = []
    for name, one in now["implementations"].items():
        was = before["implementations"].get(name)
        if was is None:
            lines.append(f"{name} {one['version']} is new")
        elif was["version"] != one["version"]:
            lines.append(f"{name}: {was['version']} is now {one['version']}")
    old, new = words_by_point(before), words_by_point(now)
    for key in [*old, *(key for key in new if key not in old)]:
        for name in now["implementations"]:
            if name not in before["implementations"]:
                continue
            was, found = old.get(key, {}).get(name, HOLDS), new.get(key, {}).get(name, HOLDS)
            if DIFFERS in (was, found) and was != found:
                lines.append(f"{name}: {was}, now {found}: {key[0]}: {key[1]}")
    return lines


def words_by_point(data: Record) -> dict[tuple[str, str], dict[str, str]]:
    return {
        (one["check"], one["point"]): {name: word_of(result) for name, result in one["results"].items()}
        for one in data["points"]
    }
