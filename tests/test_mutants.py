"""A drawn sample of mutants, and the ledgers of those that mean nothing. `make mutants` draws more."""

from __future__ import annotations

import difflib

import pytest

from tests import mutants, proof_parts
from workshop.labs import Lab, all_labs
from workshop.paths import SOLUTIONS

DRAWN = 4
each_lab = pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)


@pytest.mark.whole("samples of mutants")
@each_lab
def test_a_sample_is_killed(lab: Lab) -> None:
    """Of few, some may survive by chance, never all; what survives is printed, to be looked at."""
    result = mutants.score(lab, DRAWN, proof_parts.seed())
    print(mutants.row(result), *result.survivors, sep="\n")
    assert not result.not_judged
    assert len(result.survivors) < DRAWN, "\n".join(map(str, result.survivors))


@each_lab
def test_a_ledger_s_changes_are_of_the_solution_as_it_is(lab: Lab) -> None:
    for (name, before, after), reason in mutants.ledger(lab).items():
        lines = (SOLUTIONS / lab.name / name).read_text(encoding="utf-8").splitlines()
        assert " ".join(before.split()) in " ".join(" ".join(lines).split()), f"{name}: {before}"
        assert before != after and len(reason.split()) > 3


def test_annotations_are_left_out_and_the_draw_is_the_seed_s() -> None:
    source = "def half(n: int | None = 2) -> int | None:\n    return n / 2 if n else None\n"
    changed = [one.code(source) for one in mutants._of_file("app.py", source)]
    assert changed and all("n: int | None =" in one and "-> int | None" in one for one in changed)
    (removed,) = {line for one in changed for line in difflib.ndiff([source], [one]) if line.startswith("- ")}
    assert removed == f"- {source}"
