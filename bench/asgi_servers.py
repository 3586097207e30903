"""Lab 11's reference beside its peers: one greeting, 16 keep-alive connections, one process each, in one run.

    .venv/bin/python bench/asgi_servers.py [--seconds 3] [--rounds 3]

Requests per second come from wrk (`apt-get install wrk`). The servers are driven in turn, round after round,
so that a slow moment of the machine falls on all of them; the ratios are to uvicorn on h11. Each number is
the median of the rounds.
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
GREETING = """
async def application(scope, receive, send):
    headers = [(b"content-type", b"text/plain"), (b"content-length", b"14")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"Hello, world!\\n"})
"""


def commands(port: int) -> dict[str, list[str]]:
    """How each server is started on a port."""
    where = ["--host", "127.0.0.1", "--port", str(port)]
    lab = [sys.executable, str(ROOT / "solutions/11-asgi-server/server.py"), "greeting:application", *where]
    uvicorn = [str(BIN / "uvicorn"), "greeting:application", *where, "--no-access-log", "--lifespan", "off"]
    return {
        "uvicorn h11": [*uvicorn, "--http", "h11", "--loop", "asyncio"],
        "uvicorn httptools": [*uvicorn, "--http", "httptools", "--loop", "uvloop"],
        "lab 11": lab,
    }


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


def started(words: list[str], folder: Path, port: int) -> subprocess.Popen[bytes]:
    """A server that accepts connections. Raises SystemExit with its name when it does not."""
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(words, cwd=folder, stdout=quiet, stderr=quiet, env={**os.environ})
    deadline = time.monotonic() + 10
    while server.poll() is None and time.monotonic() < deadline:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return server
        time.sleep(0.05)
    server.kill()
    raise SystemExit(f"{words[0]} did not start")


def drive(port: int, seconds: int) -> float:
    """Requests per second. Raises SystemExit when one failed: such a number says nothing."""
    words = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", f"http://127.0.0.1:{port}/"]
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    if "Socket errors" in said or "Non-2xx" in said:
        raise SystemExit(said)
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found is not None, said
    return float(found[1])


def measure(seconds: int, rounds: int) -> dict[str, list[float]]:
    """Requests per second of each server in each round."""
    ports = {name: free_port() for name in commands(0)}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        (folder / "greeting.py").write_text(GREETING, encoding="utf-8")
        servers: list[subprocess.Popen[bytes]] = []
        try:
            for name, port in ports.items():
                servers.append(started(commands(port)[name], folder, port))
            results: dict[str, list[float]] = {name: [] for name in ports}
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
    base = statistics.median(results["uvicorn h11"])
    print(f"{'server':<18}{'requests/s':>12}{'to h11':>13}    each round")
    for name, rates in results.items():
        middle = statistics.median(rates)
        each = "  ".join(f"{rate:.0f}" for rate in rates)
        print(f"{name:<18}{middle:>12.0f}{middle / base:>12.2f}×    {each}")


if __name__ == "__main__":
    main()
