"""The command under `again` is to be copied: it asks the same target what was asked when the check failed."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import judging
from workshop.judge.plugin import target_word
from workshop.labs import find
from workshop.paths import ROOT

LAB = find("10")
# A mistake that is caught with inputs which the report shows: in its turn, and beside other checks.
CAUGHT = ["only the first piece of a body", "the query as it stands"]


def sent(report: str) -> str:
    return "".join(re.findall(r"^    sent .*\n(?:^ {14}.*\n)*", report, re.MULTILINE))


def test_the_same_request_is_sent(tmp_path: Path) -> None:
    for number, name in enumerate(CAUGHT):
        repeats(name, tmp_path / str(number))


def repeats(name: str, folder: Path) -> None:
    mistake = next(one for one in judging.mistakes(LAB) if one.name == name)
    target = judging.with_mistake(LAB, mistake, folder)
    first = judging.run_warm("check", str(LAB.number), "--target", str(target), "-k", mistake.check).stdout
    (again,) = re.findall(r"^    again     (make .*)", first, re.MULTILINE)
    assert re.search(rf" TARGET={re.escape(str(target))} ARGS=\".* --seed \d+\"$", again)
    with judging.checkout_to_ourselves():
        done = subprocess.run(
            ["sh", "-c", again.replace("lab-", "check-", 1)],
            cwd=ROOT,
            env={**judging.environment(), "MODE": "embedded", "PYTHON": sys.executable},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
    assert sent(first), first
    assert sent(done.stdout) == sent(first), done.stdout + done.stderr


def test_a_check_whose_inputs_do_not_vary_names_no_seed() -> None:
    starter = judging.starter(find("1"))
    result = judging.judge(find("1"), starter, "--seed", "7")
    found = {name: check["finding"]["again"][0] for name, check in result["by_name"].items()}
    assert found["test_task1_says_hello"] == f'make lab-1 TARGET={starter} ARGS="-k task1_says_hello"'
    varied = "test_task2_other_methods_are_405_with_allow"
    assert found[varied].endswith(' --seed 7"')


@pytest.mark.parametrize(
    ("target", "mode", "word"),
    [
        ("starter", "embedded", ""),
        ("solution", "docker", " TARGET=solution"),
        ("/tmp/Ada's", "embedded", """ TARGET='/tmp/Ada'"'"'s'"""),
        ("/target", "docker", " TARGET=/home/ada/lab"),
        ("submission", "sandbox", ""),
    ],
)
def test_it_names_a_target_that_is_not_the_learner_s_folder(
    target: str, mode: str, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WORKSHOP_TARGET", raising=False)
    if target == "/target":  # so a container calls what launch.sh puts there
        monkeypatch.setenv("WORKSHOP_TARGET", "/home/ada/lab")
    assert target_word(target, mode) == word
