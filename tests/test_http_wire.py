"""What the checks' own client says of connections that end."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from workshop.judge.http_wire import NOTHING, NoAnswer, Wire

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
