"""One run of each command in a checkout: the lock of `workshop/launch.sh`, and one that was left behind."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workshop.paths import ROOT

GONE = 999_999_999  # no process has this number
READS_AND_WAITS = """#!/bin/sh
{cat} "$@"
[ -e {folder}/waited ] && exit
: >{folder}/waited
echo >{folder}/has-read
read line <{folder}/go
"""


def script(folder: Path) -> str:
    """The functions that take the lock, and a run that says when it has it, and ends with its input."""
    text = (ROOT / "workshop" / "launch.sh").read_text(encoding="utf-8")
    whole = r"^(?:stop\(\)[^\n]*|(?:take_lock|is_ours)\(\) \{.*?^\})$"
    functions = re.findall(whole, text, re.MULTILINE | re.DOTALL)
    assert len(functions) == 3
    return "\n".join([*functions, f"state={folder} command=check; take_lock; echo taken; read line"])


@contextmanager
def run(folder: Path, path: str) -> Iterator[subprocess.Popen[str]]:
    pipe = subprocess.PIPE
    words = ["sh", "-c", script(folder), "launch.sh check"]
    env = {**os.environ, "PATH": path, "COLUMNS": "40"}  # as some shells hand it on: ps cuts lines off there
    with subprocess.Popen(words, env=env, stdin=pipe, stdout=pipe, stderr=pipe, text=True) as popen:
        yield popen


def test_of_two_that_find_a_stale_lock_one_takes_it(tmp_path: Path) -> None:
    """The second one has read whose it was before the first one took it."""
    (tmp_path / "check.lock").mkdir()
    (tmp_path / "check.lock" / "pid").write_text(f"{GONE}\n", encoding="utf-8")
    for name in ("has-read", "go"):
        os.mkfifo(tmp_path / name)
    slow = tmp_path / "bin" / "cat"
    slow.parent.mkdir()
    slow.write_text(READS_AND_WAITS.format(cat=shutil.which("cat"), folder=tmp_path), encoding="utf-8")
    slow.chmod(0o755)
    path = os.environ["PATH"]
    with run(tmp_path, f"{slow.parent}:{path}") as second:
        (tmp_path / "has-read").read_text(encoding="utf-8")
        with run(tmp_path, path) as first:
            assert first.stdout is not None and first.stdout.readline() == "taken\n"
            (tmp_path / "go").write_text("\n", encoding="utf-8")
            said, complaint = second.communicate()
            assert (said, second.returncode) == ("", 2) and f"process {first.pid}" in complaint
            first.communicate()
