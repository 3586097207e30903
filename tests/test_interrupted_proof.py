"""`make test`, ended by Ctrl-C at any moment, leaves nothing: no process, nothing in the temporary folder."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import judging, kill_matrix
from tests.hostile import held
from workshop.paths import ROOT

MOMENTS = int(os.environ.get("MOMENTS", "3"))
LONGEST = 40.0  # seconds until Ctrl-C at most
SECONDS = 60.0
WORDS = ["-q", "-n", "3", "-m", "not whole", "tests/test_labs.py", "tests/test_broken.py", "tests/hostile"]

pytestmark = pytest.mark.whole("interrupted proofs")


@pytest.fixture(autouse=True)
def tables() -> Iterator[None]:
    """The run inside begins the tables of mistakes and hostile cases anew: this run's are put back."""
    kept = {file: file.read_bytes() for file in (held.FILE, kill_matrix.FILE) if file.exists()}
    yield
    for file in (held.FILE, kill_matrix.FILE):
        file.unlink(missing_ok=True)
    for file, rows in kept.items():
        file.write_bytes(rows)


def of_run(place: Path) -> list[str]:
    """The processes that have this temporary folder, or one in it, in their environment."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if f"TMPDIR={place}".encode() in path.read_bytes():
                found.append((path.parent / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="only Linux shows whose a process is")
@pytest.mark.parametrize("number", range(MOMENTS))
def test_ctrl_c_leaves_nothing(number: int) -> None:
    moment = random.uniform(1.0, LONGEST)
    place = Path(tempfile.mkdtemp(prefix="c-", dir="/tmp"))  # short: sockets are in it
    run = subprocess.Popen(
        ["env", "--default-signal=INT", sys.executable, "-m", "pytest", *WORDS],
        cwd=ROOT,
        env=judging.environment() | {"TMPDIR": str(place)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        time.sleep(moment)
        os.killpg(run.pid, signal.SIGINT)
        run.wait(SECONDS)
        deadline = time.monotonic() + SECONDS
        while (left := of_run(place)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert not left, f"after {moment:.1f} s: {left}"
        names = [path.name for path in place.iterdir() if not path.name.startswith("pytest-of-")]
        assert not names, f"after {moment:.1f} s: {names}"
    finally:
        run.kill()
        run.wait()
        shutil.rmtree(place, ignore_errors=True)
