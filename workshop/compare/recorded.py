"""What the real implementations did: `labs/NN-slug/compare/results.json`, and what has changed since.

    {"lab": "05-wsgi-server", "seed": 18, "asked_by": "what the checks' files hash to",
     "implementations": {"cheroot": {"package": "cheroot", "version": "11.1.2"}, …},
     "checks": {"test_task1_…": "PATH_INFO is …", …},
     "points": [{"check": …, "clause": …, "point": "what the check expected",
                 "results": {"cheroot": {"sent": …, "came": …}, "waitress": "holds", …}}]}

A point is there when one implementation differs in it: at all others, all of them hold. Where a check ended
before it, the result is "not reached". Other checks make what is recorded old: `asked_by` says whose it is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workshop.compare.implementations import folder_of, implementations
from workshop.compare.judged_points import SEED, Points
from workshop.labs import Lab
from workshop.paths import APPS

HOLDS, NOT_REACHED, DIFFERS = "holds", "not reached", "differs"
APPLICATION = re.compile(r"(\w+):\w+")  # of a service's command: module:attribute
Record = dict[str, Any]


def path_of(lab: Lab) -> Path:
    return folder_of(lab) / "results.json"


def asked_by(lab: Lab) -> str:
    """A hash of what asks: the checks, their helpers and requests, and the applications that are served."""
    hashed = hashlib.sha256()
    patterns = ("test_*.py", "checks/*.py", "requests/*", "apps/*.py")
    found = {path for pattern in patterns for path in lab.folder.glob(pattern) if path.name not in lab.edit}
    served = {name for one in lab.services.values() for name in APPLICATION.findall(one.command)}
    found |= {APPS / f"{name}.py" for name in served}
    for path in sorted(path for path in found if path.is_file()):
        hashed.update(f"{path.name}\n".encode() + path.read_bytes())
    return hashed.hexdigest()[:16]


def record(
    lab: Lab, found: dict[str, Points], versions: dict[str, dict[str, str]], before: Record | None = None
) -> Record:
    """The data of one run, by implementation; with what is recorded of those that did not run.

    What `before` was asked by stays there until all run again.
    """
    others = before["implementations"] if before else {}
    versions = {**others, **versions}
    order = [one.name for one in implementations(lab) if one.name in versions]
    points = merged(differing(lab, found), before)
    checks = dict(before["checks"]) if before else {}
    checks |= {name: check["title"] for points in found.values() for name, check in points.items()}
    return {
        "lab": lab.name,
        "seed": SEED,
        "asked_by": before.get("asked_by", "") if before else asked_by(lab),
        "implementations": {name: versions[name] for name in order},
        "checks": {name: checks[name] for name in lab.checks if name in checks},
        "points": [
            {"check": check, "clause": clause, "point": point, "results": results}
            for (check, point), (clause, old) in sorted(points.items(), key=lambda one: place_of(lab, one[0]))
            if (results := results_at(lab, found, check, point, old))
        ],
    }


def place_of(lab: Lab, key: tuple[str, str]) -> tuple[int, str]:
    return lab.checks.index(key[0]), key[1]


def merged(
    now: dict[tuple[str, str], str], before: Record | None
) -> dict[tuple[str, str], tuple[str, dict[str, Any]]]:
    """Every point of now and before: its clause, and what is recorded of it."""
    points: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {
        key: (clause, {}) for key, clause in now.items()
    }
    for one in before["points"] if before else []:
        points[one["check"], one["point"]] = one["clause"], one["results"]
    return points


def differing(lab: Lab, found: dict[str, Points]) -> dict[tuple[str, str], str]:
    """Check and point of every difference, with its clause, in the order of the checks."""
    clauses = {
        (name, one["point"]): one["clause"]
        for points in found.values()
        for name, check in points.items()
        for one in check["differs"]
    }
    return {key: clauses[key] for key in sorted(clauses, key=lambda key: place_of(lab, key))}


def results_at(
    lab: Lab, found: dict[str, Points], check: str, point: str, old: dict[str, Any]
) -> dict[str, Any]:
    """Every implementation's result at a point; {} where none of them differs."""
    results = {}
    for one in implementations(lab):
        if check in one.without:
            continue
        if one.name in found:
            if check in found[one.name]:
                results[one.name] = result_at(found[one.name][check], point)
        else:
            results[one.name] = old.get(one.name, HOLDS)
    return results if DIFFERS in map(word_of, results.values()) else {}


def result_at(check: dict[str, Any], point: str) -> Any:
    """What was sent and came where it differs, or else one word."""
    for one in check["differs"]:
        if one["point"] == point:
            return {"sent": one["sent"], "came": one["came"]}
    return HOLDS if check["whole"] or point in check["held"] else NOT_REACHED


def word_of(result: Any) -> str:
    """The same in one word."""
    return result if isinstance(result, str) else DIFFERS


def with_lost_races(lab: Lab, data: Record, before: Record, varies: Callable[[str, str], bool]) -> Record:
    """A race that an implementation has lost once stays lost, though it was won this time.

    `varies(check, point)` says whether a point is of a race. Another version begins anew.
    """
    points = {(one["check"], one["point"]): one for one in data["points"]}
    for was in before["points"]:
        key = was["check"], was["point"]
        lost = {
            name: result
            for name, result in was["results"].items()
            if word_of(result) == DIFFERS and version_of(before, name) == version_of(data, name)
        }
        if lost and varies(*key):
            now = points.setdefault(key, {**was, "results": dict.fromkeys(was["results"], HOLDS)})
            now["results"].update(lost)
    return {**data, "points": [points[key] for key in sorted(points, key=lambda key: place_of(lab, key))]}


def version_of(data: Record, name: str) -> str:
    return str(data["implementations"].get(name, {}).get("version", ""))


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
            was, found = (words.get(key, {name: HOLDS}).get(name) for words in (old, new))
            if None not in (was, found) and DIFFERS in (was, found) and was != found:
                lines.append(f"{name}: {was}, now {found}: {key[0]}: {key[1]}")
    return lines


def words_by_point(data: Record) -> dict[tuple[str, str], dict[str, str]]:
    return {
        (one["check"], one["point"]): {name: word_of(result) for name, result in one["results"].items()}
        for one in data["points"]
    }
