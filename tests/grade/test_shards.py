"""A class in parts: put together, it is what the whole would have been, byte by byte, or it is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests import judging
from tests.grade.make_class import kinds
from tests.grade.test_batch import LAB
from workshop.grade.sandboxes import choose_sandbox
from workshop.paths import SOLUTIONS

SECONDS = 600.0
EXPORT = b"Student,ID,Lab 5\r\nada,1,\r\nbob,2,\r\nzoe,3,9\r\n"

pytestmark = [
    pytest.mark.whole("classes in sandboxes"),
    pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()),
]


def workshop(*words: object) -> subprocess.CompletedProcess[str]:
    return judging.run(*map(str, words), seconds=SECONDS)


def files_of(out: Path) -> dict[str, bytes]:
    """All results, without what a run says of itself: times are no two runs' the same."""
    paths = [*out.glob("students/*/*"), out / "index.html", out / "summary.csv"]
    kept = [path for path in paths if path.name not in ("run.json", "timelines.js", "transcript.txt")]
    return {str(path.relative_to(out)): path.read_bytes() for path in kept}


@pytest.fixture(scope="module")
def graded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a class, and its results: `whole`, `part1`, `part2` and `part3`."""
    folder = tmp_path_factory.mktemp("shards")
    solution = (SOLUTIONS / LAB.name / "server.py").read_text(encoding="utf-8")
    wrong = kinds(LAB)["mistake"][0][1]["server.py"].decode()
    texts = {"ada": solution, "bob": "def x(:", "cem": wrong, "dan": solution, "eve": ""}
    for name, text in texts.items():
        (folder / "in" / name).mkdir(parents=True)
        (folder / "in" / name / "server.py").write_text(text)
    (folder / "in" / "ada@2").mkdir()
    (folder / "in" / "ada@2" / "server.py").write_text("def y(:")
    for out, words in {"whole": [], **{f"part{k}": ["--shard", f"{k}/3"] for k in (1, 2, 3)}}.items():
        done = workshop("grade", folder / "in", "--lab", 5, "--seed", 3, "--out", folder / out, *words)
        assert done.returncode == 0, done.stderr
    return folder


def parts(folder: Path) -> list[Path]:
    return [folder / f"part{k}" for k in (1, 2, 3)]


def test_parts_make_the_whole(graded: Path, tmp_path: Path) -> None:
    people = [{path.name for path in (part / "students").iterdir()} for part in parts(graded)]
    assert sorted(name for part in people for name in part) == ["ada", "bob", "cem", "dan", "eve"]
    (tmp_path / "canvas.csv").write_bytes(EXPORT)
    words = ["--export", tmp_path / "canvas.csv", "--column", "Lab 5"]
    done = workshop("merge", *parts(graded), "--out", tmp_path / "all", *words)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "all" / "canvas.csv").read_bytes() == EXPORT.replace(b"1,\r", b"1,30\r").replace(
        b"2,\r", b"2,0\r"
    )
    (tmp_path / "all" / "canvas.csv").unlink()
    assert files_of(tmp_path / "all") == files_of(graded / "whole")


def test_more_parts_than_students_are_merged_too(graded: Path, tmp_path: Path) -> None:
    words = ["--seed", 3, "--out", tmp_path / "nobody", "--shard", "6/6"]
    done = workshop("grade", graded / "in", "--lab", 5, *words)
    assert done.returncode == 0 and done.stdout.startswith("0 students"), done.stderr
    done = workshop("merge", *parts(graded), tmp_path / "nobody", "--out", tmp_path / "all")
    assert done.returncode == 0, done.stderr
    assert files_of(tmp_path / "all") == files_of(graded / "whole")


@pytest.mark.parametrize("text", ["0/3", "4/3", "x", "1/", "/3", "1/0", "-1/3", "1/3/5", "²/3"])
def test_no_such_part(text: str, graded: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = workshop("grade", graded / "in", "--lab", 5, "--out", out, f"--shard={text}")
    assert_refused(done, f"--shard {text} can't be used: give K/N", out)


def assert_refused(done: subprocess.CompletedProcess[str], phrase: str, out: Path) -> None:
    """One line, exit code 2, and nothing written."""
    assert done.returncode == 2, done.stderr
    assert phrase in done.stderr and done.stderr.count("\n") == 1 and not done.stdout
    assert not out.exists()


def test_a_student_in_two_parts(graded: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(graded / "part1", copy)
    again = workshop("merge", *parts(graded), copy, "--out", tmp_path / "same")
    assert again.returncode == 0, again.stderr
    path = copy / "students" / "ada" / "results.json"
    data = json.loads(path.read_text())
    path.write_text(json.dumps({**data, "score": 1}))
    done = workshop("merge", *parts(graded), copy, "--out", tmp_path / "all")
    assert_refused(done, "ada is in two parts, with different results", tmp_path / "all")


def test_parts_with_different_seeds(graded: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    words = ["--seed", 4, "--shard", "3/3", "--out", other]
    assert workshop("grade", graded / "in", "--lab", 5, *words).returncode == 0
    done = workshop("merge", *parts(graded)[:2], other, "--out", tmp_path / "all")
    assert_refused(done, "give each shard the same --seed", tmp_path / "all")


def test_a_part_that_is_not_there_or_empty(graded: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for name in ("empty", "missing"):
        done = workshop("merge", graded / "part1", tmp_path / name, "--out", tmp_path / "all")
        assert_refused(done, f"There are no results in {tmp_path / name}", tmp_path / "all")


def test_a_part_that_is_damaged(graded: Path, tmp_path: Path) -> None:
    shutil.copytree(graded / "part2", tmp_path / "part2")
    path = tmp_path / "part2" / "students" / "bob" / "results.json"
    path.write_bytes(path.read_bytes()[:-9])
    done = workshop("merge", graded / "part1", tmp_path / "part2", "--out", tmp_path / "all")
    assert_refused(done, "bob can't be read", tmp_path / "all")


def test_a_part_that_was_forgotten(graded: Path, tmp_path: Path) -> None:
    roster = tmp_path / "people.csv"
    roster.write_text("id\nada\nbob\ncem\ndan\neve\n")
    words = ["--roster", roster, "--out", tmp_path / "all"]
    assert_refused(workshop("merge", *parts(graded)[:2], *words), "is in no part", tmp_path / "all")
    assert workshop("merge", *parts(graded), *words).returncode == 0
