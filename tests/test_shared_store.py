"""The store that lab 19's instances share: whoever finds it locked waits, also when two begin at once."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

from workshop.paths import LABS, ROOT, SOLUTIONS

PLACES = (LABS / "19-capstone" / "apps", SOLUTIONS / "18-mini-framework", ROOT / "services" / "apps")
INSTANCE = """
import sys
from capstone_site import Store
print("ready", flush=True)
sys.stdin.readline()
print("opening", flush=True)
print(Store(sys.argv[1]).add({"title": "Ask Ada"})["title"])
"""


def test_two_instances_may_begin_at_once(tmp_path: Path) -> None:
    path = str(tmp_path / "store")
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, PLACES))}
    words = [sys.executable, "-c", INSTANCE, path]
    with (
        closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other,
        subprocess.Popen(
            words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as instance,
    ):
        assert instance.stdin is not None and instance.stdout is not None
        assert instance.stdout.readline() == "ready\n"
        other.execute("BEGIN IMMEDIATE")
        instance.stdin.write("\n")
        instance.stdin.flush()
        assert instance.stdout.readline() == "opening\n"
        threading.Timer(0.3, other.execute, ["COMMIT"]).start()
        assert instance.stdout.readline() == "Ask Ada\n"
