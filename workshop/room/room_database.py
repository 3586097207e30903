"""What a room knows, in one SQLite file: who has reported, and where each stands in each lab.

One connection writes, in one thread. All times are the room's own clock, in seconds since the epoch.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import IO, Any

from workshop.errors import Refusal
from workshop.room.room_report import RoomReport, lab_of, new_token

MOST_LEARNERS = 1000
APPLICATION = 0x526F6F6D  # "Room": that a file is one of ours
VERSION = 1
BUSY_SECONDS = 5.0
AWAY_SECONDS = 1800.0
SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE room (token TEXT NOT NULL);
INSERT INTO room VALUES ('{{token}}');
CREATE TABLE learners (
    learner INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, latest INTEGER NOT NULL
);
CREATE TABLE standings (
    learner INTEGER NOT NULL REFERENCES learners, lab INTEGER NOT NULL,
    task INTEGER, "check" TEXT, verdict TEXT, hint INTEGER NOT NULL, minutes INTEGER NOT NULL,
    through INTEGER NOT NULL, since REAL NOT NULL, seen REAL NOT NULL,
    PRIMARY KEY (learner, lab)
) WITHOUT ROWID;
PRAGMA application_id = {APPLICATION};
PRAGMA user_version = {VERSION};
COMMIT;
"""


@dataclass(frozen=True)
class Saved:
    """What became of a report, as the status that answers it; `latest` is the number that was known."""

    status: HTTPStatus
    latest: int = 0


@dataclass(frozen=True)
class Standing:
    """Where a learner stands in a lab.

    `through` is the most tasks that they have passed. `since` is when that last grew, or they began; later by
    the time that they were away. `seen` is when they were last heard of. Two of one name differ in `learner`.
    """

    learner: int
    name: str
    lab: int
    task: int | None
    check: str | None
    verdict: str | None
    hint: int
    minutes: int
    through: int
    since: float
    seen: float


class RoomDatabase:
    """A room's file, opened or made. Raises Refusal when the file is something else."""

    def __init__(self, path: Path) -> None:
        self.path = path
        with _refusing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite's other files get the same mode
            self._connection = sqlite3.connect(
                path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
            )
            try:
                self._prepare()
            except BaseException:
                self._connection.close()
                raise

    def _prepare(self) -> None:
        empty = not self._one("SELECT count(*) FROM sqlite_master")
        if not empty and self._one("PRAGMA application_id") != APPLICATION:
            raise sqlite3.DatabaseError("it is not a room's file")
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = FULL")  # what was answered is on the disk
        if empty:
            self._connection.executescript(SCHEMA.format(token=new_token()))

    def _one(self, question: str, values: Sequence[Any] = ()) -> Any:
        found = self._connection.execute(question, values).fetchone()
        return found[0] if found else None

    def token(self) -> str:
        return str(self._one("SELECT token FROM room"))

    def count(self) -> int:
        """How many learners have reported."""
        return int(self._one("SELECT count(*) FROM learners"))

    def save(self, reports: Sequence[RoomReport], now: float) -> list[Saved]:
        """Keep reports, all in one transaction; what became of each."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            saved = [self._save(report, now) for report in reports]
            self._connection.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                self._connection.execute("ROLLBACK")
            raise
        return saved

    def _save(self, report: RoomReport, now: float) -> Saved:
        asked = "SELECT learner, latest FROM learners WHERE id = ?"
        learner, latest = self._connection.execute(asked, [report.id]).fetchone() or (None, -1)
        if report.number <= latest:
            return Saved(HTTPStatus.CONFLICT, latest)
        if learner is None and self.count() >= MOST_LEARNERS:
            return Saved(HTTPStatus.INSUFFICIENT_STORAGE)
        self._connection.execute(
            "INSERT INTO learners (learner, id, name, latest) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (id) DO UPDATE SET name = excluded.name, latest = excluded.latest",
            [learner, report.id, report.name, report.number],
        )
        self._stand(int(learner or self._one("SELECT last_insert_rowid()")), report, now)
        return Saved(HTTPStatus.NO_CONTENT, report.number)

    def _stand(self, learner: int, report: RoomReport, now: float) -> None:
        """Where they are now. A task that is broken again is not unlearned: `through` never falls."""
        through = passed_tasks(report)
        asked = "SELECT through, since, seen FROM standings WHERE learner = ? AND lab = ?"
        known = self._connection.execute(asked, [learner, report.lab]).fetchone()
        since = now
        if known is not None and known[0] >= through:
            through, since = known[0], _without_absence(known[1], known[2], now)
        self._connection.execute(
            "INSERT OR REPLACE INTO standings VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(learner, report.lab, report.task, report.check, report.verdict),
                *(report.hint, report.minutes, through, since, now),
            ],
        )

    def standings(self) -> list[Standing]:
        """Everybody in every lab that they have reported from; each learner's latest one first."""
        rows = self._connection.execute(
            'SELECT learner, name, lab, task, "check", verdict, hint, minutes, through, since, seen'
            " FROM standings JOIN learners USING (learner) ORDER BY learner, seen DESC, lab DESC"
        )
        return [Standing(*row) for row in rows]

    def close(self) -> None:
        self._connection.close()


def _without_absence(since: float, seen: float, now: float) -> float:
    """Since when they try, without a night or a lunch between two reports."""
    away = now - seen
    return since + away if away > AWAY_SECONDS else since


def passed_tasks(report: RoomReport) -> int:
    """How many tasks a report says are through: those before the first that does not pass."""
    lab = lab_of(report.lab)
    tasks = len(lab.tasks) if lab is not None else 0
    return tasks if report.task is None else min(report.task - 1, tasks)


@contextlib.contextmanager
def _refusing(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        raise Refusal(f"{path} can't be used for a room: {error}.") from error


@contextlib.contextmanager
def held(path: Path) -> Iterator[None]:
    """Be the one room that writes this file. Raises Refusal while another one does."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock_of(path).open("w") as lock:
        _take(lock, path)
        yield


def _take(lock: IO[str], path: Path) -> None:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise Refusal(f"A room that writes {path} is running: end it there first, with Ctrl-C.") from None


def lock_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.lock")


def remove(path: Path) -> None:
    """Delete the file, and those that SQLite keeps beside it: names, places and the token."""
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
