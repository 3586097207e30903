"""Adding a lab is adding its folders: a twentieth, in a copy, is listed, red, green and graded."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.judging import environment
from workshop.grade.sandboxes import choose_sandbox
from workshop.paths import ROOT

NAME = "20-tiny"
TOML = """
title = "Tiny"
minutes = 5
part = "Patterns"
summary = "One function."
edit = ["tiny.py"]

[services.main]
command = "gunicorn shown:application --bind {host}:{port} --no-control-socket"
at = "/"

[[tasks]]
title = "double"
[tasks.checks]
test_task1_doubles = 1
test_task1_is_served = 1
"""
CHECKS = '''
from twice import twice

from workshop.judge.checks import check, expect


@check(task=1, rule="the lesson")
def test_task1_doubles(probe, rng):
    """double() doubles"""
    number = rng.randrange(100)
    expect("double(n)", probe.call("tiny:double", number), twice(number))


@check(task=1, rule="the lesson")
def test_task1_is_served(front, rng):
    """The service answers with it"""
    number = rng.randrange(100)
    expect("the body", front.get(f"/?{number}").text, str(twice(number)))
'''
APP = """
import tiny


def application(environ, start_response):
    body = str(tiny.double(int(environ["QUERY_STRING"]))).encode()
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]
"""
STARTER = 'def double(number):\n    raise NotImplementedError("lab 20 task 1: double")\n'
SOLVED = "def double(number):\n    return 2 * number\n"
MISTAKE = """
[[mistake]]
task = 1
name = "triples"
file = "tiny.py"
find = "2 * number"
replace = "3 * number"
check = "test_task1_doubles"
phrase = "double(n)"
"""
FILES = {
    f"labs/{NAME}/lab.toml": TOML,
    f"labs/{NAME}/test_tiny.py": CHECKS,
    f"labs/{NAME}/checks/twice.py": "def twice(number):\n    return number + number\n",
    f"labs/{NAME}/apps/shown.py": APP,
    f"labs/{NAME}/tiny.py": STARTER,
    f"labs/{NAME}/.starter/tiny.py": STARTER,
    f"solutions/{NAME}/tiny.py": SOLVED,
    f"solutions/{NAME}/NOTES.md": "# Notes\n",
    f"tests/mistakes/{NAME}.toml": MISTAKE,
    f"tests/oracles/{NAME}/tiny.py": "from operator import add\n\n\ndef double(n):\n    return add(n, n)\n",
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The repository's own files, as git knows them, with a lab more and nothing else touched."""
    place = tmp_path_factory.mktemp("copy") / "workshop"
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, place / name)
    for name, text in FILES.items():
        assert not (place / name).exists()
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text, encoding="utf-8")
    yield place
    shutil.rmtree(place)


def run(copy: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "workshop", *words],
        cwd=copy,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def judged(copy: Path, *words: str) -> dict[str, str]:
    done = run(copy, "check", "20", "--all", "--json", *words)
    return {one["name"]: one["verdict"] for one in json.loads(done.stdout)["checks"]}


def test_it_is_listed(copy: Path) -> None:
    assert "Tiny" in run(copy, "progress").stdout


def test_its_starter_is_red_and_right_code_green(copy: Path) -> None:
    checks = ["test_task1_doubles", "test_task1_is_served"]
    assert judged(copy) == dict.fromkeys(checks, "FAIL")
    assert judged(copy, "--target", "solution") == dict.fromkeys(checks, "PASS")
    assert judged(copy, "--target", "oracle") == dict.fromkeys(checks, "PASS")


def test_its_proof_runs_with_the_others(copy: Path) -> None:
    """tests/test_labs.py, which no lab's number is in, finds its mistake."""
    words = [
        "-m",
        "pytest",
        "-q",
        "tests/test_labs.py",
        "-k",
        f"{NAME} and mistake_is_caught",
    ]
    done = subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble())
def test_it_is_graded(copy: Path, tmp_path: Path) -> None:
    for student, text in {"ada": SOLVED, "bob": STARTER}.items():
        (tmp_path / "class" / student).mkdir(parents=True)
        (tmp_path / "class" / student / "tiny.py").write_text(text)
    done = run(copy, "grade", str(tmp_path / "class"), "--lab", "20", "--out", str(tmp_path / "out"))
    assert done.returncode == 0, done.stdout + done.stderr
    with (tmp_path / "out" / "summary.csv").open(encoding="utf-8") as file:
        points = {row["id"]: row["raw"] for row in csv.DictReader(file)}
    assert points == {"ada": "2", "bob": "0"}
