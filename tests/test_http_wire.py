"""What the checks' own client says of connections that end."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from workshop.judge.diagnosis import is_of_this_machine
from workshop.judge.http_wire import NOTHING, Deadline, NoAnswer, NotHTTP, Wire
from workshop.judge.websocket_client import WebSocket

SECONDS = 10.0
REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@contextmanager
def served(ends: Callable[[socket.socket], None]) -> Iterator[int]:
    """The port of a server that has all of a request before it ends the connection in its own way."""

    def serve() -> None:
        accepted, _ = listener.accept()
        with accepted:
            accepted.recv(len(REQUEST), socket.MSG_WAITALL)
            ends(accepted)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            thread.join()


def is_reset(accepted: socket.socket) -> None:
    accepted.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_closed(accepted: socket.socket) -> None:
    accepted.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("ends", [is_reset, is_closed])
def test_no_answer_is_said_in_the_same_words_however_the_connection_ended(
    ends: Callable[[socket.socket], None],
) -> None:
    """A server that closes with a request unread resets it or ends it, as a race will have it."""
    with served(ends) as port, Wire("127.0.0.1", port, SECONDS) as wire:
        wire.send(REQUEST)
        with pytest.raises(NoAnswer) as caught:
            wire.response()
    assert caught.value.got == NOTHING


def test_a_reset_in_the_middle_of_an_answer_is_said() -> None:
    def begins(accepted: socket.socket) -> None:
        accepted.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab")
        accepted.recv(1)  # the client has read that
        is_reset(accepted)

    with served(begins) as port, Wire("127.0.0.1", port, SECONDS) as wire:
        wire.send(REQUEST)
        head = wire.read()
        wire.send(b"!")
        with pytest.raises(NoAnswer, match="was reset"):
            wire.response()
    assert head.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("early", "words"),
    [
        (b"", "was reset while the request was sent"),
        (b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.1 413 Content Too Large\r\nContent-Length: 5\r\n\r\nab", "cut short"),
    ],
    ids=["none", "whole", "a part of it"],
)
def test_an_answer_that_comes_before_the_whole_body_is_read(early: bytes, words: str) -> None:
    """A server that answers 413 and closes resets the connection under the rest of the body."""

    def refuses(accepted: socket.socket) -> None:
        accepted.sendall(early)

    with served(refuses) as port, Wire("127.0.0.1", port, SECONDS) as wire:
        data = REQUEST + b"x" * 16_000_000  # more than any buffer takes: the sending is still under way
        if words:
            with pytest.raises(NoAnswer, match=words):
                wire.ask(data)
        else:
            assert wire.ask(data).status == 413


@pytest.mark.parametrize("body", [b"", b"Hello, world!\n"], ids=["the head came first", "all came at once"])
def test_a_wrong_head_is_shown_without_what_came_with_it(body: bytes) -> None:
    def answers(accepted: socket.socket) -> None:
        accepted.sendall(b"HTTP/1.1 None\r\nServer: x\r\n\r\n" + body)

    with served(answers) as port, Wire("127.0.0.1", port, SECONDS) as wire:
        wire.send(REQUEST)
        with pytest.raises(NotHTTP) as caught:
            wire.response()
    assert caught.value.got.endswith(r": b'HTTP/1.1 None\r\nServer: x\r\n\r\n'")


@pytest.mark.parametrize("waiting", [0, 3], ids=["nobody waits", "too many wait already"])
def test_a_bridge_that_is_late_is_late_and_refuses_nothing(waiting: int, tmp_path: Path) -> None:
    """A crowded machine may be why: what is late is tried again, and what is refused is not."""
    with socket.socket(socket.AF_UNIX) as listener, contextlib.ExitStack() as others:
        listener.bind(str(tmp_path / "8001.sock"))
        listener.listen(1)
        for _ in range(waiting):
            other = others.enter_context(socket.socket(socket.AF_UNIX))
            other.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                other.connect(str(tmp_path / "8001.sock"))
        with pytest.raises(Deadline, match=r"no connection to 127\.0\.0\.1:8001: timed out"):
            Wire(f"unix:{tmp_path}", 8001, 0.2)


class Lacking(socket.socket):
    """A socket of a machine without memory for it."""

    def send(self, *_: object) -> int:
        raise OSError(errno.ENOBUFS, os.strerror(errno.ENOBUFS))

    def recv(self, *_: object) -> bytes:
        raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))


def test_what_this_machine_lacks_is_nothing_that_the_other_side_did() -> None:
    with Lacking() as lacking:
        wire = Wire.__new__(Wire)
        wire.socket, wire.deadline, wire.used, wire.port = lacking, time.monotonic() + SECONDS, None, 1
        wire.sent, wire.received = bytearray(), bytearray()
        for does in (lambda: wire.send(b"x"), wire.read):
            with pytest.raises(OSError) as caught:
                does()
            assert is_of_this_machine(caught.value)


class Pieces:
    """A Wire whose reads are scripted; after them it has ended."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.received = list(pieces), bytearray()

    def read(self) -> bytes:
        return self.pieces.pop(0) if self.pieces else b""

    def send(self, data: bytes) -> None:
        """The handshake is the same each time."""

    def close(self) -> None:
        self.pieces.clear()


HEAD = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 7\r\n\r\n"


@pytest.mark.parametrize(
    "pieces", [(HEAD + b"no name",), (HEAD, b"no name"), (HEAD[:9], HEAD[9:] + b"no ", b"name")]
)
def test_a_refused_handshake_may_come_in_any_pieces(pieces: tuple[bytes, ...]) -> None:
    socket = WebSocket(Pieces(*pieces), "/rooms/tea")  # type: ignore[arg-type]
    assert socket.refused is not None
    assert (socket.refused.status, socket.refused.body) == (400, b"no name")


@pytest.mark.parametrize("pieces", [(), (HEAD,), (b"mail\r\n\r\n",)])
def test_a_handshake_without_a_whole_answer_has_none(pieces: tuple[bytes, ...]) -> None:
    with pytest.raises(NoAnswer, match="without an answer to the handshake"):
        WebSocket(Pieces(*pieces), "/rooms/tea")  # type: ignore[arg-type]
