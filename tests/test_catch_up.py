"""`make catch-up LAB=5`: ready to begin, with whatever somebody wrote still there."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import pytest

from tests import judging
from workshop.labs import Lab, find
from workshop.learn.catch_up import catch_up


@pytest.fixture(name="lab")
def lab_fixture(tmp_path: Path) -> Lab:
    """A lab whose folder is a copy, with the starter in it."""
    lab = find("5")
    shutil.copytree(judging.starter(lab), tmp_path / "lab")
    shutil.copytree(judging.starter(lab), tmp_path / "lab" / ".starter")
    return dataclasses.replace(lab, folder=tmp_path / "lab")


def test_a_lab_not_begun_is_ready_and_its_command_is_named(lab: Lab) -> None:
    said = catch_up(lab)
    assert said[1].endswith(": the starter") and said[-1] == "Next: make lab-5"


def test_work_that_is_there_stays(lab: Lab) -> None:
    mine = lab.folder / lab.edit[0]
    mine.write_text("# mine\n", encoding="utf-8")
    assert "your own work" in catch_up(lab)[1]
    assert mine.read_text(encoding="utf-8") == "# mine\n"


def test_a_file_that_is_gone_comes_back(lab: Lab) -> None:
    mine = lab.folder / lab.edit[0]
    mine.unlink()
    assert "is the starter's again" in catch_up(lab)[1]
    assert mine.read_bytes() == (judging.starter(lab) / lab.edit[0]).read_bytes()


def test_whose_layers_are_lent_is_said() -> None:
    said = "\n".join(catch_up(find("19")))
    assert "It runs on" in said and "15-uvicorn-main" in said


def test_bad_input_gets_one_line() -> None:
    done = judging.run("catch-up", "77")
    assert done.returncode == 2 and done.stderr.startswith("There is no lab '77'.")
