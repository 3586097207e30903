"""The line between a call and the agent, which one call has after the other: each hears what is its own."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import pytest

from tests import judging
from workshop.run import process
from workshop.run.probe_line import SocketLine
from workshop.run.probe_process import ProbeProcess

# The call is over while a thread of it still asks: its answer comes when another call has the line.
APP = """
import threading

def leaves(noted):
    threading.Thread(target=lambda: [noted() for _ in range(1000)], daemon=True).start()

def adds(noted):
    return [noted() for _ in range(20)]
"""


def lines(*messages: object) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in messages)


@pytest.mark.parametrize(
    "said",
    [
        pytest.param(lines({"call": 1, "ask": 1, "then": "another's"}), id="an earlier call's answer"),
        pytest.param(b'$bytes": "YWRh"}}\n', id="half of one"),
        pytest.param(b"[]\n7\n", id="no answers"),
    ],
)
def test_what_an_earlier_call_did_not_read_is_nobody_s_answer(said: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        line = SocketLine(theirs.fileno(), 2, lambda size: None)
        with line._link:
            ours.sendall(said + lines({"call": 2, "ask": 1, "then": "own"}))
            assert line.ask({"of": 0, "said": None})["then"] == "own"


def test_a_thread_that_outlives_its_call_takes_no_step_from_the_next(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text(APP, encoding="utf-8")
    probe = ProbeProcess(tmp_path, judging.environment())

    def call(name: str, answers: list[int]) -> dict[str, object]:
        noted = {"$note": {"name": "noted", "answers": answers}}
        made = {"$call": {"fn": {"$import": f"app:{name}"}, "args": [noted], "kwargs": {}}}
        return probe.call({"kind": "steps", "seconds": 10, "steps": [{"do": made}]}, 20)

    try:
        wanted = list(range(20))
        for _ in range(100):
            call("leaves", [-1])
            events = call("adds", wanted)["events"]
            assert isinstance(events, list)
            assert [one["value"] for one in events if one["event"] == "value"] == [wanted]
    finally:
        probe.end()
        process.end_orphans()
