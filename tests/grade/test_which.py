"""Which lab a class is of, found by what is left of the starter; refused where that is not plain."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.grade.make_class import make
from workshop.errors import Refusal
from workshop.grade.submissions.which_lab import lab_of
from workshop.labs import Lab, all_labs, find
from workshop.paths import SOLUTIONS


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_a_class_says_which_lab_it_is_of(lab: Lab, tmp_path: Path) -> None:
    make(lab, tmp_path, 12)
    assert lab_of(tmp_path) == lab


def test_a_mixed_class_is_of_no_lab(tmp_path: Path) -> None:
    """Names are no help: server.py is lab 5's and lab 11's."""
    for number in ("5", "11"):
        (tmp_path / f"student{number}").mkdir()
        shutil.copy(find(number).folder / ".starter" / "server.py", tmp_path / f"student{number}")
    with pytest.raises(Refusal, match=r"may be of lab (5 or of lab 11|11 or of lab 5): say which"):
        lab_of(tmp_path)


def test_what_is_no_lab_s_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "server.py").write_text("print('hello')\n")
    with pytest.raises(Refusal, match="looks like a lab's"):
        lab_of(tmp_path)
    shutil.copy(SOLUTIONS / "05-wsgi-server" / "server.py", tmp_path / "ada")
    assert lab_of(tmp_path).number == 5
