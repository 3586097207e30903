"""What a room knows, as a file: CSV that a spreadsheet opens and never runs, or JSON."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from workshop.errors import Refusal
from workshop.grade.untrusted_text import cell
from workshop.room.room_database import RoomDatabase, Standing

Row = dict[str, Any]
KINDS = (".csv", ".json")


def write(database: Path, out: Path) -> str:
    """Write a row for each learner and lab; the line to say. A file that is there is left alone."""
    if out.suffix not in KINDS:
        raise Refusal(f"--export {out} can't be used: a file's name ends in .csv or .json.")
    known = RoomDatabase(database)
    rows = [_row(one) for one in known.standings()]
    known.close()
    try:
        with out.open("x", encoding="utf-8", newline="") as file:
            file.write(_csv(rows) if out.suffix == ".csv" else json.dumps(rows, indent=2, ensure_ascii=False))
    except FileExistsError:
        raise Refusal(f"{out} is there already: name another file.") from None
    return f"Wrote {out}: {len(rows)} row{'' if len(rows) == 1 else 's'}, one for each learner and lab."


def _row(one: Standing) -> Row:
    """Without the id that a learner's reports are known by."""
    return {
        "learner": one.learner,
        "name": one.name,
        "lab": one.lab,
        "task": one.task,
        "check": one.check,
        "verdict": one.verdict,
        "tasks_through": one.through,
        "hint": one.hint,
        "minutes": one.minutes,
        "since": _moment(one.since),
        "last_report": _moment(one.seen),
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")


def _csv(rows: list[Row]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    writer.writerow(_HEAD)
    for row in rows:
        writer.writerow([cell(one) if isinstance(one, str) else one for one in row.values()])
    return text.getvalue()


_HEAD = list(_row(Standing(0, "", 0, None, None, None, 0, 0, 0, 0.0, 0.0)))
