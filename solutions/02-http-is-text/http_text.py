"""HTTP/1.1 as text: a parser that knows no socket, a server and a client around it.

Theory of operation
-------------------
A connection is a stream of bytes. It has no messages in it: `recv` returns whatever has arrived, half a
field name or three requests and a half. So the work is cut in two.

`Stream`, `Reader` and the functions above them know bytes only. They are generators, and `yield` means
"I need more bytes". Whoever has a socket feeds them; a test feeds them one byte at a time. Where a
generator stands *is* the state of the parser: no flags, and no byte is searched twice.

`serve_connection` and `fetch` know sockets. They are short, because nothing is left for them to parse.

What a client did wrong is `Refused`, with the status to answer. After it the place in the stream is lost
(nobody can say where the next request begins), so the connection must end. The clauses are those of RFC
9112 (HTTP/1.1) where a section stands alone, and of RFC 9110 (semantics) where it says so.
"""

from __future__ import annotations

import contextlib
import itertools
import re
import socket
import threading
import time
from collections.abc import Generator
from dataclasses import replace
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import urlsplit

from messages import BadAnswer, Fields, Refused, Request, Response, values
from mirror import Handler, main

MAX_TARGET = 8_000  # bytes of a request's target; more: 414
MAX_HEAD = 32_768  # bytes of a head, up to its empty line; more: 431
MAX_FIELDS = 100  # field lines of a head, or of trailers; more: 431
MAX_BODY = 1_048_576  # bytes of a request's body; more: 413
MAX_ANSWER = 16_777_216  # bytes of a body that fetch takes
RECV = 65_536
IDLE_SECONDS = 75.0  # longer than nginx keeps an idle connection (60 s): let the client be the one to leave
FETCH_SECONDS = 10.0
DRAIN_SECONDS = 2.0


def members(fields: Fields, name: str) -> list[str]:
    """The members of a field that is a list, in lower case: repeated lines are one list (RFC 9110 §5.3)."""
    combined = ",".join(values(fields, name))
    return [member.strip(" \t").lower() for member in combined.split(",") if member.strip(" \t")]


# --- tasks 1 and 2: the text ------------------------------------------------------------------------

