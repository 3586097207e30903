"""From a folder or a bulk download to submissions: whose they are, and the files that a lab lets them edit.

Identity comes from the names that the LMS or the instructor gave, and from the roster; never from inside.

    ada/server.py   ada.zip   ada@2.tar.gz                       folders and archives; @2: the second attempt
    lovelaceada_LATE_4711_99001_server-1.py                      Canvas
    Ada Lovelace_4711_assignsubmission_file_/server.py           Moodle
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workshop.errors import Refusal
from workshop.grade.submissions.archives import (
    ARCHIVE_CAP,
    ARCHIVES,
    FILE_CAP,
    UNPACKED_CAP,
    Member,
    Unusable,
    is_archive,
    members,
    of_bytes,
    read_plain,
)
from workshop.grade.submissions.class_roster import Person, Roster
from workshop.grade.untrusted_text import one_line
from workshop.labs import Lab

CANVAS = re.compile(r"(?P<name>[^_]+)_(?P<late>LATE_)?(?P<id>\d+)_(?P<number>\d+)_(?P<file>.+)", re.DOTALL)
MOODLE = re.compile(
    r"(?P<name>.+?)_(?P<id>\d+)_assignsubmission_(?:file|onlinetext)_?(?P<file>.*)", re.DOTALL
)
ATTEMPT = re.compile(r"(?P<name>.+)@(?P<attempt>\d{1,4})")
REFUSED_SHOWN = 5


@dataclass
class Submission:
    """One attempt of one person. `files` are the lab's editable ones; `trouble` says why there are none."""

    person: Person
    attempt: int
    files: dict[str, bytes] = field(default_factory=dict)
    late: bool = False
    trouble: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """What it is, whoever handed it in."""
        digest = hashlib.sha256()
        for name, data in sorted(self.files.items()):
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()


@dataclass(frozen=True)
class _Entry:
    """One name in the folder of submissions; a `file` name means that the rest of it named a person."""

    path: Path
    names: tuple[str, ...]
    attempt: int = 1
    late: bool = False
    file: str = ""


def collect(folder: Path, lab: Lab, roster: Roster) -> list[Submission]:
    """Every submission in a folder, by person and attempt; with a roster, of everybody on it.

    Raises Refusal when there is no such folder, or nothing in it.
    """
    if not folder.is_dir():
        raise Refusal(
            f"There is no folder {folder} with submissions. A bulk download is to be unpacked first."
        )
    groups: defaultdict[str, list[_Entry]] = defaultdict(list)
    people: dict[str, Person] = {}
    for entry in _entries(folder):
        person = roster.find(*entry.names) or Person(_stranger(entry, roster), one_line(entry.names[0], 200))
        people[person.id] = person
        groups[person.id].append(entry)
    found = [one for key, entries in groups.items() for one in _of_person(people[key], entries, lab)]
    for person in roster.people.values():
        if person.id not in groups:
            found.append(Submission(person, 1, trouble=["nothing was handed in"]))
    if not found:
        raise Refusal(f"There is no submission in {folder}.")
    return sorted(found, key=lambda one: (one.person.id, one.attempt))


def _stranger(entry: _Entry, roster: Roster) -> str:
    """An id for somebody whom the roster does not know; where there is one, it is marked as such."""
    return f"?{entry.names[0]}" if roster.people else entry.names[0]


def _entries(folder: Path) -> Iterator[_Entry]:
    for path in sorted(folder.iterdir()):
        if not path.name.startswith((".", "__MACOSX")):
            yield _entry(path)


def _entry(path: Path) -> _Entry:
    name = path.name
    moodle = MOODLE.fullmatch(name)
    if moodle:
        return _Entry(path, (moodle["id"], moodle["name"]), file=moodle["file"])
    canvas = CANVAS.fullmatch(name)
    if canvas and not path.is_dir():
        return _Entry(path, (canvas["id"], canvas["name"]), late=bool(canvas["late"]), file=canvas["file"])
    for suffix in ARCHIVES:
        name = name[: -len(suffix)] if name.lower().endswith(suffix) else name
    again = ATTEMPT.fullmatch(name)
    return _Entry(path, (again["name"],), int(again["attempt"])) if again else _Entry(path, (name,))


