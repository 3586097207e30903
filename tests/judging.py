"""Run `workshop check` the way a person does, and read its verdict."""

from __future__ import annotations

import atexit
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from workshop.labs import Lab, all_labs
from workshop.paths import ROOT, SOLUTIONS
from workshop.warm_runs import WarmRuns

MISTAKES = ROOT / "tests" / "mistakes"
ALTERNATIVES = ROOT / "tests" / "alternatives"
SECONDS = 180
# A mistake is judged by the check that must catch it; KILLS=all runs every check, for the whole matrix.
WHOLE_MATRIX = os.environ.get("KILLS") == "all"


@dataclass(frozen=True)
class Mistake:
    """A find-and-replace on the solution, the check that must catch it, and what its report must contain."""

    task: int
    name: str
    file: str
    find: str
    replace: str
    check: str
    phrase: str
    until: str = ""  # the first Python on which it changes nothing: "3.14"

    def counts_here(self) -> bool:
        """Whether a check can see it on this Python."""
        return not self.until or sys.version_info < tuple(map(int, self.until.split(".")))


@cache
def tables(name: str) -> dict[str, Any]:
    """The tables of a lab's mistakes: `mistake`, and `slow` for what its load script must catch."""
    path = MISTAKES / f"{name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


def mistakes(lab: Lab) -> list[Mistake]:
    known = set(Mistake.__dataclass_fields__)
    found = tables(lab.name).get("mistake", [])
    return [Mistake(**{key: value for key, value in table.items() if key in known}) for table in found]


def alternatives(lab: Lab) -> list[Path]:
    return sorted(ALTERNATIVES.glob(f"{lab.name}-*"))


def starter(lab: Lab) -> Path:
    """The untouched starter, whatever a learner made of the lab's own folder."""
    return lab.folder / ".starter"


def environment() -> dict[str, str]:
    """This process's environment without what make, pytest or a workshop stack put there."""
    theirs = ("PYTEST_", "WORKSHOP_", "MAKE", "MFLAGS", "GNUMAKEFLAGS")
    return {k: v for k, v in os.environ.items() if not k.startswith(theirs)}


def run(*words: str, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
    """`python -m workshop WORDS`, to its end."""
    return subprocess.run(
        [sys.executable, "-m", "workshop", *words],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def judge(lab: Lab, target: str | Path, *words: str) -> dict[str, Any]:
    """A target's whole result, by check name under "by_name"; from the warm process."""
    return read_result(run_warm(*check_words(lab, target), *words))


def check_words(lab: Lab, target: str | Path) -> list[str]:
    return ["check", str(lab.number), "--target", str(target), "--all", "--json"]


@contextmanager
def checkout_to_ourselves() -> Iterator[None]:
    """For a test that runs the launcher in this checkout, which refuses a second run: one test at a time."""
    with Path(ROOT, "Makefile").open() as file:  # a lock that is always there leaves no file
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def read_result(done: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    try:
        result: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        raise AssertionError(f"no result (exit {done.returncode}):\n{done.stdout}\n{done.stderr}") from None
    result["by_name"] = {check["name"]: check for check in result["checks"]}
    result["exit"] = done.returncode
    return result


@cache
def warm() -> WarmRuns:
    """The process that runs verdicts in forks of itself; it ends when this one does."""
    made = WarmRuns(environment(), "tests.judge_server")
    atexit.register(made.end)
    return made


def run_warm(*words: str, seconds: float = SECONDS) -> subprocess.CompletedProcess[str]:
    """What `run` does, without the time to import pytest: for the hundreds of verdicts."""
    with tempfile.NamedTemporaryFile("r", prefix="verdict-", encoding="utf-8") as out:
        warm().begin(list(words), out=out.name, seconds=seconds)
        code = warm().code()
        assert code is not None, f"{' '.join(words)} took more than {seconds:g} s"
        return subprocess.CompletedProcess(words, code, out.read(), "")


def report(check: dict[str, Any]) -> str:
    """Everything that a check's report says, as one text."""
    finding = check["finding"]
    parts = [str(finding[key]) for key in ("sent", "got", "expected", "rule", "where")]
    return "\n".join([check["verdict"], *parts, *finding["trace"]])


def judge_mistake(lab: Lab, mistake: Mistake, folder: Path) -> dict[str, Any]:
    """The result of a mistake: of the named check, or of all. Its seed is always the same one."""
    target = with_mistake(lab, mistake, folder)
    seed = zlib.crc32(mistake.name.encode()) % 10**6
    chosen = [] if WHOLE_MATRIX else ["-k", mistake.check]
    return judge(lab, target, "--seed", str(seed), *chosen)


def failures(result: dict[str, Any]) -> str:
    """The reports of what did not pass, for an assertion's message."""
    return "\n\n".join(
        f"{check['name']}: {report(check)}" for check in result["checks"] if check["verdict"] != "PASS"
    )


def with_mistake(lab: Lab, mistake: Mistake, folder: Path) -> Path:
    """A copy of the solution with the mistake in it."""
    target = folder / "target"
    shutil.copytree(SOLUTIONS / lab.name, target, ignore=shutil.ignore_patterns("__pycache__"))
    path = target / mistake.file
    text = path.read_text(encoding="utf-8")
    count = text.count(mistake.find)
    assert count == 1, f"{mistake.name!r}: its `find` is in the solution {count} times, not once"
    path.write_text(text.replace(mistake.find, mistake.replace), encoding="utf-8")
    return target


__all__ = ["Lab", "Mistake", "all_labs", "alternatives", "failures", "judge", "mistakes", "report", "run"]
