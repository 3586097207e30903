"""Who is in the class: a CSV with a column `id`, and others that name a person: name, email, canvas …"""

from __future__ import annotations

import csv
import unicodedata
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from workshop.errors import Refusal


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
    _names: dict[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> Roster:
        """Raises Refusal when the file has no column `id`, or two people share a name."""
        roster = cls()
        try:
            with path.open(encoding="utf-8-sig", newline="") as file:
                rows = list(csv.DictReader(file))
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise Refusal(f"The roster {path} can't be read: {error}.") from error
        if not rows or "id" not in rows[0]:
            raise Refusal(f"The roster {path} needs a column `id`.")
        for row in rows:
            values = {key: (value or "").strip() for key, value in row.items() if isinstance(value, str)}
            roster._add(path, values)
        return roster

    def _add(self, path: Path, values: dict[str, str]) -> None:
        person_id = values["id"]
        when = values.pop("submitted", "")
        try:
            submitted = datetime.fromisoformat(when).astimezone() if when else None
        except ValueError:
            raise Refusal(f"The roster {path}: {when!r} is no time such as 2026-11-20T18:00+01:00.") from None
        self.people[person_id] = Person(person_id, values.get("name") or person_id, submitted)
        for value in filter(None, values.values()):
            known = self._names.setdefault(folded(value), person_id)
            if known != person_id:
                raise Refusal(f"The roster {path}: {value!r} is both {known} and {person_id}.")

    def names_of(self, person_id: str) -> list[str]:
        """Every name of a person, as names are compared."""
        return [name for name, known in self._names.items() if known == person_id]

    def find(self, *names: str) -> Person | None:
        """The person with any of these names."""
        for name in names:
            if folded(name) in self._names:
                return self.people[self._names[folded(name)]]
        return None


def folded(name: str) -> str:
    """A name as it is compared: without case, spaces, commas and the like, as downloads write them."""
    return "".join(
        char for char in unicodedata.normalize("NFKC", name).casefold() if char.isalnum() or char in "@."
    )
