"""What an untrusted agent says: a proper reply, or the submission's own crash; never anything else."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workshop.grade.sandboxes.sandbox_sockets import _listening
from workshop.judge import agent_replies
from workshop.judge.agent_replies import Misbehaved, checked, parsed
from workshop.judge.http_wire import UNIX, NoAnswer, Wire
from workshop.judge.probe_transcript import decoded
from workshop.judge.stack import SANDBOX, Stack
from workshop.labs import find
from workshop.run import probe, unix_to_tcp
from workshop.run.probe_values import encode

SECONDS = 60.0  # for what happens at once on an idle machine
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)
NAMES = [
    "state",
    "pid",
    "code",
    "output",
    "mark",
    "folder",
    "service",
    "seconds",
    "command",
    "events",
    "pids",
]
VERBS = ["start", "status", "signal", "pids", "connections", "probe", "restart", "nginx"]


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(VERBS), st.dictionaries(st.sampled_from(NAMES), JSON))
def test_any_object_is_a_reply_or_misbehaviour(do: str, reply: dict[str, Any]) -> None:
    with contextlib.suppress(Misbehaved):
        found = checked(do, reply, 8001)
        assert isinstance(found, dict)
        assert do != "start" or found.get("port", 8001) == 8001


@pytest.mark.parametrize(
    "line",
    [b"", b"null", b"[]", b'"x"', b"{", b"[" * 100_000, b"1" * 5000, b"\xff", b'{"a": ' + b"1" * 5000 + b"}"],
)
def test_what_is_no_object_is_misbehaviour(line: bytes) -> None:
    with pytest.raises(Misbehaved):
        parsed(line)


def test_an_honest_start_passes_and_its_port_is_ours() -> None:
    honest = {
        "state": "ready",
        "service": "tasks",
        "port": 22,
        "pid": 7,
        "code": None,
        "told": False,
        "flooded": False,
        "output": "",
        "mark": 0,
        "seconds": 0.1,
        "command": "python server.py",
        "folder": "/target",
    }
    assert checked("start", honest, 8001)["port"] == 8001
    with pytest.raises(Misbehaved):
        checked("start", {**honest, "pid": True}, 8001)


TAGS = ["$bytes", "$tuple", "$object", "$repr", "$dict", "$import", "$call", "$ref"]
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.integers() | st.text(max_size=5) | st.binary(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.tuples(inner, inner)
        | st.dictionaries(st.sampled_from(TAGS) | st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(VALUES)
def test_a_value_that_looks_like_a_tag_is_a_value(value: Any) -> None:
    """Whatever a submission returns arrives as it was; so does what a check sends."""
    sent = json.loads(json.dumps(encode(value)))
    assert decoded(sent) == value
    assert probe.decode(sent) == value


EVENTS: dict[str, dict[str, Any]] = {
    "start_response": {"status": "200 OK", "headers": [], "of": "list", "exc_info": None},
    "chunk": {"data": {"$bytes": ""}, "type": "bytes"},
    "noted": {"name": "x", "args": [], "kwargs": {}},
    "read": {"method": "read", "size": 1, "returned": 1},
    "inner chunk": {"name": "inner", "number": 1},
    "raised": {"type": "E", "message": "", "trace": [], "bases": [], "attributes": {}},
}


@pytest.mark.parametrize("name", EVENTS)
def test_every_field_of_an_event_is_checked_by_type(name: str) -> None:
    fields = EVENTS[name]
    checked("probe", {"events": [{"event": name, **fields}]}, 1)
    for field in (one for one in fields if one not in ("status", "data", "size", "attributes")):
        with pytest.raises(Misbehaved):
            checked("probe", {"events": [{"event": name, **fields, field: 1.5}]}, 1)


def stack_at(folder: Path) -> Stack:
    return Stack(find("5"), "submission", SANDBOX, folder, None, "", service_host=f"{UNIX}{folder}")


def saying(folder: Path, data: bytes) -> threading.Thread:
    """An agent that answers every request with these bytes, and then leaves."""
    listener = _listening(folder / "1.sock")

    def serve() -> None:
        with listener, listener.accept()[0] as link:
            link.sendall(b"+")
            link.recv(1 << 16)
            with contextlib.suppress(OSError):
                link.sendall(data)

    made = threading.Thread(target=serve, daemon=True)
    made.start()
    return made


@pytest.mark.parametrize(
    "data", [b"", b"{}\n", b"x" * 5_000_000, b'{"state": "ready"}\n{"state": "ready"}\n']
)
def test_a_stack_in_a_sandbox_raises_misbehaviour_only(
    data: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent_replies, "REPLY_CAP", 1_000_000)
    agent = saying(tmp_path, data)
    stack = stack_at(tmp_path)
    with pytest.raises(Misbehaved):
        stack.ask("start", service="tasks")
    stack.close()
    agent.join(timeout=5)


# --- the bridge -----------------------------------------------------------------------------------------


@pytest.fixture
def service(tmp_path: Path) -> Any:
    """A TCP listener, and the Unix socket that leads to it."""
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(SECONDS)
    port = listener.getsockname()[1]
    unix_to_tcp.serve(_listening(tmp_path / f"{port}.sock"), port)
    with listener:
        yield listener, port, f"{UNIX}{tmp_path}"


def test_a_bridge_keeps_a_half_close(service: Any) -> None:
    listener, port, host = service
    with Wire(host, port, SECONDS) as wire:
        inside, _ = listener.accept()
        with inside:
            wire.send(b"asked")
            wire.half_close()
            assert inside.recv(100) == b"asked" and inside.recv(100) == b""
            inside.sendall(b"answered")
        assert wire.read_all() == b"answered"


def test_a_bridge_keeps_a_reset_and_a_close_apart(service: Any) -> None:
    listener, port, host = service
    wire = Wire(host, port, SECONDS)
    inside, _ = listener.accept()
    wire.reset()
    with inside, pytest.raises(ConnectionResetError):
        inside.recv(100)
    wire = Wire(host, port, SECONDS)
    inside, _ = listener.accept()
    wire.close()
    with inside:
        assert inside.recv(100) == b""


def test_a_bridge_tells_a_refused_connection(tmp_path: Path) -> None:
    with socket.socket() as bound:  # it does not listen, and nobody else can have its port
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        unix_to_tcp.serve(_listening(tmp_path / f"{port}.sock"), port)
        with pytest.raises(NoAnswer, match="no connection to"):
            Wire(f"{UNIX}{tmp_path}", port, SECONDS)


def test_a_bridge_carries_many_bytes_both_ways(service: Any) -> None:
    listener, port, host = service
    data = json.dumps(list(range(100_000))).encode()
    with Wire(host, port, SECONDS) as wire:
        inside, _ = listener.accept()

        def echo() -> None:
            with inside:
                while piece := inside.recv(1 << 16):
                    inside.sendall(piece)

        echoing = threading.Thread(target=echo)
        echoing.start()

        def send() -> None:
            wire.send(data)
            wire.half_close()

        sending = threading.Thread(target=send)
        sending.start()
        assert wire.read_all() == data
        sending.join()
        echoing.join()


def test_a_bridge_waits_for_a_slow_reader_without_work(service: Any) -> None:
    """What the service has sent before it left arrives, however late the check reads it."""
    listener, port, host = service
    data = b"x" * (4 << 20)
    with Wire(host, port, SECONDS) as wire:
        inside, _ = listener.accept()
        wire.half_close()
        with inside:
            sending = threading.Thread(target=inside.sendall, args=[data])
            sending.start()
            assert wire.read() and inside.recv(1) == b""
            used = time.process_time()
            time.sleep(0.5)
            assert time.process_time() - used < 0.25
            received = len(wire.received)
            while received < len(data) - (1 << 17):
                received += len(wire.read())
            sending.join()
        time.sleep(0.1)  # the service's end is closed, and what it sent last is still on the way
        used = time.process_time()
        time.sleep(0.5)
        assert time.process_time() - used < 0.25
        assert wire.read_all() == data


def test_a_bridge_brings_what_was_asked_before_the_check_left(service: Any) -> None:
    listener, port, host = service
    data = b"y" * (1 << 20)
    wire = Wire(host, port, SECONDS)
    inside, _ = listener.accept()

    def send() -> None:
        wire.send(data)
        wire.close()

    sending = threading.Thread(target=send)
    sending.start()
    received = 0
    with inside:
        while piece := inside.recv(1 << 16):
            received += len(piece)
            time.sleep(0.001)
        assert received == len(data)
        sending.join()


def test_a_bridge_tells_the_service_that_nobody_reads(service: Any) -> None:
    listener, port, host = service
    wire = Wire(host, port, SECONDS)
    inside, _ = listener.accept()
    with inside:
        wire.close()
        assert inside.recv(1) == b""
        deadline = time.monotonic() + SECONDS
        with pytest.raises(ConnectionError):
            while time.monotonic() < deadline:
                inside.sendall(b"z" * 1000)
                time.sleep(0.01)


def test_a_bridge_tells_a_reset_by_the_service(service: Any) -> None:
    listener, port, host = service
    with Wire(host, port, SECONDS) as wire:
        inside, _ = listener.accept()
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        inside.close()
        assert wire.closed_within(SECONDS)


def test_a_bridge_carries_many_connections_at_once(service: Any) -> None:
    listener, port, host = service
    wires = [Wire(host, port, SECONDS) for _ in range(100)]
    ends = [listener.accept()[0] for _ in wires]
    for number, wire in enumerate(wires):
        wire.send(b"%d" % number)
    for end in ends:
        end.sendall(end.recv(100))
        end.close()
    assert [wire.read_all() for wire in wires] == [b"%d" % number for number in range(100)]
    for wire in wires:
        wire.close()
