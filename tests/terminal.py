"""`make lab-N` on a terminal: what somebody sees who saves, presses keys and leaves."""

from __future__ import annotations

import contextlib
import os
import pty
import random
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from workshop.paths import ROOT
from workshop.run import process, tcp_ports

SECONDS = 120.0
END_SECONDS = 30.0
PROMPT = r"Watching .*\]"
OF_RUNS = range(12000, tcp_ports.CHOICE.start)


def port_of_runs() -> int:
    """A free port that one run after another can have: no other run draws it in between, and no client.

    One that is reserved here is no use: a run takes it for another run's, and has the next that is free.
    """
    return next(port for port in random.sample(OF_RUNS, 200) if tcp_ports.can_bind("127.0.0.1", port))


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, words: list[str], root: Path, env: dict[str, str]) -> None:
        self.seen = ""
        self.shown = ""  # all of it
        self._screen, program = pty.openpty()
        self.process = subprocess.Popen(
            words, cwd=root, env=env, stdin=program, stdout=program, stderr=program, start_new_session=True
        )
        os.close(program)

    def type(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def await_text(self, pattern: str, seconds: float = SECONDS) -> str:
        """What is shown up to a text that was not read yet. Raises AssertionError when that does not come."""
        deadline = time.monotonic() + seconds
        while (found := re.search(pattern, self.seen)) is None:
            assert self._read(deadline - time.monotonic()), f"no {pattern!r} in:\n{self.seen}"
        before, self.seen = self.seen[: found.end()], self.seen[found.end() :]
        return before

    def _read(self, seconds: float) -> bool:
        if not select.select([self._screen], [], [], max(0.0, seconds))[0]:
            return False
        with contextlib.suppress(OSError):  # the program has ended, and with it the other side
            data = os.read(self._screen, 1 << 16)
            text = data.decode("utf-8", "replace")
            self.seen += text
            self.shown += text
            return bool(data)
        return False

    def close(self) -> None:
        """End it as Ctrl-C does, so that it leaves nothing; what does not end by that is killed."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        deadline = time.monotonic() + END_SECONDS
        while self.process.poll() is None and time.monotonic() < deadline:
            self._read(0.05)  # nobody ends who waits to write the last line
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._screen)


def pid_of(terminal: Terminal, module: str) -> int:
    """The process below a terminal's program that runs a module of the tool's."""
    (found,) = [pid for pid in process.descendants(terminal.process.pid) if _runs(pid, module)]
    return found


def _runs(pid: int, module: str) -> bool:
    try:
        return module.encode() in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


@contextlib.contextmanager
def watched(
    lab: str, target: Path, env: dict[str, str], root: Path = ROOT, port: int = 0
) -> Iterator[Terminal]:
    """`workshop lab` on a terminal, after its first verdict."""
    words = [sys.executable, "-m", "workshop", "lab", lab, "--target", str(target), "--port", str(port)]
    terminal = Terminal(words, root, env | {"TERM": "dumb", "COLUMNS": "120"})
    try:
        terminal.await_text(PROMPT)
        yield terminal
    finally:
        terminal.close()
