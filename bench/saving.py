"""From a save to the first red, and to green, on a terminal, beside an earlier commit.

.venv/bin/python bench/saving.py [--labs 1 5 11] [--rounds 5]
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.earlier_commit import ROOT, Cost, earlier, environment, heading, median, row
from tests.terminal import PROMPT, Terminal, watched
from workshop.labs import Lab, all_labs, find


def saved(terminal: Terminal, target: Path, lab: Lab, source: Path, until: str) -> Cost:
    """Save the files of `source`, and wait for a text; what the watch shows after it is read, too."""
    for name in lab.edit:
        text = (source / name).read_text(encoding="utf-8")
        began = time.monotonic()
        (target / name).write_text(text, encoding="utf-8")
    terminal.await_text(until)
    wall = time.monotonic() - began
    terminal.await_text(PROMPT)
    return Cost(wall, 0.0)


def measured(root: Path, lab: Lab, rounds: int) -> tuple[Cost, Cost]:
    """Medians: to the first red, and to green."""
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        target = Path(place) / "target"
        starter, solution = (root / one / lab.name for one in ("labs", "solutions"))
        starter /= ".starter"
        shutil.copytree(starter, target)
        reds, greens = [], []
        with watched(str(lab.number), target, environment(), root) as terminal:
            for _ in range(rounds):
                greens.append(saved(terminal, target, lab, solution, "Done"))
                reds.append(saved(terminal, target, lab, starter, "✗"))
            terminal.type("q")
            terminal.process.wait(30)
    return median(reds), median(greens)


def main(labs: list[Lab], rounds: int) -> None:
    heading("From a save")
    found: dict[str, tuple[list[Cost], list[Cost]]] = {"first red": ([], []), "green": ([], [])}
    with earlier() as root:
        for lab in labs:
            before, now = measured(root, lab, rounds), measured(ROOT, lab, rounds)
            for which, what in enumerate(found):
                found[what][0].append(before[which])
                found[what][1].append(now[which])
                row(f"lab {lab.number} to {what}", before[which], now[which])
    for what, (earlier_ones, later_ones) in found.items():
        row(f"median to {what}", median(earlier_ones), median(later_ones))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labs", nargs="+", default=[str(lab.number) for lab in all_labs()])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    main([find(number) for number in options.labs], options.rounds)
