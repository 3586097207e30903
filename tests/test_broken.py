"""Broken programs: each is named for what it is, the report reads as written here, and nothing stays behind.

The expected texts are `tests/broken/*/verdict*.txt`; GOLDEN=write makes them anew, to be read and then kept.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests import judging
from workshop.paths import ROOT
from workshop.run.process import PROC

BROKEN = ROOT / "tests" / "broken"
SERVER_CHECK = "task5_connections_are_kept_or_closed"
LAB_1_CHECKS = ("iterable", "says_hello")
CASES = [
    *((path.parent, "1", which) for path in sorted(BROKEN.glob("*/app.py")) for which in LAB_1_CHECKS),
    *((path.parent, "2", SERVER_CHECK) for path in sorted(BROKEN.glob("*/http_text.py"))),
]
WAIT_FOR_END = 60.0  # seconds for what happens at once on an idle machine


def normal(text: str) -> str:
    """Without what differs from run to run: ports, times, process ids, counts of bytes."""
    text = re.sub(r"\b(port|--port|127\.0\.0\.1:)( ?)\d{4,5}", r"\1\2PORT", text)
    text = re.sub(r"\b\d+(\.\d+)? s\b", "N s", text)
    text = re.sub(r"\[\d{4}-\d\d-\d\d [\d:]+ [+]\d+\] \[\d+\]", "[time] [pid]", text)
    text = re.sub(r"\d{6,} bytes", "MANY bytes", text)
    text = re.sub(r"\n\s{10,}", " ", text)
    text = re.sub(r"left \d process", "left N process", text)
    return re.sub(r"(no connection|the connection) .*; its process", "no answer; its process", text)


def left_running(folder: Path) -> list[str]:
    """Processes whose working directory is still the judged folder."""
    found = []
    for link in PROC.glob("[0-9]*/cwd"):
        try:
            if link.resolve() == folder.resolve():
                found.append((link.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.parametrize(
    ("folder", "lab", "which"),
    [
        pytest.param(
            *case,
            id=f"{case[0].name}-{case[2][:8]}",
            marks=pytest.mark.one_of("broken programs", f"lab {case[1]}"),
        )
        for case in CASES
    ],
)
def test_broken_program_is_named(folder: Path, lab: str, which: str, tmp_path: Path) -> None:
    judged = shutil.copytree(folder, tmp_path / folder.name)  # its processes are known by where they stand
    done = judging.run_warm("check", lab, "--target", str(judged), "--seed", "1", "-k", which)
    expected = folder / ("verdict.txt" if lab == "2" else f"verdict-{which}.txt")
    report = normal(done.stdout.replace(f" TARGET={judged}", ""))
    if os.environ.get("GOLDEN") == "write":
        expected.write_text(report, encoding="utf-8")
    assert done.returncode == 1, done.stderr
    assert report == expected.read_text(encoding="utf-8")
    assert max(len(block.splitlines()) for block in done.stdout.split("\n\n")) <= 25
    deadline = time.monotonic() + WAIT_FOR_END
    while left_running(judged) and time.monotonic() < deadline:
        os.sched_yield()
    assert left_running(judged) == []
