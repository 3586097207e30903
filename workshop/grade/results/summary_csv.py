"""summary.csv: a row a student, which a spreadsheet opens and never runs."""

from __future__ import annotations

import csv
import io

from workshop.grade.results.student_result import Result
from workshop.grade.untrusted_text import cell

HEAD = ["id", "name", "raw", "penalty_percent", "score", "of", "verdict", "attempts", "counted", "trouble"]
LOAD = ["load", "load_points"]


def document(results: list[Result]) -> str:
    """The class as CSV. A missing score is an empty cell: INFRA_ERROR is no number."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_NONNUMERIC)
    tasks = sorted({check["task"] for result in results for check in result.data["checks"]})
    driven = any("load" in result.data for result in results)
    writer.writerow([*HEAD, *(f"task {task}" for task in tasks), *(LOAD if driven else [])])
    for result in results:
        data = result.data
        person = [cell(data["student"]["id"]), cell(data["student"]["name"])]
        numbers = [
            "" if data[key] is None else data[key] for key in ("raw", "penalty_percent", "score", "of")
        ]
        row = [*person, *numbers, data["verdict"], len(data["attempts"]), data["counted"]]
        row.append(cell("; ".join(data["trouble"])))
        for task in tasks:
            row.append(sum(check["points"] for check in data["checks"] if check["task"] == task))
        if driven:
            load = data.get("load", {"verdict": "", "points": None})
            row += [load["verdict"], "" if load["points"] is None else load["points"]]
        writer.writerow(row)
    return text.getvalue()
