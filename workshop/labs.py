"""A lab as its `lab.toml` describes it. No other file knows a lab's number."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from workshop.errors import Refusal
from workshop.paths import LABS, ORACLES, ROOT, SOLUTIONS


@dataclass(frozen=True)
class Service:
    """One process that runs around, or is, the learner's code.

    `command` is a shell-like string with the holes {host}, {port} and {solutions}; `at` is the prefix under
    which nginx shows it (None: only reached directly, started when a check first asks); `learner` says which
    hop of it the learner wrote: "application" or "server". A `given` one has no code of the learner's in it:
    where strangers are judged it runs before any of theirs does (workshop/run/given_services.py).
    """

    name: str
    command: str
    at: str | None
    learner: str
    given: bool = False


@dataclass(frozen=True)
class Lane:
    """Checks that run in turn, beside those of other lanes: how their names begin, after "test_".

    With `services` it has a stack of its own, where these start at once.
    """

    begins: tuple[str, ...] = ()
    services: tuple[str, ...] = ()


@dataclass(frozen=True)
class Task:
    number: int
    title: str
    checks: dict[str, int]


@dataclass(frozen=True)
class Load:
    """How a lab is driven and judged under load; seconds and ratios, never milliseconds."""

    users: int = 10
    seconds: int = 6
    at_least: int = 100
    ratio: float = 2.0


@dataclass(frozen=True)
class Lab:
    """`on` names the labs whose references this one imports: their folders and apps come last on its path.

    With `yours`, the learner's own are to be used where they pass (workshop/run/layers.py). `layer` is the
    part of the stack that the lab builds, as `make progress` draws it (workshop/learn/progress.py). `without`
    names the packages that are not there when a class is graded: finished ones of what the lab builds.
    `lanes` says which checks run side by side (workshop/judge/concurrent_checks.py); the others run in their
    turn.
    """

    number: int
    slug: str
    folder: Path
    title: str
    minutes: int
    part: str
    summary: str
    edit: tuple[str, ...]
    services: dict[str, Service]
    tasks: tuple[Task, ...]
    load: Load
    nginx: dict[str, Any] = field(default_factory=dict)
    layer: str = ""
    on: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    yours: bool = False
    lanes: dict[str, Lane] = field(default_factory=dict)
    start_seconds: float = 5.0
    check_seconds: float = 10.0

    @property
    def name(self) -> str:
        return f"{self.number:02d}-{self.slug}"

    @property
    def apps(self) -> Path:
        """What this lab alone serves, calls or is judged by; there may be no such folder."""
        return self.folder / "apps"

    @property
    def points(self) -> int:
        return sum(sum(task.checks.values()) for task in self.tasks)

    @property
    def checks(self) -> list[str]:
        """Every check's name, in order."""
        return [check for task in self.tasks for check in task.checks]

    def task_of(self, check: str) -> Task | None:
        return next((task for task in self.tasks if check in task.checks), None)

    def lane_of(self, check: str) -> str:
        """The lane of a check; "" for one that runs in its turn, or while one before it waits."""
        short = check.removeprefix("test_")
        return next((name for name, lane in self.lanes.items() if short.startswith(lane.begins)), "")

    def points_of(self, check: str) -> int:
        task = self.task_of(check)
        return task.checks[check] if task else 0


@cache
def all_labs() -> tuple[Lab, ...]:
    """Every lab in the checkout, by number."""
    return tuple(load(path.parent) for path in sorted(LABS.glob("[0-9][0-9]-*/lab.toml")))


def find(text: str) -> Lab:
    """The lab that `text` names: a number ("3", "03"), a folder name or a slug.

    Raises Refusal when there is none, naming those that exist.
    """
    wanted = text.strip().lower()
    folders = sorted(path.parent for path in LABS.glob("[0-9][0-9]-*/lab.toml"))
    for folder in folders:
        number, _, slug = folder.name.partition("-")
        if wanted in (str(int(number)), number, folder.name, slug):
            return load(folder)
    numbers = ", ".join(str(int(folder.name[:2])) for folder in folders)
    raise Refusal(
        f"There is no lab {text!r}. The labs are {numbers}: try `make lab-{int(folders[0].name[:2])}`."
    )


def of_folder(folder: Path) -> Lab:
    """The lab whose folder this is."""
    return load(folder.resolve())


def load(folder: Path) -> Lab:
    """Read a lab's folder. Raises Refusal that names the file when `lab.toml` can't be used."""
    path = folder / "lab.toml"
    match = re.fullmatch(r"(\d\d)-([a-z0-9-]+)", folder.name)
    if match is None:
        raise Refusal(f"{folder} is not a lab: its name is not NN-slug.")
    try:
        data: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        tasks = tuple(
            Task(number, task["title"], dict(task["checks"])) for number, task in enumerate(data["tasks"], 1)
        )
        services = {
            name: Service(
                name,
                one["command"],
                one.get("at"),
                one.get("learner", "application"),
                one.get("given", False),
            )
            for name, one in data["services"].items()
        }
        return Lab(
            number=int(match[1]),
            slug=match[2],
            folder=folder.resolve(),
            title=data["title"],
            minutes=data["minutes"],
            part=data["part"],
            summary=data["summary"],
            edit=tuple(data["edit"]),
            services=services,
            tasks=tasks,
            load=Load(**data.get("load", {})),
            nginx=data.get("nginx", {}),
            layer=data.get("layer", ""),
            on=tuple(data.get("on", ())),
            without=tuple(data.get("without", ())),
            yours=data.get("yours", False),
            lanes={name: _lane(one) for name, one in data.get("lanes", {}).items()},
            **data.get("budget", {}),
        )
    except (OSError, KeyError, TypeError, tomllib.TOMLDecodeError) as error:
        raise Refusal(f"{path.relative_to(ROOT)} can't be used: {error!r}.") from error


def _lane(one: list[str] | dict[str, Any]) -> Lane:
    """A lane of `[lanes]`: how its checks' names begin, or `{ checks = […], services = […] }`."""
    if isinstance(one, list):
        return Lane(tuple(one))
    return Lane(tuple(one["checks"]), tuple(one["services"]))


def target_folder(lab: Lab, target: str) -> Path:
    """The folder whose files are judged: the learner's, the solution's, an oracle's, or any other.

    Raises Refusal when it, or a file that the lab edits, is not there.
    """
    named = {"starter": lab.folder, "solution": SOLUTIONS / lab.name, "oracle": ORACLES / lab.name}
    folder = named.get(target) or Path(target).resolve()
    if not folder.is_dir():
        raise Refusal(f"There is no folder {folder} to judge (--target {target}).")
    missing = [name for name in lab.edit if not (folder / name).is_file()]
    if missing and target == "starter":
        raise Refusal(
            f"labs/{lab.name}/{missing[0]} is gone. `make reset-{lab.number}` brings the starter back."
        )
    if missing and target != "oracle":
        raise Refusal(f"{folder} has no {missing[0]}, which lab {lab.number} asks for.")
    return folder
