"""What lab 2 built, given: a request's head from bytes to a `Head`, and a client's `Connection`.

>>> head, used = read_head(bytearray(b"GET /tasks?done=1 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"))
>>> head.method, head.target, head.fields, used
('GET', '/tasks?done=1', [('Host', 'localhost')], 47)
"""

from __future__ import annotations

import contextlib
import re
import select
import socket
import struct
import time
from dataclasses import dataclass
from email.utils import formatdate

HEAD_LIMIT = 64 * 1024  # bytes, from the request line to the empty line
LINE_LIMIT = 4096  # bytes of a chunk's first line, or of a trailer
TRAILERS_LIMIT = 16 * 1024  # bytes of all the trailers of a body
LENGTH_DIGITS = 18
PIECE = 64 * 1024  # bytes asked of a socket at once
SLOWEST = 1024  # bytes a second: a client that is slower uses up the time for which it is waited

# RFC 9110 §5.6.2: a method or a field's name is a token. §5.5: a value has no control characters but tab,
# and RFC 9112 §5.1: the white space around it is not part of it.
TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
TEXT = r"[!-~\x80-\xff]"
REQUEST_LINE = re.compile(rf"({TOKEN}) ({TEXT}+) HTTP/(\d)\.(\d)")
FIELD_LINE = re.compile(rf"^({TOKEN}):[ \t]*({TEXT}*(?:[ \t]+{TEXT}+)*)[ \t]*\r\n", re.MULTILINE)
ABSOLUTE = re.compile(r"(?i:https?)://([^/?#]+)")
AUTHORITY = re.compile(r"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")


class Refused(Exception):
    """A request that the server must not pass on. `status` is the answer: "400 Bad Request"."""

    def __init__(self, status: str, why: str) -> None:
        super().__init__(f"{status}: {why}")
        self.status, self.why = status, why


class ClientGone(ConnectionError):
    """The client left, or took or sent nothing for too long."""


@dataclass(slots=True)
class Head:
    """The head of a request: text decoded as latin-1, fields in order of arrival, names as sent.

    `length` is the body's in bytes: 0 for no body, None for a chunked one. `keep_alive` is what the client
    asks for; `expects_continue` says that it waits for 100 before it sends the body.
    """

    method: str
    target: str
    version: tuple[int, int]
    fields: list[tuple[str, str]]
    length: int | None = 0
    keep_alive: bool = True
    expects_continue: bool = False


def read_head(buffer: bytearray) -> tuple[Head, int] | None:
    """The head at the start of `buffer` and its length in bytes; None when it is not whole yet.

    Raises Refused for what RFC 9112 forbids, and for a head of more than HEAD_LIMIT bytes.
    """
    # RFC 9112 §2.2: an empty line before the request line is skipped.
    start = 0
    while buffer.startswith(b"\r\n", start):
        start += 2
    end = buffer.find(b"\r\n\r\n", start, start + HEAD_LIMIT)
    if end < 0:
        if len(buffer) - start < HEAD_LIMIT:
            return None
        if b"\r\n" not in buffer[start : start + HEAD_LIMIT]:
            raise Refused("414 URI Too Long", f"a request line of more than {HEAD_LIMIT} bytes")
        raise Refused("431 Request Header Fields Too Large", f"a head of more than {HEAD_LIMIT} bytes")
    line, _, lines = buffer[start : end + 2].decode("latin-1").partition("\r\n")
    return _head(line, lines), end + 4


def _head(line: str, lines: str) -> Head:
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Refused("400 Bad Request", "a request line is METHOD SP TARGET SP HTTP/1.1")
    method, target, major, minor = match.groups()
    if major != "1":
        raise Refused("505 HTTP Version Not Supported", f"HTTP/{major}.{minor}")
    # Every line must be a field line: a bare CR or LF, a folded line, a space before the colon are none.
    fields: list[tuple[str, str]] = FIELD_LINE.findall(lines)
    if len(fields) != lines.count("\n"):
        raise Refused("400 Bad Request", "a line of the head is no NAME: VALUE")
    version = (1, min(int(minor), 1))
    head = Head(method, target, version, fields, keep_alive=version == (1, 1))
    _understand(head)
    return head


def _understand(head: Head) -> None:
    """Read the fields that the server itself obeys: Host, framing, persistence, Expect."""
    hosts: list[str] = []
    lengths: set[str] = set()
    codings = options = ""
    for name, value in head.fields:
        match name.lower():
            case "host":
                hosts.append(value)
            case "content-length":
                lengths.update(part.strip(" \t") for part in value.split(","))
            case "transfer-encoding":
                codings += f",{value.lower()}"
            case "connection":
                options += f",{value.lower()}"
            case "expect":
                _expect(head, value)
    _check_host(head, hosts)
    if options:
        _persist(head, options)
    if codings:
        _check_chunked(head, codings, bool(lengths))
    elif lengths:
        head.length = _length(lengths)


