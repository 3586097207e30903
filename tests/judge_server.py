"""Runs `workshop` commands in forks of one warm process: hundreds of verdicts import pytest once.

One JSON request a line on standard input ({"words": [...], "out": path, "seconds": n}), one reply a line:
{"code": exit code} or {"code": null} when time was over. `tests/judging.py` starts it. An agent, too, is a
fork: of the run that it serves, before that has read a check.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import subprocess
import sys
import time
from typing import IO

import jinja2  # noqa: F401  (warm, before the forks)
import pytest  # noqa: F401

import workshop.judge.checks
import workshop.learn.debug
import workshop.learn.progress  # noqa: F401
from workshop.cli import main
from workshop.judge import stack
from workshop.paths import ROOT, STATE
from workshop.run import agent

POLL = 0.01
SECONDS = 60.0
sys.dont_write_bytecode, sys.pycache_prefix = False, str(STATE / "compiled")  # the next fork need not compile


class ForkedAgent:
    """An agent that is a fork of this process: a new Python would have to import the same again."""

    def __init__(self, words: list[str], env: dict[str, str]) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(writer)
            run_agent(words, env, reader)
        os.close(reader)
        self.stdin: IO[bytes] | None = os.fdopen(writer, "wb")
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        deadline = time.monotonic() + (timeout or SECONDS)
        while (code := self.poll()) is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired("agent", deadline)
            time.sleep(POLL)
        return code


def run_agent(words: list[str], env: dict[str, str], tether: int) -> None:
    """In the fork: become what `words` say, with the end of `tether` as its own end."""
    code = 70
    try:
        os.setsid()
        os.dup2(tether, 0)
        os.chdir(ROOT)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = words[2:]  # python -m
        code = agent.main()
        sys.stdout.flush()
    finally:
        os._exit(code)


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
    stack.spawn_agent = ForkedAgent
    gc.freeze()  # what all forks have is no garbage in any of them
    for line in sys.stdin:
        request = json.loads(line)
        code = run_in_fork(request["words"], request["out"], request["seconds"])
        print(json.dumps({"code": code}), flush=True)
