"""A room with two hundred learners who report once a second, beside the same room in quiet, in one run.

    .venv/bin/python bench/room.py [--learners 200] [--seconds 20]

locust sends the reports, signed, each with a new number. Meanwhile one more learner reports every now and
then, and a page that looks at the room says how long it takes until that is shown; a page is sent a state at
most once a second. In the end the room is killed, and its file is compared with what it had answered: lost is
every learner whose last answered report is not there. What the room uses is its own time of a processor.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import httpx

from bench.earlier_commit import ROOT, environment
from workshop.load import locust_runs
from workshop.room.room_report import RoomReport
from workshop.room.sent_report import Answer, Sender

MARKER = "f" * 32
PAUSE = 1.7  # between two reports of the marker's; no multiple of a second
LOCUSTFILE = """
import hashlib, hmac, json, os, random, time
from locust import FastHttpUser, constant_pacing, events, task

TOKEN = os.environ["ROOM_TOKEN"].replace("-", "").encode()
answered = {}

class Learner(FastHttpUser):
    wait_time = constant_pacing(1)
    network_timeout = connection_timeout = 10.0

    def on_start(self):
        self.id, self.number = f"{random.getrandbits(120):032x}", 0
        time.sleep(random.random())

    @task
    def report(self):
        self.number += 1
        said = dict(id=self.id, number=self.number, name="Ada " + self.id[-4:], lab=1, minutes=1,
                    task=1 + self.number % 3, check="test_of_bench", verdict="FAIL", hint=self.number % 4)
        body = json.dumps(said).encode()
        fields = {"Room-Signature": "sha256=" + hmac.new(TOKEN, body, hashlib.sha256).hexdigest()}
        with self.client.post("/reports", data=body, headers=fields, catch_response=True) as answer:
            if answer.status_code == 204:
                answered[self.id] = self.number
                answer.success()
            else:
                answer.failure(str(answer.status_code))

@events.quitting.add_listener
def keep(environment, **_):
    total = environment.stats.total
    rate = total.num_requests / max(0.001, total.last_request_timestamp - total.start_time)
    times = [total.get_response_time_percentile(share) for share in (0.5, 0.99, 1.0)]
    result = dict(answered=answered, sent=total.num_requests, failed=total.num_failures)
    result |= dict(rate=rate, times=times)
    with open(os.environ["ROOM_RESULT"], "w") as file:
        json.dump(result, file)
"""


@dataclass
class Room:
    process: subprocess.Popen[str]
    port: int
    token: str
    page: str
    shown: dict[int, float] = field(default_factory=dict)  # when a report of the marker's came to the page

    def cpu(self) -> float:
        """Seconds of processor time so far (Linux)."""
        words = Path(f"/proc/{self.process.pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")

    def look(self) -> None:
        """The page's stream, until the room ends."""
        try:
            with httpx.stream("GET", f"{self.page}events", timeout=60) as answer:
                for line in answer.iter_lines():
                    if line.startswith("data: "):
                        self.note(json.loads(line.removeprefix("data: ")))
        except httpx.HTTPError:
            return

    def note(self, state: dict[str, Any]) -> None:
        for learner in state["learners"]:
            if learner["name"] == "Marker":
                self.shown.setdefault(learner["minutes"], time.monotonic())


