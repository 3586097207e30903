"""The fork's line to the agent, which keeps the record of its call: tell what happens, ask what is next."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any, Protocol

MESSAGE_LIMIT = 16 * 1024 * 1024

Json = Any


class Line(Protocol):
    """Carries messages to a CallRecord."""

    def tell(self, message: Json) -> None: ...

    def ask(self, message: Json) -> Json: ...


class SocketLine:
    """A line over a socket that the fork has inherited; threads may use it, and processes of its own may not.

    `too_much` is called with the size of a message that is larger than any should be.
    """

    def __init__(self, descriptor: int, call: int, too_much: Callable[[int], None]) -> None:
        self._link = socket.socket(fileno=os.dup(descriptor))
        self._call, self._too_much, self._pid = call, too_much, os.getpid()
        self._lock = threading.RLock()
        self._number = 0
        self._pending = b""
        self._answers: dict[int, Json] = {}
        self.tell({"pid": self._pid})

    def tell(self, message: Json) -> None:
        if os.getpid() != self._pid:  # a fork of the learner's own: nobody hears it
            return
        data = json.dumps({"call": self._call, **message}).encode() + b"\n"
        if len(data) > MESSAGE_LIMIT:
            self._too_much(len(data))
        with self._lock:
            self._link.sendall(data)

    def ask(self, message: Json) -> Json:
        if os.getpid() != self._pid:
            raise RuntimeError("only the process that was called can go on with a script")
        with self._lock:
            self._number += 1
            number = self._number
            self.tell({"ask": number, **message})
            while number not in self._answers:
                self._take()
            return self._answers.pop(number)

    def _take(self) -> None:
        piece = self._link.recv(1 << 16)
        if not piece:
            os._exit(70)  # the agent has gone
        *lines, self._pending = (self._pending + piece).split(b"\n")
        for line in lines:
            answer = self._own(line)
            if answer is not None:
                self._answers[answer["ask"]] = answer

    def _own(self, line: bytes) -> Json:
        """An answer, unless it is an earlier call's.

        That one may have ended before it read it, or had read half of it: the socket is the same.
        """
        with contextlib.suppress(ValueError):
            answer = json.loads(line)
            if isinstance(answer, dict) and answer.get("call") == self._call:
                return answer
        return None