def _persist(head: Head, options: str) -> None:
    """RFC 9112 §9.3: 1.1 persists unless it says close; 1.0 closes unless it says keep-alive."""
    listed = [option.strip(" \t") for option in options.split(",")]
    head.keep_alive = "close" not in listed and (head.version == (1, 1) or "keep-alive" in listed)


def _expect(head: Head, value: str) -> None:
    """RFC 9110 §10.1.1: the one expectation there is; an HTTP/1.0 client's is ignored."""
    if value.lower() != "100-continue":
        raise Refused("417 Expectation Failed", value)
    head.expects_continue = head.version == (1, 1)


def _check_host(head: Head, hosts: list[str]) -> None:
    """RFC 9112 §3.2: a 1.1 request has one Host; the authority of an absolute target replaces it."""
    if len(hosts) > 1 or (not hosts and head.version == (1, 1)):
        raise Refused("400 Bad Request", f"{len(hosts)} Host fields")
    if not AUTHORITY.fullmatch(hosts[0] if hosts else ""):
        raise Refused("400 Bad Request", "a Host that is no host")
    absolute = ABSOLUTE.match(head.target)
    if absolute:
        if not AUTHORITY.fullmatch(absolute[1]):
            raise Refused("400 Bad Request", "a target with a host that is no host")
        rest = head.target[absolute.end() :]
        head.target = rest if rest.startswith("/") else f"/{rest}"
        head.fields = [field for field in head.fields if field[0].lower() != "host"]
        head.fields.insert(0, ("Host", absolute[1]))
    elif head.target[0] != "/" and not (head.target == "*" and head.method == "OPTIONS"):
        raise Refused("400 Bad Request", "a target begins with / or http://")


def _check_chunked(head: Head, codings: str, has_length: bool) -> None:
    """RFC 9112 §6.1: both framings at once are an attack; §7: chunked is the coding that must be known."""
    if has_length or head.version == (1, 0):
        raise Refused("400 Bad Request", "Transfer-Encoding with Content-Length, or in HTTP/1.0")
    names = [name.strip(" \t") for name in codings.split(",") if name.strip(" \t")]
    if names != ["chunked"]:
        once_and_last = names.count("chunked") == 1 and names[-1] == "chunked"
        status = "501 Not Implemented" if once_and_last else "400 Bad Request"
        raise Refused(status, f"Transfer-Encoding: {', '.join(names)}")
    head.length = None


def _length(lengths: set[str]) -> int:
    """RFC 9112 §6.3: digits only, and one length only (it may be repeated)."""
    text = lengths.pop()
    if lengths or not (text.isascii() and text.isdigit()) or len(text) > LENGTH_DIGITS:
        raise Refused("400 Bad Request", "a Content-Length that is no number, or two different ones")
    return int(text)


def chunk_size(line: bytes) -> int:
    """The size in bytes that a chunk's first line names: `b"1a;x=y"` is 26 (RFC 9112 §7.1).

    Raises Refused when it names none.
    """
    match = CHUNK_SIZE.fullmatch(line)
    if match is None:
        raise Refused("400 Bad Request", f"no chunk size: {line[:40]!r}")
    return int(match[1], 16)


# --- answers in the server's own name -----------------------------------------------------------------


def own_answer(status: str, why: str, method: str = "") -> bytes:
    """A whole response, with the word that the connection ends with it; `method` is the request's."""
    text = f"{status}\n{why}\n".encode("latin-1", "replace")
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
    # RFC 9110 §9.3.2: no content follows the head of an answer to HEAD.
    return head.encode() + date_line() + b"Connection: close\r\n\r\n" + (b"" if method == "HEAD" else text)


_date = (0, b"")


def date_line() -> bytes:
    """The Date field (RFC 9110 §6.6.1), made once a second."""
    global _date
    now = int(time.time())
    if _date[0] != now:
        _date = (now, f"Date: {formatdate(now, usegmt=True)}\r\n".encode("ascii"))
    return _date[1]


# --- a connection -------------------------------------------------------------------------------------


