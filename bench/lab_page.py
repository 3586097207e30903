"""What the lab page costs while nobody looks: a verdict without the page, beside it, and recorded for it.

.venv/bin/python bench/lab_page.py [--labs 1 5 11] [--rounds 5]

Seconds are of one verdict on the solution, with its share of agent, nginx, services and the page's process;
those of starting are apart, for they come once in each `make lab-N`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.earlier_commit import ROOT, environment, python
from workshop.judge.stack import Stack, embedded
from workshop.labs import Lab, all_labs, find
from workshop.learn.lab_page import LabPage
from workshop.run import process

HERTZ = os.sysconf("SC_CLK_TCK")
WAYS = {"no page": {}, "page, nobody looks": {"page": True}, "recorded": {"page": True, "record": True}}


def verdict(stack: Stack, page: LabPage | None, record: bool) -> tuple[float, float]:
    """Judge once, after a save: seconds of the clock, and of processors in all that runs here."""
    env = environment() | stack.attachment() | (page.environment() if page is not None else {})
    words = python("-m", "workshop", "check", str(stack.lab.number), "--target", "solution")
    words += ["--record"] if record else []
    stack.ask("restart", record=record)
    before, began = spent(), time.monotonic()
    done = subprocess.run(words, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"lab {stack.lab.number} is not green:\n{done.stdout[-2000:]}{done.stderr}")
    return time.monotonic() - began, spent() - before


def spent() -> float:
    """Processor seconds of this process's children and theirs, whether they have ended or still run."""
    used = 0
    for pid in (os.getpid(), *process.descendants(os.getpid())):
        with contextlib.suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            own, waited_for = map(int, fields[11:13]), map(int, fields[13:15])
            used += sum(waited_for) + (sum(own) if pid != os.getpid() else 0)
    return used / HERTZ


def measured(lab: Lab, rounds: int, page: bool = False, record: bool = False) -> tuple[float, float]:
    """Medians of several verdicts over one stack; the first of them, which compiles, is left out."""
    with contextlib.ExitStack() as opened:
        stack = opened.enter_context(embedded(lab, "solution", page=page, record=record))
        stack.await_front()
        shown = LabPage(stack, "solution") if page else None
        if shown is not None:
            opened.callback(shown.end)
        costs = [verdict(stack, shown, record) for _ in range(rounds + 1)][1:]
    walls, cpus = zip(*costs, strict=True)
    return statistics.median(walls), statistics.median(cpus)


def main(labs: list[Lab], rounds: int) -> None:
    print(f"\nA verdict beside the lab page; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print(f"{'':<28}{'clock s':>9}{'cpu s':>9}{'clock':>8}{'cpu':>8}", flush=True)
    for lab in labs:
        first: tuple[float, float] | None = None
        for way, options in WAYS.items():
            wall, cpu = measured(lab, rounds, **options)
            first = first or (wall, cpu)
            ratios = f"{wall / first[0]:>8.2f}{cpu / first[1]:>8.2f}"
            print(f"{f'lab {lab.number}, {way}':<28}{wall:>9.2f}{cpu:>9.2f}{ratios}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labs", nargs="+", default=[str(lab.number) for lab in all_labs()])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    main([find(number) for number in options.labs], options.rounds)
