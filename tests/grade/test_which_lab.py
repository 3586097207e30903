"""Which lab a class is of, found by what is left of the starter; refused where that is not plain."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.grade.make_class import make
from workshop.errors import Refusal
from workshop.grade.submissions.class_roster import Person
from workshop.grade.submissions.collect import Submission
from workshop.grade.submissions.which_lab import lab_of, see_that_it_fits
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
    with pytest.raises(Refusal, match=r"Of 2 submissions in .* 1 of lab 5, 1 of lab 11: say which"):
        lab_of(tmp_path)


def test_what_is_no_lab_s_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ada").mkdir()
    (tmp_path / "ada" / "server.py").write_text("print('hello')\n")
    with pytest.raises(Refusal, match="looks like a lab's"):
        lab_of(tmp_path)
    shutil.copy(SOLUTIONS / "05-wsgi-server" / "server.py", tmp_path / "ada")
    assert lab_of(tmp_path).number == 5


def test_one_stray_file_of_another_lab_moves_nobody(tmp_path: Path) -> None:
    make(find("5"), tmp_path, 6, ["solution", "mistake"])
    (tmp_path / "mallory").mkdir()
    shutil.copy(find("11").folder / ".starter" / "server.py", tmp_path / "mallory")
    assert lab_of(tmp_path).number == 5


def handed_in(*files: str) -> list[Submission]:
    made = []
    for number, file in enumerate(files):
        one = Submission(Person(f"s{number}", ""), 1)
        if file:
            one.files[file] = b"x"
        else:
            one.trouble.append("there is no server.py in it")
        made.append(one)
    return made


def test_a_class_that_has_not_what_the_lab_asks_for_is_refused() -> None:
    lab = find("5")
    most = handed_in("server.py", "", "")
    with pytest.raises(Refusal, match="2 of 3 submissions have not the files of lab 5"):
        see_that_it_fits(lab, most, was_named=False)
    assert "2 of 3" in see_that_it_fits(lab, most, was_named=True)
    with pytest.raises(Refusal, match="2 of 2"):
        see_that_it_fits(lab, handed_in("", ""), was_named=True)
    assert see_that_it_fits(lab, handed_in("server.py", "server.py", ""), was_named=False) == ""
