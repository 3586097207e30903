"""What every sandbox is to the grader: started on a submission's files, watched from outside, and ended."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Protocol

from workshop.errors import InfraError
from workshop.labs import Lab
from workshop.run import nginx_config

MEMORY = 768 << 20  # bytes, of all processes together
DISK = 64 << 20  # bytes of each writable place, which is memory too
PROCESSES = 384  # threads count
START_SECONDS = 30.0
# For each process; what all of them use together is watched from outside, or a cgroup's business.
RLIMITS = {"NOFILE": 1024, "FSIZE": DISK, "CORE": 0, "AS": 2 << 30}


@dataclass
class Facts:
    """What the kernel says of a sandbox: the end that it took before it was ended, and what it used.

    `ended` is "" when it ran until it was ended from outside; `cpu` in seconds, `memory` in bytes. `taken` is
    whether somebody has ended it who is neither the grader nor in it.
    """

    ended: str = ""
    cpu: float = 0.0
    memory: int = 0
    limits: list[str] = field(default_factory=list)
    taken: bool = False

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Room:
    """What a sandbox may have of things that a load run needs more of.

    The kernel refuses to begin more than `processes`, threads among them. With half of them the sandbox is
    ended: a fork bomb would stop at the kernel's number, and spin there until its time is over.
    """

    processes: int = PROCESSES
    files: int = RLIMITS["NOFILE"]

    @property
    def most(self) -> int:
        return self.processes // 2


CHECKED, DRIVEN = Room(), Room(processes=4096, files=8192)
MOST = {"memory": f"{MEMORY >> 20} MiB of memory", "processes": f"{CHECKED.most} processes"}


def overrun(limits: list[str]) -> str:
    """Why a sandbox was ended, in words: `limits` are those of Facts."""
    return f"the sandbox was ended: it had more than {' and '.join(MOST[one] for one in limits)}"


class Overrun(InfraError):
    """A submission's own nginx configuration took more than a sandbox has, before any check could ask."""


def not_up(lab: Lab, facts: Facts, error: InfraError, said: str) -> InfraError:
    """Why a sandbox did not come up. Nothing but such a configuration is the submission's until it is up."""
    if facts.limits and nginx_config.is_own(lab):
        return Overrun(f"nginx read {lab.nginx['file']}; {overrun(facts.limits)}")
    return InfraError(f"{error} {said}".strip())


class Running(Protocol):
    """One sandbox. `wire` is the folder with the sockets that lead into it."""

    wire: Path

    def end(self) -> Facts:
        """End everything in it, see that nothing is left, and say what it came to."""


class Engine(Protocol):
    """A kind of sandbox. `name`, `isolation` and `gaps` are recorded with every result.

    `gaps` are what it does not promise on this machine, in words. `one_at_a_time`: a second sandbox waits for
    the end of the first.
    """

    name: str
    isolation: str
    gaps: list[str]
    room: Room
    one_at_a_time: bool

    def start(self, files: Path, slot: int) -> Running:
        """A sandbox with these files, up and reachable. Raises InfraError when it does not come up, Overrun
        when that is the submission's doing.
        """

    def sweep(self) -> list[str]:
        """End what an earlier run left behind; what it was, in words."""

    def close(self) -> None: ...


def rlimits(**more: int) -> str:
    return json.dumps({**RLIMITS, **more})
