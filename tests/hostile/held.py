"""Which hostile cases were held, in which sandbox. Printed when the run ends, as the kill matrix is."""

from __future__ import annotations

import json
from collections import Counter

from workshop.paths import STATE

FILE = STATE / "hostile.jsonl"


def note(engine: str, family: str, name: str, held: bool, seconds: float) -> None:
    """Add one case's row; several test processes may do so at once."""
    row = {"engine": engine, "family": family, "case": name, "held": held, "seconds": round(seconds, 1)}
    STATE.mkdir(exist_ok=True)
    with FILE.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row) + "\n")


def forget() -> None:
    FILE.unlink(missing_ok=True)


def table() -> list[str]:
    """A line for each sandbox and family; what was not held is named."""
    if not FILE.exists():
        return []
    rows = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]
    counts = Counter((row["engine"], row["family"]) for row in rows)
    held = Counter((row["engine"], row["family"]) for row in rows if row["held"])
    lines = [
        f"{engine}: {family}: {held[engine, family]} of {n}" for (engine, family), n in sorted(counts.items())
    ]
    lines += [f"NOT HELD in {row['engine']}: {row['case']}" for row in rows if not row["held"]]
    return [*lines, f"{sum(held.values())} of {len(rows)} hostile cases held"]
