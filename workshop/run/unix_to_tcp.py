"""Between the checks and a sandbox that has no network: one Unix socket for each TCP port inside.

The listening sockets are made outside, where the sandbox can't reach their names, and handed in as
descriptors. This side accepts on them, connects to the port and relays bytes both ways. What TCP tells apart
stays apart: a refused connection (the first byte is not "+"), a half-close (the end of the stream), a close
(hang-up), and a reset (a descriptor passed along with a byte).
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
from collections.abc import Callable

from workshop.labs import Lab

FRONT = 8000  # nginx's port inside; the services' follow
AGENT = 1  # no TCP port: the name of the agent's socket beside the others
OPEN, REFUSED, RESET = b"+", b"-", b"R"
PIECE = 1 << 16
BUFFER = 1 << 17  # bytes that a bridge adds to what a slow reader leaves unread


def ports(lab: Lab) -> dict[str, int]:
    """The ports of a lab's services in a sandbox, which has them all to itself: the same in every run."""
    return {name: FRONT + number for number, name in enumerate(lab.services, 1)}


Asked = Callable[[], bool]


def serve(listener: socket.socket, port: int, is_right: Asked = lambda: True) -> None:
    """Relay every connection of `listener` to a port of this host, in threads, until the process ends.

    Where `is_right` says that somebody else listens there, it is refused.
    """
    threading.Thread(target=_accept, args=[listener, port, is_right], daemon=True).start()


def _accept(listener: socket.socket, port: int, is_right: Asked) -> None:
    while True:
        try:
            outside, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_open, args=[outside, port, is_right], daemon=True).start()


def _open(outside: socket.socket, port: int, is_right: Asked) -> None:
    inside = socket.socket()
    with outside, inside, contextlib.suppress(OSError):
        if not is_right():
            outside.send(REFUSED)
            return
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        try:
            inside.connect(("127.0.0.1", port))
        except OSError:
            outside.send(REFUSED)
            return
        inside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        outside.send(OPEN)
        back = threading.Thread(target=_answers, args=[inside, outside], daemon=True)
        back.start()
        _requests(outside, inside)
        back.join()


def _requests(outside: socket.socket, inside: socket.socket) -> None:
    """From the check to the service, up to a half-close, a close or a reset."""
    try:
        while True:
            data, descriptors, _, _ = socket.recv_fds(outside, PIECE, 1)
            if descriptors:
                for descriptor in descriptors:
                    os.close(descriptor)
                _reset(inside)
                return
            if not data:
                break
            inside.sendall(data)
        with contextlib.suppress(OSError):
            inside.shutdown(socket.SHUT_WR)
    except OSError:  # the service left, or took no more: the check hears of it from the other direction
        with contextlib.suppress(OSError):
            outside.shutdown(socket.SHUT_RD)


def _answers(inside: socket.socket, outside: socket.socket) -> None:
    """From the service to the check; a check that has gone is a reset to the service."""
    watch = select.poll()
    watch.register(inside, select.POLLIN)
    watch.register(outside, 0)  # a hang-up is always told
    ended = False
    try:
        while True:
            events = dict(watch.poll())
            if events.get(outside.fileno(), 0) & (select.POLLHUP | select.POLLERR):
                _gone(inside, watch)
                return
            if ended:  # both directions have: a hang-up, or what came after the end met a reset
                watch.unregister(inside)
                reset = inside.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
                outside.shutdown(socket.SHUT_RDWR if reset else socket.SHUT_WR)
                continue
            data = inside.recv(PIECE)
            if not data:
                ended = True
                outside.shutdown(socket.SHUT_WR)
                watch.modify(inside, 0)
                continue
            outside.sendall(data)
    except BrokenPipeError:
        _reset(inside)
    except OSError:  # the service reset the connection: leave at once
        with contextlib.suppress(OSError):
            outside.shutdown(socket.SHUT_RDWR)


def _gone(inside: socket.socket, watch: select.poll) -> None:
    """The check closed: bytes of the service's from now on meet a reset, as they would on TCP."""
    with contextlib.suppress(OSError, KeyError, ValueError):  # the other direction may have closed it
        watch.unregister(inside)
    with contextlib.suppress(OSError):
        if inside.recv(PIECE, socket.MSG_DONTWAIT | socket.MSG_PEEK):
            _reset(inside)


def _reset(inside: socket.socket) -> None:
    with contextlib.suppress(OSError):
        inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        inside.close()
