"""The process that decides never imports the learner's code, and the learner's process never decides."""

from __future__ import annotations

import json
from pathlib import Path

from tests import judging
from workshop.labs import find

SPY = """
import atexit, builtins, os, sys
with open({log!r}, "a") as log:
    log.write(" ".join(open("/proc/self/cmdline").read().split("\\0")) + "\\n")
print('{{"verdict": "PASS", "points": 99}}')
print("ALL PASSED")
"""
FORGERY = """
import builtins, os, sys

def everything_is_equal(*args, **kwargs):
    return True

for name in ("pytest", "_pytest", "unittest"):
    sys.modules[name] = type(sys)(name)
sys.exitfunc = None
builtins.isinstance = everything_is_equal
builtins.len = lambda thing: 13
"""


def overlaid(tmp_path: Path, text: str) -> Path:
    """Lab 1's starter with more text at its end."""
    lab = find("1")
    target = tmp_path / "target"
    target.mkdir()
    code = (judging.starter(lab) / "app.py").read_text(encoding="utf-8")
    (target / "app.py").write_text(code + text, encoding="utf-8")
    return target


def test_only_services_and_probe_import_the_learners_code(tmp_path: Path) -> None:
    log = tmp_path / "importers.txt"
    result = judging.judge(find("1"), overlaid(tmp_path, SPY.format(log=str(log))))
    importers = set(log.read_text(encoding="utf-8").splitlines())
    assert importers
    for command in importers:
        assert "import probe" in command or "gunicorn" in command or "uvicorn" in command, command
        assert "pytest" not in command
        assert "workshop check" not in command
    assert result["points"] == 0, "what the learner prints is no verdict"


def test_patched_builtins_stay_in_the_learners_process(tmp_path: Path) -> None:
    result = judging.judge(find("1"), overlaid(tmp_path, FORGERY))
    assert result["points"] == 0
    assert result["verdict"] == "FAIL"


def test_files_that_pytest_would_read_are_not_read(tmp_path: Path) -> None:
    """A conftest.py, a pytest.ini and a sitecustomize.py beside the judged file decide nothing."""
    target = overlaid(tmp_path, "")
    (target / "conftest.py").write_text("def pytest_runtest_call(item): item.obj = lambda **_: None\n")
    (target / "pytest.ini").write_text("[pytest]\naddopts = --collect-only\n")
    (target / "sitecustomize.py").write_text("import os; os.environ['WORKSHOP_X'] = '1'\n")
    result = judging.judge(find("1"), target)
    assert result["points"] == 0
    assert len(result["checks"]) == len(find("1").checks)
    assert json.dumps(result).count("NotImplementedError") >= len(result["checks"])
