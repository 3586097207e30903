"""One column of the instructor's own Canvas or Moodle export, filled; every other byte stays as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop.errors import Refusal
from workshop.grade.results.student_result import Result
from workshop.grade.submissions.class_roster import Roster, folded

BOM = b"\xef\xbb\xbf"
# Columns that say who a row is about, as Canvas and Moodle name them.
WHO = ("id", "sis user id", "sis login id", "student", "identifier", "id number", "email address", "username")
WHO_TOO = ("full name", "email", "name")


@dataclass(frozen=True)
class Field:
    """A field's place in the file: from `start` up to `end`, quotes included."""

    start: int
    end: int
    text: str


def rows(data: bytes, delimiter: int) -> Iterator[list[Field]]:
    """A CSV's rows with the places of their fields (RFC 4180: quotes double inside of quotes)."""
    row: list[Field] = []
    position = start = len(BOM) if data.startswith(BOM) else 0
    quoted = False
    while position < len(data):
        byte = data[position]
        if byte == 0x22:
            quoted = not quoted
        elif not quoted and (byte == delimiter or byte in b"\r\n"):
            row.append(_field(data, start, position))
            start = position + 1
            if byte != delimiter:
                yield row
                row = []
                if data[position : position + 2] == b"\r\n":
                    position += 1
                    start += 1
        position += 1
    if start < len(data) or row:
        yield [*row, _field(data, start, len(data))]


def _field(data: bytes, start: int, end: int) -> Field:
    text = data[start:end].decode("utf-8", "replace")
    if len(text) >= 2 and text[0] == text[-1] == '"':
        text = text[1:-1].replace('""', '"')
    return Field(start, end, text)


def filled(data: bytes, results: list[Result], roster: Roster, column: str) -> tuple[bytes, int]:
    """The export with one column filled, and how many cells that were.

    Raises Refusal when the column, or a row's person, can't be told for sure.
    """
    head_line = data.split(b"\n", 1)[0]
    delimiter = max(b",;\t", key=head_line.count)
    table = list(rows(data, delimiter))
    if not table:
        raise Refusal("The export is empty.")
    head = [field.text for field in table[0]]
    target = column_named(head, column)
    who = [n for n, name in enumerate(head) if name.strip().casefold() in (*WHO, *WHO_TOO) and n != target]
    known = _by_name(results, roster)
    scores = {result.id: result.score for result in results}
    edits: list[tuple[Field, bytes]] = []
    for row in table[1:]:
        person = _of_row([row[n].text for n in who if n < len(row)], known)
        score = scores.get(person) if person is not None else None
        if score is not None and target < len(row):
            edits.append((row[target], _cell(data, row[target], score)))
    for field, cell in reversed(edits):
        data = data[: field.start] + cell + data[field.end :]
    return data, len(edits)


def _cell(data: bytes, field: Field, score: float) -> bytes:
    """A number, in quotes where there were some: it can't be a formula."""
    number = f"{score:g}".encode()
    return b'"' + number + b'"' if data[field.start : field.start + 1] == b'"' else number


def column_named(head: list[str], wanted: str) -> int:
    """The column with this name, or the only one whose name begins so."""
    names = [name.strip().casefold() for name in head]
    sought = wanted.strip().casefold()
    exact = [n for n, name in enumerate(names) if name == sought]
    begun = exact or [n for n, name in enumerate(names) if sought and name.startswith(sought)]
    if len(begun) != 1:
        raise Refusal(f"--column {wanted!r} names {len(begun)} columns of the export: {', '.join(head)}.")
    return begun[0]


def _by_name(results: list[Result], roster: Roster) -> dict[str, set[str]]:
    known: dict[str, set[str]] = {}
    for result in results:
        for name in (result.id, result.data["student"]["name"], *roster.names_of(result.id)):
            known.setdefault(folded(name), set()).add(result.id)
    return known


def _of_row(values: list[str], known: dict[str, set[str]]) -> str | None:
    """The id of the one whom a row is about; None for somebody else's, or none's."""
    people: set[str] = set()
    for value in values:
        value = re.sub(r"^Participant (?=\d+$)", "", value.strip())
        people |= known.get(folded(value), set()) if folded(value) else set()
    if len(people) > 1:
        raise Refusal(f"A row of the export fits {' and '.join(sorted(people))}: {values}.")
    return people.pop() if people else None


def fill(export: Path, out: Path, results: list[Result], roster: Roster, column: str) -> str:
    """Write the filled export beside the results; the instructor's own file is only read."""
    try:
        data = export.read_bytes()
    except OSError as error:
        raise Refusal(f"The export {export} can't be read: {error.strerror}.") from error
    done, count = filled(data, results, roster, column)
    path = out / export.name
    if path.resolve() == export.resolve():
        raise Refusal(f"{export} would be overwritten: put the export elsewhere than the results.")
    path.write_bytes(done)
    return f"{count} grades in the column {column!r}: {path}"
