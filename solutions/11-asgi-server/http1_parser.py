"""HTTP/1.1 requests from bytes, without a socket in sight: what lab 2 built, for a connection's life.

>>> parser = Parser()
>>> parser.feed(b"POST /tasks?x=1 HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 5\\r\\n\\r\\nAd")
>>> head = parser.next_head()
>>> head.method, head.target, head.headers
('POST', b'/tasks?x=1', [(b'host', b'a'), (b'content-length', b'5')])
>>> parser.next_body(), parser.body_ended
(b'Ad', False)
>>> parser.feed(b"a!!GET / HTTP/1.1")
>>> parser.next_body(), parser.body_ended, parser.rest
(b'a!!', True, b'GET / HTTP/1.1')

`feed` what came, ask for `next_head`, then for `next_body` until `body_ended`, then for the next head.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024  # bytes, from the request line to the empty line
LINE_LIMIT = 4096  # bytes of a chunk's first line, or of a trailer field
LENGTH_DIGITS = 18

# RFC 9110 §5.6.2: a method or a field's name is a token. §5.5: a value has no control characters but tab.
# RFC 9112 §3: the target has no white space.
TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
REQUEST_LINE = re.compile(rb"(%b) ([!-~]+) HTTP/(\d)\.(\d)\r\n" % TOKEN)
FIELD_LINE = re.compile(rb"^(%b):([\t -~\x80-\xff]*)\r\n" % TOKEN, re.MULTILINE)
ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#]+)")
AUTHORITY = re.compile(rb"[A-Za-z0-9\-._~%!$&'()*+,;=:\[\]]*")
CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\r\n]*)?")
# The fields that a server itself obeys.
OBEYED = frozenset(
    [b"host", b"content-length", b"transfer-encoding", b"connection", b"expect", b"upgrade"],
)


class Refused(Exception):
    """A request that must not be passed on. `status` is the answer's code, `why` is for its reader."""

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{status}: {why}")
        self.status, self.why = status, why


@dataclass(slots=True)
class Head:
    """The head of a request. Names are in lower case, in order of arrival; repeats are kept.

    `version` is "1.1" or "1.0". `length` is the body's in bytes: 0 for no body, None for a chunked one.
    `keep_alive` is what the client asks for; `expects_continue` says that it waits for 100 before it sends
    the body; `upgrade` is the protocol that it would rather speak, b"" for none.
    """

    method: str
    target: bytes
    version: str
    headers: list[tuple[bytes, bytes]]
    length: int | None = 0
    keep_alive: bool = True
    expects_continue: bool = False
    upgrade: bytes = b""


