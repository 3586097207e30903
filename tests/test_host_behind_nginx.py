"""What nginx tells a service of the host that was asked for (RFC 9112 §3.2, §3.2.2), as configured here."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import subprocess
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.judging import ALTERNATIVES
from workshop.judge import http_wire
from workshop.labs import find
from workshop.paths import ORACLES, SOLUTIONS
from workshop.run import nginx_config, tcp_ports
from workshop.run.nginx_config import Front

SECONDS = 60.0  # for what happens at once on an idle machine
CONFIGURATIONS = {
    "the workshop's own": ("1", SOLUTIONS / "01-the-callable"),
    "lab 19's solution": ("19", SOLUTIONS / "19-capstone"),
    "lab 19's alternative": ("19", ALTERNATIVES / "19-capstone-regions"),
    "lab 19's oracle": ("19", ORACLES / "19-capstone"),
}
REQUESTS = {
    "a field": (b"GET / HTTP/1.1\r\nHost: tasks.example:8080\r\n\r\n", "tasks.example:8080"),
    "a target": (b"GET http://tasks.example:8080/x HTTP/1.1\r\nHost: evil\r\n\r\n", "tasks.example:8080"),
    "a target and a query": (
        b"GET HTTP://tasks.example?a=/b HTTP/1.1\r\nHost: evil\r\n\r\n",
        "tasks.example",
    ),
    "a URL in the query": (
        b"GET /?see=http://evil/ HTTP/1.1\r\nHost: tasks.example\r\n\r\n",
        "tasks.example",
    ),
    "a lie": (b"GET / HTTP/1.1\r\nHost: tasks.example\r\nX-Forwarded-Host: evil\r\n\r\n", "tasks.example"),
    "nothing, in HTTP/1.0": (b"GET / HTTP/1.0\r\n\r\n", None),
}


class Echo(socketserver.StreamRequestHandler):
    """Answers with the head that it was sent."""

    def handle(self) -> None:
        lines = list(iter(self.rfile.readline, b"\r\n"))
        body = b"".join(lines)
        head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % len(body)
        self.wfile.write(head + body)


@contextlib.contextmanager
def echo() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Echo) as server:
        threading.Thread(target=server.serve_forever, args=[0.05], daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module", params=CONFIGURATIONS)
def front(request: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """nginx before a service that echoes: the port that it listens on."""
    program = nginx_config.command()
    if program is None:
        pytest.skip("there is no nginx on this machine")
    number, folder = CONFIGURATIONS[request.param]
    lab, run = find(number), tmp_path_factory.mktemp("nginx")
    with echo() as behind:
        port = tcp_ports.free_port()
        one = Front("learner", f"127.0.0.1:{port}", dict.fromkeys(lab.services, behind), folder)
        for name, text in nginx_config.files(lab, [one], "127.0.0.1", run, run).items():
            (run / name).parent.mkdir(exist_ok=True)
            (run / name).write_text(text, encoding="utf-8")
        words = [program, "-e", "stderr", "-c", str(run / "nginx.conf"), "-g", "daemon off;"]
        process = subprocess.Popen(words, stderr=subprocess.DEVNULL)
        try:
            listening(process, port)
            yield port
        finally:
            process.terminate()
            process.wait(SECONDS)


def listening(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise AssertionError("nginx does not listen")


@pytest.mark.parametrize("asked", REQUESTS)
def test_service_is_told_the_host_that_was_asked_for(front: int, asked: str, request: Any) -> None:
    data, host = REQUESTS[asked]
    with http_wire.Wire("127.0.0.1", front, SECONDS) as connection:
        connection.send(data)
        answer = connection.response()
    assert answer.status == 200
    fields = [line.partition(": ")[::2] for line in answer.text.splitlines()[1:]]
    hosts = [value for name, value in fields if name.lower() == "host"]
    forwarded = [value for name, value in fields if name.lower() == "x-forwarded-host"]
    if "oracle" in request.node.name:  # it says $host, which leaves out the port
        host = host.partition(":")[0] if host else host
    assert len(hosts) == 1 and hosts[0]
    assert forwarded == hosts
    assert host is None or hosts == [host]
