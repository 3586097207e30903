"""The proof of every lab: its starter red for the stated reason, right code green, every mistake caught."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import judging
from tests.kill_matrix import note_kills
from workshop.labs import Lab, all_labs, target_folder
from workshop.paths import ORACLES, ROOT, SOLUTIONS

LABS = all_labs()
each_lab = pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)
each_mistake = pytest.mark.parametrize(
    ("lab", "mistake"),
    [
        pytest.param(
            *(lab, mistake),
            id=f"{lab.name}-{mistake.task}-{mistake.name.replace(' ', '-')}",
            marks=pytest.mark.one_of("mistakes", lab.name),
        )
        for lab in LABS
        for mistake in judging.mistakes(lab)
    ],
)


def other_programs(lab: Lab) -> list[str | Path]:
    """What is right besides the solution: targets as `check --target` takes them."""
    return ["oracle", *judging.alternatives(lab)]


each_other_program = pytest.mark.parametrize(
    ("lab", "target"),
    [
        pytest.param(
            *(lab, target),
            id=f"{lab.name}-oracle" if target == "oracle" else Path(target).name,
            marks=pytest.mark.one_of("oracles and legal alternatives", lab.name),
        )
        for lab in LABS
        for target in other_programs(lab)
    ],
)


@each_lab
def test_starter_is_red_for_its_stated_reason(lab: Lab) -> None:
    """Every check fails, and says which hole of this lab it fell into: its own task's or an earlier one's."""
    result = judging.judge(lab, judging.starter(lab))
    assert result["points"] == 0
    for check in result["checks"]:
        said = judging.report(check)
        hole = re.search(rf"NotImplementedError: lab {lab.number} task (\d+)", said)
        assert check["verdict"] == "FAIL", f"{check['name']} is {said}"
        assert hole, f"{check['name']} does not say which hole:\n{said}"
        assert int(hole[1]) <= check["task"], f"{check['name']} of task {check['task']} fell into {hole[0]}"


@each_lab
def test_starter_is_what_the_learner_begins_with(lab: Lab) -> None:
    """The copy that `reset` brings back is the file in the lab, as long as nobody has edited that one."""
    result = subprocess.run(["git", "diff", "--quiet", "HEAD", "--", *lab.edit], cwd=lab.folder, check=False)
    for name in lab.edit:
        kept = (judging.starter(lab) / name).read_text(encoding="utf-8")
        edited = result.returncode != 0
        assert edited or kept == (lab.folder / name).read_text(encoding="utf-8"), f"{lab.name}/{name}"


@each_lab
def test_solution_is_green(lab: Lab) -> None:
    result = judging.judge(lab, "solution")
    assert result["verdict"] == "PASS", judging.failures(result)
    assert result["points"] == lab.points == result["of"]
    assert result["exit"] == 0


@each_other_program
def test_other_right_program_is_green(lab: Lab, target: str | Path) -> None:
    """A real implementation, or a legal program of another shape: where it is red, the check is wrong."""
    result = judging.judge(lab, target)
    assert result["verdict"] == "PASS", judging.failures(result)


@each_mistake
def test_mistake_is_caught(lab: Lab, mistake: judging.Mistake, tmp_path: Path) -> None:
    if not mistake.counts_here():
        pytest.skip(f"on Python {mistake.until} and newer nobody can see it: {mistake.name}")
    result = judging.judge_mistake(lab, mistake, tmp_path)
    note_kills(lab.name, mistake, result)
    caught = result["by_name"][mistake.check]
    assert caught["verdict"] not in ("PASS", "SKIPPED", "INFRA_ERROR"), f"{mistake.check} let it pass"
    assert mistake.phrase in judging.report(caught), judging.report(caught)


@each_lab
def test_each_mistake_is_of_the_solution_as_it_is(lab: Lab) -> None:
    """Whichever of them is drawn: what a mistake changes stands in the solution, once."""
    for mistake in judging.mistakes(lab):
        text = (SOLUTIONS / lab.name / mistake.file).read_text(encoding="utf-8")
        assert text.count(mistake.find) == 1, f"{mistake.name}: {mistake.find!r}"


@each_lab
def test_manifest_lists_every_check(lab: Lab) -> None:
    """lab.toml and the test file name the same checks, and each one's name begins with its task."""
    files = [path for path in lab.folder.glob("test_*.py") if path.name not in lab.edit]
    text = "\n".join(path.read_text(encoding="utf-8") for path in files)
    written = re.findall(r"^def (test_\w+)", text, re.MULTILINE)
    assert sorted(written) == sorted(lab.checks)
    for task in lab.tasks:
        assert all(name.startswith(f"test_task{task.number}_") for name in task.checks)
        assert len([one for one in judging.mistakes(lab) if one.task == task.number]) >= 3, task.title


@pytest.mark.parametrize("lab", [lab for lab in all_labs() if lab.lanes], ids=lambda lab: lab.name)
def test_lanes_are_of_checks(lab: Lab) -> None:
    """Each beginning of a name in `[lanes]` is that of a check that no earlier one has taken.

    And each of a lane's services is one of the lab's: another name would start nothing, and say nothing.
    """
    left = [name.removeprefix("test_") for name in lab.checks]
    for begin in (one for lane in lab.lanes.values() for one in lane.begins):
        taken = [name for name in left if name.startswith(begin)]
        assert taken, f"{lab.name}: no check is left for {begin!r}"
        left = [name for name in left if name not in taken]
    for name, lane in lab.lanes.items():
        assert set(lane.services) <= set(lab.services), (
            f"{lab.name}: lane {name} names a service that is none"
        )


@each_lab
def test_lab_has_everything(lab: Lab) -> None:
    """What a lab must have: lesson, hints on three levels a task, wire cases, load script, notes."""
    for name in ("README.md", "hints.md", "locustfile.py", "requests"):
        assert (lab.folder / name).exists(), f"{lab.name}/{name}"
    assert list((lab.folder / "requests").glob("*.http"))
    assert (target_folder(lab, "solution") / "NOTES.md").exists()
    assert (ORACLES / lab.name).is_dir(), f"{lab.name} has no oracle"
    assert judging.alternatives(lab), f"{lab.name} has no legal alternative"
    assert (ROOT / "tests" / "mistakes" / f"{lab.name}.toml").exists()


@each_lab
def test_checks_read_like_a_specification(lab: Lab) -> None:
    """Nobody reads more than 500 lines of it in one go."""
    for path in (*lab.folder.glob("test_*.py"), *lab.folder.glob("checks/*.py")):
        lines = path.read_text(encoding="utf-8").splitlines()
        assert path.name in lab.edit or len(lines) <= 500, f"{path.name}: {len(lines)} lines"