class Connection:
    """A client's socket, and the bytes from it that nobody has used yet.

    The socket never blocks; where a thread has to wait it does so for at most `time_out` seconds, in
    however many pieces a client sends: only SLOWEST bytes earn another second.
    `client` and `server` are (address, port) of the two ends.
    """

    __slots__ = (
        *("aborted", "away", "buffer", "client", "continue_due", "deadline", "lingering", "patience"),
        *("server", "socket", "time_out", "watched"),
    )

    def __init__(self, accepted: socket.socket, time_out: float) -> None:
        accepted.setblocking(False)
        # A small chunk must not wait in the kernel for the acknowledgement of the one before.
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.socket, self.time_out = accepted, time_out
        self.client: tuple[str, int] = accepted.getpeername()[:2]
        self.server: tuple[str, int] = accepted.getsockname()[:2]
        self.buffer = bytearray()
        self.continue_due = False  # the client waits for 100 before it sends the body
        self.deadline = time.monotonic() + time_out  # for whoever watches over idle connections
        self.patience = time_out  # seconds that a thread still waits for bytes before it answers
        self.lingering = False
        self.aborted = False
        self.away = self.watched = False  # for whoever hands connections to threads

    def hear(self) -> bool:
        """Take in what has arrived, without waiting; False at the end of the stream."""
        try:
            data = self.socket.recv(PIECE)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self.buffer += data
        return bool(data)

    def take(self, most: int) -> bytes:
        """Between 1 and `most` bytes, waiting for the first of them. Raises ClientGone."""
        while not self.buffer:
            self.receive()
        data = bytes(self.buffer[:most])
        del self.buffer[:most]
        return data

    def take_line(self) -> bytes:
        """The bytes before the next CRLF. Raises ClientGone, or Refused for more than LINE_LIMIT bytes."""
        while (end := self.buffer.find(b"\r\n", 0, LINE_LIMIT)) < 0:
            if len(self.buffer) >= LINE_LIMIT:
                raise Refused("400 Bad Request", "an endless line in a chunked body")
            self.receive()
        line = bytes(self.buffer[:end])
        del self.buffer[: end + 2]
        return line

    def take_trailers(self) -> None:
        """Read away the field lines after the last chunk, and the empty line (RFC 9112 §7.1.2).

        Raises ClientGone, or Refused for a line that is no field line: it may be another request's first.
        """
        budget = TRAILERS_LIMIT
        while line := self.take_line():
            budget -= len(line)
            if not FIELD_LINE.fullmatch(line.decode("latin-1") + "\r\n"):
                raise Refused("400 Bad Request", f"a trailer is no NAME: VALUE: {line[:40]!r}")
            if budget < 0:
                why = f"trailers of more than {TRAILERS_LIMIT} bytes"
                raise Refused("431 Request Header Fields Too Large", why)

    def receive(self) -> None:
        """Wait for more bytes, and take them in. Raises ClientGone at the end of the stream."""
        if self.continue_due:
            # RFC 9110 §10.1.1: the client waits for this before it sends the body.
            self.continue_due = False
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        left = self._wait(select.POLLIN, self.patience)
        had = len(self.buffer)
        if not self.hear():
            raise ClientGone("the client left in the middle of its request")
        self.patience = left + (len(self.buffer) - had) / SLOWEST

    def send(self, data: bytes) -> None:
        """Send all of it, as fast as the client takes it. Raises ClientGone."""
        rest = memoryview(data)
        patience = self.patience = self.time_out
        while True:
            try:
                sent = self.socket.send(rest)
            except BlockingIOError:
                patience = self._wait(select.POLLOUT, patience)
                continue
            except OSError as error:
                raise ClientGone("the client left before its answer was sent") from error
            if sent == len(rest):
                return
            rest = rest[sent:]
            patience += sent / SLOWEST

    def _wait(self, event: int, patience: float) -> float:
        """Wait for the client, for `patience` and at most `time_out` seconds; what is left of `patience`."""
        began = time.monotonic()
        poller = select.poll()
        poller.register(self.socket, event)
        patience = max(0.0, min(patience, self.time_out))
        if not poller.poll(patience * 1000):
            raise ClientGone(f"the client was silent, or too slow, for {self.time_out:g} s")
        return patience - (time.monotonic() - began)

    def refuse(self, status: str, why: str, method: str = "") -> None:
        """Answer in the server's own name; nothing may follow. A client that is gone is not told.

        `method` is the request's, once its head is read: to a HEAD, no content is sent.
        """
        with contextlib.suppress(ClientGone):
            self.send(own_answer(status, why, method))

    def half_close(self) -> None:
        """Say that nothing follows. RFC 9112 §9.6: closing at once could reset the answer away."""
        self.lingering = True
        with contextlib.suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)

    def reset_when_closed(self) -> None:
        """Closing is to send a reset: so a body without any other end does not look complete."""
        self.aborted = True
        with contextlib.suppress(OSError):
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def abort(self) -> None:
        """Close with a reset."""
        self.reset_when_closed()
        self.socket.close()
