"""A WSGI server: python server.py module:attribute --host 127.0.0.1 --port 8000

How it works. One thread, the porter, owns every connection that waits: it accepts, collects the bytes of
each request's head, and closes who is silent for too long. A whole head goes into a queue. A pool of threads
takes connections from there: build the environ, call the application, send what it gives, and hand the
connection back. So a client that is idle or slow to ask costs a few bytes; only a running application, or a
client that is slow to take its answer, costs a thread.

    accept ─▶ porter ── a whole head ──▶ queue ──▶ thread: environ ─▶ application ─▶ Response
                 ▲                                                                      │
                 └──────────────────── kept alive, or lingering ◀───────────────────────┘

A connection belongs to the porter or to one thread, never to both: nothing in it needs a lock. Whether it is
`away` in a thread, and whether the selector has it (`watched`), only the porter writes.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import queue
import re
import selectors
import socket
import sys
import threading
import time
import traceback
from collections import deque
from collections.abc import Callable, Iterable
from types import TracebackType
from typing import Any

from command_line import main
from http1 import (
    HEAD_LIMIT,
    PIECE,
    TOKEN,
    ClientGone,
    Connection,
    Head,
    Refused,
    chunk_size,
    date_line,
    read_head,
)

Environ = dict[str, Any]
ExcInfo = tuple[type[BaseException], BaseException, TracebackType | None]
Application = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

DRAIN_LIMIT = 64 * 1024  # bytes of an unread body that are read away to keep a connection
LINGER = 2.0  # seconds in which a client may still be sending after the last answer
TICK = 0.5  # seconds between two looks at who is overdue
STOP = 2.0  # seconds for the requests in flight after SIGTERM

# PEP 3333, "The start_response() Callable": a status is "999 Message here", without control characters.
# 1xx are interim (RFC 9110 §15.2): they can't be an application's answer.
STATUS = re.compile(r"[2-9]\d\d(?: [^\x00-\x08\x0a-\x1f\x7f]*)?")
NAME = re.compile(TOKEN)
CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
# RFC 9110 §7.6.1: these speak of one connection, and the connection is the server's.
HOP_BY_HOP = {
    *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
    *("te", "trailer", "transfer-encoding", "upgrade"),
}


# --- task 1: the environ ------------------------------------------------------------------------------


class Body(io.RawIOBase):
    """The body of one request, and then the end of file, whatever else the connection carries.

    `length` is in bytes; None is a chunked body (RFC 9112 §7.1). Reading raises ClientGone when the client
    leaves in the middle (a body cut short is no shorter body), Refused when a chunk is no chunk.
    """

    def __init__(self, connection: Connection, length: int | None) -> None:
        self._connection = connection
        self._chunked = length is None
        self._refused: Refused | None = None
        self.left = 0 if length is None else length  # of the body, or of the current chunk
        self.ended = length == 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        """The one method that io.BufferedReader needs for read, readline, readlines and iteration."""
        if self._refused:
            # Where a chunk was no chunk, nobody knows what the next bytes are: they are never looked at.
            raise self._refused
        try:
            return self._read(into)
        except Refused as refused:
            self._refused = refused
            raise

    def _read(self, into: Any) -> int:
        if self._chunked and self.left == 0 and not self.ended:
            self._next_chunk()
        if self.ended:
            # PEP 3333, "Input and Error Streams": simulate the end of file where the body ends.
            return 0
        data = self._connection.take(min(len(into), self.left))
        into[: len(data)] = data
        self._count(len(data))
        return len(data)

    def _count(self, taken: int) -> None:
        self.left -= taken
        if self.left == 0 and not self._chunked:
            self.ended = True
        elif self.left == 0 and self._connection.take_line():
            raise Refused("400 Bad Request", "a chunk that is longer than it says")

    def _next_chunk(self) -> None:
        self.left = chunk_size(self._connection.take_line())
        if self.left == 0:
            # Trailer fields are read and left out: WSGI has no place for them.
            self._connection.take_trailers()
            self.ended = True

    def drain(self) -> bool:
        """Read away what the application left; False when that is more than DRAIN_LIMIT bytes."""
        budget = DRAIN_LIMIT
        piece = memoryview(bytearray(PIECE))
        with contextlib.suppress(Refused):
            while not self.ended and budget > 0:
                budget -= self.readinto(piece)
        return self.ended


def build_environ(head: Head, connection: Connection, stream: Any, multithread: bool) -> Environ:
    """The environ of one request: a fresh, plain dict (PEP 3333, "environ Variables")."""
    path, _, query = head.target.partition("?")
    environ = {
        "REQUEST_METHOD": head.method,
        "SCRIPT_NAME": "",
        # "Unicode Issues": the bytes of the decoded path as latin-1. The query stays as it came.
        "PATH_INFO": unquote_latin1(path) if path != "*" else "",
        "QUERY_STRING": query,
        "SERVER_NAME": connection.server[0],
        "SERVER_PORT": str(connection.server[1]),
        "SERVER_PROTOCOL": f"HTTP/1.{head.version[1]}",
        "REMOTE_ADDR": connection.client[0],
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": stream,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": multithread,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        # Not in PEP 3333, but known to Werkzeug: the stream ends by itself, also without a length.
        "wsgi.input_terminated": True,
    }
    for name, value in head.fields:
        # RFC 3875 §4.1.18 turns "-" into "_": a field that is spelled with "_" could pass for another one.
        if "_" in name:
            continue
        key = name.upper().replace("-", "_")
        if key not in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            key = f"HTTP_{key}"
        if key == "CONTENT_LENGTH":
            environ[key] = str(head.length)
        elif key in environ:
            # RFC 9110 §5.3: repeated fields are one list, in order; RFC 6265 §4.2.1: cookies have their own.
            environ[key] += ("; " if key == "HTTP_COOKIE" else ",") + value
        else:
            environ[key] = value
    return environ


def unquote_latin1(path: str) -> str:
    """A path's bytes after percent-decoding, as latin-1: "/caf%C3%A9" is "/caf\\xc3\\xa9"."""
    if "%" not in path:
        return path
    return re.sub("%([0-9A-Fa-f]{2})", lambda escape: chr(int(escape[1], 16)), path)


