"""Between the checks and a sandbox that has no network: one Unix socket for each TCP port inside.

The listening sockets are made outside, where the sandbox can't reach their names, and handed in as
descriptors. This side accepts on them, connects to the port and relays bytes both ways. What TCP tells apart
stays apart: a refused connection (the first byte is not "+"), a half-close (the end of the stream), a close
(hang-up), and a reset (a descriptor passed along with a byte).

One thread relays all connections of a port: with two threads for each, most of the time went into having them
take turns.
"""

from __future__ import annotations

import contextlib
import errno
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
NOTHING = memoryview(b"")


def ports(lab: Lab) -> dict[str, int]:
    """The ports of a lab's services in a sandbox, which has them all to itself: the same in every run."""
    return {name: FRONT + number for number, name in enumerate(lab.services, 1)}


Asked = Callable[[], bool]


def serve(listener: socket.socket, port: int, is_right: Asked = lambda: True) -> None:
    """Relay every connection of `listener` to a port of this host, in a thread, until the process ends.

    Where `is_right` says that somebody else listens there, it is refused. Needs epoll (Linux).
    """
    threading.Thread(target=_Port(listener, port, is_right).relay, daemon=True).start()


class _Port:
    """The connections of one port, by the descriptors of their two ends."""

    def __init__(self, listener: socket.socket, port: int, is_right: Asked) -> None:
        self._listener, self._port, self._is_right = listener, port, is_right
        self._bridges: dict[int, _Bridge] = {}
        self._watch = select.epoll()

    def relay(self) -> None:
        self._listener.setblocking(False)
        self._watch.register(self._listener, select.EPOLLIN)
        while True:
            for descriptor, events in self._watch.poll():
                if descriptor == self._listener.fileno():
                    self._accept()
                elif descriptor in self._bridges:  # none that another event of the same time has ended
                    self._go_on(self._bridges[descriptor], descriptor, events)

    def _accept(self) -> None:
        try:
            outside, _ = self._listener.accept()
        except OSError as error:
            if error.errno not in (errno.EAGAIN, errno.ECONNABORTED):
                self._watch.unregister(self._listener)
            return
        with contextlib.suppress(OSError):  # the check has gone
            if self._is_right():
                bridge = _Bridge(outside, self._port)
                self._bridges |= dict.fromkeys(bridge.ends, bridge)
                self._follow(bridge)
            else:
                outside.send(REFUSED)
                outside.close()

    def _go_on(self, bridge: _Bridge, descriptor: int, events: int) -> None:
        try:
            bridge.happened(descriptor, events)
        except OSError:
            bridge.is_over = True
        self._follow(bridge)

    def _follow(self, bridge: _Bridge) -> None:
        """Look at what the bridge waits for now."""
        if bridge.is_over:
            for descriptor in bridge.ends:
                del self._bridges[descriptor]
                if bridge.watched.get(descriptor) is not None:
                    self._watch.unregister(descriptor)
            bridge.close()
            return
        for descriptor, wanted in bridge.wanted().items():
            known = bridge.watched.get(descriptor)
            if wanted == known:
                continue
            if wanted is None:
                self._watch.unregister(descriptor)
            elif known is None:
                self._watch.register(descriptor, wanted)
            else:
                self._watch.modify(descriptor, wanted)
            bridge.watched[descriptor] = wanted


