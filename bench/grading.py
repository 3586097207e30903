"""A made-up class, graded in every way: submissions a minute; do the results agree, and are they right?

python bench/grading.py [COUNT] [--in bubblewrap docker dask] [--workers 1 2 0] [--lab 5] [--right] [--hangs]

The class (tests/grade/make_class.py) has right programs of several shapes, known mistakes, starters and bad
actors; with --right the first of these only, so that nobody hangs and the time is the grader's own; with
--hangs four more that hang. `dask` is a scheduler with TLS and two workers of one thread; one is killed when
half of the class is graded. 0 workers are as many as the grader chooses. Exit code 1 when results differ, or
when one is not what its check says.

Without arguments also what right programs of labs 1 and 5 take beside an earlier commit, each as an
instructor types it, and what four more that hang add.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from bench import earlier_commit  # noqa: E402
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
BESIDE = 40  # submissions
TURNS = 2


def is_right(lab: Lab, kind: str, outcome: Outcome) -> bool:
    """Whether a submission came to what it must: all points, none, or its own check's failure."""
    caught_by = {f"mistake: {one.name}": one.check for one in mistakes(lab)}
    if kind in caught_by:
        verdicts = {check["name"]: check["verdict"] for check in outcome.checks}
        return verdicts[caught_by[kind]] != "PASS" and not outcome.infra
    if kind.startswith("hangs"):
        return outcome.points < lab.points and not outcome.infra
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
        batch = Batch(manifest, place, store, workers=workers or None, quiet=True)
        began = time.monotonic()
        outcomes = batch.grade(found)
        return time.monotonic() - began, {one.person.id: outcomes[batch.key(one)] for one in found}

    if way == "dask":
        with two_machines(lab, folder / "site", store, len(found) // 2) as cluster:
            return run(cluster)
    with closing(choose_sandbox.choose(lab, way)) as engine:
        return run(engine)


def main(
    lab: Lab, count: int, ways: list[str], workers: list[int], only: Collection[str], hangs: bool
) -> int:
    """Grade the class in every way and print a row each; 1 when results differ or are not right."""
    with tempfile.TemporaryDirectory(prefix="grading-") as place:
        folder = Path(place)
        kinds = {
            f"student{number:03d}": kind
            for number, kind in enumerate(make(lab, folder / "class", count, only, hangs))
        }
        found = collect(folder / "class", lab, Roster())
        manifest = Manifest.make(lab, folder / "manifest", SEED)
        seen: dict[str, str] = {}
        all_well = True
        size, load = len(found), os.getloadavg()[0]
        print(f"{size} submissions of lab {lab.number}, {os.cpu_count()} cores, load {load:.1f}")
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
            rate = 60 * size / seconds
            print(f"{way:<12}{slots:>8}{seconds:>10.1f}{rate:>10.1f}   {'; '.join(words)}", flush=True)
    return 0 if all_well else 1


def seconds_of(root: Path, lab: str, *more: str) -> float:
    """What a class of right programs takes with a checkout's grader. Raises SystemExit when one is wrong."""
    words = ["bench/grading.py", str(BESIDE), "--in", "bubblewrap", "--lab", lab, "--right", *more]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=root,
        env=earlier_commit.environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{' '.join(words)} in {root}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return float(done.stdout.splitlines()[-1].split()[2])


def beside() -> None:
    """Print, for labs 1 and 5, submissions a minute then and now, and the seconds of four that hang."""
    title = f"{BESIDE} right programs, as many side by side as each chooses; beside {earlier_commit.EARLIER}"
    print(f"\n{title}; load {os.getloadavg()[0]:.1f}")
    print(f"{'':<8}{'a minute then':>16}{'now':>10}{'ratio':>8}{'four that hang':>18}", flush=True)
    cores = str(os.cpu_count() or 1)
    with earlier_commit.earlier() as before:
        for lab in ("1", "5"):
            took: dict[str, list[float]] = {"then": [], "now": [], "hangs": []}
            for _ in range(TURNS):
                took["then"].append(seconds_of(before, lab, "--workers", cores))
                took["now"].append(seconds_of(ROOT, lab, "--workers", "0"))
            took["hangs"].append(seconds_of(ROOT, lab, "--workers", "0", "--hangs"))
            then, now, hangs = (statistics.median(one) for one in took.values())
            rates = f"{60 * BESIDE / then:>16.1f}{60 * BESIDE / now:>10.1f}{then / now:>8.2f}"
            print(f"lab {lab:<4}{rates}{hangs - now:>16.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("count", type=int, nargs="?", default=12)
    parser.add_argument("--lab", default="5")
    parser.add_argument("--in", nargs="+", default=["bubblewrap"], dest="ways")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 0])
    parser.add_argument("--right", action="store_true")
    parser.add_argument("--hangs", action="store_true")
    options = parser.parse_args()
    only = RIGHT if options.right else SHARES
    try:
        lab, ways = find(options.lab), options.ways
        code = main(lab, options.count, ways, options.workers, only, options.hangs)
        if len(sys.argv) == 1:
            beside()
        sys.exit(code)
    except Refusal as refusal:
        sys.exit(str(refusal))
