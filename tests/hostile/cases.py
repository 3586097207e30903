"""The hostile cases, read from their folders: FAMILY/SLUG/ holds a case.toml and what is handed in.

See README.md beside this file for what a case.toml says.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
FAMILIES = ("ingest", "start", "http", "resources", "crossing-over", "batch")
FIRST_CHECK = "test_task1_path_is_decoded_and_query_is_not"  # of lab 5
BROKEN = frozenset({"FAIL", "TIMEOUT", "CRASH", "NO_START"})


@dataclass(frozen=True)
class Case:
    """`verdicts`: what the check may come to; `hidden`: the hidden one. `hunts`: what it must not find.

    `seconds` is what grading it may take, where that is far less than its whole time; 0: all of that.

    `weak` is what the weak sandbox does not promise, in its own words: it is not run there. `needs` is what
    bubblewrap's lacks on machines without libseccomp: then it is not run in that either.

    `more` holds what only one family knows: how an ingest case is laid out, which event a batch case is.
    """

    family: str
    folder: Path
    name: str
    why: str
    verdicts: frozenset[str]
    hunts: str = ""
    lab: str = "5"
    check: str = FIRST_CHECK
    hidden: frozenset[str] = BROKEN
    begins: str = ""
    times: int = 1
    seconds: float = 0.0
    weak: str = ""
    needs: str = ""
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def id(self) -> str:
        return f"{self.family}/{self.folder.name}"

    @property
    def files(self) -> dict[str, bytes]:
        """What is handed in: the folder's files, each behind the beginning that it shares with others."""
        begins = (HERE / "begins" / self.begins).read_bytes() if self.begins else b""
        paths = [path for path in sorted(self.folder.iterdir()) if path.name != "case.toml"]
        return {path.name: begins + path.read_bytes() for path in paths if path.is_file()}


def load(folder: Path) -> Case:
    """Read one case."""
    data = tomllib.loads((folder / "case.toml").read_text(encoding="utf-8"))
    known = {key: data.pop(key) for key in list(data) if key in Case.__dataclass_fields__ and key != "more"}
    for key in ("verdicts", "hidden"):
        known |= {key: frozenset(known[key])} if key in known else {}
    return Case(family=folder.parent.name, folder=folder, more=data, **known)


CASES = [load(path.parent) for family in FAMILIES for path in sorted(HERE.glob(f"{family}/*/case.toml"))]
# Those that are a program in a sandbox; the others are what comes before one, or goes wrong beside it.
PROGRAMS = [case for case in CASES if case.files]


def named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)
