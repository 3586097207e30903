"""A class, made up: right programs of several shapes, known mistakes, starters, and bad actors (in lab 5).

`python -m tests.grade.make_class FOLDER --count 60 --lab 5` writes a folder a student.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Collection
from itertools import cycle, islice
from pathlib import Path

from tests.hostile.cases import named
from tests.judging import alternatives, mistakes, starter
from workshop.labs import Lab, find
from workshop.paths import SOLUTIONS

Files = dict[str, bytes]
Kinds = dict[str, list[tuple[str, Files]]]
# Those that end by themselves: a class has few that burn all of their time.
BAD = (
    "exits with 0 at import",
    "does not parse",
    "says ALL PASSED",
    "constants",
    "fast 500s",
    "dies when asked",
)
BAD_LAB = "05-wsgi-server"
SHARES = {"solution": 6, "mistake": 7, "alternative": 2, "starter": 3, "bad": 2}
SEED = 5
# What a program that hangs does, once it begins to, and the function in which it does when it is asked.
HANGS = {"sleeps": "__import__('time').sleep(600)", "loops": "while True: pass"}
ASKED = {"01-the-callable": "answer", "05-wsgi-server": "run"}
RIGHT = ("solution", "alternative")


def kinds(lab: Lab) -> Kinds:
    """What somebody may hand in, by kind, each with a word that says what it is."""
    solution = _files(lab, SOLUTIONS / lab.name)
    wrong = []
    for one in mistakes(lab):
        if one.file in lab.edit:
            text = solution[one.file].decode().replace(one.find, one.replace)
            wrong.append((one.name, {**solution, one.file: text.encode()}))
    return {
        "solution": [("solution", solution)],
        "mistake": wrong,
        "alternative": [(path.name, {**solution, **_files(lab, path)}) for path in alternatives(lab)],
        "starter": [("starter", _files(lab, starter(lab)))],
        "bad": [(name, named(name).files) for name in BAD] if lab.name == BAD_LAB else [],
    }


def hanging(lab: Lab) -> list[tuple[str, Files]]:
    """The solution, but that it hangs: at import, and when it is asked. For labs 1 and 5."""
    name, solution = lab.edit[0], _files(lab, SOLUTIONS / lab.name)
    text = solution[name].decode()
    places = {"at import": r"^(?=def |class |@)", "when it is asked": rf"(?s)^def {ASKED[lab.name]}\(.*?:\n"}
    made = []
    for when, place in places.items():
        at = re.search(f"(?m){place}", text)
        assert at is not None, place
        for word, line in HANGS.items():
            indented = line if when == "at import" else f"    {line}"
            changed = f"{text[: at.end()]}{indented}\n{text[at.end() :]}"
            made.append((f"{word} {when}", {**solution, name: changed.encode()}))
    return made


def _files(lab: Lab, folder: Path) -> Files:
    return {name: (folder / name).read_bytes() for name in lab.edit if (folder / name).exists()}


def make(
    lab: Lab, folder: Path, count: int, only: Collection[str] = SHARES, hangs: bool = False
) -> list[str]:
    """Write `count` submissions of these kinds, no two the same bytes; what each one is, by number.

    With `hangs` as many more as there are programs that hang, in between.
    """
    sources = {kind: cycle(found) for kind, found in kinds(lab).items() if found and kind in only}
    wheel = [kind for kind, share in SHARES.items() if kind in sources for _ in range(share)]
    random.Random(SEED).shuffle(wheel)
    chosen = [(kind, *next(sources[kind])) for kind in islice(cycle(wheel), count)]
    for number, (word, files) in enumerate(hanging(lab) if hangs else [], 1):
        chosen.insert(number * count // (len(HANGS) * 2 + 1), ("hangs", word, files))
    made = []
    for number, (kind, word, files) in enumerate(chosen):
        place = folder / f"student{number:03d}"
        for name, data in files.items():
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            mark = f"\n# handed in by student{number:03d}\n" if name == lab.edit[0] else ""
            path.write_bytes(data + mark.encode())
        made.append(f"{kind}: {word}")
    return made


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=60)
    parser.add_argument("--lab", default="5")
    options = parser.parse_args()
    for number, line in enumerate(make(find(options.lab), options.folder, options.count)):
        print(f"student{number:03d}  {line}")
