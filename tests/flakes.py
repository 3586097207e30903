"""`make flakes N=50`: every solution and oracle N times; what was not the same each time, as a table.

In a random order, with one core kept busy, and in two checkouts at a time. Exit code 1 when there is a row.

    python -m tests.flakes N [--labs 5 12] [--seed 7]
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tests.judging import SECONDS, check_words, environment, report
from workshop.labs import Lab, all_labs
from workshop.paths import ROOT
from workshop.warm_runs import WarmRuns

LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".workshop", "__pycache__", ".*_cache", ".hypothesis")
HOG = "import os; parent = os.getppid()\nwhile os.getppid() == parent: pass"
Row = tuple[str, str, str, str]  # lab, target, check, what it said
Job = tuple[Lab, str, int]


@contextmanager
def second_checkout() -> Iterator[Path]:
    """A copy of this checkout, with this one's environment."""
    with tempfile.TemporaryDirectory(prefix="flakes-") as place:
        root = Path(place) / "checkout"
        shutil.copytree(ROOT, root, ignore=LEFT_OUT)
        (root / ".venv").symlink_to((ROOT / ".venv").resolve())
        yield root


@contextmanager
def busy_core() -> Iterator[None]:
    """Keep one core busy, as long as this process is there."""
    with subprocess.Popen([sys.executable, "-c", HOG]) as hog:
        try:
            yield
        finally:
            hog.kill()


class Checkout:
    """Judges one job after the other, and notes what is not PASS."""

    def __init__(self, root: Path, place: Path) -> None:
        self.warm = WarmRuns(environment(), "tests.judge_server", root)
        self.out = place / "verdict"
        self.rows: Counter[Row] = Counter()
        self.done = 0

    def work(self, jobs: list[Job]) -> None:
        for lab, target, seed in jobs:
            for name, said in self._judge(lab, target, seed).items():
                self.rows[lab.name, target, name, said] += 1
                print(f"seen: {lab.name}, {target}, {name}, seed {seed}", file=sys.stderr, flush=True)
            self.done += 1

    def _judge(self, lab: Lab, target: str, seed: int) -> dict[str, str]:
        """What did not pass, by check."""
        words = [*check_words(lab, target), "--seed", str(seed)]
        self.warm.begin(words, out=str(self.out), seconds=SECONDS)
        if self.warm.code() is None:
            return {"the run": f"not over after {SECONDS} s"}
        said = self.out.read_text(encoding="utf-8")
        try:
            checks: list[dict[str, Any]] = json.loads(said[said.index("{") :])["checks"]
        except ValueError:
            return {"the run": said.strip()[-400:]}
        return {one["name"]: f"seed {seed}: {report(one)}" for one in checks if one["verdict"] != "PASS"}


def jobs(labs: list[Lab], times: int, rng: random.Random) -> list[Job]:
    every = [(lab, target) for lab in labs for target in ("solution", "oracle")] * times
    rng.shuffle(every)
    return [(lab, target, rng.randrange(10**6)) for lab, target in every]


def shown(rows: Counter[Row], times: int) -> list[str]:
    """A line for each check that was not the same each time, with what it said first."""
    totals: Counter[tuple[str, str, str]] = Counter()
    first: dict[tuple[str, str, str], str] = {}
    for (lab, target, check, said), count in rows.items():
        totals[lab, target, check] += count
        first.setdefault((lab, target, check), said)
    return [
        f"{lab:<26}{target:<10}{count:>4} of {times}  {check}\n    "
        + first[lab, target, check].replace("\n", "\n    ")
        for (lab, target, check), count in totals.most_common()
    ]


def main(times: int, labs: list[Lab], seed: int) -> int:
    began, rng = time.monotonic(), random.Random(seed)
    with ExitStack() as opened:
        place = Path(opened.enter_context(tempfile.TemporaryDirectory(prefix="flakes-")))
        roots = [ROOT, opened.enter_context(second_checkout())]
        checkouts = []
        for number, root in enumerate(roots):
            (place / str(number)).mkdir()
            checkouts.append(Checkout(root, place / str(number)))
            opened.callback(checkouts[-1].warm.end)
        opened.enter_context(busy_core())
        every = jobs(labs, times, rng)
        threads = [
            threading.Thread(target=one.work, args=[every[number :: len(checkouts)]], daemon=True)
            for number, one in enumerate(checkouts)
        ]
        for thread in threads:
            thread.start()
        with suppress(KeyboardInterrupt):  # what is known by then is shown
            for thread in threads:
                thread.join()
    rows = checkouts[0].rows + checkouts[1].rows
    done = sum(one.done for one in checkouts)
    print("\n".join(shown(rows, times)) or "Nothing: each run was like the others.")
    print(f"{done} of {len(every)} runs in {time.monotonic() - began:.0f} s, seed {seed}")
    return int(bool(rows) or done < len(every))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("times", type=int)
    parser.add_argument("--labs", type=int, nargs="+", default=[lab.number for lab in all_labs()])
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    chosen = [lab for lab in all_labs() if lab.number in options.labs]
    sys.exit(main(options.times, chosen, options.seed))