class _Bridge:
    """One connection: `outside` is the check's end, `inside` the service's.

    Of each direction there is at most one piece here: who does not read is not sent more. OSError from
    `happened` ends the connection at once.
    """

    def __init__(self, outside: socket.socket, port: int) -> None:
        self.outside, self.inside = outside, socket.socket()
        self.ends = (outside.fileno(), self.inside.fileno())
        self.watched: dict[int, int | None] = {}  # by descriptor: what epoll has been asked for
        self.is_over = False
        self._connected = False
        self._asked: memoryview = NOTHING  # what the service has yet to take
        self._answered: memoryview = NOTHING  # what the check has yet to take
        self._all_asked = self._all_answered = False  # that way nothing more comes
        self._left = False  # the check has closed its end
        self._hung_up = False  # the service's end: both directions are over, or it was reset
        outside.setblocking(False)
        outside.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self.inside.setblocking(False)
        self.inside.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        self.inside.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.inside.connect_ex(("127.0.0.1", port))  # what it came to is told when it can be written to

    def close(self) -> None:
        self.outside.close()
        self.inside.close()

    def wanted(self) -> dict[int, int | None]:
        """What each end is watched for, beside its hang-up; None: for that neither, as it is known."""
        outside = select.EPOLLIN if self._connected and not (self._all_asked or self._asked) else 0
        inside = select.EPOLLIN if self._connected and not (self._all_answered or self._answered) else 0
        outside |= select.EPOLLOUT if self._answered else 0
        inside |= select.EPOLLOUT if self._asked or not self._connected else 0
        ends = (None if self._left else outside, inside or (None if self._hung_up else 0))
        return dict(zip(self.ends, ends, strict=True))

    def happened(self, descriptor: int, events: int) -> None:
        if not self._connected:
            self._connect()
        elif descriptor == self.outside.fileno():
            self._outside(events)
        else:
            self._inside(events)

    def _connect(self) -> None:
        """The service has taken the connection, or refused it; or the check has not waited for either."""
        try:
            self.inside.getpeername()
        except OSError:
            self.is_over = True
        else:
            self._connected = True
        self.outside.send(OPEN if self._connected else REFUSED)

    def _outside(self, events: int) -> None:
        if events & (select.EPOLLHUP | select.EPOLLERR):
            self._gone()
            return
        if events & select.EPOLLOUT:
            self._answer()
        if events & select.EPOLLIN:
            self._read_requests()

    def _gone(self) -> None:
        """The check closed: bytes of the service's from now on meet a reset, as they would on TCP.

        What it asked before that still arrives.
        """
        self._left = True
        if self._answered or self._unread():
            self._reset()
        else:
            self._read_requests()

    def _unread(self) -> bool:
        try:
            return bool(self.inside.recv(1, socket.MSG_PEEK))
        except OSError:
            return False

    def _read_requests(self) -> None:
        """From the check to the service, up to a half-close, a close or a reset."""
        while not (self._asked or self._all_asked):
            try:
                data, descriptors, _, _ = socket.recv_fds(self.outside, PIECE, 1)
            except BlockingIOError:
                return
            for descriptor in descriptors:
                os.close(descriptor)
            if descriptors:
                self._reset()
                return
            if data:
                self._asked = memoryview(data)
                self._ask()
            else:
                self._all_asked = True
                with contextlib.suppress(OSError):
                    self.inside.shutdown(socket.SHUT_WR)
            if not self._left:
                return  # what more there is is told
        self.is_over = self._left and self._all_asked

    def _ask(self) -> None:
        try:
            self._asked = self._asked[self.inside.send(self._asked) :]
        except BlockingIOError:
            pass
        except OSError:  # the service left, or takes no more: the check hears of it from the other direction
            self._asked, self._all_asked = NOTHING, True
            with contextlib.suppress(OSError):
                self.outside.shutdown(socket.SHUT_RD)

    def _inside(self, events: int) -> None:
        self._hung_up = bool(events & (select.EPOLLHUP | select.EPOLLERR))
        if self._all_answered and self._hung_up:
            self._both_ended()
            return
        if events & select.EPOLLOUT and self._asked:
            self._ask()
            if self._left:
                self._read_requests()
        if events & ~select.EPOLLOUT and not (self._all_answered or self._answered or self.is_over):
            self._read_answers()

    def _both_ended(self) -> None:
        """Both directions have: a hang-up, or what came after the end met a reset."""
        self._asked, self._all_asked = NOTHING, True
        if self.inside.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.outside.shutdown(socket.SHUT_RDWR)
        self.is_over = self._left

    def _read_answers(self) -> None:
        """From the service to the check."""
        try:
            data = self.inside.recv(PIECE)
        except BlockingIOError:
            return
        except OSError:  # the service reset the connection: leave at once
            self.outside.shutdown(socket.SHUT_RDWR)
            raise
        if data:
            self._answered = memoryview(data)
            self._answer()
        else:
            self._all_answered = True
            self.outside.shutdown(socket.SHUT_WR)

    def _answer(self) -> None:
        try:
            self._answered = self._answered[self.outside.send(self._answered) :]
        except BlockingIOError:
            pass
        except BrokenPipeError:  # a check that has gone is a reset to the service
            self._reset()

    def _reset(self) -> None:
        self.is_over = True
        with contextlib.suppress(OSError):
            self.inside.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