# --- tasks 2 and 3: the response ----------------------------------------------------------------------


class Response:
    """One answer on its way: what start_response was told, and how much of it is sent."""

    __slots__ = (
        "_chunked",
        "_connection",
        "_dated",
        "_head",
        "_left",
        "_lines",
        "headers_sent",
        "keep_alive",
        "method",
        "status",
        "whole",
    )

    def __init__(self, connection: Connection, head: Head, keep_alive: bool) -> None:
        self._connection, self._head, self.keep_alive = connection, head, keep_alive
        self.method = head.method
        self.status = ""
        self.headers_sent = False
        self.whole = False  # the first chunk is the whole body
        self._lines = b""
        self._left: int | None = None  # bytes of Content-Length that are not sent yet
        self._chunked = False

    # task 2

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: ExcInfo | None = None
    ) -> Callable[[bytes], None]:
        """Keep status and headers until there is a body to send them with; returns `write`.

        Raises what `exc_info` holds when it is too late to change anything, AssertionError for a second
        call without it, ValueError or TypeError for headers that must not be sent.
        """
        if exc_info:
            try:
                if self.headers_sent:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                # PEP 3333, "Error Handling": the traceback holds this frame, and this frame the traceback.
                exc_info = None
        elif self.status:
            raise AssertionError("start_response was called a second time without exc_info")
        self._lines = self._checked(status, headers)
        self.status = status
        return self.write

    def _checked(self, status: str, headers: list[tuple[str, str]]) -> bytes:
        """Status line and header lines as bytes, or an exception."""
        if not STATUS.fullmatch(status):
            raise ValueError(f"a status is '200 OK', not {status!r}")
        # RFC 9112 §4: the space is there even when no reason follows it.
        lines = [f"HTTP/1.1 {status}" if " " in status else f"HTTP/1.1 {status} "]
        self._left, self._dated = None, False
        for name, value in headers:
            # RFC 9110 §5.5: a line break in a value would begin a header, or a response, of its own.
            if not NAME.fullmatch(name) or CONTROL.search(value):
                raise ValueError(f"a header that can't be sent: {name!r}")
            lower = name.lower()
            if lower in HOP_BY_HOP:
                # PEP 3333, "Other HTTP Features".
                raise ValueError(f"{name} is hop-by-hop: it belongs to the server, not to the application")
            if lower == "content-length":
                self._left = self._promised(value)
                if status.startswith("204"):
                    continue
            elif lower == "date":
                self._dated = True
            lines.append(f"{name}: {value}")
        lines.append("")
        return "\r\n".join(lines).encode("latin-1")

    def _promised(self, value: str) -> int:
        """Content-Length as a number (RFC 9110 §8.6: digits only, and one of them)."""
        if self._left is not None or not (value.isascii() and value.isdigit()):
            raise ValueError(f"not the one Content-Length of a body: {value!r}")
        return int(value)

    # task 3

    def write(self, data: bytes) -> None:
        """Send a piece of the body at once; the headers leave with the first one that is not empty.

        Raises AssertionError before start_response, TypeError for text, ValueError for more bytes than
        Content-Length allows, ClientGone.
        """
        if not isinstance(data, bytes):
            raise TypeError(f"a body is made of bytes, not {type(data).__name__}")
        if not self.status:
            raise AssertionError("the first chunk came before start_response")
        if not data:
            # An empty chunk would end a chunked body (RFC 9112 §7.1), and must not send the headers.
            return
        out = b"" if self.headers_sent else self._begin(len(data) if self.whole else None)
        extra = 0
        if not self._has_body:
            data = b""
        elif self._left is not None:
            # PEP 3333, "Handling the Content-Length Header": never more than was promised.
            extra = len(data) - self._left
            data = data[: self._left]
            self._left -= len(data)
        elif self._chunked:
            data = b"%x\r\n%b\r\n" % (len(data), data)
        self._connection.send(out + data if out else data)
        if extra > 0:
            raise ValueError(f"the body is {extra} bytes longer than its Content-Length")

    def finish(self) -> None:
        """Send what is left to send when the application is through."""
        if not self.status:
            raise AssertionError("the application never called start_response")
        out = b"" if self.headers_sent else self._begin(0)
        if self._chunked:
            out += b"0\r\n\r\n"
        if out:
            self._connection.send(out)
        if self._left and self._has_body:
            raise ValueError(f"the body is {self._left} bytes shorter than its Content-Length")

    @property
    def _has_body(self) -> bool:
        """RFC 9110 §9.3.2, §15.3.5, §15.4.5: nothing follows the head of these."""
        return self.method != "HEAD" and self.status[:3] not in ("204", "304")

    def _begin(self, length: int | None) -> bytes:
        """The head of the response; `length` is the body's where it is known from the body itself."""
        self.headers_sent = True
        lines = [self._lines]
        if self._left is None and self._has_body:
            if length is not None:
                self._left = length
                lines.append(b"Content-Length: %d\r\n" % length)
            elif self._head.version == (1, 1):
                self._chunked = True
                lines.append(b"Transfer-Encoding: chunked\r\n")
            else:
                # RFC 9112 §6.3: HTTP/1.0 knows no chunks: the end of the connection ends the body.
                self.keep_alive = False
        if self._connection.continue_due:
            # The client still waits for a 100 that won't come: whether the body follows can't be known.
            self._connection.continue_due = self.keep_alive = False
        if not self.keep_alive:
            lines.append(b"Connection: close\r\n")
        elif self._head.version == (1, 0):
            lines.append(b"Connection: keep-alive\r\n")
        if not self._dated:
            lines.append(date_line())
        lines.append(b"\r\n")
        return b"".join(lines)

    def abort(self) -> None:
        """End the connection so that the client can tell that the body is not whole."""
        if self._left is None and not self._chunked:
            self._connection.reset_when_closed()