# RFC 9110 §5.6.2: token = 1*tchar
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
# RFC 9110 §5.5: a value has visible characters, SP, HTAB and bytes above 127; never CR, LF or NUL
VALUE = rb"[\t\x20-\x7e\x80-\xff]*"
# §3: request-line = method SP request-target SP HTTP-version, with one space each
REQUEST_LINE = re.compile(rb"(%b) ([\x21-\x7e]+) (HTTP/([0-9])\.[0-9])" % TOKEN)
# §4: status-line = HTTP-version SP status-code SP [ reason-phrase ]; many leave out the last space too
STATUS_LINE = re.compile(rb"(HTTP/1\.[0-9]) ([1-9][0-9][0-9])(?: (%b))?" % VALUE)
# §5: field-line = field-name ":" OWS field-value OWS. No space before the colon (§5.1), and none before the
# name: a line that begins with one is obs-fold (§5.2), which a server may refuse
FIELD_LINE = re.compile(rb"(%b):(%b)" % (TOKEN, VALUE))
# RFC 3986 §3.2.2: what a host and a port are made of
HOST = re.compile(r"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
# RFC 9110 §8.6: Content-Length = 1*DIGIT. int() alone would take "+5", "1_0" and " 5" too
LENGTH = re.compile(r"0*([0-9]{1,18})")
# §7.1: chunk-size = 1*HEXDIG, then perhaps extensions, which nobody must understand
CHUNK_LINE = re.compile(rb"0*([0-9A-Fa-f]{1,15})(?:[ \t]*;%b)?" % VALUE)


def parse_request(data: bytes) -> Request:
    """One whole request → its parts.

    Raises Refused, with the status to answer, for what is no request or less than a whole one (RFC 9112).
    """
    # A stream that came in one piece and has ended: task 4 below does all of it.
    reader = Reader()
    reader.feed(data)
    reader.feed(b"")
    request = reader.next_request()
    if request is None:
        raise Refused(400, "there is no request")
    return request


def parse_head(head: bytes) -> Request:
    """A head without its empty line → the request, still without a body. Raises Refused."""
    # §2.2: octets, not text; a line ends with CRLF, so a lone CR or LF is left inside one, and refused there
    first, *lines = head.split(b"\r\n")
    method, target, version = parse_request_line(first)
    fields = parse_fields(lines)
    # §3.2: exactly one Host, and a valid one, in every 1.1 request
    hosts = values(fields, "Host")
    if len(hosts) > 1 or (not hosts and version != "HTTP/1.0"):
        raise Refused(400, f"{len(hosts)} Host fields instead of one")
    if hosts and not HOST.fullmatch(hosts[0]):
        raise Refused(400, f"no host: {hosts[0][:80]!r}")
    return Request(method, target, version, fields)


def parse_request_line(line: bytes) -> tuple[str, str, str]:
    """The first line → method, target, version. Raises Refused."""
    # §3: a target too long is 414, whatever else is wrong
    after_method = line.partition(b" ")[2]
    if len(after_method) > MAX_TARGET + len(b" HTTP/1.1"):
        raise Refused(414, f"a target of more than {MAX_TARGET} bytes")
    match = REQUEST_LINE.fullmatch(line)
    if match is None:
        raise Refused(400, f"no request line: {line[:80]!r}")
    method, target, version, major = (part.decode("latin-1") for part in match.groups())
    # RFC 9110 §2.5, §15.6.6: another major version is another language
    if major != "1":
        raise Refused(505, f"{version} is not spoken here")
    return method, target, version


def parse_fields(lines: list[bytes]) -> Fields:
    """Field lines → pairs in their order, repeats kept. Raises Refused."""
    # RFC 6585 §5: too many fields, or too large ones
    if len(lines) > MAX_FIELDS:
        raise Refused(431, f"more than {MAX_FIELDS} fields")
    fields = []
    for line in lines:
        match = FIELD_LINE.fullmatch(line)
        if match is None:
            raise Refused(400, f"no field line: {line[:80]!r}")
        name, value = match.groups()
        # §5.1: the whitespace around a value is not part of it. A body's bytes are none of str's business;
        # a field's are: latin-1 keeps each as one character
        fields.append((name.decode("latin-1"), value.strip(b" \t").decode("latin-1")))
    return fields


def body_length(request: Request) -> int | None:
    """How many bytes of body follow the head; None when they come in chunks (§6.3). Raises Refused."""
    lengths = values(request.fields, "Content-Length")
    if not values(request.fields, "Transfer-Encoding"):
        return content_length(lengths) if lengths else 0
    # §6.1: both at once: one of two servers in a row would believe the other. Nobody honest sends it
    if lengths:
        raise Refused(400, "Content-Length and Transfer-Encoding together")
    # §6.1: HTTP/1.0 has no chunks: its framing is faulty
    if request.version == "HTTP/1.0":
        raise Refused(400, "Transfer-Encoding in HTTP/1.0")
    codings = members(request.fields, "Transfer-Encoding")
    # §6.3: where chunked is not last (or applied twice, §7.1), nothing says where the body ends
    if codings[-1:] != ["chunked"] or codings.count("chunked") > 1:
        raise Refused(400, f"chunked is not the last coding: {codings}")
    # §6.1: a coding that this server does not have
    if len(codings) > 1:
        raise Refused(501, f"no such transfer coding for a request: {codings}")
    return None


def content_length(lengths: list[str], most: int = MAX_BODY) -> int:
    """The one length that these fields give. Raises Refused."""
    # §6.3: equal repeats may be merged, different ones are an attack
    different = {length.strip(" \t") for length in ",".join(lengths).split(",")}
    match = LENGTH.fullmatch(different.pop()) if len(different) == 1 else None
    if match is None:
        raise Refused(400, f"no length: {lengths}")
    # RFC 9110 §15.5.14: it is known before the first byte of the body
    length = int(match[1])
    if length > most:
        raise Refused(413, f"a body of more than {most} bytes")
    return length


# --- task 3: the other way --------------------------------------------------------------------------


def build_response(status: int, fields: Fields, body: bytes = b"", method: str = "GET") -> bytes:
    """Status, fields and content → the bytes of a response to a request with that method.

    Raises ValueError for a field that is no field, that would end the head, or that is about framing.
    """
    lines = [check_field(name, value) for name, value in fields]
    # RFC 9110 §15.3.6: no content in a 205, and a length that says so
    if status == 205:
        body = b""
    # RFC 9110 §6.6.1: a server with a clock says when
    if status >= 200 and not values(fields, "Date"):
        lines.append(f"Date: {formatdate(usegmt=True)}")
    # RFC 9110 §8.6: no Content-Length in 1xx and 204; that of a 304 would be another response's
    if status >= 200 and status not in (204, 304):
        lines.append(f"Content-Length: {len(body)}")
    # §4: the space after the status stays, even when no reason follows
    first = f"HTTP/1.1 {status} {reason_phrase(status)}"
    head = "\r\n".join([first, *lines]).encode("latin-1") + b"\r\n\r\n"
    # RFC 9110 §9.3.2, §15.2, §15.3.5, §15.4.5: the same fields, and no content
    empty = method == "HEAD" or status < 200 or status in (204, 304)
    return head if empty else head + body


def check_field(name: str, value: str) -> str:
    """A field line without its end. Raises ValueError."""
    # RFC 9110 §5.5: a CR or LF in a value would begin a field, or a response, of somebody else's making
    line = f"{name}: {value}"
    if not FIELD_LINE.fullmatch(line.encode("latin-1")):
        raise ValueError(f"no field line: {line[:80]!r}")
    if name.lower() in ("content-length", "transfer-encoding"):
        raise ValueError(f"{name} is counted here, not given")
    return line


def reason_phrase(status: int) -> str:
    """The phrase that RFC 9110 §15 gives a status; it may be empty."""
    return HTTPStatus(status).phrase if status in set(HTTPStatus) else ""


# --- task 4: messages from a stream -----------------------------------------------------------------

Need = Generator[None, None, "bytes"]  # yields when it needs more bytes, returns those that it took


class Stream:
    """Bytes that have come and were not taken yet. Its generators take some, and yield while they can't."""

    def __init__(self) -> None:
        self.buffer = bytearray()
        self.ended = False

    def feed(self, data: bytes) -> None:
        """Take what `recv` returned; b"" is the end of the stream."""
        self.buffer += data
        self.ended = self.ended or not data

    def more(self) -> Generator[None, None, None]:
        # §8: a message cut short is incomplete, not a shorter message
        if self.ended:
            raise Refused(400, "the stream ended in the middle of a message")
        yield

    def until(self, marker: bytes, most: int, status: int = 431) -> Need:
        """The bytes before `marker`, which is taken too. Raises Refused for more than `most` bytes."""
        searched = 0
        while (found := self.buffer.find(marker, searched)) < 0:
            # The marker may be split over two pieces: search again from where it could have begun
            searched = max(0, len(self.buffer) - len(marker) + 1)
            if searched > most:
                break
            yield from self.more()
        if max(found, searched) > most:
            raise Refused(status, f"more than {most} bytes without an end of the head or line")
        taken = bytes(self.buffer[:found])
        del self.buffer[: found + len(marker)]
        return taken

    def exactly(self, size: int) -> Need:
        """The next `size` bytes."""
        while len(self.buffer) < size:
            yield from self.more()
        taken = bytes(self.buffer[:size])
        del self.buffer[:size]
        return taken

    def to_the_end(self, most: int) -> Need:
        """Everything up to the end of the stream. Raises Refused for more than `most` bytes."""
        while not self.ended:
            if len(self.buffer) > most:
                raise Refused(413, f"no end of the body after {most} bytes")
            yield
        taken = bytes(self.buffer)
        self.buffer.clear()
        return taken


def read_chunks(stream: Stream, most: int) -> Generator[None, None, tuple[bytes, Fields]]:
    """A chunked body and its trailers (§7.1). Raises Refused; 413 for more than `most` bytes."""
    pieces: list[bytes] = []
    total = 0
    while True:
        line = yield from stream.until(b"\r\n", MAX_TARGET, status=400)
        match = CHUNK_LINE.fullmatch(line)
        if match is None:
            raise Refused(400, f"no chunk size: {line[:80]!r}")
        size = int(match[1], 16)
        if size == 0:
            break
        total += size
        if total > most:
            raise Refused(413, f"a body of more than {most} bytes")
        pieces.append((yield from stream.exactly(size)))
        # §7.1: chunk-data is followed by CRLF; anything else means that the size was a lie
        if (yield from stream.exactly(2)) != b"\r\n":
            raise Refused(400, f"no line end after a chunk of {size} bytes")
    trailers = yield from read_trailers(stream)
    return b"".join(pieces), trailers


def read_trailers(stream: Stream) -> Generator[None, None, Fields]:
    """Field lines up to an empty one (§7.1.2). They stay apart from the head's. Raises Refused."""
    lines: list[bytes] = []
    while line := (yield from stream.until(b"\r\n", MAX_HEAD)):
        lines.append(line)
        if sum(map(len, lines)) > MAX_HEAD or len(lines) > MAX_FIELDS:
            raise Refused(431, "too many trailers")
    return parse_fields(lines)


class Reader:
    """Whole requests from a stream of bytes that comes in any pieces. No socket in it.

    >>> reader = Reader()
    >>> reader.feed(b"GET / HTTP/1.1\\r\\nHo")
    >>> reader.next_request()          # None: not whole yet
    >>> reader.feed(b"st: a\\r\\n\\r\\n")
    >>> reader.next_request().target
    '/'
    """

    def __init__(self) -> None:
        self._stream = Stream()
        self._requests = self._read()
        self._refused: Refused | None = None

    def feed(self, data: bytes) -> None:
        """Take what `recv` returned; b"" is the end of the stream."""
        self._stream.feed(data)

    def next_request(self) -> Request | None:
        """The next whole request, in order; None: not whole yet, or none follows.

        Raises Refused (RFC 9112), and the same again from then on: the place in the stream is lost.
        """
        if self._refused is not None:
            raise self._refused
        try:
            return next(self._requests)
        except Refused as refused:
            self._refused = refused
            raise

    def _read(self) -> Generator[Request | None, None, None]:
        stream = self._stream
        while True:
            # §2.2: empty lines before a request line are skipped; so is nothing at all, between two requests
            while bytes(stream.buffer[:2]) in (b"", b"\r", b"\r\n"):
                if stream.buffer.startswith(b"\r\n"):
                    del stream.buffer[:2]
                else:
                    yield None
            head = yield from stream.until(b"\r\n\r\n", MAX_HEAD)
            request = parse_head(head)
            length = body_length(request)
            if length is None:
                body, trailers = yield from read_chunks(stream, MAX_BODY)
                yield replace(request, body=body, trailers=trailers)
            else:
                yield replace(request, body=(yield from stream.exactly(length)))


# --- task 5: the server -----------------------------------------------------------------------------


def serve(host: str, port: int, handler: Handler) -> None:
    """Listen, and answer every connection in a thread of its own, for ever."""
    with socket.create_server((host, port), backlog=128) as listener:
        for number in itertools.count(1):
            connection, _ = listener.accept()
            # A thread each: a connection that is kept is mostly silent, and must not hold up the others
            threading.Thread(target=serve_connection, args=(connection, number, handler), daemon=True).start()


def serve_connection(connection: socket.socket, number: int, handler: Handler) -> None:
    """One connection, from its first byte to its last."""
    # OSError: the client reset the connection, or was silent for too long. There is nobody to tell
    with connection, contextlib.suppress(OSError):
        connection.settimeout(IDLE_SECONDS)
        # Small answers leave at once, instead of waiting for the client's acknowledgement of the last one
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        answer_requests(connection, number, handler)
        close_in_stages(connection)


def answer_requests(connection: socket.socket, number: int, handler: Handler) -> None:
    """Read, answer, read, answer, until one side wants no more. Raises OSError."""
    reader = Reader()
    # §9.3.2: answers in the order of the requests: one thread a connection gives that for nothing
    for nth in itertools.count(1):
        try:
            request = receive_request(connection, reader)
        except Refused as refused:
            text = f"{refused.reason}\n".encode("latin-1", "backslashreplace")
            fields = [("Content-Type", "text/plain"), ("Connection", "close")]
            connection.sendall(build_response(refused.status, fields, text))
            return
        if request is None:
            return
        status, fields, body = handler(request, number, nth)
        keep = keeps_open(request) and "close" not in members(fields, "Connection")
        # One write: head and content leave in one packet where they fit
        answer = build_response(status, connection_field(request, keep, fields), body, request.method)
        connection.sendall(answer)
        # §9.6: after `close`, no further request is answered, even when it is here already
        if not keep:
            return


def receive_request(connection: socket.socket, reader: Reader) -> Request | None:
    """The next request; None when the client has left between two. Raises Refused, OSError."""
    while (request := reader.next_request()) is None:
        data = connection.recv(RECV)
        reader.feed(data)
        if not data:
            return reader.next_request()
    return request


def keeps_open(request: Request) -> bool:
    """Whether the client wants the connection kept (§9.3)."""
    options = members(request.fields, "Connection")
    if "close" in options:
        return False
    return request.version != "HTTP/1.0" or "keep-alive" in options


def connection_field(request: Request, keep: bool, fields: Fields) -> Fields:
    """The handler's fields, and what both sides must know of the connection (§9.3, §9.6)."""
    if not keep and not values(fields, "Connection"):
        return [*fields, ("Connection", "close")]
    if keep and request.version == "HTTP/1.0":
        return [*fields, ("Connection", "keep-alive")]
    return fields


def close_in_stages(connection: socket.socket) -> None:
    """End our half, and let the client end its own. Raises OSError."""
    # §9.6: to close with unread bytes is to reset, and a reset overtakes the answer that was just sent
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(DRAIN_SECONDS)
    end = time.monotonic() + DRAIN_SECONDS
    while connection.recv(RECV) and time.monotonic() < end:
        pass


# --- task 5: the client -----------------------------------------------------------------------------


def fetch(url: str, method: str = "GET") -> Response:
    """Ask for an http:// URL on a connection of its own, and read the whole answer.

    Raises ValueError for what is no such URL, BadAnswer for what is no whole response (§6.3, §8), and
    OSError when nobody listens there.
    """
    host, port, authority, target = split_url(url)
    # §3.2: Host first, with the port when it is not the default; §9.6: this client asks once
    lines = [
        f"{method} {target} HTTP/1.1",
        f"Host: {authority}",
        "User-Agent: http_text",
        "Connection: close",
    ]
    with socket.create_connection((host, port), timeout=FETCH_SECONDS) as connection:
        connection.sendall("\r\n".join(lines).encode("ascii") + b"\r\n\r\n")
        stream = Stream()
        answers = read_response(stream, method)
        try:
            while (response := next(answers)) is None:
                stream.feed(connection.recv(RECV))
        except Refused as refused:
            raise BadAnswer(refused.reason) from refused
        return response


def split_url(url: str) -> tuple[str, int, str, str]:
    """A URL → host, port, the Host field's value, and the target. Raises ValueError."""
    # A space or a line end in a target would be a request of somebody else's making
    if not re.fullmatch(r"[\x21-\x7e]+", url):
        raise ValueError(f"not a URL on one line of ASCII: {url!r}")
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError(f"not an http:// URL: {url!r}")
    # §3.2.1: origin-form: the path, "/" for an empty one, and the query. The fragment stays here
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    authority = parts.netloc.rpartition("@")[2]
    return parts.hostname, parts.port or 80, authority, target


def read_response(stream: Stream, method: str) -> Generator[Response | None, None, None]:
    """The final response to a request with that method. Raises Refused."""
    while True:
        first, *lines = (yield from stream.until(b"\r\n\r\n", MAX_HEAD)).split(b"\r\n")
        match = STATUS_LINE.fullmatch(first)
        if match is None:
            raise Refused(400, f"no status line: {first[:80]!r}")
        version, status, reason = ((part or b"").decode("latin-1") for part in match.groups())
        response = Response(int(status), reason, version, parse_fields(lines))
        # RFC 9110 §15.2: interim responses, any number of them, before the final one
        if response.status >= 200:
            break
    body, trailers = yield from read_content(stream, response, method)
    yield replace(response, body=body, trailers=trailers)


def read_content(
    stream: Stream, response: Response, method: str
) -> Generator[None, None, tuple[bytes, Fields]]:
    """The content and trailers of a response: §6.3, in its order. Raises Refused."""
    # 1: nothing, whatever the fields say
    if method == "HEAD" or response.status in (204, 304):
        return b"", []
    # 3, 4: Transfer-Encoding beats Content-Length, an empty one too
    if values(response.fields, "Transfer-Encoding"):
        codings = members(response.fields, "Transfer-Encoding")
        if codings != ["chunked"]:
            raise Refused(501, f"no such transfer coding here: {codings}")
        return (yield from read_chunks(stream, MAX_ANSWER))
    # 5, 6: so many bytes, and the rest of the stream is not ours
    lengths = values(response.fields, "Content-Length")
    if lengths:
        return (yield from stream.exactly(content_length(lengths, MAX_ANSWER))), []
    # 8: the end of the stream is the end of the content; only a response may do that
    return (yield from stream.to_the_end(MAX_ANSWER)), []


if __name__ == "__main__":
    main(serve)
