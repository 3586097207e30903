"""Repeated runs agree on a busy machine. REPEATS=100 for the long version.

Beside other tests (pytest -n) the machine is busy with them; otherwise one core is kept busy here.
"""

from __future__ import annotations

import os
from contextlib import nullcontext

import pytest

from tests import judging
from tests.flakes import busy_core
from workshop.labs import Lab, all_labs

REPEATS = int(os.environ.get("REPEATS", "2"))


@pytest.mark.whole("repeats")
@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_repeated_runs_agree(lab: Lab) -> None:
    with nullcontext() if "PYTEST_XDIST_WORKER" in os.environ else busy_core():
        for number in range(REPEATS):
            result = judging.judge(lab, "solution", "--seed", str(number))
            assert result["verdict"] == "PASS", f"run {number}: {judging.failures(result)}"
