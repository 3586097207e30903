"""A made-up class, graded in every way: submissions a minute; do the results agree, and are they right?

python bench/grading.py [COUNT] [--sandbox bubblewrap docker] [--workers 1 2 4]

The class is of lab 5 (tests/grade/make_class.py): right programs of several shapes, known mistakes, starters
and bad actors. Exit code 1 when results differ, or when one is not what its check says.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.grade.make_class import LAB, make  # noqa: E402
from tests.judging import mistakes  # noqa: E402
from workshop.errors import Refusal  # noqa: E402
from workshop.grade import engines  # noqa: E402
from workshop.grade.batch import Batch  # noqa: E402
from workshop.grade.intake import Submission, collect  # noqa: E402
from workshop.grade.manifest import Manifest  # noqa: E402
from workshop.grade.outcome import Outcome  # noqa: E402
from workshop.grade.policy import Policy  # noqa: E402
from workshop.grade.result import Graded, result_of  # noqa: E402
from workshop.grade.roster import Roster  # noqa: E402
from workshop.grade.store import Store, canonical  # noqa: E402

CAUGHT_BY = {f"mistake: {one.name}": one.check for one in mistakes(LAB)}


def is_right(kind: str, outcome: Outcome) -> bool:
    """Whether a submission came to what it must: all points, none, or its own check's failure."""
    if kind in CAUGHT_BY:
        verdicts = {check["name"]: check["verdict"] for check in outcome.checks}
        return verdicts[CAUGHT_BY[kind]] != "PASS" and not outcome.infra
    right = kind.startswith(("solution", "alternative"))
    return outcome.points == (LAB.points if right else 0) and not outcome.infra


def graded(
    folder: Path, found: list[Submission], sandbox: str, workers: int
) -> tuple[float, dict[str, Outcome]]:
    """Seconds, and outcomes by student."""
    place = folder / f"{sandbox}-{workers}"
    manifest = Manifest.make(LAB, place / "manifest", seed=5)
    engine = engines.choose(LAB, sandbox)
    try:
        batch = Batch(manifest, engine, Store(place / "store"), workers=workers, quiet=True)
        began = time.monotonic()
        outcomes = batch.grade(found)
        seconds = time.monotonic() - began
    finally:
        engine.close()
    return seconds, {one.person.id: outcomes[batch.key(one)] for one in found}


def main(count: int, sandboxes: list[str], workers: list[int]) -> int:
    """Grade the class in every way and print a row each; 1 when results differ or are not right."""
    with tempfile.TemporaryDirectory(prefix="grading-") as place:
        folder = Path(place)
        kinds = dict(
            zip(sorted(f"student{n:03d}" for n in range(count)), make(folder / "class", count), strict=True)
        )
        found = collect(folder / "class", LAB, Roster())
        manifest = Manifest.make(LAB, folder / "manifest", seed=5)
        seen: dict[str, str] = {}
        all_well = True
        print(
            f"{count} submissions of lab {LAB.number}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        print(f"{'sandbox':<12}{'workers':>8}{'seconds':>10}{'a minute':>10}   results")
        for sandbox, slots in ((one, n) for one in sandboxes for n in workers):
            seconds, outcomes = graded(folder, found, sandbox, slots)
            now = {
                one.person.id: canonical(
                    result_of(manifest, Policy(), [Graded(one, outcomes[one.person.id])]).data
                )
                for one in found
            }
            differing = [
                f"{name} ({kinds[name]})" for name, text in now.items() if seen.get(name, text) != text
            ]
            wrong = [f"{name} ({kinds[name]})" for name in now if not is_right(kinds[name], outcomes[name])]
            flaky = sum("flaky" in one.run and bool(one.run["flaky"]) for one in outcomes.values())
            seen = seen or now
            all_well = all_well and not differing and not wrong
            words = [f"differ for {', '.join(differing)}" if differing else "identical"]
            words += [f"WRONG for {', '.join(wrong)}" if wrong else "all right", f"{flaky} flaky"]
            print(
                f"{sandbox:<12}{slots:>8}{seconds:>10.1f}{60 * count / seconds:>10.1f}   {'; '.join(words)}",
                flush=True,
            )
    return 0 if all_well else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int, nargs="?", default=12)
    parser.add_argument("--sandbox", nargs="+", default=["bubblewrap"])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    options = parser.parse_args()
    try:
        sys.exit(main(options.count, options.sandbox, options.workers))
    except Refusal as refusal:
        sys.exit(str(refusal))
