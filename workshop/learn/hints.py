"""Hints on three levels: a question, where to look, something alike. Each call gives the next one."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from workshop.errors import Refusal
from workshop.labs import Lab
from workshop.last_verdicts import PASSED, last_result, standing_of
from workshop.markdown_links import unlinked
from workshop.paths import STATE

GIVEN = STATE / "hints.json"


@dataclass(frozen=True)
class Section:
    """The hints of a task; `when` is a symptom that it is for ("" for any)."""

    task: int
    when: str
    levels: tuple[str, ...]


def sections(lab: Lab) -> list[Section]:
    """What hints.md says, task by task."""
    path = lab.folder / "hints.md"
    if not path.exists():
        raise Refusal(f"Lab {lab.number} has no hints.md.")
    found = []
    for part in re.split(r"^## ", unlinked(path.read_text(encoding="utf-8")), flags=re.MULTILINE)[1:]:
        head, _, body = part.partition("\n")
        match = re.match(r"Task (\d+)(?: when (.+))?", head)
        if match:
            levels = re.split(r"^### .*\n", body, flags=re.MULTILINE)[1:]
            when = (match[2] or "").strip().strip("`\"'")
            found.append(Section(int(match[1]), when, tuple(level.strip() for level in levels)))
    return found


def next_hint(lab: Lab, task: int | None) -> str:
    """The next hint for a task: the one named, or the one that failed last, or the first."""
    failing = _failing(lab)
    if task is None and failing is None and is_done(lab):
        return f"Every check of lab {lab.number} passes: no hint is left to give, and none was used up."
    wanted = task or (failing[0] if failing else 1)
    symptom = failing[1] if failing and failing[0] == wanted else ""
    fitting = [one for one in sections(lab) if one.task == wanted]
    if not fitting:
        raise Refusal(f"Lab {lab.number} has no task {wanted}: it has {len(lab.tasks)}.")
    chosen = fitting_best(fitting, symptom)
    level = _count(f"{lab.name}/{wanted}/{chosen.when}", len(chosen.levels))
    head = f"lab {lab.number} · task {wanted} · hint {level} of {len(chosen.levels)}"
    after = (
        f"`make hint-{lab.number}` again goes one step further."
        if level < len(chosen.levels)
        else f"That was the last one. `make solution-{lab.number}` shows a whole answer."
    )
    return f"{head}\n\n{chosen.levels[level - 1]}\n\n{after}"


def fitting_best(fitting: Sequence[Section], symptom: str) -> Section:
    """Of a task's hints those for this symptom, or for any."""
    chosen = next((one for one in fitting if one.when and one.when in symptom), None)
    return chosen or next((one for one in fitting if not one.when), fitting[0])


def symptom_of(finding: dict[str, Any]) -> str:
    """What a report says that hints are chosen by."""
    return " ".join([finding["got"], finding["where"], *finding["trace"]])


def is_done(lab: Lab) -> bool:
    """Whether the last verdict on these very files was that everything passes."""
    return standing_of(lab) == PASSED


def _failing(lab: Lab) -> tuple[int, str] | None:
    """The first failing task of the last verdict, and what its report said."""
    result = last_result(lab)
    for check in result["checks"] if result else []:
        if check["verdict"] not in ("PASS", "SKIPPED"):
            return check["task"], symptom_of(check["finding"])
    return None


def level_given(lab: Lab, task: int) -> int:
    """How many levels of hints have been opened for a task: 0 to 3."""
    levels = [level for key, level in _given().items() if key.startswith(f"{lab.name}/{task}/")]
    return max((level for level in levels if isinstance(level, int)), default=0)


def _given() -> dict[str, int]:
    given: Any = None
    with suppress(OSError, ValueError):
        given = json.loads(GIVEN.read_text(encoding="utf-8"))
    return given if isinstance(given, dict) else {}


def _count(key: str, levels: int) -> int:
    """Which level is next; kept, so that the next call goes further. The last one repeats."""
    given = _given()
    given[key] = min(given.get(key, 0) + 1, levels)
    with suppress(OSError):
        STATE.mkdir(exist_ok=True)
        GIVEN.write_text(json.dumps(given), encoding="utf-8")
    return given[key]
