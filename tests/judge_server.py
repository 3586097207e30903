"""Runs `workshop` commands in forks of one warm process: hundreds of verdicts import pytest once.

One JSON request a line on standard input ({"words": [...], "out": path, "seconds": n}), one reply a line:
{"code": exit code} or {"code": null} when time was over. `tests/judging.py` starts it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time

import pytest  # noqa: F401  (warm, before the forks)

import workshop.judge.checks
import workshop.learn.debug
import workshop.learn.progress  # noqa: F401
from workshop.cli import main
from workshop.paths import STATE

POLL = 0.005
sys.dont_write_bytecode, sys.pycache_prefix = False, str(STATE / "compiled")  # the next fork need not compile


def run_in_fork(words: list[str], out: str, seconds: float) -> int | None:
    """The exit code of one command whose output goes to the file `out`; None when it took too long."""
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = 70
        try:
            code = main(words)
            sys.stdout.flush()
        finally:
            os._exit(code)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        time.sleep(POLL)
    os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


if __name__ == "__main__":
    for line in sys.stdin:
        request = json.loads(line)
        code = run_in_fork(request["words"], request["out"], request["seconds"])
        print(json.dumps({"code": code}), flush=True)
