"""The layout for plagiarism detectors, and copydetect, with a program in its place and without one."""

from __future__ import annotations

import csv
import json
import os
import shutil
import sys
from pathlib import Path

import pytest

from tests.judging import run, starter
from workshop.grade.results import plagiarism_folder
from workshop.grade.submissions.class_roster import Person
from workshop.grade.submissions.collect import Submission
from workshop.labs import find
from workshop.paths import SOLUTIONS

LAB = find("5")
FILE = LAB.edit[0]
SOLUTION = (SOLUTIONS / LAB.name / FILE).read_bytes()
HOSTILE = [
    "=HYPERLINK(1)",
    "../../up",
    "a\nb",
    "ADA",
    "ada",
    "x" * 300,
    "\u202eevil",
    "..",
    "CON",
    "-rf",
    "@sum",
]
FAKE = """#!{python}
import json, pathlib, sys
words = sys.argv[1:]
place = pathlib.Path({place!r})
(place / "words.json").write_text(json.dumps(words))
if {writes}:
    pathlib.Path(words[words.index("-O") + 1]).write_text("report")
sys.stderr.write("what it said")
sys.exit({code})
"""


def a_class() -> list[Submission]:
    people = [Person(name, name) for name in HOSTILE]
    return [Submission(person, 1, {FILE: b"x = 1\n"}) for person in people]


def fake(folder: Path, code: int = 0, writes: bool = True) -> str:
    """A program of copydetect's name that notes how it was called; the PATH on which it is."""
    folder.mkdir()
    program = folder / "copydetect"
    text = FAKE.format(python=sys.executable, place=str(folder), writes=writes, code=code)
    program.write_text(text)
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def rows(out: Path) -> list[dict[str, str]]:
    with (out / "info.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_names_are_made_harmless_and_stay_apart(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    assert plagiarism_folder.lay_out(LAB, a_class(), out) == len(HOSTILE)
    places = [path.relative_to(out / "submissions") for path in out.glob("submissions/*/*")]
    assert len({str(path).lower() for path in places}) == len(HOSTILE)
    assert all(len(path.parts) == 2 and path.name == FILE and len(str(path)) < 120 for path in places)
    assert {path.name for path in tmp_path.rglob("*") if not path.is_relative_to(out)} == {"deep"}
    found = rows(out)
    assert len(found) == len(HOSTILE)
    for row in found:  # Dolos reads each path from where info.csv stands
        assert (out / row["filename"]).read_bytes() == b"x = 1\n"
        assert not any(value.startswith(("=", "+", "-", "@", "\t", "\r")) for value in row.values()), row
        assert "\u202e" not in row["full_name"] and "\n" not in row["full_name"]


def test_what_everybody_was_given_is_beside_it(tmp_path: Path) -> None:
    plagiarism_folder.lay_out(LAB, a_class(), tmp_path)
    assert (tmp_path / "base" / FILE).read_bytes() == (starter(LAB) / FILE).read_bytes()
    assert (tmp_path / "solution" / FILE).read_bytes() == SOLUTION
    said = plagiarism_folder.by_hand(tmp_path)
    assert f"-l python3 -bc {tmp_path}/base {tmp_path}/submissions" in said  # JPlag: a folder a submission
    assert f"dolos run -f web -l python -i {tmp_path}/base/{FILE} {tmp_path}/info.csv" in said


def test_who_is_gone_from_the_class_is_gone_from_the_layout(tmp_path: Path) -> None:
    plagiarism_folder.lay_out(LAB, a_class(), tmp_path)
    plagiarism_folder.lay_out(LAB, a_class()[:2], tmp_path)
    assert len(list((tmp_path / "submissions").iterdir())) == len(rows(tmp_path)) == 2


def test_a_submission_without_files_is_left_out(tmp_path: Path) -> None:
    none = Submission(Person("none", "none"), 1, trouble=["nothing was handed in"])
    assert plagiarism_folder.lay_out(LAB, [none, a_class()[0]], tmp_path) == 1
    assert len(rows(tmp_path)) == 1


def test_copydetect_is_called_on_the_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", fake(tmp_path / "bin"))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    out = tmp_path / "out"
    plagiarism_folder.lay_out(LAB, a_class(), out)
    assert plagiarism_folder.detect(out).startswith(str(out / "copydetect.html"))
    words = json.loads((tmp_path / "bin" / "words.json").read_text())
    assert words == [
        *("-t", f"{out}/submissions", "-r", f"{out}/submissions", f"{out}/solution"),
        *("-b", f"{out}/base", "-e", "py", "-O", f"{out}/copydetect.html", "-a"),
    ]


@pytest.mark.parametrize(("code", "writes"), [(1, True), (0, False)])
def test_a_copydetect_that_fails_is_told_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, writes: bool
) -> None:
    monkeypatch.setenv("PATH", fake(tmp_path / "bin", code, writes))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    out = tmp_path / "out"
    plagiarism_folder.lay_out(LAB, a_class(), out)
    (out / "copydetect.html").write_text("of an earlier time")
    assert plagiarism_folder.detect(out).startswith("copydetect failed: what it said\nBy hand:")


def test_without_copydetect_it_says_how(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    plagiarism_folder.lay_out(LAB, a_class(), tmp_path / "out")
    assert plagiarism_folder.detect(tmp_path / "out").startswith(
        "copydetect is not installed (pip install copydetect)."
    )


def test_the_command(tmp_path: Path) -> None:
    for name in ("ada", "bob"):
        (tmp_path / "in" / name).mkdir(parents=True)
        (tmp_path / "in" / name / FILE).write_bytes(SOLUTION)
    done = run("similar", str(tmp_path / "in"), "--lab", "5")
    assert done.returncode == 0, done.stderr
    assert f"2 submissions: {tmp_path / 'in-similar'}" in done.stdout and "By hand:" in done.stdout
    assert len(rows(tmp_path / "in-similar")) == 2


@pytest.mark.skipif(shutil.which("copydetect") is None, reason="copydetect is not installed")
def test_the_real_one_finds_a_copy(tmp_path: Path) -> None:
    twins = [Submission(Person(name, name), 1, {FILE: SOLUTION}) for name in ("ada", "bob")]
    plagiarism_folder.lay_out(LAB, twins, tmp_path)
    assert plagiarism_folder.detect(tmp_path).startswith(str(tmp_path / "copydetect.html"))
    report = (tmp_path / "copydetect.html").read_text(encoding="utf-8")
    assert "ada@1" in report and "bob@1" in report