def run(application: Application, environ: Environ, response: Response) -> None:
    """Call the application and send what it gives, each chunk before the next one is asked for."""
    result = application(environ, response.start_response)
    try:
        # PEP 3333, "Handling the Content-Length Header": of one chunk, the length is known.
        response.whole = isinstance(result, list | tuple) and len(result) == 1
        # "Buffering and Streaming": the chunk is with the system before the next one is asked for.
        for chunk in result:
            response.write(chunk)
        response.finish()
    finally:
        # "The Application/Framework Side": close() is called in every ending.
        close = getattr(result, "close", None)
        if close is not None:
            close()


# --- task 4: one connection ---------------------------------------------------------------------------


def serve_request(
    connection: Connection, application: Application, last: bool, multithread: bool
) -> bool | None:
    """Answer the request at the start of the connection's buffer; `last` says that it must be the last one.

    True: the next one may follow; False: nothing may follow; None: this one's head is not whole yet.
    """
    try:
        found = read_head(connection.buffer)
        if found is None:
            return None
        head, used = found
        del connection.buffer[:used]
        connection.continue_due = head.expects_continue
        body = None if head.length == 0 else Body(connection, head.length)
        stream = io.BytesIO() if body is None else io.BufferedReader(body)
        environ = build_environ(head, connection, stream, multithread)
        response = Response(connection, head, keep_alive=head.keep_alive and not last)
        respond(connection, application, environ, response)
        # RFC 9112 §9.3: what is left of the body would be read as the next request.
        return response.keep_alive and (body is None or body.drain())
    except Refused as refused:
        connection.refuse(refused.status, refused.why)
    except ClientGone:
        pass
    return False


