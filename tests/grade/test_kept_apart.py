"""What a sandbox must not show, whose services answer, and which packages are not there."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from workshop.errors import Refusal
from workshop.grade.sandboxes import excluded_packages, system_calls
from workshop.grade.sandboxes.bubblewrap import memory_of
from workshop.grade.sandboxes.hidden_from_sandbox import fresh_keyring, see_that_nothing_shows
from workshop.labs import all_labs, find
from workshop.paths import ROOT, SOLUTIONS
from workshop.run import given_services, tcp_ports
from workshop.run.target_processes import TargetProcesses
from workshop.run.tcp_ports import Owner

LINUX = pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="it is read from /proc")


def test_a_checkout_below_what_is_mounted_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Refusal, match="is below"):
        see_that_nothing_shows([ROOT.parent], [])
    see_that_nothing_shows([ROOT / "workshop"], [])  # the tool itself is what everybody may see
    for private in (tmp_path / "usr" / "submissions", tmp_path):
        with pytest.raises(Refusal, match="which every sandbox sees"):
            see_that_nothing_shows([tmp_path / "usr"], [private])
    (tmp_path / "link").symlink_to(tmp_path / "usr")
    with pytest.raises(Refusal, match="is below"):
        see_that_nothing_shows([tmp_path / "usr"], [tmp_path / "link" / "hidden"])
    see_that_nothing_shows([tmp_path / "usr"], [tmp_path / "submissions"])


def test_labs_in_which_a_server_is_written_leave_finished_ones_out() -> None:
    servers = {"gunicorn", "uvicorn", "hypercorn"}
    for lab in all_labs():
        commands = " ".join(one.command for one in lab.services.values())
        if lab.number in (5, 9, 11, 14, 15):
            assert servers <= set(lab.without), lab.name
        assert not [name for name in lab.without if name in commands], lab.name
        solution = "".join(path.read_text() for path in (SOLUTIONS / lab.name).glob("*.py"))
        assert not [name for name in lab.without if f"import {name}" in solution], lab.name


def test_what_is_left_out_is_found_where_it_is() -> None:
    found = {path.name for path in excluded_packages.here(find("5"))}
    assert {"gunicorn", "uvicorn", "hypercorn"} <= found and "flask" not in found
    assert not [*excluded_packages.here(find("1"))]


def test_a_server_may_be_one_file(tmp_path: Path) -> None:
    left_out = {
        "waitress",
        "waitress-3.0.2.dist-info",
        "bjoern.cpython-311-x86_64-linux-gnu.so",
        "rocket3.py",
    }
    kept = {"pasteboard.py", "bjoern.txt", "sanity"}
    for name in left_out | kept:
        (tmp_path / name).touch()
    found = excluded_packages.named([tmp_path], excluded_packages.ALSO)
    assert {path.name for path in found} == left_out


def test_the_list_of_system_calls_leaves_out_what_leads_elsewhere() -> None:
    names = set(system_calls.ALLOWED)
    assert len(names) == len(system_calls.ALLOWED)
    for name in ("ptrace", "keyctl", "memfd_create", "shmget", "unshare", "setns", "mount", "bpf", "clone"):
        assert name not in names
    if not system_calls.missing():
        assert len(system_calls.program()) % 8 == 0
    assert '"defaultAction": "SCMP_ACT_ERRNO"' in system_calls.docker_profile()


@LINUX
def test_shared_memory_is_memory() -> None:
    code = (
        "import mmap, sys; m = mmap.mmap(-1, 64 << 20); m.write(bytes(64 << 20)); "
        "print(flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as one:
        assert one.stdout is not None and one.stdin is not None
        one.stdout.readline()
        used = memory_of([one.pid])
        one.stdin.close()
    assert used > 64 << 20


@LINUX
def test_what_forked_processes_share_counts_once_where_it_matters() -> None:
    """Sixteen processes with the same 64 MiB have these, not 1 GiB."""
    code = (
        "import os, sys; kept = bytearray(b'x') * (64 << 20); pids = [os.getpid()]\n"
        "for _ in range(15):\n"
        "    pid = os.fork()\n"
        "    if not pid: sys.stdin.read(); os._exit(0)\n"
        "    pids.append(pid)\n"
        "print(*pids, flush=True); sys.stdin.read()"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1) as one:
        assert one.stdout is not None and one.stdin is not None
        pids = [int(word) for word in one.stdout.readline().split()]
        used = memory_of(pids)
        one.stdin.close()
    assert len(pids) == 16 and 64 << 20 < used < 256 << 20


@LINUX
def test_a_session_keyring_is_a_fresh_one() -> None:
    def session() -> str:
        rows = Path("/proc/keys").read_text().splitlines()
        return " ".join(row for row in rows if "_ses" in row)

    if not Path("/proc/keys").exists() or not fresh_keyring():
        pytest.skip("this kernel has no keyrings for us")
    first = session()
    assert fresh_keyring() and session() != first


@pytest.fixture
def crew(tmp_path: Path) -> Iterator[TargetProcesses]:
    made = TargetProcesses(find("16"), SOLUTIONS / "16-testing", "127.0.0.1")
    try:
        yield made
    finally:
        made.closing = True
        made.end()
        for name in list(made.held):
            made._clear(name)
            made.held[name].close()
        made.state.rmdir()


@LINUX
def test_ready_is_who_owns_the_socket(crew: TargetProcesses) -> None:
    """Somebody else listens on the port first: the service that was started is not said to be ready."""
    port = crew.ports["drill"]
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()
        assert tcp_ports.owner("127.0.0.1", port, [os.getpid()]) is Owner.OURS
        assert tcp_ports.owner("127.0.0.1", port, []) is Owner.OTHER
        with socket.socket() as other:  # two may have one port: then it is nobody's alone
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            other.bind(("127.0.0.1", port))
            other.listen()
            assert tcp_ports.owner("127.0.0.1", port, [os.getpid()]) is Owner.OURS
        reply = crew.start("drill")
    assert reply["state"] != "ready"


@LINUX
def test_a_given_service_keeps_its_port_and_its_memory(crew: TargetProcesses) -> None:
    crew.hold_given()
    assert crew.await_given() == ""
    waits = crew.running["lineup"].pid
    assert not tcp_ports.is_listening("127.0.0.1", crew.ports["lineup"])
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            Path("/proc", str(waits), "environ").read_bytes()
    reply = crew.start("lineup")
    assert reply["pid"] == waits
    assert reply["state"] == "ready" and "faulty_tasks_apis" in reply["listener"]
    if os.geteuid() != 0:
        with pytest.raises(PermissionError):
            Path("/proc", str(reply["pid"]), "environ").read_bytes()
    crew.end()  # a restart: what is given goes on
    assert crew.start("lineup")["pid"] == reply["pid"]
    os.kill(reply["pid"], 9)
    deadline = time.monotonic() + 30
    while crew.running["lineup"].exit_code() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
        with socket.socket() as one, pytest.raises(OSError, match="in use"):
            one.setsockopt(socket.SOL_SOCKET, option, 1)
            one.bind(("127.0.0.1", crew.ports["lineup"]))
    assert crew.start("lineup")["state"] == "exited"
    crew.end()
    assert crew.start("lineup")["state"] == "exited"


def test_every_given_service_runs_on_a_socket_that_is_there() -> None:
    for lab in all_labs():
        for service in (one for one in lab.services.values() if one.given):
            words = service.command.format(host="127.0.0.1", port=1, state="/tmp", solutions="/tmp").split()
            made = given_services.argv(words, 7)
            assert "--host" not in made and "--port" not in made and made[-1] in ("7", "fd://7"), made
            with contextlib.suppress(ValueError):
                assert made.index("--bind") == len(made) - 2