class Parser:
    """The requests in one connection's bytes, in order. After Refused nothing more can be asked of it."""

    __slots__ = ("_at", "_buffer", "_chunk_end", "_chunked", "_left", "_scanned", "_trailers", "body_ended")

    def __init__(self) -> None:
        self._buffer, self._at = b"", 0  # what was fed, and how much of it is used
        self._scanned = 0  # up to here there is no end of a head; 0 when it was not looked for
        self._left = 0  # bytes to come of the body, or of the current chunk
        self._chunked = self._chunk_end = False
        self._trailers = -1  # bytes of trailer fields so far; -1 before the last chunk
        self.body_ended = True

    def feed(self, data: bytes) -> None:
        """Take in bytes as they came, in whatever pieces."""
        if self._buffer:
            data = self._buffer[self._at :] + data
            self._scanned = max(0, self._scanned - self._at)
            self._at = 0
        self._buffer = data

    def _drop_used(self) -> None:
        """A connection that is idle keeps nothing of its last request."""
        if self._at == len(self._buffer):
            self._buffer, self._at = b"", 0

    @property
    def rest(self) -> bytes:
        """What was fed and belongs to no head or body yet."""
        return self._buffer[self._at :]

    @property
    def waiting(self) -> int:
        """How many bytes `rest` has."""
        return len(self._buffer) - self._at

    # --- the head

    def next_head(self) -> Head | None:
        """The next request's head; None when it is not whole yet. Raises Refused."""
        # RFC 9112 §2.2: an empty line before the request line is skipped.
        buffer, start = self._buffer, self._at
        while buffer.startswith(b"\r\n", start):
            start = self._at = start + 2
        end = buffer.find(b"\r\n\r\n", self._scanned or start, start + HEAD_LIMIT)
        if end < 0:
            self._scanned = max(start, len(self._buffer) - 3)
            if self.waiting >= HEAD_LIMIT:
                self._refuse_length(start)
            return None
        self._at, self._scanned = end + 4, 0
        head = read_head(buffer, start, end + 2)
        self._drop_used()
        if head.length != 0:
            self._expect_body(head.length)
        return head

    def _refuse_length(self, start: int) -> None:
        if b"\r\n" not in self._buffer[start : start + HEAD_LIMIT]:
            raise Refused(414, f"a request line of more than {HEAD_LIMIT} bytes")
        raise Refused(431, f"a head of more than {HEAD_LIMIT} bytes")

    # --- the body

    def _expect_body(self, length: int | None) -> None:
        self._chunked, self._chunk_end, self._trailers = length is None, False, -1
        self._left = length or 0
        self.body_ended = False

    def next_body(self) -> bytes:
        """What has come of the body, decoded; b"" when nothing has. `body_ended` tells the last piece.

        Raises Refused for what is no chunk.
        """
        if not self._chunked:
            return self._take()
        pieces = []
        while not self.body_ended and self._next_chunk():
            pieces.append(self._take())
        return b"".join(pieces)

    def _take(self) -> bytes:
        data = self._buffer[self._at : self._at + self._left]
        self._at += len(data)
        self._left -= len(data)
        if self._left == 0 and not self._chunked:
            self.body_ended = True
        self._drop_used()
        return data

    def _next_chunk(self) -> bool:
        """Go to bytes that are the body's; False when the next of them have not come."""
        if self._left:
            return self._at < len(self._buffer)
        # RFC 9112 §7.1: chunk-size [ chunk-ext ] CRLF chunk-data CRLF; size 0 is the last.
        if self._chunk_end and self._line(2) != b"":
            return False
        self._chunk_end = False
        if self._trailers < 0:
            line = self._line(LINE_LIMIT)
            if line is None:
                return False
            self._left = chunk_size(line)
            self._chunk_end = self._left > 0
            self._trailers = -1 if self._left else 0
        return self._left > 0 or self._end_of_trailers()

    def _end_of_trailers(self) -> bool:
        """§7.1.2: trailer fields are no header fields. ASGI has no event for them: read and left out."""
        while (line := self._line(LINE_LIMIT)) is not None:
            self._trailers += len(line) + 2
            if not line:
                self.body_ended = True
                return True
            if self._trailers > HEAD_LIMIT or not FIELD_LINE.fullmatch(line + b"\r\n"):
                raise Refused(400, "a trailer that is no field")
        return False

    def _line(self, limit: int) -> bytes | None:
        """The bytes before the next CRLF; None when it has not come. Raises Refused past `limit` bytes."""
        end = self._buffer.find(b"\r\n", self._at, self._at + limit)
        if end < 0:
            if self.waiting >= limit:
                raise Refused(400, "a chunk longer than it says, or an endless line in a chunked body")
            return None
        line = self._buffer[self._at : end]
        self._at = end + 2
        return line


def read_head(data: bytes, start: int, end: int) -> Head:
    """The head in `data` from `start` up to `end`, where the empty line begins. Raises Refused."""
    match = REQUEST_LINE.match(data, start, end)
    if match is None:
        raise Refused(400, "a request line is METHOD SP TARGET SP HTTP/1.1")
    method, target, major, minor = match.groups()
    if major != b"1":
        raise Refused(505, "HTTP/1.1 and HTTP/1.0 are spoken here")
    # Every line must be a field line: a bare CR or LF, a folded line, a space before the colon are none.
    lines = match.end()
    found = FIELD_LINE.findall(data, lines, end)
    if len(found) != data.count(b"\n", lines, end):
        raise Refused(400, "a line of the head is no NAME: VALUE")
    # RFC 9112 §5.1: the white space around a value is not part of it.
    headers = [(name.lower(), value.strip(b" \t")) for name, value in found]
    version = "1.0" if minor == b"0" else "1.1"
    head = Head(method.decode("ascii"), target, version, headers, 0, version == "1.1")
    _understand(head)
    return head


