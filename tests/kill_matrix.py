"""The kill matrix: which checks caught which mistake. Printed when the run ends."""

from __future__ import annotations

import json
from typing import Any

from tests.judging import Mistake, tables
from workshop.paths import STATE

FILE = STATE / "kills.jsonl"


def note_kills(lab: str, mistake: Mistake, result: dict[str, Any]) -> None:
    """Add one mistake's row; several test processes may do so at once."""
    row = {
        "lab": lab,
        "task": mistake.task,
        "mistake": mistake.name,
        "named": mistake.check,
        "killed_by": [c["name"] for c in result["checks"] if c["verdict"] not in ("PASS", "SKIPPED")],
        "checks": [c["name"] for c in result["checks"]],
    }
    STATE.mkdir(exist_ok=True)
    with FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def forget_kills() -> None:
    FILE.unlink(missing_ok=True)


def matrix() -> list[str]:
    """The matrix as lines of text: a row a mistake, a column a check; ■ the named one, □ another."""
    if not FILE.exists():
        return []
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    lines = []
    for lab in sorted({row["lab"] for row in rows}):
        mine = sorted((row for row in rows if row["lab"] == lab), key=lambda row: row["task"])
        checks = {name for row in mine for name in row["checks"]}
        lines.append(f"{lab}: {len(mine)} mistakes, {len(checks)} checks")
        lines += [f"  {_cells(row)}  task {row['task']}  {row['mistake']}" for row in mine]
        is_whole = len(mine) >= len(tables(lab)["mistake"])
        idle = sorted(checks - {name for row in mine for name in row["killed_by"]}) if is_whole else []
        lines += [f"  no mistake is caught by {name}" for name in idle]
    return lines


def _cells(row: dict[str, Any]) -> str:
    def cell(check: str) -> str:
        if check not in row["killed_by"]:
            return "·"
        return "■" if check == row["named"] else "□"

    return "".join(cell(check) for check in row["checks"])
