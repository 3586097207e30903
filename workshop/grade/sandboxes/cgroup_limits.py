"""Limits for all processes of a sandbox together, where the kernel lets this user set any."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path

from workshop.grade.sandboxes.sandbox_sockets import is_gone, own_name, owned

TREE = Path("/sys/fs/cgroup")
PREFIX = "workshop-grade-"
FILES = {
    1: {"memory": "memory.limit_in_bytes", "pids": "pids.max", "cpu": "cpu.cfs_quota_us"},
    2: {"memory": "memory.max", "pids": "pids.max", "swap": "memory.swap.max", "cpu": "cpu.max"},
}
NEEDED = ("memory", "pids")
END_SECONDS = 30.0  # a process that had a million files is not gone at once when it is killed
ONE_CORE = 100_000  # microseconds in each tenth of a second: a slot is a core, whatever runs in it


class Cgroup:
    """One group, in the unified tree or in those of version 1. Raises OSError where none can be made."""

    def __init__(self, name: str, memory: int, pids: int) -> None:
        self.folders = _folders(own_name(PREFIX) + name)
        self.version = 2 if len(self.folders) == 1 else 1
        values = {"memory": memory, "pids": pids, "swap": 0, "cpu": ONE_CORE}
        try:
            for folder in self.folders:
                folder.mkdir()
            for key, file in FILES[self.version].items():
                path = next((f / file for f in self.folders if (f / file).exists()), None)
                if path is not None:
                    path.write_text(str(values[key]))
                elif key in NEEDED:
                    raise OSError(f"no {file}")
        except OSError:
            self.close()
            raise

    def add(self, pid: int) -> None:
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(pid))

    def unleash(self) -> None:
        """Give it all of the processor's time: to end, too, takes some."""
        for folder in self.folders:
            with contextlib.suppress(OSError):
                path = folder / FILES[self.version]["cpu"]
                if path.exists():
                    path.write_text("-1" if self.version == 1 else "max")

    def out_of_memory(self) -> bool:
        """Whether the kernel ended a process of the group for want of memory."""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                with contextlib.suppress(OSError):
                    pairs = dict(line.split() for line in (folder / name).read_text().splitlines())
                    if int(pairs.get("oom_kill", 0)):
                        return True
        return False

    def close(self) -> None:
        """Remove the group, as soon as the kernel has let go of what was in it."""
        deadline = time.monotonic() + END_SECONDS
        for folder in self.folders:
            while not _removed(folder) and time.monotonic() < deadline:
                time.sleep(0.02)


def _removed(folder: Path) -> bool:
    """Remove a group's folder, unless a process is still in it. Whether it is gone."""
    try:
        folder.rmdir()
    except (FileNotFoundError, ProcessLookupError):
        return True
    except OSError:
        return False
    return True


def _folders(name: str) -> list[Path]:
    """Where a group goes: below this process's own, in each tree that has the controllers."""
    own = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        number, controllers, path = line.split(":", 2)
        for controller in controllers.split(",") if number != "0" else ("",):
            own[controller] = path.lstrip("/")
    if (TREE / "cgroup.controllers").exists():
        parent = TREE / own.get("", "")
        have = (parent / "cgroup.subtree_control").read_text().split()
        if not {"memory", "pids"} <= set(have):
            raise OSError("memory and pids are not delegated")
        return [parent / name]
    trees = [*NEEDED, *(one for one in ("cpu",) if one in own)]
    return [TREE / controller / own[controller] / name for controller in trees]


def _of_graders() -> Iterator[Path]:
    """The groups of all graders; other programs' groups may go while we look."""
    for folder, names, _ in os.walk(TREE):
        yield from (Path(folder, name) for name in names if name.startswith(PREFIX))


def sweep() -> list[str]:
    """Remove groups of graders that are gone."""
    swept = []
    for folder, owner in owned(_of_graders(), PREFIX) if os.access(TREE, os.W_OK) else []:
        if is_gone(owner):
            with contextlib.suppress(OSError):
                folder.rmdir()
                swept.append(f"cgroup {folder.name}")
    return swept
