"""The watch: a verdict on every save, of the text that was saved last; keys; and nothing is left."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests import judging
from tests.terminal import PROMPT, SECONDS, pid_of, watched
from tests.test_bad_input import assert_all_gone
from workshop.labs import find
from workshop.paths import SOLUTIONS

LAB = find("2")
FILE = LAB.edit[0]


@pytest.fixture(name="target")
def target_fixture(tmp_path: Path) -> Path:
    """The starter, in a folder of its own."""
    target = tmp_path / "target"
    shutil.copytree(judging.starter(LAB), target)
    return target


def solution() -> str:
    return (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8")


def test_a_save_brings_a_verdict_of_what_was_saved(target: Path) -> None:
    with watched("2", target, judging.environment()) as terminal:
        (target / FILE).write_text(solution(), encoding="utf-8")
        said = terminal.await_text(PROMPT)
        assert f"{FILE} saved" in said and "15 of 15 checks pass" in said.replace("\r\n", "\n"), said
        (target / FILE).write_text("1 / 0\n", encoding="utf-8")
        assert "ZeroDivisionError" in terminal.await_text(PROMPT)
        terminal.type("q")
        assert terminal.process.wait(SECONDS) == 0
    assert_all_gone(target)
    assert not list(target.rglob("*.pyc")), "nothing is written into the learner's folder"


def test_a_save_in_the_middle_ends_the_verdict_that_runs(target: Path) -> None:
    """The text that is there in the end is judged, however many came before."""
    with watched("2", target, judging.environment()) as terminal:
        for text in ("while True: pass\n", solution()):
            (target / FILE).write_text(text, encoding="utf-8")
            terminal.await_text(f"{FILE} saved")
        assert "15 of 15 checks pass" in terminal.await_text(PROMPT)
    assert_all_gone(target)


def test_what_a_failed_check_left_is_gone_when_a_key_asks_again(tmp_path: Path) -> None:
    """A task that no answer can hold, since task 2: task 1 is not to fail for it when everything is run."""
    lab = find("4")
    target = tmp_path / "target"
    shutil.copytree(SOLUTIONS / lab.name, target)
    text = (target / "app.py").read_text(encoding="utf-8")
    for old, new in (
        ("json.dumps(value).encode()", "json.dumps(value, ensure_ascii=False).encode()"),
        ('return not any("\\ud800" <= char <= "\\udfff" for char in value)', "return True"),
    ):
        assert old in text
        text = text.replace(old, new)
    (target / "app.py").write_text(text, encoding="utf-8")
    with watched("4", target, judging.environment()) as terminal:
        terminal.type("a")
        said = terminal.await_text(PROMPT)
        assert "✗ task 2" in said and "✗ task 1" not in said, said


def test_a_warm_process_that_is_ended_is_made_again(target: Path) -> None:
    with watched("2", target, judging.environment()) as terminal:
        os.kill(pid_of(terminal, "workshop.warm_runs"), signal.SIGKILL)
        terminal.type("r")
        assert "NotImplementedError" in terminal.await_text(PROMPT)
        terminal.type("q")
        assert terminal.process.wait(SECONDS) == 0
    assert_all_gone(target)
