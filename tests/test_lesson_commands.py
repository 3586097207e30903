"""The commands in lessons run, and print what the lesson says they print: every ```console block."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from tests import judging
from workshop.paths import ROOT

BLOCK = re.compile(r"^```console\n(.*?)^```", re.DOTALL | re.MULTILINE)


def console_blocks() -> list[tuple[Path, str]]:
    paths = [*ROOT.glob("labs/*/README.md"), *ROOT.glob("solutions/*/NOTES.md")]
    return [
        (path, block) for path in sorted(paths) for block in BLOCK.findall(path.read_text(encoding="utf-8"))
    ]


def steps(block: str) -> list[tuple[str, str]]:
    """Commands (after "$ ", to the end of an open quote) and the output that the lesson shows for each."""
    found: list[tuple[str, str]] = []
    for line in block.splitlines(keepends=True):
        if line.startswith("$ "):
            found.append((line.removeprefix("$ "), ""))
        elif found and found[-1][0].count("'") % 2:
            found[-1] = (found[-1][0] + line, "")
        else:
            found[-1] = (found[-1][0], found[-1][1] + line)
    return found


def settled(text: str) -> str:
    """Output without what differs from run to run: dates, times and what an ellipsis stands for."""
    text = re.sub(r"\w{3}, \d\d \w{3} \d{4} [\d:]{8} GMT", "DATE", text)
    text = re.sub(r"\d\d:\d\d:\d\d(\.\d+)?", "TIME", text)
    return re.sub(r"0x[0-9a-f]+|(?<=127\.0\.0\.1:)\d+", "N", text)


@pytest.mark.parametrize(
    ("path", "block"),
    [pytest.param(path, block, id=f"{path.parent.name}-{path.stem}") for path, block in console_blocks()],
)
def test_commands_print_what_the_lesson_says(path: Path, block: str) -> None:
    for command, shown in steps(block):
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=ROOT,
            env={**judging.environment(), "MODE": "embedded"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        wanted = ".*".join(re.escape(part) for part in settled(shown.strip()).split("…"))
        assert re.search(wanted, settled(done.stdout.strip()), re.DOTALL), done.stdout + done.stderr
