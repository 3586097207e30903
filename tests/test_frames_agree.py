"""Lab 14's solution against wsproto and websockets: fuzzed, fed in any pieces, and served by lab 11's server.

And what the solution leaves out or decides, as its NOTES.md says, is pinned here.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import subprocess
import sys
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.frames import Opcode
from websockets.protocol import OPEN
from websockets.server import ServerProtocol
from websockets.sync.client import connect

from workshop.paths import APPS, LABS, ORACLES, SOLUTIONS

LAB = "14-websocket-frames"
LAB_11 = SOLUTIONS / "11-asgi-server"


def loaded(name: str, folder: Any) -> ModuleType:
    """A lab's frames.py under a module name of its own."""
    spec = importlib.util.spec_from_file_location(name, folder / LAB / "frames.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


ours = loaded("frames_solution", SOLUTIONS)
wsprotos = loaded("frames_oracle", ORACLES)
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA

bounded = settings(max_examples=75, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))

# --- what is generated --------------------------------------------------------------------------------

LIMIT = 300
masks = st.binary(min_size=4, max_size=4)
texts = st.text(max_size=20).map(str.encode)
pieces_of_text = st.binary(max_size=4) | st.sampled_from(
    [b"\xc3", b"\xa9", b"\xed", b"\xa0\x80", b"\xf4\x90"]
)
payloads = texts | pieces_of_text | st.binary(max_size=140)
codes = st.sampled_from(
    [0, 999, 1000, 1001, 1003, 1004, 1005, 1006, 1007, 1011, 1015, 1016, 2999, 3000, 4999]
)
closes = st.builds(lambda code, reason: code.to_bytes(2, "big") + reason, codes, texts) | st.binary(
    max_size=1
)


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """One frame of a client; mostly a good one."""
    opcode = draw(st.sampled_from([CONTINUATION, CONTINUATION, TEXT, TEXT, BINARY, PING, PONG, CLOSE]))
    payload = draw(closes if opcode == CLOSE else st.binary(max_size=125) if opcode > CLOSE else payloads)
    fin = opcode >= CLOSE or draw(st.booleans())
    data: bytes = ours.encode_frame(opcode, payload[:125] if opcode >= CLOSE else payload, fin, draw(masks))
    return data


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One message in fragments, with control frames between them: always good."""
    opcode, data = draw(st.just(TEXT).flatmap(lambda kind: st.tuples(st.just(kind), texts)))
    if draw(st.booleans()):
        opcode, data = BINARY, draw(st.binary(max_size=140))
    places = sorted(draw(st.sets(st.integers(0, len(data)), max_size=3)))
    parts = [data[start:end] for start, end in itertools.pairwise([0, *places, len(data)])]
    wire = b""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        wire += ours.encode_frame(CONTINUATION if number else opcode, part, last, draw(masks))
        if draw(st.booleans()):
            control = draw(st.sampled_from([PING, PONG]))
            wire += ours.encode_frame(control, draw(st.binary(max_size=125)), True, draw(masks))
    return wire


good_streams = st.lists(messages(), max_size=4).map(b"".join)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """Good messages, then frames in any order, and at times a byte that was changed, put in or taken out."""
    data = bytearray(draw(good_streams) + b"".join(draw(st.lists(frames(), max_size=5))))
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(data)))
        spice = draw(st.binary(max_size=1) | st.sampled_from([b"\x80", b"\x7e", b"\xfe", b"\xff", b"\x88"]))
        data[place : place + draw(st.integers(0, 1))] = spice
    return bytes(data)


@st.composite
def cuts(draw: st.DrawFn, of: Any) -> list[bytes]:
    """A stream in any pieces."""
    data = draw(of)
    places = sorted(draw(st.sets(st.integers(1, max(1, len(data) - 1)), max_size=8)))
    return [piece for piece in (data[a:b] for a, b in itertools.pairwise([0, *places, len(data)])) if piece]


# --- running them -------------------------------------------------------------------------------------


def fact(event: Any) -> tuple[Any, ...]:
    """An event without the words that everybody chooses for himself."""
    kind = type(event).__name__
    if kind == "Failed":
        return kind, event.code
    return (kind, event.code, event.reason) if kind == "Closed" else (kind, event.data)


def outcome(module: ModuleType, pieces: list[bytes]) -> tuple[list[tuple[Any, ...]], bytes, str]:
    """The events of a stream, what was sent (a Close of ours without its reason), and the last state."""
    connection = module.Connection(max_message=LIMIT)
    found, sent = [], b""
    for piece in pieces:
        found += [fact(event) for event in connection.receive(piece)]
        sent += connection.data_to_send()
    return found, sent, connection.state


def sent_frames(data: bytes) -> list[tuple[int, bytes]]:
    """What a server sent; of a Close its code alone."""
    found = []
    while data:
        opcode, size = data[0] & 0x0F, data[1]
        assert data[0] & 0xF0 == 0x80 and size <= 125, data[:4]
        payload, data = data[2 : 2 + size], data[2 + size :]
        found.append((opcode, payload[:2] if opcode == CLOSE else payload))
    return found


@bounded
@given(cuts(good_streams))
def test_good_streams_are_read_as_wsproto_reads_them(pieces: list[bytes]) -> None:
    mine, sent, state = outcome(ours, pieces)
    theirs = outcome(wsprotos, [b"".join(pieces)] if pieces else [])
    assert (mine, sent, state) == theirs and state == "open"


@bounded
@given(cuts(streams()))
def test_any_stream_is_read_or_failed_as_wsproto_does(pieces: list[bytes]) -> None:
    mine, sent, state = outcome(ours, pieces)
    theirs, their_sent, their_state = outcome(wsprotos, [b"".join(pieces)] if pieces else [])
    if state != their_state:
        # Known from fewer bytes: two of a head, a head without its payload, or half of a surrogate pair
        assert (state, their_state) == ("closed", "open") and mine[-1][0] == "Failed"
        mine = mine[:-1]
    elif mine and mine[-1][0] == "Failed" and mine[-1] != theirs[-1]:
        # A head that is out of turn, and too long as well
        assert {mine[-1][1], theirs[-1][1]} == {1002, 1009}
        mine, theirs = mine[:-1], theirs[:-1]
    else:
        assert sent_frames(sent) == sent_frames(their_sent)
    assert mine == theirs


@bounded
@given(streams(), st.integers(1, 5))
def test_pieces_never_matter(data: bytes, size: int) -> None:
    pieces = [data[start : start + size] for start in range(0, len(data), size)]
    assert outcome(ours, pieces) == outcome(ours, [data] if data else [])


@bounded
@given(streams())
def test_nothing_passes_that_websockets_fails(data: bytes) -> None:
    """At least as strict: whatever websockets calls a violation, and UTF-8 besides."""
    theirs = ServerProtocol(state=OPEN, max_size=LIMIT)
    theirs.receive_data(data)
    frames_read = [event for event in theirs.events_received() if not hasattr(event, "path")]
    mine, _, _ = outcome(ours, [data] if data else [])
    if theirs.parser_exc is not None and "incomplete fragmented" not in str(theirs.parser_exc):
        assert mine[-1][0] == "Failed", theirs.parser_exc
    elif mine and mine[-1][0] != "Failed":
        controls = [one for one in frames_read if getattr(one, "opcode", None) in (Opcode.PING, Opcode.PONG)]
        assert len(controls) == sum(event[0] in ("Ping", "Pong") for event in mine)


@bounded
@given(payloads, st.integers(0, 9), masks)
def test_masking_twice_is_nothing(data: bytes, offset: int, mask: bytes) -> None:
    assert ours.apply_mask(ours.apply_mask(data, mask, offset), mask, offset) == data
    assert ours.apply_mask(data, mask, offset) == wsprotos.apply_mask(data, mask, offset)


# --- decided, or left out -----------------------------------------------------------------------------


def fed(*frames_in: tuple[int, bytes, bool]) -> Any:
    connection = ours.Connection()
    for opcode, payload, fin in frames_in:
        connection.events = connection.receive(ours.encode_frame(opcode, payload, fin, b"Ada!"))
    return connection


def test_half_of_a_surrogate_pair_is_known_at_its_second_byte() -> None:
    connection = fed((TEXT, b"Ada\xed\x9f", False))
    assert connection.state == "open"
    assert fed((TEXT, b"Ada\xed\xa0", False)).state == "closed"
    assert fed((TEXT, b"Ada\xed\xbf", False)).state == "closed"


def test_close_between_fragments_is_answered() -> None:
    connection = fed((TEXT, b"Ad", False), (CLOSE, b"\x03\xe8", True))
    assert connection.events == [ours.Closed(1000, "")]
    assert connection.data_to_send() == b"\x88\x02\x03\xe8"


def test_codes_from_5000_on_are_refused() -> None:
    assert fed((CLOSE, (5000).to_bytes(2, "big"), True)).events[0].code == 1002
    with pytest.raises(ValueError, match="5000"):
        ours.Connection().close(5000)


def test_codes_of_the_registry_are_known() -> None:
    """1012, 1013 and 1014 came after RFC 6455."""
    for code in (1012, 1013, 1014):
        assert fed((CLOSE, code.to_bytes(2, "big"), True)).events == [ours.Closed(code, "")]


def test_pings_are_answered_until_their_close() -> None:
    """§5.5.2: also after our own Close frame."""
    connection = ours.Connection()
    connection.close()
    connection.data_to_send()
    connection.receive(ours.encode_frame(PING, b"Ada", True, b"Ada!"))
    assert connection.data_to_send() == b"\x8a\x03Ada"


# --- served by lab 11 ---------------------------------------------------------------------------------

SERVE = """
import asyncio, socket
import frames_echo, server, websocket_server

async def main():
    sock = socket.create_server(("127.0.0.1", 0))
    await server.Server(frames_echo.application, upgrade=websocket_server.upgrade).listen(sock)
    print(sock.getsockname()[1], flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def test_lab_11_hands_its_connections_over() -> None:
    """The 101 path: lab 11's server reads the head, and lab 14's frames do the rest."""
    folders = map(str, [SOLUTIONS / LAB, APPS, LABS / LAB / "apps", LAB_11])
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(folders)}
    words = [sys.executable, "-c", SERVE]
    with subprocess.Popen(words, env=env, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            address = f"ws://127.0.0.1:{int(process.stdout.readline())}"
            with connect(f"{address}/", subprotocols=["chat", "tasks"], proxy=None) as client:  # type: ignore
                assert client.subprotocol == "tasks"
                for said in ("Ada", "\u00e9" * 70_000, b"\x00\xff" * 40_000):
                    client.send(said)
                    assert client.recv(timeout=60) == said
                client.close(4001, "bye")
            assert client.close_code == 4001
        finally:
            process.terminate()
