"""`make compare-N` and `make compare`: the real implementations again, what has changed, and one's own."""

from __future__ import annotations

import argparse
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from workshop.compare import compare_venv, compared_page, recorded, recorded_costs
from workshop.compare.comparison_table import summary, table
from workshop.compare.implementations import Implementation, compared_labs, implementations, target
from workshop.compare.judged_points import Points, judged
from workshop.compare.rules import is_of_a_race, rules_of, without_bytes, without_difference, without_rule
from workshop.errors import EXIT_PASSED, Refusal
from workshop.labs import Lab, find, target_folder

AT_ONCE = 2  # more would have checks run out of time


def compare(options: argparse.Namespace) -> int:
    """Compare one lab, with the learner's column, or all of them."""
    labs = [find(options.lab)] if options.lab else compared_labs()
    for lab in labs:
        chosen = _chosen(lab, options.only)
        if options.costs:
            _costs(lab, chosen, options)
            continue
        if options.recorded or options.page:
            data = _recorded(lab)
            if options.page:
                write(lab, data)
                continue
        else:
            before = recorded.load(lab)
            data = run(lab, chosen, before if options.only else None)
            _say_changes(lab, before, data)
            if options.record:
                write(lab, data)
        if options.lab:
            print("\n".join(table(lab, data, None if options.record else _yours(lab))))
        else:
            print(f"Lab {lab.number}, checks that hold whole, of {len(data['checks'])}: {summary(data)}")
    return EXIT_PASSED


def _costs(lab: Lab, chosen: list[Implementation], options: argparse.Namespace) -> None:
    """Measure what a lab's implementations cost; a lab without services that are measured is left out."""
    if not recorded_costs.is_measured(lab):
        if options.lab:
            raise Refusal(f"Of lab {lab.number} there is nothing to measure: it has no server of its own.")
        return
    versions = compare_venv.versions()
    here = [one for one in chosen if one.package.lower() in versions]
    data = recorded_costs.measure(lab, here, yours=not options.record)
    if options.record:
        recorded_costs.save(lab, data)
        write(lab, _recorded(lab))
    print("\n".join(recorded_costs.table(lab, data)))


def _chosen(lab: Lab, only: str | None) -> list[Implementation]:
    found = [one for one in implementations(lab) if only in (None, one.name)]
    if not found:
        names = ", ".join(one.name for one in implementations(lab))
        raise Refusal(f"Lab {lab.number} has no implementation {only!r}. It has: {names}.")
    return found


def _recorded(lab: Lab) -> recorded.Record:
    data = recorded.load(lab)
    if data is None:
        raise Refusal(f"Nothing is recorded of lab {lab.number}: `make compare-{lab.number} ARGS=--record`.")
    return data


def run(lab: Lab, chosen: list[Implementation], before: recorded.Record | None) -> recorded.Record:
    """Judge these implementations now, beside what is recorded of others.

    One that can't be installed here is left out.
    """
    versions = compare_venv.versions()
    here = [one for one in chosen if one.package.lower() in versions]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = dict(
            zip([one.name for one in here], pool.map(lambda one: points_of(lab, one), here), strict=True)
        )
    named = {one.name: described(one, versions) for one in here}
    return recorded.record(lab, found, named, before)


def described(one: Implementation, versions: dict[str, str]) -> dict[str, Any]:
    return {
        "package": one.package,
        "version": versions[one.package.lower()],
        "without": sorted(one.without),
    }


def points_of(lab: Lab, one: Implementation, chosen: str = "") -> Points:
    """What one implementation does at every point of the lab's checks."""
    print(f"lab {lab.number}: {one.name} ...", file=sys.stderr, flush=True)
    wanted = chosen or " or ".join(name for name in lab.checks if name not in one.without)
    with tempfile.TemporaryDirectory(prefix="compare-") as folder:
        found = judged(lab, target(lab, one, Path(folder) / "target"), compare_venv.python(), wanted)
    return {name: check for name, check in found.items() if name not in one.without}


def _yours(lab: Lab) -> dict[str, Any]:
    return judged(lab, target_folder(lab, "starter"), Path(sys.executable))


def _say_changes(lab: Lab, before: recorded.Record | None, data: recorded.Record) -> None:
    if before is None:
        print(f"Lab {lab.number}: nothing was recorded before.")
        return
    lines = recorded.changes(before, data)
    count = f"{len(lines)} changes" if lines else "nothing has changed"
    print(f"Lab {lab.number}: {count} since it was recorded.")
    print("".join(f"  {line}\n" for line in lines), end="")


def write(lab: Lab, data: recorded.Record) -> None:
    """Write the data and the page."""
    rules, before = rules_of(lab), recorded.load(lab)
    if before is not None:
        data = recorded.with_lost_races(lab, data, before, lambda *point: is_of_a_race(rules, *point))
    recorded.save(lab, without_bytes(rules, data))
    compared_page.path_of(lab).write_text(compared_page.page(lab, data), encoding="utf-8")
    for name, one in without_rule(rules, data):
        print(f"No sentence in compare.toml for {name}: {one['check']}: {one['point']}")
    for name, rule in without_difference(rules, data):
        print(f"No difference behind compare.toml's sentence for {name}: {rule.says}")
