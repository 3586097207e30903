"""What a service costs: requests a second, memory of idle connections, the first byte of a stream, an echo.

A lab's compare.toml says what is asked for, and whose numbers are 1 in the ratios:

    [costs]
    beside = "waitress"
    service = "patient"
    quick = "/do/ignore?name=Ada"      # requests a second, and what an idle connection adds
    stream = "/do/endless?say=first"   # milliseconds until the first byte of a body that goes on
    echo = "/"                         # a WebSocket: processor time of a message of 1 MiB, there and back

`python -m workshop.compare.service_costs N FOLDER FILE` measures one implementation once, and writes JSON: a
number by cost, null where the server ends what is to be measured, or has no room for so many connections.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workshop.compare.implementations import read_toml
from workshop.errors import Refusal
from workshop.judge.http_client import Client as HTTPClient
from workshop.judge.http_client import Clock, Trail
from workshop.judge.stack import Address, Stack, embedded
from workshop.labs import Lab, find
from workshop.run import process

BUSY = 16  # connections of those who ask as fast as they are answered
BUSY_SECONDS = 2
IDLE = 200  # connections
FIRST_BYTES = 30
ECHOES = 50
MIB = 1 << 20
CHECKED = 60.0  # seconds for whatever is asked
Costs = dict[str, float | None]
HEADS = {
    "rate": "requests a second",
    "idle": "KiB of an idle connection",
    "first": "ms to the first byte of a stream",
    "echo": "ms of processor time, 1 MiB there and back",
}


def wrk() -> str:
    """The program that asks. Raises Refusal where it is not installed."""
    found = shutil.which("wrk")
    if found is None:
        raise Refusal("To measure needs wrk, which is not on PATH: apt install wrk, or brew install wrk.")
    return found


class Measured:
    """One service that runs."""

    def __init__(self, stack: Stack, service: str) -> None:
        self.stack, self.service = stack, service
        reply = stack.ask("start", service=service)
        if reply["state"] != "ready":
            raise Refusal(f"{service} does not start: {reply['output'][-300:]}")
        self.port = int(reply["port"])

    @property
    def pids(self) -> list[int]:
        found: list[int] = self.stack.ask("pids", service=self.service)["pids"]
        return found

    def asked(self, target: str) -> socket.socket:
        """A connection on which a request was sent."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        connection.sendall(f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        return connection

    def rate(self, target: str) -> float | None:
        """Requests a second; None where some fail."""
        words = [wrk(), "-t1", f"-c{BUSY}", f"-d{BUSY_SECONDS}s", f"http://127.0.0.1:{self.port}{target}"]
        said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
        rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
        failed = "Non-2xx" in said or "Socket errors" in said
        return None if failed or rate is None else float(rate[1])

    def idle(self, target: str) -> float | None:
        """KiB that a connection adds, after one response on it; None where the server has not so many."""
        with contextlib.ExitStack() as opened:

            def open_ones(count: int) -> bool:
                """Open so many more; whether all were answered, and are open still."""
                more = []
                for _ in range(count):
                    connection = opened.enter_context(self.asked(target))
                    if not is_answered(connection):
                        return False
                    more.append(connection)
                return not any(is_closed(one) for one in more)

            if not open_ones(BUSY):  # what a server makes once is there then
                return None
            before = resident(self.pids)
            if not open_ones(IDLE):
                return None
            return (resident(self.pids) - before) / IDLE / 1024

    def first(self, target: str) -> float | None:
        """Milliseconds until the first byte of a body, while the rest is still to come."""
        waited = []
        for _ in range(FIRST_BYTES):
            began, received = time.monotonic(), b""
            with self.asked(target) as connection:
                while not received.partition(b"\r\n\r\n")[2]:
                    data = connection.recv(MIB)
                    if not data:
                        return None
                    received += data
            waited.append((time.monotonic() - began) * 1000)
        return statistics.median(waited)

    def echo(self, target: str) -> float | None:
        """Milliseconds of processor time for a binary message of 1 MiB that comes back."""
        client = HTTPClient(
            self.stack, Trail(), Clock(CHECKED), Address("127.0.0.1", self.port), self.service, lambda _: None
        )
        message = os.urandom(MIB)
        with client.websocket(target) as ada:
            before = process.cpu_ticks(self.pids)
            for _ in range(ECHOES):
                ada.send(message)
                if ada.receive() != message:
                    return None
            ticks = process.cpu_ticks(self.pids) - before
        return ticks / os.sysconf("SC_CLK_TCK") / ECHOES * 1000


def is_answered(connection: socket.socket) -> bool:
    """Whether the head of a response comes, before the other side's or the connection's end."""
    received = b""
    try:
        while b"\r\n\r\n" not in received:
            data = connection.recv(MIB)
            if not data:
                return False
            received += data
    except OSError:
        return False
    return True


def is_closed(connection: socket.socket) -> bool:
    """Whether the other side has ended a connection, once what it has sent is read."""
    connection.setblocking(False)
    try:
        while connection.recv(MIB):
            pass
    except BlockingIOError:
        return False
    except OSError:
        pass
    return True


def resident(pids: list[int]) -> int:
    """Bytes of these processes that are in memory; what they share counts once for each."""
    pages = 0
    for pid in pids:
        pages += int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def measured(lab: Lab, folder: str) -> Costs:
    """Every cost that the lab's compare.toml asks for, once."""
    asked = read_toml(lab)["costs"]
    found: Costs = {}
    with embedded(lab, folder, early="") as stack:
        stack.await_front()
        one = Measured(stack, asked["service"])
        ways: dict[str, tuple[str, Callable[[str], float | None]]] = {
            "idle": ("quick", one.idle),  # first: what a busy server has had, it may use again
            "rate": ("quick", one.rate),
            "first": ("stream", one.first),
            "echo": ("echo", one.echo),
        }
        for name, (target, measure) in ways.items():
            if target in asked:
                found[name] = measure(asked[target])
    return found


def main(words: list[str]) -> int:
    number, folder, file = words
    found: Any = measured(find(number), folder)
    Path(file).write_text(json.dumps(found), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
