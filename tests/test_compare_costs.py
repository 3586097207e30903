"""What real implementations cost: the numbers that are recorded, and how they are made."""

from __future__ import annotations

import shutil

import pytest

from tests import judging
from workshop.compare import recorded_costs, service_costs
from workshop.compare.implementations import compared_labs, implementations, read_toml
from workshop.compare.recorded_costs import REFERENCE, cell, medians
from workshop.errors import Refusal
from workshop.labs import Lab, find

LABS = [lab for lab in compared_labs() if recorded_costs.is_measured(lab)]
RECORDED = [lab for lab in LABS if recorded_costs.path_of(lab).exists()]
measured = pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)


@pytest.mark.parametrize("lab", RECORDED, ids=lambda lab: lab.name)
def test_every_implementation_has_its_costs(lab: Lab) -> None:
    data = recorded_costs.load(lab)
    assert data is not None
    assert list(data["costs"]) == [*(one.name for one in implementations(lab)), REFERENCE]
    reference, beside = (data["costs"][name] for name in (REFERENCE, read_toml(lab)["costs"]["beside"]))
    assert reference and beside and all(reference.values())
    measured = [value for found in data["costs"].values() for value in found.values() if value is not None]
    assert min(measured) > 0


@measured
def test_the_solution_can_be_measured(lab: Lab) -> None:
    if "quick" in read_toml(lab)["costs"] and shutil.which("wrk") is None:
        pytest.skip("wrk is not installed: requests a second can't be measured here")
    found = service_costs.measured(lab, "solution")
    assert found and all(value is not None for value in found.values()), found


def test_a_median_is_of_every_round_or_none() -> None:
    assert medians([{"rate": 1.0, "idle": None}, {"rate": 9.0, "idle": 2.0}, {"rate": 2.0, "idle": 2.0}]) == {
        "rate": 2.0,
        "idle": None,
    }
    assert medians([{}, {"rate": 1.0}, {"rate": 1.0}]) == {"rate": None}


def test_a_cell_has_the_number_and_its_ratio() -> None:
    assert cell(9291.91, 4000.0) == "9,292 (2.3 ×)"
    assert cell(1.66, 0.83) == "1.7 (2 ×)"
    assert cell(1.66, None) == "1.7"
    assert cell(None, 1.0) == "–"


def test_a_lab_without_a_server_of_its_own_is_refused_in_one_line() -> None:
    done = judging.run("compare", "7", "--costs")
    assert done.returncode == 2
    assert done.stderr == "Of lab 7 there is nothing to measure: it has no server of its own.\n", done.stderr


def test_without_wrk_one_line_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(Refusal, match="needs wrk, which is not on PATH: apt install wrk"):
        recorded_costs.measure(find("5"), [], yours=False)
