"""`make down`: every process of this checkout, however it lost its parents, and its temporary folders."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from itertools import pairwise
from pathlib import Path

from workshop.environment import MARK
from workshop.paths import ROOT, TEMPORARY
from workshop.run import process

GRACE = 3.0


def end_all() -> str:
    """End them: SIGTERM, then SIGKILL to what is left; then their folders go. The line to say."""
    found = running()
    _send(found, signal.SIGTERM)  # the tool and its agents end what they have started
    deadline = time.monotonic() + GRACE
    while running() and time.monotonic() < deadline:
        time.sleep(process.POLL)
    stubborn = running()
    _send(stubborn, signal.SIGKILL)
    count, folders = len({*found, *stubborn}), _remove_folders()
    said = [f"Ended {count} process{'' if count == 1 else 'es'} of {ROOT}."] if count else []
    said += [f"Removed {folders} folder{'' if folders == 1 else 's'} of theirs."] if folders else []
    return " ".join(said) or "Nothing was left."


def _remove_folders() -> int:
    """How many a run left in the temporary directory that could not end as it should."""
    left = list(Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*"))
    for folder in left:
        shutil.rmtree(folder, ignore_errors=True)
    return len(left)


def running() -> list[int]:
    """The tool of this checkout, and all that carries its mark; not this process, nor what has called it."""
    if not process.PROC.joinpath("self").exists():
        return _from_ps()
    callers = _callers()
    pids = [int(path.name) for path in process.PROC.iterdir() if path.name.isdigit()]
    kinds = (_is_marked, _is_tool, _is_nginx)
    return [pid for pid in pids if pid not in callers and any(is_ours(pid) for is_ours in kinds)]


def _is_marked(pid: int) -> bool:
    return f"{MARK}={ROOT}".encode() in _read(pid, "environ").split(b"\0")


def _is_nginx(pid: int) -> bool:
    """Whether its configuration is in a folder of ours; its title stands where its environment was."""
    return f"{tempfile.gettempdir()}/{TEMPORARY}".encode() in _read(pid, "cmdline")


def _is_tool(pid: int) -> bool:
    """Whether it runs a module of the workshop, in this folder."""
    words = _read(pid, "cmdline").split(b"\0")
    modules = [after for before, after in pairwise(words) if before == b"-m"]
    if not any(one == b"workshop" or one.startswith(b"workshop.") for one in modules):
        return False
    with contextlib.suppress(OSError):
        return Path(f"{process.PROC}/{pid}/cwd").resolve() == ROOT
    return False


def _read(pid: int, what: str) -> bytes:
    with contextlib.suppress(OSError):
        return Path(f"{process.PROC}/{pid}/{what}").read_bytes()
    return b""


def _callers() -> set[int]:
    """This process, its parent, and so on."""
    found, pid = set(), os.getpid()
    while pid > 1:
        found.add(pid)
        pid = int(_read(pid, "stat").rpartition(b")")[2].split()[1:2][0] or 0)
    return found


def _from_ps() -> list[int]:
    """Where there is no /proc, ps shows a user's own processes with their environments."""
    words = ["ps", "-axEww", "-o", "pid=,command="]
    table = subprocess.run(words, capture_output=True, text=True, errors="replace", check=False).stdout
    rows = [row.strip().partition(" ") for row in table.splitlines() if f"{MARK}={ROOT}" in row]
    return [int(pid) for pid, _, _ in rows if int(pid) not in (os.getpid(), os.getppid())]


def _send(pids: list[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)
