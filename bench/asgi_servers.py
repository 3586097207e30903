"""Labs 11, 12, 14 and 15 beside their peers: one greeting, one process each, in one run.

    .venv/bin/python bench/asgi_servers.py [--seconds 3] [--rounds 3] [--idle 3000]

Requests per second and the 99th percentile come from wrk (`apt-get install wrk`), over 16 keep-alive
connections. The servers are driven in turn, round after round, so that a slow moment of the machine
falls on all of them; each number is the median of the rounds, and the ratios are to uvicorn on httptools
and uvloop. "µs" is the processor time of the server's processes for one request. "idle" is what each of
the idle connections adds to their memory, after one request on it. A peer that is not installed is left
out; --bin names one more folder to look for it.
"""

from __future__ import annotations

import argparse
import math
import os
import re
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SOLUTIONS = ROOT / "solutions"
COMPLETE = ("15-uvicorn-main", "14-websocket-frames", "12-lifespan", "11-asgi-server")
BIN = [Path(sys.executable).parent]
CONNECTIONS = 16
# Idle connections are kept for a minute, where there is an option for it.
PATIENT = {
    "uvicorn": ["--timeout-keep-alive", "60"],
    "lab 11": ["--keep-alive", "60"],
    "hypercorn": ["--keep-alive", "60"],
    "gunicorn": ["--keep-alive", "60", "--worker-connections", "10000"],
}
GREETING = """
async def application(scope, receive, send):
    if scope["type"] == "lifespan":
        return
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"14")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello, world!\\n"})
"""
GET = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


def command(name: str) -> str:
    """Where a program is; its name where it is not."""
    return next((str(folder / name) for folder in BIN if (folder / name).exists()), name)


def uvicorn(application: str, port: int, http: str, loop: str) -> list[str]:
    where = ["--host", "127.0.0.1", "--port", str(port), "--no-access-log", "--lifespan", "off"]
    return [command("uvicorn"), application, *where, "--http", http, "--loop", loop, *PATIENT["uvicorn"]]


def complete(application: str, port: int) -> list[str]:
    """Labs 11, 12, 14 and 15 together."""
    return [sys.executable, str(SOLUTIONS / COMPLETE[0] / "main.py"), application, "--port", str(port)]


