"""The judge process: it reads the checks once, and judges as many submissions at a time as it is asked to."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from workshop.errors import InfraError
from workshop.grade.judging.judge_process import JudgeProcess, Line
from workshop.grade.judging.manifest import Manifest
from workshop.judge.patience import Patience
from workshop.labs import find

LAB = find("1")
CHECK = LAB.checks[0]
NOWHERE = Path("no-sandbox")  # each check finds nobody there, at once


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Manifest.make(LAB, tmp_path / "manifest", 7).folder


@pytest.fixture
def judge_process(folder: Path) -> Iterator[JudgeProcess]:
    made = JudgeProcess(folder)
    yield made
    made.end()


def ask(
    judge_process: JudgeProcess, out: Path, only: list[str] | None = None, budget: float = 120.0
) -> tuple[Line, list[str]]:
    """The reply, and the checks that have left a result."""
    reply = judge_process.judge(NOWHERE, out, 5, budget, only, Patience())
    lines = out.read_text(encoding="utf-8").splitlines() if out.exists() else []
    return reply, [json.loads(line)["name"] for line in lines]


def test_several_are_judged_at_once_each_by_all_checks_or_some(
    judge_process: JudgeProcess, tmp_path: Path
) -> None:
    found: dict[int, tuple[Line, list[str]]] = {}

    def judge(number: int) -> None:
        found[number] = ask(judge_process, tmp_path / str(number), [CHECK] if number % 2 else None)

    threads = [threading.Thread(target=judge, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, (reply, names) in found.items():
        assert reply["code"] == 1 and reply["memory"] and len(reply["cpu"]) == 2
        assert names == ([CHECK] if number % 2 else LAB.checks)


def test_one_whose_time_is_over_is_cut_short(judge_process: JudgeProcess, tmp_path: Path) -> None:
    judge_process.await_ready()
    assert ask(judge_process, tmp_path / "late", budget=0.001)[0]["code"] is None
    reply, names = ask(judge_process, tmp_path / "next", [CHECK])
    assert reply["code"] == 1 and names == [CHECK]


@pytest.mark.parametrize(
    ("more", "code", "said"),
    [
        ("def test_unlisted(): ...", 4, "test_unlisted is not in"),
        ("import nothing_of_that_name", 3, "nothing_of_that_name"),
        ("def broken(:", 3, "invalid syntax"),
    ],
)
def test_checks_that_can_t_be_read_are_said_so_each_time(
    folder: Path, tmp_path: Path, more: str, code: int, said: str
) -> None:
    (checks,) = folder.glob("test_*.py")
    checks.write_text(f"{checks.read_text(encoding='utf-8')}\n{more}\n", encoding="utf-8")
    judge_process = JudgeProcess(folder)
    try:
        judge_process.await_ready()
        for turn in ("one", "two"):
            reply, names = ask(judge_process, tmp_path / turn)
            assert reply["code"] == code and names == []
            assert said in (tmp_path / f"{turn}.log").read_text(encoding="utf-8")
    finally:
        judge_process.end()


def test_one_that_is_gone_is_said_so(judge_process: JudgeProcess, tmp_path: Path) -> None:
    judge_process.end()
    judge_process.await_ready()
    assert not judge_process.is_alive()
    with pytest.raises(InfraError, match="gone"):
        ask(judge_process, tmp_path / "out")