def respond(connection: Connection, application: Application, environ: Environ, response: Response) -> None:
    """Run the application, and make the best of what it raises. Raises ClientGone."""
    try:
        run(application, environ, response)
    except ClientGone:
        raise
    except BaseException as error:
        # PEP 3333, "Error Handling": before the headers a 500 can be sent; after them only an end.
        traceback.print_exc()
        if response.headers_sent:
            response.abort()
        elif isinstance(error, Refused):
            connection.refuse(error.status, error.why, response.method)
        else:
            why = "the application raised an exception"
            connection.refuse("500 Internal Server Error", why, response.method)
        response.keep_alive = False


# --- task 5: many connections -------------------------------------------------------------------------


class Server:
    """The porter and its pool of threads. `keep_alive` and `time_out` are seconds."""

    def __init__(
        self,
        application: Application,
        listener: socket.socket,
        threads: int,
        keep_alive: float,
        time_out: float,
    ) -> None:
        self.application, self.listener = application, listener
        self.threads, self.keep_alive, self.time_out = threads, keep_alive, time_out
        self._selector = selectors.DefaultSelector()
        self._ready: queue.SimpleQueue[Connection | None] = queue.SimpleQueue()
        self._returned: deque[Connection] = deque()
        self._wake_reader, self._waker = socket.socketpair()
        self._asleep = False
        self._stopping = False

    def serve(self) -> None:
        """Serve until an exception, SystemExit for one, ends it; then finish what is in flight."""
        pool = [threading.Thread(target=self._work, daemon=True) for _ in range(self.threads)]
        for thread in pool:
            thread.start()
        for watched in (self.listener, self._wake_reader):
            watched.setblocking(False)
            self._selector.register(watched, selectors.EVENT_READ)
        try:
            self._be_porter()
        finally:
            self._stop(pool)

    # in the threads

    def _work(self) -> None:
        while (connection := self._ready.get()) is not None:
            kept = serve_request(connection, self.application, self._stopping, self.threads > 1)
            if kept and connection.buffer:
                # Pipelined requests stand in line with everybody else's (RFC 9112 §9.3.2: in order).
                self._ready.put(connection)
                continue
            if kept is False and not connection.aborted:
                connection.half_close()
            self._hand_back(connection)

    def _hand_back(self, connection: Connection) -> None:
        """The porter looks here when it wakes; it is woken only for what would not wake it by itself."""
        self._returned.append(connection)
        if self._asleep and (connection.aborted or not connection.watched):
            with contextlib.suppress(BlockingIOError):
                self._waker.send(b"!")

    # in the porter

    def _be_porter(self) -> None:
        next_look = time.monotonic() + TICK
        while True:
            # In this order: a thread that hands back after the look at `_returned` sees `_asleep`.
            self._asleep = True
            self._take_back()
            events = self._selector.select(TICK)
            self._asleep = False
            # First what came back: the next request on it may be among the events.
            self._take_back()
            for key, _ in events:
                self._attend(key)
            now = time.monotonic()
            if now > next_look:
                next_look = now + TICK
                self._close_overdue(now)

    def _attend(self, key: selectors.SelectorKey) -> None:
        if key.fileobj is self.listener:
            self._accept()
        elif key.fileobj is self._wake_reader:
            self._wake_reader.recv(PIECE)
        else:
            self._hear(key.data)

    def _accept(self) -> None:
        try:
            client, _ = self.listener.accept()
        except BlockingIOError:
            return
        except OSError:
            # No descriptors left: those who are here come first.
            time.sleep(0.05)
            return
        with contextlib.suppress(OSError):  # a client that is gone already has no address
            self._watch(Connection(client, self.time_out))

    def _watch(self, connection: Connection) -> None:
        self._selector.register(connection.socket, selectors.EVENT_READ, connection)
        connection.watched = True

    def _unwatch(self, connection: Connection) -> None:
        if connection.watched:
            self._selector.unregister(connection.socket)
            connection.watched = False

    def _hear(self, connection: Connection) -> None:
        """Take in what came; a whole head, or too much for one, goes to the threads."""
        if connection.away:
            # Bytes came while a thread has it: they wait until it is back. Mostly none come, so a connection
            # stays watched while it is away: that saves two system calls and a wake-up in each request.
            self._unwatch(connection)
            return
        fresh = not connection.buffer
        if not connection.hear():
            self._close(connection)
        elif connection.lingering:
            connection.buffer.clear()
        elif b"\r\n\r\n" in connection.buffer or len(connection.buffer) >= HEAD_LIMIT:
            connection.away = True
            self._ready.put(connection)
        elif fresh:
            # The limit is for the whole head: one byte now and then does not extend it.
            connection.deadline = time.monotonic() + self.time_out

    def _take_back(self) -> None:
        while self._returned:
            connection = self._returned.popleft()
            if connection.aborted:
                self._close(connection)
            else:
                self._await_next(connection)

    def _await_next(self, connection: Connection) -> None:
        connection.away = False
        patience = self.time_out if connection.buffer else self.keep_alive
        connection.deadline = time.monotonic() + (LINGER if connection.lingering else patience)
        if not connection.watched:
            self._watch(connection)

    def _close_overdue(self, now: float) -> None:
        waiting = [key.data for key in self._selector.get_map().values() if key.data is not None]
        for connection in waiting:
            if connection.deadline < now and not connection.away:
                if connection.buffer and not connection.lingering:
                    connection.time_out = 0
                    connection.refuse("408 Request Timeout", "the request's head took too long")
                self._close(connection)

    def _close(self, connection: Connection) -> None:
        self._unwatch(connection)
        connection.socket.close()

    def _stop(self, pool: list[threading.Thread]) -> None:
        """Accept nobody more, let the threads finish what they have, for at most STOP seconds."""
        self._stopping = True
        self.listener.close()
        for _ in pool:
            self._ready.put(None)
        deadline = time.monotonic() + STOP
        for thread in pool:
            thread.join(max(0.0, deadline - time.monotonic()))


def serve(listener: socket.socket, application: Application, options: argparse.Namespace) -> None:
    """What command_line.py calls."""
    Server(application, listener, options.threads, options.keep_alive, options.time_out).serve()


if __name__ == "__main__":
    main(serve)
