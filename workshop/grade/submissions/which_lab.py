"""Which lab a folder of submissions is of, where nobody said so: by what is left in them of its starter.

Each person's work has a vote, by the lab most of whose starter it has kept; most must agree. So a stray file
of another lab's is one vote, and moves nobody else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean

from workshop.errors import Refusal
from workshop.grade.submissions.class_roster import Roster
from workshop.grade.submissions.collect import Submission, collect
from workshop.labs import Lab, all_labs

LEAST = 0.03  # of a starter's lines
CLEARLY = 1.5  # times as much as of any other lab's
Votes = dict[str, dict[int, float]]


def lab_of(folder: Path) -> Lab:
    """The lab whose starter most of the submissions began with. Raises Refusal when it is not plain."""
    labs = {lab.number: lab for lab in all_labs()}
    shares: Votes = {}
    for lab in labs.values():
        starter = {name: lines((lab.folder / ".starter" / name).read_bytes()) for name in lab.edit}
        for one in collect(folder, lab, Roster()):
            known = shares.setdefault(one.person.id, {})
            known[lab.number] = max(known.get(lab.number, 0.0), share(starter, one.files))
    votes = Counter(vote(one) for one in shares.values())
    told = {number: count for number, count in votes.items() if number}
    if not told:
        raise Refusal(f"Nothing in {folder} looks like a lab's: say which one it is, such as LAB=5.")
    number, most = max(told.items(), key=lambda pair: pair[1])
    if 2 * most <= len(shares):
        said = ", ".join(f"{count} of lab {number}" for number, count in sorted(told.items()))
        raise Refusal(f"Of {len(shares)} submissions in {folder} {said}: say which lab it is, such as LAB=5.")
    return labs[number]


def vote(shares: Mapping[int, float]) -> int:
    """The lab that one person's work is of; 0 where it is not plain."""
    (number, most), (_, next_most) = sorted(shares.items(), key=lambda pair: -pair[1])[:2]
    return number if most >= LEAST and most >= CLEARLY * next_most else 0


def share(starter: dict[str, set[bytes]], files: Mapping[str, bytes]) -> float:
    """How much of a starter is in somebody's files: 0 for nothing, 1 for every line."""
    if not files:
        return 0.0
    return fmean(len(its & lines(files.get(name, b""))) / len(its) for name, its in starter.items())


def lines(data: bytes) -> set[bytes]:
    """The lines that say something."""
    return {line.strip() for line in data.splitlines() if len(line.strip()) > 3}


def see_that_it_fits(lab: Lab, submissions: list[Submission], was_named: bool) -> str:
    """What is to be said where many have not handed in what this lab asks for; "" where they have.

    Raises Refusal where none has, or most have not and nobody said which lab it is.
    """
    handed_in = [one for one in submissions if one.files or one.lacks_a_file]
    without = sum(one.lacks_a_file for one in handed_in)
    if len(handed_in) < 2 or 2 * without <= len(handed_in):
        return ""
    said = f"{without} of {len(handed_in)} submissions have not the files of lab {lab.number}"
    asks = f"{said} ({', '.join(lab.edit)})"
    if not was_named or without == len(handed_in):
        raise Refusal(f"{asks}: is it another lab's folder? Nothing was graded.")
    return f"{asks}."
