"""What lab 2 built, given: the head of an HTTP/1.1 request, from bytes to a `Head`. No sockets in here.

>>> head, used = read_head(bytearray(b"GET /tasks?done=1 HTTP/1.1\\r\\nHost: localhost\\r\\n\\r\\n"))
>>> head.method, head.target, head.fields, used
('GET', '/tasks?done=1', [('Host', 'localhost')], 47)
"""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_LIMIT = 64 * 1024  # bytes, from the request line to the empty line
LENGTH_DIGITS = 18

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
        status = "400 Bad Request" if names[-1:] != ["chunked"] else "501 Not Implemented"
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
