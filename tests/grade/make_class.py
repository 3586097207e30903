"""A class of lab 5, made up: right ones of several shapes, known mistakes, starters, and bad actors.

`python -m tests.grade.make_class FOLDER --count 60` writes a folder a student.
"""

from __future__ import annotations

import argparse
import random
from itertools import cycle, islice
from pathlib import Path

from tests.hostile.cases import named
from tests.judging import alternatives, mistakes, starter
from workshop.labs import find
from workshop.paths import SOLUTIONS

LAB = find("5")
FILE = LAB.edit[0]
# Those that end by themselves: a class has few that burn all of their time.
BAD = (
    "exits with 0 at import",
    "does not parse",
    "says ALL PASSED",
    "constants",
    "fast 500s",
    "dies when asked",
)
SHARES = {"solution": 6, "mistake": 7, "alternative": 2, "starter": 3, "bad": 2}


def kinds() -> dict[str, list[tuple[str, str]]]:
    """Source texts by kind, each with a word that says what it is."""
    solution = (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8")
    wrong = [(one.name, solution.replace(one.find, one.replace)) for one in mistakes(LAB) if one.file == FILE]
    return {
        "solution": [("solution", solution)],
        "mistake": wrong,
        "alternative": [(path.name, (path / FILE).read_text(encoding="utf-8")) for path in alternatives(LAB)],
        "starter": [("starter", (starter(LAB) / FILE).read_text(encoding="utf-8"))],
        "bad": [(name, named(name).files[FILE].decode()) for name in BAD],
    }


def make(folder: Path, count: int, seed: int = 5) -> list[str]:
    """Write `count` submissions, no two the same bytes; what each one is, by number."""
    sources = {kind: cycle(found) for kind, found in kinds().items() if found}
    wheel = [kind for kind, share in SHARES.items() if kind in sources for _ in range(share)]
    random.Random(seed).shuffle(wheel)
    made = []
    for number, kind in enumerate(islice(cycle(wheel), count)):
        word, text = next(sources[kind])
        place = folder / f"student{number:03d}"
        place.mkdir(parents=True)
        (place / FILE).write_text(f"{text}\n# handed in by student{number:03d}\n", encoding="utf-8")
        made.append(f"{kind}: {word}")
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60)
    options = parser.parse_args()
    for number, line in enumerate(make(options.folder, options.count)):
        print(f"student{number:03d}  {line}")
