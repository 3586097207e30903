"""How long each lab's checks take on its solution, beside an earlier commit, in turn, round after round.

.venv/bin/python bench/green_labs.py [--labs 1 5 15] [--rounds 3]
"""

from __future__ import annotations

import argparse
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.earlier_commit import ROOT, Cost, earlier, heading, median, python, row, run
from workshop.labs import all_labs


def main(labs: list[int], rounds: int) -> None:
    heading("A green lab")
    before: list[Cost] = []
    now: list[Cost] = []
    with earlier() as root:
        for number in labs:
            words = python("-m", "workshop", "check", str(number), "--target", "solution")
            pairs = [(run(words, root), run(words, ROOT)) for _ in range(rounds + 1)][
                1:
            ]  # the first compiles
            before.append(median([one for one, _ in pairs]))
            now.append(median([other for _, other in pairs]))
            row(f"lab {number}", before[-1], now[-1])
    row("median of the labs", median(before), median(now))
    row("all of them", total(before), total(now))
    walls = [one.wall for one in now]
    print(f"slowest now: {max(walls):.1f} s, median {statistics.median(walls):.1f} s")


def total(costs: list[Cost]) -> Cost:
    return Cost(sum(one.wall for one in costs), sum(one.cpu for one in costs))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labs", type=int, nargs="+", default=[lab.number for lab in all_labs()])
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    main(options.labs, options.rounds)
