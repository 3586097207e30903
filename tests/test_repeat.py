"""Repeated runs agree while one core is kept busy. REPEATS=100 for the long version."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests import judging
from workshop.labs import Lab, all_labs

REPEATS = int(os.environ.get("REPEATS", "2"))


@contextmanager
def one_core_busy() -> Iterator[None]:
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as hog:
        try:
            yield
        finally:
            hog.kill()


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_repeated_runs_agree(lab: Lab) -> None:
    with one_core_busy():
        for number in range(REPEATS):
            result = judging.judge(lab, "solution", "--seed", str(number))
            assert result["verdict"] == "PASS", f"run {number}: {judging.failures(result)}"
