"""How many submissions a minute a class is graded at, with 1, 2 and 4 workers, and whether the results agree.

python bench/grading.py [SUBMISSIONS]     12 by default: a made-up class of lab 5 (tests/grade/make_class.py)
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.grade.make_class import LAB, make  # noqa: E402
from workshop.errors import Refusal  # noqa: E402
from workshop.grade import engines  # noqa: E402
from workshop.grade.batch import Batch  # noqa: E402
from workshop.grade.intake import collect  # noqa: E402
from workshop.grade.manifest import Manifest  # noqa: E402
from workshop.grade.policy import Policy  # noqa: E402
from workshop.grade.result import Graded, result_of  # noqa: E402
from workshop.grade.roster import Roster  # noqa: E402
from workshop.grade.store import Store, canonical  # noqa: E402


def main(count: int) -> int:
    """Grade the class in every way and print a row each; 1 when results differ."""
    with tempfile.TemporaryDirectory(prefix="grading-") as place:
        folder = Path(place)
        make(folder / "class", count)
        seen: dict[str, str] = {}
        agreed = True
        print(
            f"{count} submissions of lab {LAB.number}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        print(f"{'sandbox':<12}{'workers':>8}{'seconds':>10}{'a minute':>10}   results")
        for workers in (1, 2, 4):
            manifest = Manifest.make(LAB, folder / f"manifest{workers}", seed=5)
            engine = engines.choose(LAB)
            batch = Batch(manifest, engine, Store(folder / f"store{workers}"), workers=workers, quiet=True)
            found = collect(folder / "class", LAB, Roster())
            began = time.monotonic()
            outcomes = batch.grade(found)
            seconds = time.monotonic() - began
            engine.close()
            now = {
                one.person.id: canonical(
                    result_of(manifest, Policy(), [Graded(one, outcomes[batch.key(one)])]).data
                )
                for one in found
            }
            differing = [name for name, text in now.items() if seen.get(name, text) != text]
            seen = seen or now
            agreed = agreed and not differing
            word = f"differ for {', '.join(differing)}" if differing else "identical"
            print(
                f"{engine.name:<12}{workers:>8}{seconds:>10.1f}{60 * count / seconds:>10.1f}   {word}",
                flush=True,
            )
    return 0 if agreed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 12))
    except Refusal as refusal:
        print(refusal)
