"""A port that somebody else has taken is never taken for ours: not a service's, and not nginx's."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from workshop.grade.sandboxes import weak_sandbox
from workshop.judge import stack as stacks
from workshop.labs import Lab, find, target_folder
from workshop.paths import ROOT
from workshop.run import nginx_config, process, tcp_ports
from workshop.run.target_processes import TargetProcesses
from workshop.run.tcp_ports import Owner

ASKS = "import sys; from workshop.run import tcp_ports; sys.exit(not tcp_ports.reserve(int(sys.argv[1])))"
linux = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="only Linux says whose a socket is")


def reserved_elsewhere(port: int) -> bool:
    """Whether another process can reserve the port."""
    done = subprocess.run([sys.executable, "-c", ASKS, str(port)], cwd=ROOT, check=False)
    return done.returncode == 0


@linux
def test_no_other_run_gets_a_port_that_is_reserved() -> None:
    port = tcp_ports.free_port()
    assert not reserved_elsewhere(port)
    tcp_ports.release(port)
    assert reserved_elsewhere(port)


@linux
@pytest.mark.parametrize("choose", [tcp_ports.free_port, lambda: weak_sandbox.free_shift([8001])])
def test_a_port_that_is_reserved_elsewhere_is_not_even_tried(
    choose: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever has reserved it may bind it at that moment, and would be told that it is taken."""
    reserved, free = tcp_ports.free_port(), tcp_ports.free_port()
    tcp_ports.release(free)
    tried, chosen, can_bind = [], iter([reserved, free]), tcp_ports.can_bind

    def trying(host: str, port: int) -> bool:
        tried.append(port)
        return can_bind(host, port)

    monkeypatch.setattr("random.choice", lambda _: next(chosen))
    monkeypatch.setattr(tcp_ports, "can_bind", trying)
    choose()
    tcp_ports.release(reserved, free)
    assert tried == [free]


@linux
def test_whose_a_port_is() -> None:
    port = tcp_ports.free_port()
    words = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    assert tcp_ports.owner("127.0.0.1", port, []) is Owner.NOBODY
    with subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as other:
        try:
            while not tcp_ports.is_listening("127.0.0.1", port):
                assert other.poll() is None
            assert tcp_ports.owner("127.0.0.1", port, []) is Owner.OTHER
            assert tcp_ports.owner("127.0.0.1", port, [other.pid]) is Owner.OURS
            assert tcp_ports.ports_of([other.pid]) == [port]
        finally:
            other.kill()


@linux
def test_a_listener_is_what_it_was_until_its_socket_is_closed_or_another_one_listens() -> None:
    port = tcp_ports.free_port()
    with socket.socket() as one, socket.socket() as other:
        for each in (one, other):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            each.bind(("127.0.0.1", port))
        assert tcp_ports.listener(port, [os.getpid()]) is None
        one.listen()
        found = tcp_ports.listener(port, [os.getppid(), os.getpid()])
        assert found is not None and found.pid == os.getpid() and found.still_listens()
        assert sys.executable in found.command() or "python" in found.command()
        other.listen()
        assert not found.still_listens()
        other.close()
        assert found.still_listens()
        one.close()
        assert not found.still_listens()


@linux
def test_a_service_that_has_become_another_program_is_named_so(tmp_path: Path) -> None:
    """What listens is asked for again with every request: its socket may be in another program's hands."""
    lab = find("2")
    text = (
        "import os, socket, sys, time\n"
        "made = socket.create_server(('127.0.0.1', int(sys.argv[sys.argv.index('--port') + 1])))\n"
        "made.set_inheritable(True)\n"
        "while not os.path.exists('go'): time.sleep(0.01)\n"
        "os.execv(sys.executable, [sys.executable, '-c', 'import time; time.sleep(60)', 'another'])\n"
    )
    (tmp_path / "http_text.py").write_text(text)
    name = next(iter(lab.services))
    crew = TargetProcesses(lab, tmp_path, "127.0.0.1")
    try:
        first = crew.start(name)
        assert first["state"] == "ready" and "http_text.py" in first["listener"]
        (tmp_path / "go").touch()
        deadline = time.monotonic() + 60
        while "another" not in crew.start(name)["listener"]:
            assert time.monotonic() < deadline
    finally:
        crew.closing = True
        crew.end()
        crew.state.rmdir()


@contextlib.contextmanager
def crew_of(lab: Lab) -> Iterator[TargetProcesses]:
    crew = TargetProcesses(lab, target_folder(lab, "solution"), "127.0.0.1")
    try:
        yield crew
    finally:
        crew.closing = True
        crew.end()
        crew.state.rmdir()


@linux
@pytest.mark.parametrize("number", ["1", "2"], ids=["gunicorn tries again", "a server that ends"])
def test_a_service_whose_port_is_taken_gets_another(number: str) -> None:
    lab = find(number)
    name = next(iter(lab.services))
    told: list[int] = []
    with crew_of(lab) as crew, socket.create_server(("127.0.0.1", crew.ports[name])) as stranger:
        taken = stranger.getsockname()[1]
        crew.moved = lambda: told.append(crew.ports[name])
        reply = crew.start(name)
        assert reply["state"] == "ready" and told == [reply["port"]] and taken not in told
        assert str(reply["port"]) in reply["command"]
        family = [reply["pid"], *process.descendants(reply["pid"])]
        assert tcp_ports.owner("127.0.0.1", reply["port"], family) is Owner.OURS


@linux
def test_a_stranger_s_answer_is_nobody_s_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the front to the service: both ports are somebody else's when they are needed."""
    if nginx_config.command() is None:
        pytest.skip("there is no nginx on this machine")
    lab = find("2")
    with contextlib.ExitStack() as strangers:

        def taken() -> int:
            made = strangers.enter_context(socket.create_server(("127.0.0.1", 0)))
            return int(made.getsockname()[1])

        port = taken()
        monkeypatch.setattr(stacks, "front_port", lambda wanted: (port, ""))
        with stacks.embedded(lab, "solution", port, early="") as stack:
            stack.await_front()
            assert stack.front is not None and stack.front.port != port
            assert stack.notes == [f"Port {port} is taken; using {stack.front.port}."]
            assert stack.attachment()["WORKSHOP_FRONT"] == stack.front.url == stack.public
            reply = stack.ask("start", service="main")
            assert reply["state"] == "ready"
            with socket.create_connection((stack.front.host, stack.front.port), 5) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                assert b" 200 OK\r\n" in client.makefile("rb").read()
