"""One column of the instructor's own Canvas or Moodle export, filled; every other byte stays as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop.errors import Refusal
from workshop.grade.results.student_result import Result
from workshop.grade.submissions.class_roster import Roster, agree, folded, forms

BOM = b"\xef\xbb\xbf"
# Columns that say who a row is about, as Canvas names them, and Moodle in four languages.
NUMBERS = (
    "id",
    "sis user id",
    "sis login id",
    "username",
    "identifier",
    "id number",
    "email address",
    "email",
    "identifikator",
    "id-nummer",
    "matrikelnummer",
    "anmeldename",
    "e-mail-adresse",
    "identifiant",
    "numéro d'identification",
    "nom d'utilisateur",
    "adresse de courriel",
    "identificador",
    "número de id",
    "nombre de usuario",
    "dirección de correo",
    "dirección email",
    "correo electrónico",
)
NAMES = (
    "student",
    "full name",
    "name",
    "vollständiger name",
    "nachname, vorname",
    "nom complet",
    "nombre completo",
)
# Moodle's words for a participant whose name is hidden: "Participant 88", "Teilnehmer/in88".
PARTICIPANT = re.compile(r"(?:Participante?|Teilnehmer(?:/?in|\*in|:in)?) ?(?=\d+$)")


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
    text = data[start:end].decode("utf-8", "replace").replace("\u2019", "'")
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
    titles = {n: name.strip().casefold() for n, name in enumerate(head) if n != target}
    find = _Finder(results, roster)
    scores = {result.id: result.score for result in results}
    edits: list[tuple[Field, bytes]] = []
    rows_of: dict[str, list[str]] = {}
    for row in table[1:]:
        words = {n: row[n].text.strip() for n in titles if n < len(row)}
        numbers = [word for n, word in words.items() if titles[n] in NUMBERS]
        person = find.person(numbers, [word for n, word in words.items() if titles[n] in NAMES])
        if person is None:
            continue
        said = [word for n, word in words.items() if titles[n] in (*NUMBERS, *NAMES)]
        if person in rows_of:
            raise Refusal(f"Two rows of the export fit {person}: {rows_of[person]} and {said}.")
        rows_of[person] = said
        score = scores.get(person)
        if score is not None and target < len(row):
            edits.append((row[target], _cell(data, row[target], score)))
    if not edits and any(score is not None for score in scores.values()):
        raise Refusal(
            f"No row of the export is about anybody in this class. Its columns are {', '.join(head)}; "
            f"those that name people are called {', '.join((*NAMES, *NUMBERS)[:12])} …"
        )
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


class _Finder:
    """Whom a row is about. All that names somebody in it must agree."""

    def __init__(self, results: list[Result], roster: Roster) -> None:
        self._names: dict[str, set[str]] = {}
        self._called: dict[str, str] = {}
        for result in results:
            name = str(result.data["student"]["name"])
            self._called[result.id] = "" if name == result.id else name
            for form in {folded(result.id), *forms(name), *roster.names_of(result.id)}:
                self._names.setdefault(form, set()).add(result.id)

    def person(self, numbers: list[str], names: list[str]) -> str | None:
        """The one person's id; None for somebody else's row, or none's.

        Raises Refusal where it can't be told.
        """
        by_number = [self._known(PARTICIPANT.sub("", number)) for number in numbers]
        by_name = [
            set[str]().union(*(self._names.get(form, set()) for form in forms(name))) for name in names
        ]
        said = [known for known in (*by_number, *by_name) if known]
        if not said:
            return None
        people = set.intersection(*said)
        if len(people) != 1:
            fits = " and ".join(sorted(set[str]().union(*said)))
            raise Refusal(f"A row of the export fits {fits}: {[*names, *numbers]}.")
        (person,) = people
        called = self._called[person]
        for name in filter(None, names):
            if (
                called
                and not PARTICIPANT.match(name)
                and folded(name) != folded(person)
                and not agree(name, called)
            ):
                raise Refusal(
                    f"A row of the export is {name!r}'s, and has in it what names {person}, "
                    f"who is {called!r}: {numbers}."
                )
        return person

    def _known(self, text: str) -> set[str]:
        return self._names.get(folded(text), set()) if folded(text) else set()


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
    left = sum(one.score is not None for one in results) - count
    more = f"; {left} students with a grade have no row in it" if left else ""
    return f"{count} grades in the column {column!r}: {path}{more}"
