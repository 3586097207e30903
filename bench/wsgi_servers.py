"""Lab 5's reference beside its peers: one greeting, 16 keep-alive connections, one process each, in one run.

    .venv/bin/python bench/wsgi_servers.py [--seconds 3] [--rounds 3]

Requests per second and the 99th percentile of the latency come from wrk (`apt-get install wrk`). The servers
are driven in turn, round after round, so that a slow moment of the machine falls on all of them; the ratio is
to waitress. Each number is the median of the rounds. cheroot and granian are not among the workshop's
packages: they are measured where their commands are on PATH (`pip install cheroot granian`, anywhere).
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
CONNECTIONS = 16
THREADS = 8
GREETING = """
def application(environ, start_response):
    headers = [("Content-Type", "text/plain"), ("Content-Length", "14")]
    start_response("200 OK", headers)
    return [b"Hello, world!\\n"]
"""


def commands(port: int) -> dict[str, list[str]]:
    """How each server that is installed is started on a port."""
    host, threads = "127.0.0.1", str(THREADS)
    lab = [sys.executable, str(ROOT / "solutions/05-wsgi-server/server.py"), "greeting:application"]
    waitress = [str(BIN / "waitress-serve")]
    gunicorn = [str(BIN / "gunicorn"), "greeting:application", "--no-control-socket", "--keep-alive", "60"]
    granian = ["granian", "--interface", "wsgi", "--host", host, "--port", str(port), "--no-ws"]
    known = {
        "waitress": [*waitress, f"--listen={host}:{port}", f"--threads={threads}", "greeting:application"],
        "gunicorn gthread": [*gunicorn, "-b", f"{host}:{port}", "-k", "gthread", "--threads", threads],
        "cheroot": ["cheroot", "greeting:application", "--bind", f"{host}:{port}", "--threads", threads],
        "granian": [*granian, "--blocking-threads", threads, "greeting:application"],
        "lab 5": [*lab, "--host", host, "--port", str(port), "--threads", threads],
    }
    return {name: words for name, words in known.items() if shutil.which(words[0])}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def started(words: list[str], folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A server that accepts connections. Raises SystemExit with its name when it does not."""
    quiet = subprocess.DEVNULL
    env = {**os.environ, "PYTHONPATH": str(folder)}
    server = subprocess.Popen(words, cwd=folder, stdout=quiet, stderr=quiet, env=env)
    deadline = time.monotonic() + 30
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    server.kill()
    raise SystemExit(f"{words[0]} did not start")


def drive(port: int, seconds: int) -> tuple[float, float]:
    """Requests per second, and the 99th percentile in milliseconds.

    Raises SystemExit when a request failed: such numbers say nothing.
    """
    words = ["wrk", "--latency", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if "Socket errors" in said or "Non-2xx" in said:
        raise SystemExit(said)
    rate = re.search(r"Requests/sec:\s+([\d.]+)", said)
    slow = re.search(r"99%\s+([\d.]+)(us|ms|s)\b", said)
    assert rate is not None and slow is not None, said
    return float(rate[1]), float(slow[1]) * {"us": 0.001, "ms": 1, "s": 1000}[slow[2]]


def measure(seconds: int, rounds: int) -> dict[str, list[tuple[float, float]]]:
    """What `drive` says of each server in each round."""
    ports = {name: free_port() for name in commands(0)}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "greeting.py").write_text(GREETING, encoding="utf-8")
        servers: list[subprocess.Popen[bytes]] = []
        try:
            for name, port in ports.items():
                servers.append(started(commands(port)[name], folder, port))
            results: dict[str, list[tuple[float, float]]] = {name: [] for name in ports}
            for _ in range(rounds):
                for name, port in ports.items():
                    results[name].append(drive(port, seconds))
            return results
        finally:
            for server in servers:
                server.terminate()
            for server in servers:
                server.wait(10)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=3, help="of each drive")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if shutil.which("wrk") is None:
        print("wrk is not installed (Debian: apt-get install wrk): nothing was measured.")
        return
    results = measure(options.seconds, options.rounds)
    base = statistics.median(rate for rate, _ in results["waitress"])
    print(f"{'server':<18}{'requests/s':>12}{'to waitress':>13}{'99 %':>10}    each round")
    for name, drives in results.items():
        middle = statistics.median(rate for rate, _ in drives)
        slow = statistics.median(slow for _, slow in drives)
        each = "  ".join(f"{rate:.0f}" for rate, _ in drives)
        print(f"{name:<18}{middle:>12.0f}{middle / base:>12.2f}×{slow:>7.1f} ms    {each}")
    absent = [name for name in ("cheroot", "granian") if name not in results]
    if absent:
        print(f"Not installed, so not measured: {', '.join(absent)}.")


if __name__ == "__main__":
    main()
