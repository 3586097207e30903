"""What the measurements of this folder share: this checkout beside an earlier commit of it, in one run."""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
EARLIER = "eca58a5"


@dataclass
class Cost:
    """Of one run, or the median of several: seconds of the clock, and of processors."""

    wall: float
    cpu: float


@contextmanager
def earlier(commit: str = EARLIER) -> Iterator[Path]:
    """A checkout of that commit with this one's environment. Raises SystemExit where it is not to be had."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        root = Path(place) / "earlier"
        clone(root, commit)
        (root / ".venv").symlink_to((ROOT / ".venv").resolve())
        yield root


def clone(root: Path, commit: str) -> None:
    """A fresh clone of this repository, at a commit."""
    for words in (
        ["git", "clone", "-q", "--no-checkout", str(ROOT), str(root)],
        ["git", "-C", str(root), "checkout", "-q", commit],
    ):
        if subprocess.run(words, capture_output=True, check=False).returncode:
            raise SystemExit(f"commit {commit} is not in this repository: there is nothing to compare with")


def environment() -> dict[str, str]:
    """As on anybody's machine: compiled files are kept."""
    left_out = ("PYTEST_", "WORKSHOP_", "PYTHONDONTWRITEBYTECODE")
    return {key: value for key, value in os.environ.items() if not key.startswith(left_out)}


def run(words: list[str], root: Path) -> Cost:
    """What a command costs, with all that it started and waited for. Raises SystemExit when it fails."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
    done = subprocess.run(
        words,
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(
            f"{' '.join(words)} in {root}: exit {done.returncode}\n{done.stdout[-2000:]}{done.stderr}"
        )
    return Cost(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def median(costs: list[Cost]) -> Cost:
    return Cost(statistics.median(one.wall for one in costs), statistics.median(one.cpu for one in costs))


def heading(title: str) -> None:
    print(f"\n{title}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, beside {EARLIER}")
    print(f"{'':<28}{'earlier':>18}{'now':>18}{'ratio':>16}")
    print(f"{'':<28}{'clock s':>9}{'cpu s':>9}{'clock s':>9}{'cpu s':>9}{'clock':>8}{'cpu':>8}", flush=True)


def row(name: str, before: Cost, now: Cost) -> None:
    ratios = f"{now.wall / before.wall:>8.2f}{now.cpu / before.cpu if before.cpu else 0:>8.2f}"
    print(
        f"{name:<28}{before.wall:>9.2f}{before.cpu:>9.2f}{now.wall:>9.2f}{now.cpu:>9.2f}{ratios}", flush=True
    )


def python(*words: str) -> list[str]:
    return [sys.executable, *words]
