"""What a user of the weak sandbox has on this machine, and how it is ended and removed.

Its processes, its files where everybody may write, its System V memory, semaphores and queues.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from workshop.errors import InfraError
from workshop.grade.sandboxes import user_ids
from workshop.grade.sandboxes.orphaned_processes import strays
from workshop.grade.sandboxes.sandbox_sockets import PREFIX, is_gone, owned, remove
from workshop.run import process

FIRST_UID = 57344  # below those of the other sandboxes, and no person's either
UIDS = 1024
END_SECONDS = 10.0
# Act as a user whose processes can't act on this one: those may signal a process by its real and saved id.
# Each user has another such id: two graders that end two users at once would end each other's enders.
AS_ANOTHER = f"import os, sys; u = int(sys.argv[1]); k = u + {UIDS}; os.setgroups([])"
AS_ANOTHER += "; os.setresgid(u, u, u); os.setresuid(k, u, k)"


def _shared() -> Iterator[str]:
    """The folders where everybody may write: /tmp, /var/tmp, /dev/shm, /run/lock and their like."""
    for above in ("/", "/dev", "/run", "/var"):
        for path in sorted(Path(above).glob("*")):  # none where there is no such folder
            with contextlib.suppress(OSError):
                mode = path.lstat().st_mode
                if stat.S_ISDIR(mode) and mode & stat.S_IWOTH:
                    yield str(path)


SHARED = tuple(_shared())


def as_user(uid: int) -> dict[str, Any]:
    """What makes subprocess start a program as another user, one of ours."""
    assert is_ours(uid)
    return {"user": uid, "group": uid, "extra_groups": []}


def is_ours(uid: int) -> bool:
    return FIRST_UID <= uid < FIRST_UID + UIDS


def take_user() -> tuple[int, socket.socket]:
    """One of our users that has no process and that no other grader holds, and what holds it for us."""
    start = random.randrange(UIDS)
    for uid in (FIRST_UID + (start + n) % UIDS for n in range(UIDS)):
        if held := user_ids.hold(uid):
            if not pids_of(uid):
                return uid, held
            held.close()
    raise InfraError(f"All of the {UIDS} user ids for weak sandboxes are taken on this machine.")


def pids_of(uid: int) -> list[int]:
    """The processes of a user. Who owns them is in their status: a folder in /proc may say root."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if uid in uids_of(path)]


def uids_of(path: Path) -> set[int]:
    """The user ids of a process, by its folder in /proc: real, effective and others; none when it is gone."""
    with contextlib.suppress(OSError):
        status = (path / "status").read_text(encoding="utf-8", errors="replace")
        return {int(word) for word in status.partition("\nUid:")[2].partition("\n")[0].split()}
    return set()


def tasks_of(uid: int) -> int:
    """How many threads a user's processes have: what RLIMIT_NPROC counts."""
    count = 0
    for pid in pids_of(uid):
        with contextlib.suppress(OSError):
            count += len(list(Path("/proc", str(pid), "task").iterdir()))
    return count


def marked(mark: bytes) -> list[int]:
    """The processes that have some text in their environment, as far as we may look."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            if mark in path.read_bytes():
                found.append(int(path.parent.name))
    return found


def clear_strays() -> None:
    """End the processes of graders that are gone, also where their folders are gone already."""
    for path in strays("environ"):
        if os.geteuid() != 0:
            with contextlib.suppress(OSError):
                os.kill(int(path.name), signal.SIGKILL)
        for uid in filter(is_ours, uids_of(path)):
            clear_unheld(uid)


def clear_unheld(uid: int) -> None:
    """As `clear`, unless a grader holds this user: what it has now is not what another one has left.

    A submission may hold the id of its own user: only a grader has a folder for it as well.
    """
    held = user_ids.hold(uid)
    if held is None and uid in in_use():
        return
    with held or contextlib.nullcontext():
        clear(uid)


def in_use() -> set[int]:
    """The users of graders that run, by the folders of their sandboxes."""
    found = set()
    for folder, owner in owned(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        with contextlib.suppress(OSError):
            if not is_gone(owner):
                found.add((folder / "tmp").stat().st_uid)
    return found


def clear(uid: int) -> None:
    """End every process of one of our users, and remove what it left on the machine."""
    assert is_ours(uid)
    deadline = time.monotonic() + END_SECONDS
    while set(left := pids_of(uid)) - set(process.zombies(left)):
        # One call for all of them, by that user: nothing is forked in between, and nobody else can be hit.
        words = [sys.executable, "-I", "-S", "-c", f"{AS_ANOTHER}; os.kill(-1, 9)", str(uid)]
        subprocess.run(words, env={}, stderr=subprocess.DEVNULL, check=False)
        if time.monotonic() > deadline:
            raise InfraError(f"Processes of user {uid} do not end when they are killed.")
        time.sleep(process.POLL)
    for place in SHARED:
        for path in left_in(Path(place), uid):
            if path.is_dir() and not path.is_symlink():
                remove(path)
            else:
                path.unlink(missing_ok=True)
    _clear_ipc(uid)


def left_in(folder: Path, uid: int) -> Iterator[Path]:
    """What a user has in a folder, and in the folders there that everybody may write to."""
    with contextlib.suppress(OSError):
        for path in sorted(folder.iterdir()):
            with contextlib.suppress(OSError):
                about = path.lstat()
                if about.st_uid == uid:
                    yield path
                elif stat.S_ISDIR(about.st_mode) and about.st_mode & stat.S_IWOTH:
                    yield from left_in(path, uid)


def _clear_ipc(uid: int) -> None:
    """Remove a user's System V memory, semaphores and queues."""
    libc = ctypes.CDLL(None)
    for kind, call, rest in (
        ("shm", "shmctl", [0, None]),
        ("sem", "semctl", [0, 0]),
        ("msg", "msgctl", [0, None]),
    ):
        with contextlib.suppress(OSError, ValueError):
            header, *rows = Path("/proc/sysvipc", kind).read_text().splitlines()
            at = header.split().index("uid")
            for row in (line.split() for line in rows):
                if row[at] == str(uid):
                    getattr(libc, call)(int(row[1]), *rest)  # 0: IPC_RMID
