"""Task n is green with tasks 1 to n alone: nobody needs what a later task asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import judging
from tests.solution_cut_off import cut_off, without_later_tasks
from workshop.labs import Lab, all_labs

# Of a lab whose files are no Python, the starter's holes say what belongs to which task, and nothing is cut.
PYTHON = [lab for lab in all_labs() if all(name.endswith(".py") for name in lab.edit)]
# Where the reference does an earlier task with a function of a later one, cutting it off proves
# nothing: lab 5's first answers go out by task 2's `write`, lab 7's exact routes by task 2's `parse`.
SHARED = {
    "05-wsgi-server": {1},
    "07-wsgi-routing": {1},
    "09-prefork": {1, 2, 3},
    "10-asgi-app": {2, 3},
    "13-websockets": {2},
}
CASES = [
    (lab, number)
    for lab in PYTHON
    for number in range(1, len(lab.tasks))
    if number not in SHARED.get(lab.name, ())
]


@pytest.mark.whole("solutions cut off after a task")
@pytest.mark.parametrize(
    ("lab", "task"), [pytest.param(lab, task, id=f"{lab.name}-{task}") for lab, task in CASES]
)
def test_a_task_needs_no_later_one(lab: Lab, task: int, tmp_path: Path) -> None:
    target = cut_off(lab, task, tmp_path)
    chosen = " or ".join(f"task{number}_" for number in range(1, task + 1))
    result = judging.read_result(
        judging.run_warm("check", str(lab.number), "--target", str(target), "--all", "--json", "-k", chosen)
    )
    assert result["checks"]
    assert result["verdict"] == "PASS", judging.failures(result)


@pytest.mark.parametrize("lab", PYTHON, ids=lambda lab: lab.name)
def test_something_is_cut(lab: Lab) -> None:
    """Cut off after one of its tasks, a solution has holes: else the proof above would prove nothing."""
    hole = f'NotImplementedError("lab {lab.number} task'
    texts = [without_later_tasks(lab, name, task.number) for name in lab.edit for task in lab.tasks[:-1]]
    assert any(hole in text for text in texts)
