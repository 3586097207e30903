"""Runs `workshop` commands in forks of one warm process: what a run imports is imported once.

`python -m workshop.warm_runs FD` reads one JSON request a line: {"words": ["check", "5", ...]}, and
maybe a file "out" for what it prints and "seconds" after which it is ended. It answers, on the descriptor FD,
with two lines: {"pid": n} when the run begins, and {"code": exit code} when it has ended, null where time was
over. It ends with its input.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
import select
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path
from typing import IO, Any

import pytest  # noqa: F401  (warm, before the forks: this, and what the plugin imports)

from workshop.cli import main
from workshop.judge import diagnosis, lab_lanes, recorder, report, verdict_feed  # noqa: F401
from workshop.paths import ROOT, STATE

POLL = 0.01
Request = dict[str, Any]


def serve(answers: int) -> None:
    """Answer requests on a descriptor, until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the run, and for whoever asked for it
    sys.dont_write_bytecode = False  # the next fork need not compile the checks again
    sys.pycache_prefix = str(STATE / "compiled")
    gc.freeze()  # what all forks have is no garbage in any of them
    for line in sys.stdin:
        request = json.loads(line)
        pid = fork(request)
        os.write(answers, json.dumps({"pid": pid}).encode() + b"\n")
        os.write(answers, json.dumps({"code": code_of(pid, request.get("seconds"))}).encode() + b"\n")


def fork(request: Request) -> int:
    """Begin a run: its process id."""
    pid = os.fork()
    if pid == 0:
        code = 70
        try:
            prepare(request.get("out"))
            code = main(request["words"])
            sys.stdout.flush()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return pid


def prepare(out: str | None) -> None:
    """In the fork: a keyboard of nobody's, and its output to a file, or where that of its parent goes."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    if out is None:
        return
    os.setpgid(0, 0)
    descriptor = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def code_of(pid: int, seconds: float | None) -> int | None:
    """The exit code of a run; None when it was ended: it took too long, or whoever asked for it has gone."""
    deadline = math.inf if seconds is None else time.monotonic() + seconds
    asks_no_more = False
    while time.monotonic() < deadline and not asks_no_more:
        ended, status = os.waitpid(pid, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        asks_no_more = bool(select.select([0], [], [], POLL)[0])  # the end of input: one run at a time
    for end in (os.kill, os.killpg):
        with contextlib.suppress(ProcessLookupError):
            end(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


class WarmRuns:
    """The other end: begins runs, one at a time."""

    def __init__(self, env: dict[str, str], module: str = "workshop.warm_runs", root: Path = ROOT) -> None:
        reader, writer = os.pipe()
        words = [sys.executable, "-m", module, str(writer)]
        self.process = subprocess.Popen(words, cwd=root, env=env, stdin=subprocess.PIPE, pass_fds=(writer,))
        os.close(writer)
        assert self.process.stdin is not None
        self._requests: IO[bytes] = self.process.stdin
        self.answers: IO[bytes] = os.fdopen(
            reader, "rb", buffering=0
        )  # what is read ahead could not be waited for

    def begin(self, words: list[str], **more: Any) -> int:
        """Begin a run: its process id. Raises OSError when the warm process is gone."""
        self._requests.write(json.dumps({"words": words, **more}).encode() + b"\n")
        self._requests.flush()
        return int(self._answer()["pid"])

    def code(self) -> int | None:
        """Wait for the end of the run: its exit code, None when time was over."""
        code: int | None = self._answer()["code"]
        return code

    def _answer(self) -> Request:
        line = self.answers.readline()
        if not line:
            raise BrokenPipeError("the process that runs commands has ended")
        answer: Request = json.loads(line)
        return answer

    def end(self) -> None:
        self._requests.close()
        self.process.wait(timeout=10)
        self.answers.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]))
