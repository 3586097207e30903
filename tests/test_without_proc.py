"""A machine without /proc, as macOS is: every lab's solution is green there, too.

/proc is covered by an empty folder. `ps` is one that knows only what BSD's and procps' have in common, and
looks at /proc where it still is.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests import judging
from workshop.labs import Lab, all_labs
from workshop.paths import ROOT

PS = """#!/bin/sh
case "$*" in
"-axo pid=,ppid=,sess=")
    for folder in {proc}/[0-9]*; do
        read -r line 2>/dev/null < "$folder/stat" || continue
        set -- ${{line##*) }}
        echo "${{folder##*/}} $2 0"
    done ;;
"-o stat= -p "*)
    read -r line 2>/dev/null < "{proc}/$4/stat" || exit 1
    set -- ${{line##*) }}
    echo "$1" ;;
*) exit 2 ;;
esac
"""
# Linux finds a process's own /dev/fd through /proc; elsewhere it is a folder of its own.
LOOK_AT_DEV_FD = ("08-wsgi-request-response", "16-testing")


@pytest.fixture
def hidden(tmp_path: Path) -> list[str]:
    """Words before a command that shall not see /proc."""
    program = shutil.which("bwrap")
    proc, programs = tmp_path / "proc", tmp_path / "bin"
    proc.mkdir()
    programs.mkdir()
    words = [program or "bwrap", "--dev-bind", "/", "/", "--bind", "/proc", str(proc), "--tmpfs", "/proc"]
    if program is None or subprocess.run([*words, "true"], capture_output=True, check=False).returncode:
        pytest.skip("bubblewrap can't hide /proc on this machine")
    (programs / "ps").write_text(PS.format(proc=proc), encoding="utf-8")
    (programs / "ps").chmod(0o755)
    return [*words, "--setenv", "PATH", f"{programs}:{os.environ['PATH']}", "--"]


@pytest.mark.whole("labs without /proc")
@pytest.mark.parametrize(
    "lab", [lab for lab in all_labs() if lab.name not in LOOK_AT_DEV_FD], ids=lambda lab: lab.name
)
def test_a_solution_is_green_without_proc(lab: Lab, hidden: list[str]) -> None:
    done = subprocess.run(
        [*hidden, sys.executable, "-m", "workshop", "check", str(lab.number), "--target", "solution"],
        cwd=ROOT,
        env={**judging.environment(), "MODE": "embedded"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
