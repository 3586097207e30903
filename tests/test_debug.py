"""`make debug-N`: the same checks, with the learner's code where breakpoint() works, and no points."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import judging
from workshop.labs import find
from workshop.paths import ROOT


def debug(number: str, target: Path, *words: str, typed: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "workshop", "debug", number, "--target", str(target), *words]
    env = judging.environment()
    return subprocess.run(
        command, cwd=ROOT, env=env, input=typed, capture_output=True, text=True, timeout=60, check=False
    )


def mistaken(number: str, name: str, folder: Path) -> Path:
    lab = find(number)
    (mistake,) = (one for one in judging.mistakes(lab) if one.name == name)
    return judging.with_mistake(lab, mistake, folder)


def test_breakpoint_stops_in_the_learners_code(tmp_path: Path) -> None:
    target = judging.starter(find("1"))
    code = (target / "app.py").read_text(encoding="utf-8")
    (tmp_path / "app.py").write_text(
        code.replace(
            'raise NotImplementedError("lab 1 task 1',
            'breakpoint()\n    raise NotImplementedError("lab 1 task 1',
            1,
        )
    )
    done = debug("1", tmp_path, "-k", "returns_an_iterable", typed="p environ['REQUEST_METHOD']\nc\n")
    said = done.stdout + done.stderr
    assert "(Pdb)" in said and "'GET'" in said, said
    assert "NotImplementedError: lab 1 task 1" in said, said


def test_a_failing_server_is_explained_as_ever(tmp_path: Path) -> None:
    target = mistaken("5", "the path is not decoded", tmp_path)
    done = debug("5", target, "-k", "path_is_decoded")
    said = done.stdout + done.stderr
    assert "✗ task 1 · PATH_INFO is percent-decoded" in said and "got       PATH_INFO =" in said, said
    assert "workshop's own" not in said and "Traceback" not in said, said
