"""A made-up class, graded in every way: submissions a minute; do the results agree, and are they right?

python bench/grading.py [COUNT] [--in bubblewrap docker dask] [--workers 1 2 4] [--lab 5] [--right]

The class (tests/grade/make_class.py) has right programs of several shapes, known mistakes, starters and bad
actors; with --right the first of these only, so that nobody hangs and the time is the grader's own. `dask` is
a scheduler with TLS and two workers of one thread; one is killed when half of the class is graded. Exit
code 1 when results differ, or when one is not what its check says.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tests.grade.make_class import RIGHT, SHARES, make  # noqa: E402
from tests.judging import mistakes  # noqa: E402
from workshop.errors import Refusal  # noqa: E402
from workshop.grade.judging.manifest import Manifest  # noqa: E402
from workshop.grade.judging.outcome import Outcome  # noqa: E402
from workshop.grade.judging.outcome_cache import Store, canonical  # noqa: E402
from workshop.grade.judging.whole_class import Batch  # noqa: E402
from workshop.grade.judging.worker_pools import Pool  # noqa: E402
from workshop.grade.results.late_policy import Policy  # noqa: E402
from workshop.grade.results.student_result import Graded, result_of  # noqa: E402
from workshop.grade.sandboxes import choose_sandbox  # noqa: E402
from workshop.grade.sandboxes.sandbox import Engine  # noqa: E402
from workshop.grade.submissions.class_roster import Roster  # noqa: E402
from workshop.grade.submissions.collect import Submission, collect  # noqa: E402
from workshop.labs import Lab, find  # noqa: E402

SEED = 5


def is_right(lab: Lab, kind: str, outcome: Outcome) -> bool:
    """Whether a submission came to what it must: all points, none, or its own check's failure."""
    caught_by = {f"mistake: {one.name}": one.check for one in mistakes(lab)}
    if kind in caught_by:
        verdicts = {check["name"]: check["verdict"] for check in outcome.checks}
        return verdicts[caught_by[kind]] != "PASS" and not outcome.infra
    right = kind.startswith(("solution", "alternative"))
    return outcome.points == (lab.points if right else 0) and not outcome.infra


@contextmanager
def two_machines(lab: Lab, folder: Path, store: Store, half: int) -> Iterator[Pool]:
    """A cluster of two workers, one of which does not live to see the end."""
    from tests.grade.test_cluster import Site, await_true
    from workshop.grade.judging.dask_pool import Cluster

    folder.mkdir(parents=True)
    site = Site(folder)
    try:
        site.worker()
        victim = site.worker()

        def kill() -> None:
            while victim.poll() is None and len([*store.folder.glob("*.json")]) < half:
                time.sleep(0.05)
            victim.kill()

        with closing(Cluster(site.address, site.tls, lab, "bubblewrap")) as cluster:
            await_true(lambda: len(cluster.workers()) == 2, "there are not two workers")
            threading.Thread(target=kill, daemon=True).start()
            yield cluster
            assert victim.wait(10), "the worker outlived the class"
    finally:
        site.end()


def graded(
    lab: Lab, folder: Path, found: list[Submission], way: str, workers: int
) -> tuple[float, dict[str, Outcome]]:
    """Seconds, and outcomes by student."""
    manifest = Manifest.make(lab, folder / "manifest", SEED)
    store = Store(folder / "store")

    def run(place: Engine | Pool) -> tuple[float, dict[str, Outcome]]:
        batch = Batch(manifest, place, store, workers=workers, quiet=True)
        began = time.monotonic()
        outcomes = batch.grade(found)
        return time.monotonic() - began, {one.person.id: outcomes[batch.key(one)] for one in found}

    if way == "dask":
        with two_machines(lab, folder / "site", store, len(found) // 2) as cluster:
            return run(cluster)
    with closing(choose_sandbox.choose(lab, way)) as engine:
        return run(engine)


def main(lab: Lab, count: int, ways: list[str], workers: list[int], only: Collection[str]) -> int:
    """Grade the class in every way and print a row each; 1 when results differ or are not right."""
    with tempfile.TemporaryDirectory(prefix="grading-") as place:
        folder = Path(place)
        kinds = {
            f"student{number:03d}": kind
            for number, kind in enumerate(make(lab, folder / "class", count, only))
        }
        found = collect(folder / "class", lab, Roster())
        manifest = Manifest.make(lab, folder / "manifest", SEED)
        seen: dict[str, str] = {}
        all_well = True
        print(
            f"{count} submissions of lab {lab.number}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
        )
        print(f"{'in':<12}{'workers':>8}{'seconds':>10}{'a minute':>10}   results")
        for way, slots in ((one, n) for one in ways for n in (workers if one != "dask" else [2])):
            seconds, outcomes = graded(lab, folder / f"{way}-{slots}", found, way, slots)
            data = {
                one.person.id: result_of(manifest, Policy(), [Graded(one, outcomes[one.person.id])]).data
                for one in found
            }
            now = {name: canonical(result) for name, result in data.items()}
            differing = [f"{name} ({kinds[name]})" for name in now if seen.get(name, now[name]) != now[name]]
            wrong = [
                f"{name} ({kinds[name]})" for name in now if not is_right(lab, kinds[name], outcomes[name])
            ]
            flaky = sum(bool(one.run.get("flaky")) for one in outcomes.values())
            seen = seen or now
            all_well = all_well and not differing and not wrong
            words = [f"differ for {', '.join(differing)}" if differing else "identical"]
            words += [f"WRONG for {', '.join(wrong)}" if wrong else "all right", f"{flaky} flaky"]
            rate = 60 * count / seconds
            print(f"{way:<12}{slots:>8}{seconds:>10.1f}{rate:>10.1f}   {'; '.join(words)}", flush=True)
    return 0 if all_well else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int, nargs="?", default=12)
    parser.add_argument("--lab", default="5")
    parser.add_argument("--in", nargs="+", default=["bubblewrap"], dest="ways")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--right", action="store_true")
    options = parser.parse_args()
    only = RIGHT if options.right else SHARES
    try:
        sys.exit(main(find(options.lab), options.count, options.ways, options.workers, only))
    except Refusal as refusal:
        sys.exit(str(refusal))
