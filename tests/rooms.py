"""Rooms that run, on ports of their own, and what is reported to them, for the tests of the room."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import judging
from workshop.labs import find
from workshop.paths import ROOT
from workshop.room.room_report import RoomReport
from workshop.room.sent_report import Sender
from workshop.run import tcp_ports

SECONDS = 60.0
LAB = find("1")
FIRST = next(iter(LAB.tasks[0].checks))
TASKS = len(LAB.tasks)
ADA, BOB = "a" * 32, "b" * 32
EVIL = "<img src=x onerror=\"document.title='taken'\">"


def report(id: str = ADA, number: int = 1, name: str = "Ada", **more: Any) -> RoomReport:
    said: dict[str, Any] = {"task": 1, "check": FIRST, "verdict": "FAIL", "hint": 0, "minutes": 0, **more}
    return RoomReport(id, number, name, said.pop("lab", LAB.number), **said)


def done(**more: Any) -> RoomReport:
    return report(**{"task": None, "check": None, "verdict": "PASS", **more})


@pytest.fixture(name="path")
def path_fixture(tmp_path: Path) -> Path:
    return tmp_path / "room.sqlite3"


@dataclass
class Running:
    process: subprocess.Popen[str]
    greeting: str
    port: int
    token: str
    page: str

    def sender(self) -> Sender:
        return Sender("127.0.0.1", self.port, self.token)

    def state(self) -> dict[str, Any]:
        """The first state of the stream."""
        with httpx.stream("GET", f"{self.page}events", timeout=SECONDS) as answer:
            line = next(line for line in answer.iter_lines() if line.startswith("data: "))
        state: dict[str, Any] = json.loads(line.removeprefix("data: "))
        return state


@contextlib.contextmanager
def running(database: Path, port: int = 0, page: int = 0) -> Iterator[Running]:
    """`workshop room`, on ports of its own; it is killed at the end, if it is still there.

    A room may be given those of one that was killed: they stay reserved here, and are none that the kernel
    gives to clients in the meantime.
    """
    port, page = port or tcp_ports.free_port(), page or tcp_ports.free_port()
    words = ["--bind", "127.0.0.1", "--port", str(port), "--page-port", str(page)]
    words += ["--database", str(database)]
    process = subprocess.Popen(
        [sys.executable, "-m", "workshop", "room", *words],
        cwd=ROOT,
        env=judging.environment(),
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        greeting = "".join(iter(lambda: _line(process), ""))
        found = re.search(r"ROOM=127\.0\.0\.1:(\d+) TOKEN=(\S+)", greeting)
        url = re.search(r"machine\): +(\S+)", greeting)
        assert found and url, greeting
        yield Running(process, greeting, int(found[1]), found[2], url[1])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def _line(process: subprocess.Popen[str]) -> str:
    """Lines up to the one that says how the room ends."""
    assert process.stdout is not None
    line = process.stdout.readline()
    return "" if line.startswith("Ctrl-C ") else line


@pytest.fixture(name="room", scope="module")
def room_fixture(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running(tmp_path_factory.mktemp("room") / "room.sqlite3") as made:
        yield made


def known(room: Running, name: str) -> list[dict[str, Any]]:
    return [learner for learner in room.state()["learners"] if learner["name"] == name]