def _of_person(person: Person, entries: list[_Entry], lab: Lab) -> Iterator[Submission]:
    """An attempt for each number; loose files with the person's name belong together."""
    for attempt in sorted({entry.attempt for entry in entries}):
        found = Submission(person, attempt)
        taken = _Taken(lab, found)
        for entry in (one for one in entries if one.attempt == attempt):
            found.late |= entry.late
            try:
                _take_entry(entry, taken)
            except Unusable as reason:
                found.trouble.append(f"{one_line(entry.path.name, 200)}: {reason}")
            except OSError as error:
                found.trouble.append(f"{one_line(entry.path.name, 200)}: {error.strerror}")
        taken.finish()
        yield found


def _take_entry(entry: _Entry, taken: _Taken) -> None:
    if entry.path.is_symlink():
        raise Unusable("it is a link")
    if entry.path.is_dir():
        taken.all(members(entry.path, taken.refused), nested=True)
    elif is_archive(entry.path.name):
        taken.all(members(entry.path, taken.refused), nested=False)
    else:
        name = re.sub(r"-\d+(?=\.\w+$)", "", entry.file) if entry.file else entry.path.name
        name = name if name in taken.lab.edit else entry.file or entry.path.name
        taken.one(Member(PurePosixPath(name), lambda cap: read_plain(entry.path, cap)))


class _Taken:
    """Picks the files that a lab lets people edit: of several with one name, the one nearest to the top."""

    def __init__(self, lab: Lab, submission: Submission) -> None:
        self.lab, self._submission = lab, submission
        self.refused: list[str] = []
        self._depths: dict[str, int] = {}
        self._twice: set[str] = set()
        self._left = UNPACKED_CAP

    def all(self, found: Iterator[Member], nested: bool) -> None:
        for member in found:
            if nested and is_archive(member.path.name) and len(member.path.parts) <= 2:
                data = self._read(member, ARCHIVE_CAP)
                self.all(of_bytes(member.path.name, data, self.refused), nested=False)
            else:
                self.one(member)

    def one(self, member: Member) -> None:
        name, depth = member.path.name, len(member.path.parts)
        known = self._depths.get(name)
        if (
            name not in self.lab.edit
            or "__MACOSX" in member.path.parts
            or (known is not None and known < depth)
        ):
            return
        try:
            data = self._read(member, FILE_CAP)
        except Unusable as reason:
            self.refused.append(f"{member.path}: {reason}")
            return
        same = known == depth and self._submission.files.get(name) != data
        (self._twice.add if same else self._twice.discard)(name)
        self._depths[name] = depth
        self._submission.files[name] = data

    def _read(self, member: Member, cap: int) -> bytes:
        """A member's bytes. Raises Unusable when there are more than `cap`, or too many members like it."""
        if self._left <= 0:
            raise Unusable(f"more than {UNPACKED_CAP >> 20} MiB come out of it")
        try:
            data = member.read(cap)
        except Unusable:
            self._left -= cap
            raise
        self._left -= len(data)
        return data

    def finish(self) -> None:
        submission = self._submission
        submission.refused = [one_line(text, 300) for text in self.refused[:REFUSED_SHOWN]]
        if len(self.refused) > REFUSED_SHOWN:
            submission.refused.append(f"and {len(self.refused) - REFUSED_SHOWN} more")
        submission.trouble += [f"{name} is there more than once" for name in sorted(self._twice)]
        missing = [name for name in self.lab.edit if name not in submission.files]
        if missing and not submission.trouble:
            submission.trouble.append(f"there is no {missing[0]} in it")
        if submission.trouble:
            submission.files = {}
