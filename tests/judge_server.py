"""The warm process of the tests: there an agent, too, is a fork, of the run that it serves.

It is made before that run has read a check. `tests/judging.py` starts this process.
"""

from __future__ import annotations

import os
import sys
import time
from typing import IO, ClassVar

import jinja2  # noqa: F401  (warm, before the forks)

from workshop import warm_runs
from workshop.judge import stack
from workshop.paths import ROOT
from workshop.run import agent

SECONDS = 60.0


class ForkedAgent:
    """An agent that is a fork of this process: a new Python would have to import the same again."""

    writers: ClassVar[list[IO[bytes]]] = []

    def __init__(self, words: list[str], env: dict[str, str]) -> None:
        reader, writer = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(writer)
            for other in self.writers:  # an agent ends when nobody has its writer: this fork has it, too
                other.close()
            run_agent(words, env, reader)
        os.close(reader)
        self.stdin: IO[bytes] | None = os.fdopen(writer, "wb")
        self.writers.append(self.stdin)
        self._code: int | None = None

    def poll(self) -> int | None:
        if self._code is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            self._code = os.waitstatus_to_exitcode(status) if ended else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """Its exit code. It ends by itself, so a run that would have to kill it has failed."""
        deadline = time.monotonic() + SECONDS
        while (code := self.poll()) is None:
            assert time.monotonic() < deadline, f"the agent {self.pid} does not end"
            time.sleep(warm_runs.POLL)
        return code


def run_agent(words: list[str], env: dict[str, str], tether: int) -> None:
    """In the fork: become what `words` say, with the end of `tether` as its own end."""
    code = 70
    try:
        os.setsid()
        os.dup2(tether, 0)
        sys.stdin = sys.__stdin__  # and not what pytest has put there, which says nothing
        os.chdir(ROOT)
        os.environ.clear()
        os.environ.update(env)
        sys.argv = words[2:]  # python -m
        code = agent.main()
        sys.stdout.flush()
    finally:
        os._exit(code)


if __name__ == "__main__":
    stack.spawn_agent = ForkedAgent
    warm_runs.serve(int(sys.argv[1]))
