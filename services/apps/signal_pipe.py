"""Signals as bytes in a pipe, for processes that wait for signals and for sockets at the same time.

    signals = SignalPipe([signal.SIGTERM, signal.SIGCHLD])
    if signal.SIGTERM in signals.wait(0.5, listener): ...

A Python handler runs between two instructions of whatever the process is doing: almost nothing is safe there.
So nothing is done there. The C part of the interpreter's handler writes the signal's number into a pipe
(signal.set_wakeup_fd), and select waits for that pipe. A signal that comes just before the select is a byte
that waits for it; a flag that a handler sets would be seen only after it.
"""

from __future__ import annotations

import os
import select
import signal
import socket
from collections.abc import Iterable


class SignalPipe:
    """The signals that came to this process since the last look, in order. One a process."""

    def __init__(self, numbers: Iterable[int]) -> None:
        self._reader, self._writer = os.pipe()
        for end in (self._reader, self._writer):
            os.set_blocking(end, False)
        signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        for number in numbers:
            # Only a signal that has a handler is written. This handler has nothing left to do.
            signal.signal(number, lambda *_: None)

    def wait(self, seconds: float, *others: socket.socket) -> bytes:
        """The numbers of the signals, b"\\x0f" for SIGTERM; b"" when a socket is ready or time is over."""
        select.select([self._reader, *(one.fileno() for one in others)], [], [], max(0.0, seconds))
        try:
            return os.read(self._reader, 4096)
        except BlockingIOError:
            return b""

    def close(self) -> None:
        """Let go of the pipe. A forked child does: what is sent to it must not be read by its parent."""
        signal.set_wakeup_fd(-1)
        os.close(self._reader)
        os.close(self._writer)