def commands(port: int) -> dict[str, list[str]]:
    """How each server is started on a port."""
    name, bind = "greeting:application", f"127.0.0.1:{port}"
    lab = [sys.executable, str(SOLUTIONS / "11-asgi-server/server.py"), name, "--port", str(port)]
    lab += PATIENT["lab 11"]
    granian = ["--interface", "asgi", "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]
    gunicorn = ["-k", "asgi", "--workers", "1", "--log-level", "critical", "--bind", bind]
    found = {
        "uvicorn httptools": uvicorn(name, port, "httptools", "uvloop"),
        "uvicorn h11": uvicorn(name, port, "h11", "asyncio"),
        "hypercorn": [command("hypercorn"), name, "--bind", bind, *PATIENT["hypercorn"]],
        "gunicorn -k asgi": [command("gunicorn"), name, *gunicorn, *PATIENT["gunicorn"]],
        "granian": [command("granian"), name, *granian],
        "lab 11": lab,
        "complete server": complete(name, port),
    }
    return {server: words for server, words in found.items() if Path(words[0]).exists()}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def started(words: list[str], folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A server that accepts connections. Raises SystemExit with its name when it does not."""
    quiet = subprocess.DEVNULL
    path = [str(folder), str(ROOT / "services/apps"), *(str(SOLUTIONS / name) for name in COMPLETE)]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    server = subprocess.Popen(words, cwd=folder, stdout=quiet, stderr=quiet, env=env)
    deadline = time.monotonic() + 60
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    server.kill()
    raise SystemExit(f"{words[0]} did not start")


def stopped(servers: Iterable[subprocess.Popen[bytes]]) -> None:
    for server in servers:
        server.terminate()
        server.wait(20)


def family(pid: int) -> Iterator[int]:
    """A process, its children and theirs."""
    yield pid
    for listed in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in listed.read_text(encoding="ascii").split():
            yield from family(int(child))


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and its children so far (schedstat has nanoseconds, stat has ticks)."""
    nanoseconds = 0
    for one in family(pid):
        for thread in Path(f"/proc/{one}/task").glob("*/schedstat"):
            nanoseconds += int(thread.read_text(encoding="ascii").split()[0])
    return nanoseconds / 1e9


def resident(pid: int) -> int:
    """Bytes of a process and its children that are in memory."""
    pages = 0
    for one in family(pid):
        pages += int(Path(f"/proc/{one}/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()


@dataclass
class Result:
    """One server's rounds."""

    rates: list[float] = field(default_factory=list)  # requests per second
    late: list[float] = field(default_factory=list)  # milliseconds, the 99th percentile
    cost: list[float] = field(default_factory=list)  # microseconds of processor time for a request
    idle: float = 0.0  # KiB of an idle connection


def drive(port: int, pid: int, seconds: int, result: Result) -> None:
    """One round. Raises SystemExit when a request failed: such a number says nothing."""
    words = ["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    before = cpu_seconds(pid)
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    spent = cpu_seconds(pid) - before
    if "Socket errors" in said or "Non-2xx" in said:
        raise SystemExit(said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    late = re.search(r"99%\s+([\d.]+)(us|ms|s)", said)
    count = re.search(r"(\d+) requests in", said)
    assert rate and late and count, said
    result.rates.append(float(rate[1]))
    result.late.append(float(late[1]) * {"us": 0.001, "ms": 1.0, "s": 1000.0}[late[2]])
    result.cost.append(spent / int(count[1]) * 1e6)


def kib_for_idle_connections(port: int, pid: int, count: int) -> float:
    """What each of so many connections adds, in KiB, after one request; NaN when it has closed some."""
    open_ones = [asked(port) for _ in range(CONNECTIONS)]  # what a server makes once is there already
    before = resident(pid)
    try:
        open_ones += [asked(port) for _ in range(count)]
    except OSError:
        return math.nan
    grown = resident(pid) - before
    kept = sum(1 for one in family(pid) for _ in Path(f"/proc/{one}/fd").iterdir())
    for connection in open_ones:
        connection.close()
    return grown / count / 1024 if kept >= count else math.nan


def asked(port: int) -> socket.socket:
    """A connection that has been answered once. Raises OSError when it was not."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=10.0)
    connection.sendall(GET)
    answer = b""
    while not answer.endswith(b"world!\n"):
        data = connection.recv(4096)
        if not data:
            raise ConnectionAbortedError("it ended before the answer did")
        answer += data
    return connection


def measure(seconds: int, rounds: int, idle: int) -> dict[str, Result]:
    ports = {name: free_port() for name in commands(0)}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "greeting.py").write_text(GREETING, encoding="utf-8")
        servers: dict[str, subprocess.Popen[bytes]] = {}
        try:
            for name, port in ports.items():
                servers[name] = started(commands(port)[name], folder, port)
            results = {name: Result() for name in ports}
            for name, port in ports.items() if idle else ():
                results[name].idle = kib_for_idle_connections(port, servers[name].pid, idle)
            for _ in range(rounds):
                for name, port in ports.items():
                    drive(port, servers[name].pid, seconds, results[name])
            return results
        finally:
            stopped(servers.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="of each drive")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--idle", type=int, default=3000, help="connections that are idle, 0: not measured")
    parser.add_argument("--bin", type=Path, action="append", default=[], help="a folder with more servers")
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed (Debian: apt-get install wrk): nothing was measured.")
        return
    BIN.extend(options.bin)
    results = measure(options.seconds, options.rounds, options.idle)
    base = statistics.median(results["uvicorn httptools"].rates)
    print(f"{'server':<19}{'requests/s':>11}{'':>8}{'µs':>7}{'99 %':>10}{'idle':>10}    each round")
    for name, result in results.items():
        rate, cost, late = map(statistics.median, (result.rates, result.cost, result.late))
        each = "  ".join(f"{one:.0f}" for one in result.rates)
        numbers = f"{rate:>11.0f}{rate / base:>7.2f}×{cost:>7.0f}{late:>7.2f} ms{result.idle:>6.1f} KiB"
        print(f"{name:<19}{numbers}    {each}")


if __name__ == "__main__":
    main()
