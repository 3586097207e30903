"""From a folder or a bulk download to submissions: whose they are, and the files that a lab lets them edit.

Identity comes from the names that the LMS or the instructor gave, and from the roster; never from inside.

    ada/server.py   ada.zip   ada@2.tar.gz                       folders and archives; @2: the second attempt
    what Canvas and Moodle call a download's files: lms_names.py

Of a whole repository the lab's own folder counts, labs/NN-…/; other labs', solutions and environments do not.
Whatever goes wrong with one entry is that entry's trouble, in words, and nobody else's.
"""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from workshop.errors import Refusal
from workshop.grade.submissions.class_roster import Person, Roster
from workshop.grade.submissions.lms_names import form_of, own_name, read, system_of
from workshop.grade.submissions.submission_files import (
    ARCHIVE_CAP,
    ARCHIVES,
    FILE_CAP,
    UNPACKED_CAP,
    Member,
    Unusable,
    in_words,
    is_archive,
    is_aside,
    members,
    of_bytes,
    read_plain,
)
from workshop.grade.untrusted_text import one_line
from workshop.labs import Lab

ATTEMPT = re.compile(r"(?P<name>.+)@(?P<attempt>\d{1,4})")
LAB_FOLDER = re.compile(r"\d\d-[a-z0-9-]+")
NOT_THEIRS = ("solutions", "oracles", "alternatives")  # what a repository has of a lab besides
REFUSED_SHOWN = 5
MISSING = "there is no"


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
        return digest_of_files(self.files)

    @property
    def lacks_a_file(self) -> bool:
        """Whether something was handed in, and not what the lab asks for."""
        return any(line.startswith(MISSING) for line in self.trouble)


def digest_of_files(files: Mapping[str, bytes]) -> str:
    """One word for these files, whoever handed them in."""
    digest = hashlib.sha256()
    for name, data in sorted(files.items()):
        digest.update(f"{name}\0{len(data)}\0".encode() + data)
    return digest.hexdigest()


@dataclass(frozen=True)
class _Entry:
    """One name in the folder of submissions; `lms` gave it, and then `file` is what the student called it.

    `trouble` says why it names nobody.
    """

    path: Path
    names: tuple[str, ...]
    attempt: int = 1
    late: bool = False
    file: str = ""
    lms: str = ""
    number: str = ""
    trouble: str = ""

    def person(self, roster: Roster) -> Person:
        """Whose it is. Raises Refusal where its names are several people's."""
        known = None
        if not self.trouble:
            known = roster.find(*self.names, lms=self.lms, number=self.number)
        id = self.number or self.names[0]
        shown = next(filter(None, self.names), id)
        return known or Person(f"?{id}" if roster.people or self.trouble else id, one_line(shown, 200))


def collect(folder: Path, lab: Lab, roster: Roster) -> list[Submission]:
    """Every submission in a folder, by person and attempt; with a roster, of everybody on it.

    Raises Refusal when there is no such folder, nothing in it, or it can't be told whose something is.
    """
    if not folder.is_dir():
        raise Refusal(
            f"There is no folder {folder} with submissions. A bulk download is to be unpacked first."
        )
    groups: defaultdict[str, list[_Entry]] = defaultdict(list)
    people: dict[str, Person] = {}
    for entry in _entries(folder):
        person = entry.person(roster)
        people[person.id] = person
        groups[person.id].append(entry)
    found = [one for key, entries in groups.items() for one in _of_person(people[key], entries, lab)]
    for person in roster.people.values():
        if person.id not in groups:
            found.append(Submission(person, 1, trouble=["nothing was handed in"]))
    if not found:
        raise Refusal(f"There is no submission in {folder}.")
    return sorted(found, key=lambda one: (one.person.id, one.attempt))


def _entries(folder: Path) -> Iterator[_Entry]:
    paths = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "__MACOSX"))]
    lms = system_of(paths)
    for path in paths:
        yield _entry(path, lms)


def _entry(path: Path, lms: str) -> _Entry:
    name = path.name
    said = read(name, lms) if lms else None
    if said is not None:
        return _Entry(path, (said.name,), late=said.late, file=said.file, lms=lms, number=said.number)
    if lms and form_of(name):
        return _Entry(path, (name,), trouble=f"{lms} gives no such name: whose is it?")
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
            except Exception as error:  # of a stranger's file: their trouble, whatever it is
                found.trouble.append(f"{one_line(entry.path.name, 200)}: {in_words(error)}")
        taken.finish()
        yield found


def _take_entry(entry: _Entry, taken: _Taken) -> None:
    if entry.trouble:
        raise Unusable(entry.trouble)
    if entry.path.is_symlink():
        raise Unusable("it is a link")
    if entry.path.is_dir():
        taken.all(members(entry.path, taken.refused), nested=True)
    elif is_archive(entry.path.name):
        taken.all(members(entry.path, taken.refused), nested=False)
    else:
        given = entry.file or entry.path.name
        name = given if given in taken.lab.edit else own_name(given)
        taken.one(Member(PurePosixPath(name), lambda cap: read_plain(entry.path, cap)))


class _Taken:
    """Picks the files that a lab lets people edit: in the lab's own folder, else nearest to the top."""

    def __init__(self, lab: Lab, submission: Submission) -> None:
        self.lab, self._submission = lab, submission
        self.refused: list[str] = []
        self._ranks: dict[str, int] = {}
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
        name, rank = member.path.name, self._rank(member.path)
        known = self._ranks.get(name)
        if rank is None or (known is not None and known < rank):
            return
        try:
            data = self._read(member, FILE_CAP)
        except Unusable as reason:
            self.refused.append(f"{member.path}: {reason}")
            return
        same = known == rank and self._submission.files.get(name) != data
        (self._twice.add if same else self._twice.discard)(name)
        self._ranks[name] = rank
        self._submission.files[name] = data

    def _rank(self, path: PurePosixPath) -> int | None:
        """How good a place a file has, 0 for the best; None where it is none of the lab's."""
        folders = path.parts[:-1]
        if path.name not in self.lab.edit or is_aside(path):
            return None
        if folders[-2:] == ("labs", self.lab.name):
            return 0
        of_labs = [n for n, one in enumerate(folders) if LAB_FOLDER.fullmatch(one)]
        if any(folders[n] != self.lab.name or (n and folders[n - 1] in NOT_THEIRS) for n in of_labs):
            return None
        return 1 + len(folders)

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
            submission.trouble.append(f"{MISSING} {missing[0]} in it")
        if submission.trouble:
            submission.files = {}
