"""Calling a WSGI application by hand, every event of it logged."""

from __future__ import annotations

import base64
import io
import operator
import sys
from collections.abc import Callable
from typing import Any

from workshop.run.probe_log import Log


class LoggedInput(io.RawIOBase):
    """wsgi.input over bytes that are elsewhere; each read is noted: a check sees what was read, and when."""

    def __init__(self, number: int, log: Log) -> None:
        self._number, self._log = number, log

    def _piece(self, method: str, size: int | None) -> bytes:
        size = -1 if size is None else max(-1, min(operator.index(size), sys.maxsize))
        piece = self._log.go_on(self._number, [method, size])
        return base64.b64decode(piece["$bytes"])

    def read(self, size: int | None = -1) -> bytes:
        return self._piece("read", size)

    def readinto(self, into: Any) -> int:
        data = self._piece("readinto", len(into))
        into[: len(data)] = data
        return len(data)

    def readline(self, size: int | None = -1) -> bytes:
        return self._piece("readline", size)

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> LoggedInput:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line


def make_environ(request: dict[str, Any], log: Log) -> dict[str, Any]:
    """The environ that PEP 3333 "environ Variables" asks for, with the request's own `environ` on top."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": LoggedInput(request["body"], log),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ.update(request.get("environ", {}))
    return environ


def call_wsgi(request: dict[str, Any], log: Log) -> None:
    """Call an application once, as a server does, and log everything that crosses the boundary.

    `take` ends the iteration after so many chunks, as a client does that leaves; close is then still called.
    """
    app = request["app"]

    def write(data: bytes) -> None:
        log.add("write", data=data)

    def start_response(status: Any, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        kind = None if exc_info is None else type(exc_info[1]).__name__
        pairs = [list(pair) if isinstance(pair, tuple) else {"not": repr(pair)} for pair in headers]
        log.add("start_response", status=status, headers=pairs, of=type(headers).__name__, exc_info=kind)
        return write

    log.add("called")
    try:
        body = app(make_environ(request, log), start_response)
    except BaseException as error:
        log.raised(error, "call")
        return
    log.add("returned", type=type(body).__name__, has_close=hasattr(body, "close"))
    try:
        _iterate(body, request.get("take"), log)
    finally:
        _close(body, log)


def _iterate(body: Any, take: int | None, log: Log) -> None:
    try:
        if take == 0:
            return
        for number, chunk in enumerate(body, 1):
            log.add("chunk", data=chunk, type=type(chunk).__name__)
            if number == take:
                return
        log.add("exhausted")
    except BaseException as error:
        log.raised(error, "iteration")


def _close(body: Any, log: Log) -> None:
    if not hasattr(body, "close"):
        return
    try:
        body.close()
        log.add("close")
    except BaseException as error:
        log.raised(error, "close")
