"""What the checks' own client says of connections that end."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from workshop.judge.http_wire import NOTHING, NoAnswer, NotHTTP, Wire
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


@pytest.mark.parametrize("body", [b"", b"Hello, world!\n"], ids=["the head came first", "all came at once"])
def test_a_wrong_head_is_shown_without_what_came_with_it(body: bytes) -> None:
    def answers(accepted: socket.socket) -> None:
        accepted.sendall(b"HTTP/1.1 None\r\nServer: x\r\n\r\n" + body)

    with served(answers) as port, Wire("127.0.0.1", port, SECONDS) as wire:
        wire.send(REQUEST)
        with pytest.raises(NotHTTP) as caught:
            wire.response()
    assert caught.value.got.endswith(r": b'HTTP/1.1 None\r\nServer: x\r\n\r\n'")


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
