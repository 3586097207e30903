"""`make mutants LAB=5 SEED=7 N=40`: one mechanical change at a time in a solution; is it noticed?

    python -m tests.mutants [--lab 5] [--seed 7] [-n 40]

cosmic-ray makes the changes. What survives is printed as a diff. A change that means nothing (the mutant does
the same as the solution does) stands with its reason in tests/equivalent_mutants/NN-slug.toml and is not
counted; without `after`, it is every change of these lines. Functions that later labs call are named there,
too, with these labs: their checks judge what the lab's own let pass. Exit code 1 when less than 95 % of a
lab's others are killed.
"""

from __future__ import annotations

import argparse
import ast
import difflib
import os
import random
import secrets
import shutil
import sys
import tempfile
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cosmic_ray.ast import ast_nodes, get_ast  # type: ignore[import-untyped]
from cosmic_ray.mutating import mutate_code  # type: ignore[import-untyped]
from cosmic_ray.plugins import get_operator, operator_names  # type: ignore[import-untyped]

from tests import judging
from workshop.labs import Lab, all_labs, find
from workshop.paths import ROOT, SOLUTIONS
from workshop.warm_runs import WarmRuns

LEDGERS = ROOT / "tests" / "equivalent_mutants"
WANTED = 0.95
# These need arguments that no lab has.
WITHOUT = ("core/NoOp", "core/VariableInserter", "core/VariableReplacer")
Place = tuple[int, int]  # line and column


@dataclass(frozen=True)
class Mutant:
    """One mechanical change: of which file, by which operator, and where."""

    file: str
    operator: str
    occurrence: int
    place: Place

    def code(self, source: str) -> str:
        changed: str = mutate_code(source, get_operator(self.operator)(), self.occurrence)
        return changed


@dataclass(frozen=True)
class Survivor:
    """A mutant that all checks let pass: the lines that it takes out and puts in."""

    file: str
    line: int
    before: str
    after: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}\n- {self.before}\n+ {self.after}"


@dataclass
class Score:
    """What became of a lab's drawn mutants."""

    lab: Lab
    killed: int
    survivors: list[Survivor]
    of_ledger: int
    not_judged: list[str]

    @property
    def share(self) -> float:
        counted = self.killed + len(self.survivors)
        return self.killed / counted if counted else 1.0


def mutants(lab: Lab) -> list[Mutant]:
    """Every mechanical change of what a learner writes: of the solution's lines that the starter has not."""
    found = []
    for name in lab.edit:
        if name.endswith(".py"):
            source = (SOLUTIONS / lab.name / name).read_text(encoding="utf-8")
            given = _given(source, (judging.starter(lab) / name).read_text(encoding="utf-8"))
            found += [one for one in _of_file(name, source) if one.place[0] not in given]
    return found


def _given(source: str, starter: str) -> set[int]:
    """The numbers of the lines that stand in the starter."""
    match = difflib.SequenceMatcher(None, starter.splitlines(), source.splitlines(), autojunk=False)
    return {
        number + 1 for block in match.get_matching_blocks() for number in range(block.b, block.b + block.size)
    }


def _of_file(name: str, source: str) -> Iterator[Mutant]:
    left_out, nodes = list(_annotations(source)), list(ast_nodes(get_ast(source)))
    for operator in operator_names():
        if operator in WITHOUT:
            continue
        made = get_operator(operator)()
        found = (place for node in nodes for place, _ in made.mutation_positions(node))
        for occurrence, place in enumerate(found):
            if not any(begin <= place < end for begin, end in left_out):
                yield Mutant(name, operator, occurrence, place)


def _annotations(source: str) -> Iterator[tuple[Place, Place]]:
    """Where annotations stand: nothing reads them when the program runs."""
    for node in ast.walk(ast.parse(source)):
        for one in (getattr(node, "annotation", None), getattr(node, "returns", None)):
            if isinstance(one, ast.expr):
                assert one.end_lineno is not None and one.end_col_offset is not None
                yield (one.lineno, one.col_offset), (one.end_lineno, one.end_col_offset)


def draw(lab: Lab, count: int, rng: random.Random) -> list[Mutant]:
    """`count` of them; a place is drawn first: an operator with many variants is drawn no more often."""
    places: dict[tuple[str, Place], list[Mutant]] = defaultdict(list)
    for one in mutants(lab):
        places[one.file, one.place].append(one)
    chosen = rng.sample(sorted(places), min(count, len(places)))
    return [rng.choice(places[place]) for place in chosen]


def ledger(lab: Lab) -> dict[tuple[str, str, str | None], str]:
    """The reasons of changes that mean nothing, by file and by the line before and after (None: any)."""
    rows = _tables(lab).get("mutant", [])
    return {(row["file"], row["before"], row.get("after")): row["reason"] for row in rows}