@contextmanager
def started(folder: Path) -> Iterator[Room]:
    words = [sys.executable, "-m", "workshop", "room", "--bind", "127.0.0.1", "--port", "0"]
    words += ["--page-port", "0", "--database", str(folder / "room.sqlite3")]
    process = subprocess.Popen(words, cwd=ROOT, env=environment(), stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    said = ""
    while "Ctrl-C" not in said:
        said += process.stdout.readline()
        if process.poll() is not None:
            raise SystemExit("the room did not start")
    found = re.search(r"ROOM=127\.0\.0\.1:(\d+) TOKEN=(\S+)", said)
    page = re.search(r"machine\): +(\S+)", said)
    assert found is not None and page is not None, said
    try:
        yield Room(process, int(found[1]), found[2], page[1])
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def mark(room: Room, first: int, seconds: float, ends: threading.Event) -> dict[int, float]:
    """Report as the marker, and when that was answered."""
    sender = Sender("127.0.0.1", room.port, room.token)
    sent: dict[int, float] = {}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not ends.is_set():
        number = first + len(sent)
        report = RoomReport(MARKER, 0, "Marker", 1, 1, None, None, 0, number)
        if sender.send(sender.numbered(report), 10) is Answer.KEPT:
            sent[number] = time.monotonic()
        ends.wait(PAUSE)
    return sent


def drive(room: Room, learners: int, seconds: int, folder: Path) -> dict[str, Any]:
    """locust's run, to its end."""
    (folder / "locustfile.py").write_text(LOCUSTFILE, encoding="utf-8")
    result = folder / "result.json"
    words = [str(locust_runs.program()), "-f", str(folder / "locustfile.py"), "--headless", "--only-summary"]
    words += ["--users", str(learners), "--spawn-rate", "100", "--run-time", f"{seconds}s"]
    words += ["--stop-timeout", "5", "--host", f"http://127.0.0.1:{room.port}"]
    env = {**environment(), "ROOM_TOKEN": room.token, "ROOM_RESULT": str(result)}
    done = subprocess.run(words, cwd=folder, env=env, capture_output=True, text=True, check=False)
    if not result.exists():
        raise SystemExit(done.stdout + done.stderr)
    measured: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    return measured


def lost(folder: Path, answered: dict[str, int]) -> int:
    """How many learners' last answered report is not in the file of a room that was killed."""
    with sqlite3.connect(folder / "room.sqlite3") as connection:
        kept = dict(connection.execute("SELECT id, latest FROM learners"))
    connection.close()
    return sum(kept.get(id, 0) < number for id, number in answered.items())


def line(what: str, room: Room, sent: dict[int, float], cpu: float, wall: float) -> str:
    time.sleep(3)  # what was answered last is shown
    delays = [room.shown[number] - moment for number, moment in sent.items() if number in room.shown]
    missing = len(sent) - len(delays)
    said = f"{statistics.median(delays):.2f} s, at most {max(delays):.2f} s" if delays else "never"
    return f"{what:<24}{said:<28}{missing:>4} never{cpu / wall:>12.2f} of a core"


def main(learners: int, seconds: int) -> None:
    load = os.getloadavg()[0]
    print(f"A room; {os.cpu_count()} cores, load {load:.1f} before it; {learners} learners, {seconds} s\n")
    locust_runs.program()
    with tempfile.TemporaryDirectory(prefix="bench-") as made:
        folder = Path(made)
        with started(folder) as room:
            threading.Thread(target=room.look, daemon=True).start()
            print(f"{'':<24}{'a report is on the page after':<41}{'the room uses':>16}")
            began, used = time.monotonic(), room.cpu()
            quiet = mark(room, 1, seconds, threading.Event())
            print(line("quiet", room, quiet, room.cpu() - used, time.monotonic() - began), flush=True)
            ends, busy = threading.Event(), {}

            def marking() -> None:
                busy.update(mark(room, 1000, 10 * seconds, ends))

            marker = threading.Thread(target=marking)
            began, used = time.monotonic(), room.cpu()
            marker.start()
            measured = drive(room, learners, seconds, folder)
            cpu, wall = room.cpu() - used, time.monotonic() - began
            ends.set()
            marker.join()
            print(line(f"{learners} learners", room, busy, cpu, wall), flush=True)
            room.process.send_signal(signal.SIGKILL)
            room.process.wait()
        gone = lost(folder, measured["answered"])
    half, most, longest = measured["times"]
    print(f"\nreports {measured['sent']} ({measured['rate']:.0f} a second), failed {measured['failed']}")
    print(f"answered in {half:.0f} ms, 99 % within {most:.0f} ms, all within {longest:.0f} ms")
    print(
        f"after a kill: {len(measured['answered'])} learners had been answered, {gone} of them are not kept"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learners", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    main(options.learners, options.seconds)
