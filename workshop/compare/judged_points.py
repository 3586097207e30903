"""One run of a lab's checks to every point.

    python -m workshop.compare.judged_points LAB FOLDER FILE [WORDS]

`judged` starts it, with whichever Python has what is judged: the course's for a learner's files, that of
compare_venv for a real implementation. Inputs come from one seed, so that two runs say the same.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from workshop import environment
from workshop.errors import InfraError
from workshop.judge.stack import embedded
from workshop.labs import Lab, find
from workshop.paths import ROOT
from workshop.run import nginx_config

SEED = 18
SECONDS = 900
# What is another one in each run, and what stands for it.
VARIES = [
    (re.compile(r"(?<=127\.0\.0\.1:)\d{2,5}\b"), "PORT"),
    (re.compile(r"\b[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT"), "DATE"),
    (re.compile(r"/\S*?(compare-venv|compare-[a-z0-9_]{8}/\w+)(?=/)"), "…"),
    (re.compile(r"(?<= at )0x[0-9a-f]{6,}"), "0x…"),
    (re.compile(r"(?<='x-request-id', b')[0-9a-f]{32}"), "ID"),
    (re.compile(r"(?<=;dur=)[0-9.]+"), "N"),
    (re.compile(r"(port |process |pid |'SERVER_PORT': ')\d{2,}"), r"\1N"),
]

Points = dict[str, dict[str, Any]]


def judged(lab: Lab, folder: Path, python: Path, chosen: str = "") -> Points:
    """Every check's points: {"held": […], "differs": [{"point", "clause", "sent", "came"}], "whole": …}."""
    with tempfile.NamedTemporaryFile("r", prefix="points-", encoding="utf-8") as out:
        words = [str(python), "-E", "-m", "workshop.compare.judged_points", str(lab.number), str(folder)]
        env = environment.of_tool(os.environ)
        if program := nginx_config.command():
            env["NGINX"] = program
        done = subprocess.run(
            [*words, out.name, *([chosen] if chosen else [])],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        try:
            found: Points = json.loads(without_what_varies(out.read()))
        except ValueError:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()[-1:]
            raise InfraError(f"Lab {lab.number}'s checks gave no points: {''.join(said)[:300]}") from None
    return found


def without_what_varies(text: str) -> str:
    for pattern, instead in VARIES:
        text = pattern.sub(instead, text)
    return text


def run(lab: Lab, folder: str, out: str, chosen: str) -> int:
    """The checks, in this process, on a stack of their own."""
    import pytest

    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    with embedded(lab, folder, early="" if chosen else "all") as stack:
        os.environ.update(stack.attachment())
        words = [str(lab.folder), f"--target={folder}", "--all", "--json", "--one-at-a-time"]
        words += ["-p", "workshop.compare.every_point", f"--points={out}", "--seed", str(SEED)]
        return int(pytest.main([*words, *(["-k", chosen] if chosen else [])]))


if __name__ == "__main__":
    number, target, file, *words = sys.argv[1:]
    sys.exit(run(find(number), target, file, *(words or [""])))