def later_labs(lab: Lab, mutant: Mutant, source: str) -> list[Lab]:
    """The labs that call the function in which the mutant is, where the lab's own lesson does not."""
    row = _tables(lab).get("called_later", {"functions": [], "labs": []})
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name in row["functions"]:
            first = min(one.lineno for one in (node, *node.decorator_list))
            if first <= mutant.place[0] <= (node.end_lineno or first):
                return [find(str(number)) for number in row["labs"]]
    return []


def _tables(lab: Lab) -> dict[str, Any]:
    path = LEDGERS / f"{lab.name}.toml"
    return tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}


class Judge:
    """A warm process that judges mutants, one after the other."""

    def __init__(self, place: Path) -> None:
        self.place = place
        self.warm = WarmRuns(judging.environment(), "tests.judge_server")

    def code(self, lab: Lab, mutant: Mutant, changed: str) -> int | None:
        """The exit code of `workshop check` on a lab's solution with it; None when it did not end.

        A later lab imports the file from the references of earlier ones: there it is found first.
        """
        target = self.place / "target"
        shutil.copytree(SOLUTIONS / lab.name, target, ignore=shutil.ignore_patterns("__pycache__"))
        try:
            (target / mutant.file).write_text(changed, encoding="utf-8")
            words = ["check", str(lab.number), "--target", str(target)]
            self.warm.begin(words, out=str(self.place / "out"), seconds=judging.SECONDS)
            return self.warm.code()
        finally:
            shutil.rmtree(target)


def survivor(mutant: Mutant, source: str, changed: str) -> Survivor:
    lines = list(difflib.ndiff(source.splitlines(), changed.splitlines()))
    before = " ".join(line[2:].strip() for line in lines if line.startswith("- "))
    after = " ".join(line[2:].strip() for line in lines if line.startswith("+ "))
    return Survivor(mutant.file, mutant.place[0], before, after)


def score(lab: Lab, count: int, seed: str, seats: int = 1) -> Score:
    """Judge `count` drawn mutants of a lab, `seats` at a time."""
    chosen, result = draw(lab, count, random.Random(f"{seed}:{lab.name}")), Score(lab, 0, [], 0, [])
    sources = {
        name: (SOLUTIONS / lab.name / name).read_text(encoding="utf-8")
        for name in {mutant.file for mutant in chosen}
    }
    with tempfile.TemporaryDirectory(prefix="mutants-") as place:

        def work(number: int) -> None:
            folder = Path(place) / str(number)
            folder.mkdir()
            judge = Judge(folder)
            try:
                for mutant in chosen[number::seats]:
                    changed = mutant.code(sources[mutant.file])
                    code = judge.code(lab, mutant, changed)
                    for later in later_labs(lab, mutant, sources[mutant.file]):
                        code = judge.code(later, mutant, changed) if code == 0 else code
                    note(result, survivor(mutant, sources[mutant.file], changed), code)
            finally:
                judge.warm.end()

        with ThreadPoolExecutor(seats) as pool:
            list(pool.map(work, range(seats)))
    return result


def note(result: Score, change: Survivor, code: int | None) -> None:
    if code in (None, 1):
        result.killed += 1
    elif code != 0:
        result.not_judged.append(f"{change} (exit code {code})")
    elif any((change.file, change.before, after) in ledger(result.lab) for after in (change.after, None)):
        result.of_ledger += 1
    else:
        result.survivors.append(change)


def row(result: Score) -> str:
    said = f"{result.lab.name:<28}{result.killed:>4} killed, {len(result.survivors)} survived"
    said += f", {result.of_ledger} equivalent: {result.share:.0%}"
    return said + (f"; {len(result.not_judged)} not judged" if result.not_judged else "")


def main(labs: list[Lab], count: int, seed: str) -> int:
    good = True
    for lab in labs:
        result = score(lab, count, seed, os.cpu_count() or 1)
        print(row(result), flush=True)
        for one in (*result.survivors, *result.not_judged):
            print("    " + str(one).replace("\n", "\n    "), flush=True)
        good = good and result.share >= WANTED and not result.not_judged
    print(f"drawn with SEED={seed} N={count}")
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--lab", type=find, help="one lab's (all)")
    parser.add_argument("--seed", default="", help="what the mutants are drawn with (a new one)")
    parser.add_argument("-n", type=int, default=40, help="how many of a lab")
    chosen = parser.parse_args()
    labs = [chosen.lab] if chosen.lab else list(all_labs())
    sys.exit(main(labs, chosen.n, chosen.seed or str(secrets.randbelow(10**6))))
