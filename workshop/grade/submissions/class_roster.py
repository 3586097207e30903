"""Who is in the class: a CSV with a column `id`, and others that name a person: name, email, canvas …"""

from __future__ import annotations

import csv
import io
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from workshop.errors import Refusal

# Columns that name a person, in small letters; whatever else a roster has (section, grade …) names nobody.
FULL_NAMES = ("name", "full name", "student", "student name")
CANVAS = ("canvas", "canvas id", "canvas user id")
MOODLE = ("moodle", "moodle id", "identifier", "participant")
NAMING = (
    "id",
    *FULL_NAMES,
    *CANVAS,
    *MOODLE,
    "email",
    "email address",
    "username",
    "user name",
    "login",
    "login id",
    "sis login id",
    "sis user id",
    "id number",
    "student id",
    "github",
    "github username",
)
NUMBERS = {"Canvas": CANVAS, "Moodle": MOODLE}


@dataclass(frozen=True)
class Person:
    """`submitted` is when the work came in, where the roster says so."""

    id: str
    name: str
    submitted: datetime | None = None


@dataclass
class Roster:
    """People by every name that they have; empty when there is no roster, and then everybody is known."""

    people: dict[str, Person] = field(default_factory=dict)
    columns: set[str] = field(default_factory=set)
    _names: dict[str, set[str]] = field(default_factory=dict)
    _numbers: dict[str, dict[str, set[str]]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Roster:
        """Raises Refusal when the file has no column `id`, or a row can't be told."""
        roster = cls()
        rows = _rows(path)
        head = [name.strip().casefold() for name in rows[0]] if rows else []
        if "id" not in head:
            raise Refusal(f"The roster {path} needs a column `id`.")
        roster.columns = {*head}
        for number, row in enumerate(rows[1:], 2):
            values = {key: value.strip() for key, value in zip(head, row, strict=False) if key}
            if any(values.values()):
                roster._add(f"The roster {path}, row {number}", values)
        return roster

    def _add(self, where: str, values: dict[str, str]) -> None:
        person_id = values.get("id", "")
        if not person_id:
            raise Refusal(f"{where} has no id.")
        if person_id in self.people:
            raise Refusal(f"{where}: there is another row with the id {person_id!r}.")
        name = next((values[key] for key in FULL_NAMES if values.get(key)), "")
        person = Person(person_id, name or person_id, _time(where, values.get("submitted", "")))
        self.people[person_id] = person
        for key in (one for one in NAMING if values.get(one)):
            for form in forms(values[key]) if key in FULL_NAMES else {folded(values[key])}:
                self._names.setdefault(form, set()).add(person_id)
            for lms, columns in NUMBERS.items():
                if key in columns:
                    known = self._numbers.setdefault(lms, {})
                    known.setdefault(folded(values[key]), set()).add(person_id)

    def names_of(self, person_id: str) -> list[str]:
        """Every name that is this person's alone, as names are compared."""
        return [name for name, known in self._names.items() if known == {person_id}]

    def find(self, *names: str, lms: str = "", number: str = "") -> Person | None:
        """The person with these names, and with this number of an LMS's, where it is known.

        Raises Refusal when they are several people's, or do not agree.
        """
        said = {name: self._names[folded(name)] for name in names if folded(name) in self._names}
        if number and (known := self._numbered(lms, number, names)):
            said[number] = known
        if not said:
            return None
        people = set.intersection(*said.values())
        if len(people) == 1:
            return self.people[people.pop()]
        words = " and ".join(
            f"{name!r} is {' or '.join(sorted(known))}" for name, known in sorted(said.items())
        )
        raise Refusal(f"Whose is it? By the roster {words}. Say it in the names of the submissions.")

    def _numbered(self, lms: str, number: str, names: tuple[str, ...]) -> set[str]:
        """Who has a number of an LMS's; without a column for it, whose id it is, if the name fits too.

        Raises Refusal where it does not: an id of the school's may be a number of somebody else's there.
        """
        if lms in self._numbers:
            return self._numbers[lms].get(folded(number), set())
        known = self._names.get(folded(number), set())
        for person in (self.people[one] for one in known):
            if person.name != person.id and not any(agree(name, person.name) for name in names if name):
                raise Refusal(
                    f"Whose is it? {number} is the id of {person.name!r}, and {lms} gives it to {names}. "
                    f"Add a column `{NUMBERS[lms][0]}` with {lms}'s numbers to the roster."
                )
        return known


def _time(where: str, text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except (ValueError, OverflowError, OSError):
        raise Refusal(f"{where}: {text!r} is not a time such as 2026-11-20T18:00+01:00.") from None


def _rows(path: Path) -> list[list[str]]:
    """A CSV's rows, whatever a spreadsheet puts between fields and in front of the first."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
        lines = text.lstrip("\r\n")
        delimiter = max(",;\t", key=lines.partition("\n")[0].count)
        return [*csv.reader(io.StringIO(lines, newline=""), delimiter=delimiter)]
    except (OSError, UnicodeError, csv.Error) as error:
        raise Refusal(f"The roster {path} can't be read: {error}. Save it as CSV in UTF-8.") from error


def folded(name: str) -> str:
    """A name as it is compared: without case, spaces, commas and the like, as downloads write them."""
    return "".join(
        char for char in unicodedata.normalize("NFKC", name).casefold() if char.isalnum() or char in "@."
    )


def words_of(name: str) -> list[str]:
    """The words of a name, folded."""
    return [word for word in map(folded, name.replace(",", " ").split()) if word]


def forms(name: str) -> set[str]:
    """A name as it is compared, whichever of its words comes first: Ada Lovelace, and Lovelace, Ada."""
    words = words_of(name)
    return {"".join(words[n:] + words[:n]) for n in range(len(words))} or {folded(name)}


def agree(one: str, other: str) -> bool:
    """Whether two names may be one person's: the words of the shorter are all in the longer."""
    if forms(one) & forms(other):
        return True
    few, many = sorted((set(words_of(one)), set(words_of(other))), key=len)
    if len(few) == 1:  # Canvas writes a name without its spaces
        whole = next(iter(few))
        return bool(many) and (whole in many or all(word in whole for word in many))
    return bool(few) and few <= many