def _understand(head: Head) -> None:
    hosts: list[bytes] = []
    lengths = codings = options = upgrade = b""
    for name, value in head.headers:
        if name not in OBEYED:
            continue
        if name == b"host":
            hosts.append(value)
        elif name == b"connection":
            options += b"," + value.lower()
        elif name == b"content-length":
            lengths += b"," + value
        elif name == b"transfer-encoding":
            codings += b"," + value.lower()
        elif name == b"expect":
            _expect(head, value)
        else:
            upgrade = value.lower()
    _check_host(head, hosts)
    if options:
        _persist(head, options, upgrade)
    if codings:
        _check_chunked(head, codings, bool(lengths))
    elif lengths:
        head.length = _length(lengths)


def _persist(head: Head, options: bytes, upgrade: bytes) -> None:
    """RFC 9112 §9.3: 1.1 persists unless it says close; 1.0 closes unless it says keep-alive."""
    listed = [option.strip(b" \t") for option in options.split(b",")]
    head.keep_alive = b"close" not in listed and (head.version == "1.1" or b"keep-alive" in listed)
    # RFC 9110 §7.8: Upgrade goes with the connection option of that name, and not with HTTP/1.0.
    if b"upgrade" in listed and head.version == "1.1":
        head.upgrade = upgrade


def _expect(head: Head, value: bytes) -> None:
    """RFC 9110 §10.1.1: the one expectation there is; an HTTP/1.0 client's is ignored."""
    if value.lower() != b"100-continue":
        raise Refused(417, "the one expectation known here is 100-continue")
    head.expects_continue = head.version == "1.1"


def _check_host(head: Head, hosts: list[bytes]) -> None:
    """RFC 9112 §3.2: a 1.1 request has one Host; the authority of an absolute target replaces it."""
    if len(hosts) != 1 and (hosts or head.version == "1.1"):
        raise Refused(400, f"{len(hosts)} Host fields")
    if hosts and not AUTHORITY.fullmatch(hosts[0]):
        raise Refused(400, "a Host that is no host")
    if head.target.startswith(b"/"):
        return
    absolute = ABSOLUTE.match(head.target)
    if absolute:
        rest = head.target[absolute.end() :]
        head.target = rest if rest.startswith(b"/") else b"/" + rest
        others = [field for field in head.headers if field[0] != b"host"]
        head.headers = [(b"host", absolute[1]), *others]
    elif head.target != b"*" or head.method != "OPTIONS":
        raise Refused(400, "a target begins with / or http://")


def _check_chunked(head: Head, codings: bytes, has_length: bool) -> None:
    """RFC 9112 §6.1: both framings at once are an attack; §7: chunked is the coding that must be known."""
    if has_length or head.version == "1.0":
        raise Refused(400, "Transfer-Encoding with Content-Length, or in HTTP/1.0")
    names = [name.strip(b" \t") for name in codings.split(b",") if name.strip(b" \t")]
    if names != [b"chunked"]:
        once_and_last = names.count(b"chunked") == 1 and names[-1] == b"chunked"
        raise Refused(501 if once_and_last else 400, "the one transfer coding known here is chunked")
    head.length = None


def _length(lengths: bytes) -> int:
    """RFC 9112 §6.3: digits only, and one length only (it may be repeated)."""
    text, *others = {length.strip(b" \t") for length in lengths.split(b",")[1:]}
    if others or not text.isdigit() or len(text) > LENGTH_DIGITS:
        raise Refused(400, "a Content-Length that is no number, or two different ones")
    return int(text)


def chunk_size(line: bytes) -> int:
    """The size in bytes that a chunk's first line names: `b"1a;x=y"` is 26 (RFC 9112 §7.1).

    Raises Refused when it names none.
    """
    match = CHUNK_SIZE.fullmatch(line)
    if match is None:
        raise Refused(400, "a chunk without a size")
    return int(match[1], 16)
