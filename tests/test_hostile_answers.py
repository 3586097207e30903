"""Every lab's checks, asked what they make of nonsense: a submission's answer is never a failure of ours.

In place of each edited file stands tests/hostile/begins/anything.py, which answers every call and request
with one constant, or with what the solution says, spoilt (values of other types, keys that are missing). The
proof asks each lab in one way; HOSTILE_ANSWERS=all asks in every way, which takes an hour.
"""

from __future__ import annotations

import ast
import os
import shutil
import zlib
from pathlib import Path

import pytest

from tests import judging
from tests.hostile.cases import BROKEN, HERE
from workshop.labs import Lab, all_labs
from workshop.paths import SOLUTIONS

ANYTHING = (HERE / "begins" / "anything.py").read_text(encoding="utf-8")


def keys_of(name: str) -> list[str]:
    """The keys of a dict that anything.py has under this name."""
    for node in ast.parse(ANYTHING).body:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Dict):
            (target,) = node.targets
            if isinstance(target, ast.Name) and target.id == name:
                return [str(ast.literal_eval(key)) for key in node.value.keys if key is not None]
    raise AssertionError(f"anything.py has no {name}")


CONSTANTS = keys_of("CONSTANTS")
WARPS = [*keys_of("INSTEAD"), "warp keys"]


def ways() -> list[str]:
    """The first constant: null in every body, None from every call; or all of the ways."""
    if os.environ.get("HOSTILE_ANSWERS") == "all":
        return [*CONSTANTS, *WARPS]
    return CONSTANTS[:1]


def hand_in(lab: Lab, way: str, folder: Path) -> None:
    """A target with nonsense in place of what is edited, and the solution beside it to be spoilt."""
    shutil.copytree(SOLUTIONS / lab.name, folder / "_real")
    for name in lab.edit:
        text = f'WAY = "{way}"\n{ANYTHING}'
        if name.endswith(".conf"):
            text = f'events {{}}\nhttp {{ server {{ listen @listen@; return 200 "{len(way)}"; }} }}\n'
        elif not name.endswith(".py"):
            text = (folder / "_real" / name).read_text(encoding="utf-8")
        (folder / name).write_text(text, encoding="utf-8")


@pytest.mark.parametrize(
    ("lab", "way"),
    [
        pytest.param(lab, way, id=f"{lab.name}-{way}", marks=pytest.mark.one_of("nonsense", lab.part))
        for lab in all_labs()
        for way in ways()
    ],
)
def test_no_answer_is_a_failure_of_ours(lab: Lab, way: str, tmp_path: Path) -> None:
    hand_in(lab, way, tmp_path / "target")
    seed = zlib.crc32(way.encode()) % 10**6
    words = ("check", str(lab.number), "--target", str(tmp_path / "target"), "--all", "--json")
    result = judging.read_result(judging.run_warm(*words, "--seed", str(seed), seconds=400))
    assert [check["name"] for check in result["checks"]] == lab.checks
    wrong = [check for check in result["checks"] if check["verdict"] not in {*BROKEN, "PASS"}]
    assert not wrong, "\n\n".join(f"{check['name']}: {judging.report(check)}" for check in wrong)
    assert way in WARPS or result["points"] < lab.points, "a constant got every point"
