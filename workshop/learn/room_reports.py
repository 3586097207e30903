"""Where ROOM was given: the process beside a watch that tells the room where its learner is.

Whatever becomes of it, the watch goes on.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from workshop.labs import Lab
from workshop.paths import ROOT

NAMES = ("WORKSHOP_ROOM", "WORKSHOP_ROOM_TOKEN", "WORKSHOP_ROOM_NAME")
LAST_SECONDS = 3.0  # for what is new at the end


@contextmanager
def reporting(lab: Lab) -> Iterator[None]:
    """Report while the block runs; nobody else that is started in it hears of the room."""
    given = {name: os.environ.pop(name, "") for name in NAMES}
    if not given["WORKSHOP_ROOM"]:
        yield
        return
    words = [sys.executable, "-m", "workshop.room.reporter", "--lab", str(lab.number)]
    process = subprocess.Popen(words, cwd=ROOT, env={**os.environ, **given}, stdin=subprocess.PIPE)
    try:
        yield
    finally:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(LAST_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
