"""Request and response objects, and the tasks API over them.

How it works. A server hands over an environ and takes a status, headers and chunks. Everything between is
reading text by rules and writing text by rules, so most of this file is small functions of text:

    environ ──▶ Request ──▶ handler ──▶ Response ──▶ start_response, chunks
                  │                         │
                  │ body, json, form, files │ called with the environ: only now are the preconditions
                  │ (read when asked, once) │ and the range known, and they choose what is sent

A Request reads nothing until it is asked to, never more than Content-Length, and never more than its limits.
A multipart body goes through a buffer of a few pieces: files to a temporary file, fields to memory, counted.
A Response is a WSGI application. What goes into its header is checked on the way in: nothing that could end
a line gets as far as the server. `HTTPError` is what a client gets for being wrong, ValueError what you get.
"""

from __future__ import annotations

import json
import math
import mimetypes
import os
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from email.utils import formatdate, parsedate_to_datetime
from functools import cached_property
from http.client import responses
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO, Any, TypeAlias
from urllib.parse import parse_qsl, quote
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from task_store import Tasks, checked, csv_row

PIECE = 64 * 1024  # bytes that are read, kept in memory or sent at a time
HEAD_LIMIT = 8 * 1024  # bytes of a part's header

# RFC 9110 §5.6.2, §5.5: a name is a token; in a value no control character but the tab.
TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
UNSAFE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|[^\x00-\xff]")
# §5.6.6: parameters, `; name=token` or `; name="quoted \" string"`.
PARAMETER = re.compile(r';\s*([^\s=;"]+)\s*=\s*("(?:[^"\\]|\\.)*"|[^;]*)')
# A value in quotes: all between the first and the last.
QUOTED = re.compile('"(.*)"', re.DOTALL)
# §8.8.3: an entity tag, with or without the mark of weakness.
ENTITY_TAG = re.compile(r'(W/)?("[\x21\x23-\x7e\x80-\xff]*")')
CODINGS = ("gzip", "compress", "br")  # RFC 9110 §8.4.1, RFC 7932: of what Python's mimetypes knows
# §14.1.2: one range of bytes; "-" alone is none.
BYTES = re.compile(r"bytes=\s*(?!-\s*$)([0-9]*)-([0-9]*)\s*", re.IGNORECASE)
# RFC 6265 §4.1.1: what a cookie's value may hold as it is.
COOKIE_OCTETS = re.compile(r"[\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*")

Pairs: TypeAlias = Iterable[tuple[str, str]]
Values: TypeAlias = dict[str, list[str]]


class HTTPError(Exception):
    """A request that gets an error for an answer: a status, a sentence, and perhaps headers."""

    def __init__(self, status: int, why: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(why)
        self.status, self.headers = status, headers


@dataclass
class Upload:
    """A file of a form. `filename` is what the client says: never a path to open."""

    filename: str
    content_type: str
    file: IO[bytes]


# --- task 1: the request's header ---------------------------------------------------------------------


class Headers:
    """Fields in order, repeats kept; names compare without case (RFC 9110 §5.1)."""

    def __init__(self, pairs: Pairs = ()) -> None:
        self._pairs: list[tuple[str, str]] = []
        for name, value in pairs:
            self.add(name, value)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._pairs)

    def __contains__(self, name: str) -> bool:
        return bool(self.getlist(name))

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of that name."""
        return next(iter(self.getlist(name)), default)

    def getlist(self, name: str) -> list[str]:
        return [value for own, value in self._pairs if own.lower() == name.lower()]

    def add(self, name: str, value: str) -> None:
        """Raises ValueError for what would not stay one field (RFC 9110 §5.5)."""
        if not TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a header")
        if UNSAFE.search(value):
            raise ValueError(f"{value!r} cannot stand in the header {name}")
        self._pairs.append((name, value))

    def set(self, name: str, value: str) -> None:
        """One field of that name, instead of all there were."""
        self.remove(name)
        self.add(name, value)

    def remove(self, name: str) -> None:
        self._pairs = [pair for pair in self._pairs if pair[0].lower() != name.lower()]


def headers_of(environ: WSGIEnvironment) -> Headers:
    """PEP 3333, "environ Variables": HTTP_*, and two that have no prefix and may be empty."""
    headers = Headers()
    for key, value in environ.items():
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH") and not value:
            continue
        if key in ("CONTENT_TYPE", "CONTENT_LENGTH") or key.startswith("HTTP_"):
            headers._pairs.append((key.removeprefix("HTTP_").replace("_", "-").title(), value))
    return headers


def text(latin: str) -> str:
    """PEP 3333, "Unicode Issues": a character is a byte; the bytes are UTF-8, or were meant to be."""
    return latin.encode("latin-1").decode("utf-8", "replace")


def pairs_of(encoded: str, limit: int) -> Values:
    """`a=1&b=&a=2+3` -> {"a": ["1", "2 3"], "b": [""]} (WHATWG URL, urlencoded parsing)."""
    values: Values = {}
    if encoded.count("&") >= limit:
        raise HTTPError(413, f"more than {limit} values")
    for name, value in parse_qsl(encoded, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return values


def cookies_of(field: str) -> dict[str, str]:
    """`a=1; b="x y"` -> {"a": "1", "b": "x y"}. What is no pair is skipped."""
    cookies: dict[str, str] = {}
    for item in field.split(";"):
        name, found, value = (word.strip() for word in item.partition("="))
        # RFC 6265 §5.4: the cookie with the longest path is sent first, so the first one counts.
        if found and name and name not in cookies:
            cookies[name] = text(unquoted_cookie(value))
    return cookies


def unquoted_cookie(value: str) -> str:
    r"""A value as it was before `quoted_cookie`: "a\073b" -> a;b."""
    quoted = QUOTED.fullmatch(value)
    if quoted is None:
        return value
    return re.sub(
        r"\\(?:([0-3][0-7]{2})|(.))",
        lambda found: chr(int(found[1], 8)) if found[1] else found[2],
        quoted[1],
    )


def options(field: str) -> tuple[str, dict[str, str]]:
    """`form-data; name="a;b"` -> ("form-data", {"name": "a;b"}). Names in lower case (RFC 9110 §5.6.6)."""
    value, _, _ = field.partition(";")
    found = PARAMETER.findall(field[len(value) :])
    return value.strip().lower(), {name.lower(): unquoted(quoted.strip()) for name, quoted in reversed(found)}


def unquoted(value: str) -> str:
    r"""A token, or a quoted string. Browsers write `"` as %22 (RFC 7578 §4.2), others as \"."""
    quoted = QUOTED.fullmatch(value)
    if quoted is None:
        return value
    return quoted[1].replace("\\\\", "\\").replace('\\"', '"').replace("%22", '"')


def parsed_json(body: bytes) -> Any:
    """The value of a JSON text. Raises ValueError for what is none, or could not be sent back."""
    # RFC 8259 §8.1: UTF-8. Python's parser would guess UTF-16, and let half a surrogate pair through.
    value = json.loads(body.decode("utf-8-sig"), parse_constant=finite, parse_float=finite)
    if b"\\ud" in body.lower():
        # §8.2: such an escape may be half a pair. UnicodeEncodeError is a ValueError.
        json.dumps(value, ensure_ascii=False).encode()
    return value


def finite(number: str) -> float:
    """RFC 8259 §6: there is no NaN and no Infinity, and 1e999 would become one. Raises ValueError."""
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number} is no number")
    return value


class Request:
    """What an environ says. Limits in bytes: of a body, and of what a form may keep in memory.

    Everything is read when it is first asked for. Raises HTTPError where the client is at fault.
    """

    def __init__(
        self,
        environ: WSGIEnvironment,
        max_body: int = 16 * 1024 * 1024,
        max_memory: int = 500_000,
        max_parts: int = 1000,
    ) -> None:
        self.environ = environ
        self.max_body, self.max_memory, self.max_parts = max_body, max_memory, max_parts
        self._consumed = False

    @property
    def method(self) -> str:
        return str(self.environ["REQUEST_METHOD"])

    @property
    def path(self) -> str:
        return text(self.environ.get("PATH_INFO", ""))

    @cached_property
    def headers(self) -> Headers:
        return headers_of(self.environ)

    @cached_property
    def query(self) -> Values:
        return pairs_of(text(self.environ.get("QUERY_STRING", "")), self.max_parts)

    @cached_property
    def cookies(self) -> dict[str, str]:
        return cookies_of(self.environ.get("HTTP_COOKIE", ""))

    @property
    def url(self) -> str:
        """PEP 3333, "URL Reconstruction": ASCII, the path percent-encoded again."""
        environ, scheme = self.environ, self.environ["wsgi.url_scheme"]
        host = environ.get("HTTP_HOST") or environ["SERVER_NAME"]
        usual = {"http": "80", "https": "443"}.get(scheme)
        if not environ.get("HTTP_HOST") and environ["SERVER_PORT"] != usual:
            host += f":{environ['SERVER_PORT']}"
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        # RFC 3986 §3.3: what a path may hold as it is.
        path = quote(path.encode("latin-1"), safe="/:@!$&'()*+,;=~") or "/"
        query = quote(environ.get("QUERY_STRING", "").encode("latin-1"), safe="/?:@!$&'()*+,;=~%")
        return f"{scheme}://{host}{path}{'?' if query else ''}{query}"

    # --- task 2: the request's body -------------------------------------------------------------------

    @property
    def mimetype(self) -> str:
        return options(self.environ.get("CONTENT_TYPE", ""))[0]

    @cached_property
    def body(self) -> bytes:
        """All of it, read once and kept. 413 when it is too long, 400 when less came than was promised."""
        return b"".join(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        """The body from wsgi.input, in pieces, exactly once."""
        if self._consumed:
            raise RuntimeError("the body was read already, by form or files")
        length = self._length()
        self._consumed = True
        left = self.max_body + 1 if length is None else length
        # PEP 3333, "Input and Error Streams": not past Content-Length, whatever the stream would do.
        while left and (piece := self.environ["wsgi.input"].read(min(left, PIECE))):
            left -= len(piece)
            if length is None and not left:
                raise HTTPError(413, f"a body has at most {self.max_body} bytes")
            yield piece
        # RFC 9112 §8: less than was promised is not a shorter body, it is half of one.
        if length is not None and left:
            raise HTTPError(400, "the body is shorter than its Content-Length")

    def _length(self) -> int | None:
        """Content-Length in bytes; None when the server marks the end (wsgi.input_terminated)."""
        said = self.environ.get("CONTENT_LENGTH") or ""
        if not said:
            return None if self.environ.get("wsgi.input_terminated") else 0
        if not re.fullmatch("[0-9]{1,18}", said):
            raise HTTPError(400, "Content-Length is no number")
        if int(said) > self.max_body:
            raise HTTPError(413, f"a body has at most {self.max_body} bytes")
        return int(said)

    def json(self) -> Any:
        """The body as JSON. 415 for another type (RFC 9110 §15.5.16), 400 for what is no JSON."""
        if self.mimetype != "application/json" and not self.mimetype.endswith("+json"):
            raise HTTPError(415, "send application/json")
        try:
            return parsed_json(self.body)
        except (ValueError, RecursionError):
            raise HTTPError(400, "the body is no JSON") from None

    @property
    def form(self) -> Values:
        """The fields of a form, urlencoded or multipart; {} for every other body."""
        return self._form[0]

    @property
    def files(self) -> dict[str, list[Upload]]:
        return self._form[1]

    @cached_property
    def _form(self) -> tuple[Values, dict[str, list[Upload]]]:
        kind, parameters = options(self.environ.get("CONTENT_TYPE", ""))
        if kind == "application/x-www-form-urlencoded":
            return self._urlencoded(), {}
        if kind != "multipart/form-data":
            return {}, {}
        boundary = parameters.get("boundary", "")
        # RFC 2046 §5.1.1: 1 to 70 characters.
        if not 1 <= len(boundary) <= 70:
            raise malformed("its Content-Type has no usable boundary")
        pieces = iter([self.body]) if "body" in self.__dict__ else self._pieces()
        return Multipart(pieces, boundary.encode("latin-1"), self.max_memory, self.max_parts).parts()

    def _urlencoded(self) -> Values:
        if (self._length() or 0) > self.max_memory or len(self.body) > self.max_memory:
            raise HTTPError(413, f"a form has at most {self.max_memory} bytes without its files")
        return pairs_of(self.body.decode("utf-8", "replace"), self.max_parts)

    def close(self) -> None:
        """Let go of the uploaded files."""
        close_all((self.__dict__.get("_form") or ({}, {}))[1])


def malformed(why: str) -> HTTPError:
    return HTTPError(400, f"this is no form: {why}")


class Multipart:
    """A multipart body (RFC 7578), from pieces of any size; the buffer never holds more than two."""

    def __init__(self, pieces: Iterator[bytes], boundary: bytes, max_memory: int, max_parts: int) -> None:
        # RFC 2046 §5.1.1: the line break before a boundary belongs to it; before the first it may be missing.
        self._pieces, self._buffer, self._delimiter = pieces, b"\r\n", b"\r\n--" + boundary
        self.memory, self.max_memory, self.max_parts = 0, max_memory, max_parts

    def parts(self) -> tuple[Values, dict[str, list[Upload]]]:
        """Raises HTTPError: 400 for what is no multipart, 413 for what is too much."""
        form: Values = {}
        files: dict[str, list[Upload]] = {}
        try:
            self._collect(form, files)
        except BaseException:
            close_all(files)
            raise
        return form, files

    def _collect(self, form: Values, files: dict[str, list[Upload]]) -> None:
        for _ in self._until(self._delimiter):
            pass  # the preamble: to be ignored
        count = 0
        while self._another():
            count += 1
            if count > self.max_parts:
                raise HTTPError(413, f"a form has at most {self.max_parts} parts")
            head = self._head()
            _, parameters = options(head.get("content-disposition", ""))
            # RFC 7578 §4.2: each part has its disposition, with a name.
            if "name" not in parameters:
                raise malformed("a part has no name")
            name = parameters["name"]
            if "filename" in parameters:
                kind = head.get("content-type", "text/plain")
                files.setdefault(name, []).append(Upload(parameters["filename"], kind, self._file()))
            else:
                form.setdefault(name, []).append(self._field())

    def _until(self, mark: bytes) -> Iterator[bytes]:
        """What comes before a mark, in pieces; the mark itself is taken off.

        The mark may be cut by the end of a piece: as many bytes as it has, less one, wait for the next.
        """
        while (at := self._buffer.find(mark)) < 0:
            safe = max(0, len(self._buffer) - len(mark) + 1)
            ready, self._buffer = self._buffer[:safe], self._buffer[safe:]
            if ready:
                yield ready
            self._more()
        ready, self._buffer = self._buffer[:at], self._buffer[at + len(mark) :]
        if ready:
            yield ready

    def _more(self) -> None:
        piece = next(self._pieces, b"")
        if not piece:
            raise malformed("it ends before its last boundary")
        self._buffer += piece

    def _another(self) -> bool:
        """Whether the boundary that was passed is followed by a part; two hyphens say no."""
        while len(self._buffer) < 2:
            self._more()
        if self._buffer.startswith(b"--"):
            for _ in self._pieces:
                pass  # the epilogue: to be ignored, and counted
            return False
        if self._line(HEAD_LIMIT).strip(b" \t"):
            raise malformed("a boundary is followed by something else than the end of its line")
        return True

    def _line(self, most: int) -> bytes:
        line = b""
        for piece in self._until(b"\r\n"):
            line += piece
            if len(line) > most:
                raise HTTPError(413, f"the header of a part has at most {HEAD_LIMIT} bytes")
        return line

    def _head(self) -> dict[str, str]:
        """A part's header: names in lower case, values as UTF-8, which browsers send (RFC 7578 §5.1)."""
        head: dict[str, str] = {}
        left = HEAD_LIMIT
        while line := self._line(left):
            left -= len(line)
            name, colon, value = line.decode("utf-8", "replace").partition(":")
            if not colon:
                raise malformed("a part has a header line without a colon")
            head[name.strip().lower()] = value.strip()
        # RFC 2046 §5.1.1, body-part: without content, the empty line is the boundary's line break as well.
        while len(self._buffer) < len(self._delimiter):
            self._more()
        if self._buffer.startswith(self._delimiter[2:]):
            self._buffer = b"\r\n" + self._buffer
        return head

    def _field(self) -> str:
        value = b""
        for piece in self._until(self._delimiter):
            self.memory += len(piece)
            if self.memory > self.max_memory:
                raise HTTPError(413, f"a form has at most {self.max_memory} bytes without its files")
            value += piece
        return value.decode("utf-8", "replace")

    def _file(self) -> IO[bytes]:
        # A small file stays in memory, a large one goes to a file that nobody else can see.
        file: IO[bytes] = SpooledTemporaryFile(max_size=PIECE)  # noqa: SIM115 - close does
        try:
            for piece in self._until(self._delimiter):
                file.write(piece)
        except BaseException:
            file.close()
            raise
        file.seek(0)
        return file


def close_all(files: dict[str, list[Upload]]) -> None:
    for uploads in files.values():
        for upload in uploads:
            upload.file.close()


# --- task 3: the response -----------------------------------------------------------------------------


class Response:
    """A WSGI application that gives one answer. Text is encoded; an iterable of bytes is streamed.

    `etag` is spelled as in the header, '"v1"' or 'W/"v1"'; `modified` is in seconds since 1970.
    Raises ValueError for what can't stand in a header.
    """

    def __init__(
        self,
        body: str | bytes | Iterable[bytes] = b"",
        status: int = 200,
        headers: Pairs = (),
        content_type: str = "text/plain",
        charset: str = "utf-8",
        etag: str | None = None,
        modified: float | None = None,
    ) -> None:
        self.status, self.headers, self.closers = status, Headers(headers), list[Callable[[], object]]()
        self.body = body.encode(charset) if isinstance(body, str) else body
        self.etag, self.modified = etag, modified
        # RFC 9110 §8.3.2: which characters the bytes of a text stand for.
        if content_type.startswith("text/") and "charset=" not in content_type.lower():
            content_type += f"; charset={charset}"
        if content_type and "Content-Type" not in self.headers:
            self.headers.set("Content-Type", content_type)
        self._add_validators()

    def _add_validators(self) -> None:
        if self.etag is not None:
            if not ENTITY_TAG.fullmatch(self.etag):
                raise ValueError(f"{self.etag!r} is no entity tag: it has quotes, as in the header")
            self.headers.set("ETag", self.etag)
        if self.modified is not None:
            self.headers.set("Last-Modified", formatdate(int(self.modified), usegmt=True))

    def set_cookie(
        self,
        name: str,
        value: str = "",
        max_age: int | None = None,
        path: str = "/",
        domain: str | None = None,
        secure: bool = False,
        httponly: bool = False,
        samesite: str | None = None,
    ) -> None:
        """Add a Set-Cookie (RFC 6265 §4.1); `max_age` in seconds. Raises ValueError."""
        if not TOKEN.fullmatch(name):
            raise ValueError(f"{name!r} is no name for a cookie")
        parts = [f"{name}={quoted_cookie(value)}"]
        for attribute, given in (
            ("Max-Age", max_age),
            ("Domain", domain),
            ("Path", path),
            ("SameSite", samesite),
        ):
            # §4.1.1: an attribute's value ends at a semicolon, so it can't have one.
            if given is not None and ";" in str(given):
                raise ValueError(f"{given!r} cannot stand in a cookie's {attribute}")
            if given is not None:
                parts.append(f"{attribute}={given}")
        parts += ["Secure"] if secure else []
        parts += ["HttpOnly"] if httponly else []
        # RFC 9110 §5.3: one line for each, never joined.
        self.headers.add("Set-Cookie", "; ".join(parts))

    def delete_cookie(self, name: str, path: str = "/", domain: str | None = None) -> None:
        """Name, path and domain say which cookie is meant; an age of 0 ends it (RFC 6265 §5.2.2, §5.3)."""
        self.set_cookie(name, max_age=0, path=path, domain=domain)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, headers, body = self._chosen(environ)
        # RFC 9110 §15.3.5, §15.4.5: no content after these, and §8.6: no length of what isn't there.
        bare = status in (204, 304)
        if bare:
            headers.remove("Content-Length")
            headers.remove("Content-Type")
        elif isinstance(body, bytes):
            headers.set("Content-Length", str(len(body)))
        start_response(status_line(status), list(headers))
        # §9.3.2: HEAD gets the header of GET.
        silent = bare or environ["REQUEST_METHOD"] == "HEAD"
        if isinstance(body, bytes) and not self.closers:
            return [] if silent else [body]
        chunks: Iterable[bytes] = [body] if isinstance(body, bytes) else body
        return Body(() if silent else chunks, [*closers_of(body), *self.closers])

    # --- task 4: preconditions and ranges -------------------------------------------------------------

    def _chosen(self, environ: WSGIEnvironment) -> tuple[int, Headers, bytes | Iterable[bytes]]:
        """Status, headers and body for this request."""
        headers = Headers(self.headers)
        request = Request(environ)
        # RFC 9110 §13.2.1: preconditions are about what would have been a success.
        if self.status != 200 or request.method not in ("GET", "HEAD"):
            return self.status, headers, self.body
        if self.etag is not None or self.modified is not None:
            instead = precondition(request, self.etag, self.modified)
            if instead:
                return instead, self._without_content(headers), b""
        return self._ranged(request, headers)

    def _without_content(self, headers: Headers) -> Headers:
        """For 304, 412 and 416: the body is let go, and nothing describes it (RFC 9110 §15.4.5)."""
        self.closers += closers_of(self.body)
        for name in ("Content-Type", "Content-Encoding", "Content-Language"):
            headers.remove(name)
        return headers

    def _ranged(self, request: Request, headers: Headers) -> tuple[int, Headers, bytes | Iterable[bytes]]:
        """The whole, or the part that Range asks for (RFC 9110 §14.2), where the size is known."""
        if not isinstance(self.body, bytes | FileBody):
            return 200, headers, self.body
        size = len(self.body)
        headers.set("Accept-Ranges", "bytes")
        headers.set("Content-Length", str(size))
        # §14.2: only GET has ranges. §13.2.2, step 5: If-Range is asked last.
        wanted = request.headers.get("Range")
        if request.method != "GET" or wanted is None or not if_range_holds(request, self.etag, self.modified):
            return 200, headers, self.body
        try:
            part = range_of(wanted, size)
        except HTTPError as error:
            headers = self._without_content(headers)
            for name, value in error.headers:
                headers.set(name, value)
            return error.status, headers, b""
        if part is None:
            return 200, headers, self.body
        start, stop = part
        headers.set("Content-Range", f"bytes {start}-{stop - 1}/{size}")
        headers.set("Content-Length", str(stop - start))
        return 206, headers, self.body[start:stop]


class Body:
    """Chunks that are handed on as they come, and a close that lets go of everything."""

    def __init__(self, chunks: Iterable[bytes], closers: list[Callable[[], object]]) -> None:
        self._chunks, self._closers = chunks, closers

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._chunks)

    def close(self) -> None:
        while self._closers:
            self._closers.pop(0)()


class FileBody:
    """A file from byte `start` on, read when it is asked for. Slicing makes a part of it."""

    def __init__(self, file: IO[bytes], start: int, stop: int) -> None:
        self.file, self.start, self.stop = file, start, stop
        self.close = file.close

    def __len__(self) -> int:
        return self.stop - self.start

    def __getitem__(self, part: slice) -> FileBody:
        start, stop, _ = part.indices(len(self))
        return FileBody(self.file, self.start + start, self.start + stop)

    def __iter__(self) -> Iterator[bytes]:
        self.file.seek(self.start)
        left = len(self)
        while left and (piece := self.file.read(min(left, PIECE))):
            left -= len(piece)
            yield piece


def closers_of(body: object) -> list[Callable[[], object]]:
    """PEP 3333, "Specification Details": what is not iterated is closed all the same."""
    close = getattr(body, "close", None)
    return [close] if close is not None else []


def status_line(status: int) -> str:
    return f"{status} {responses.get(status, 'Unknown')}"


def quoted_cookie(value: str) -> str:
    r"""The value as RFC 6265 §4.1.1 lets it stand; else in quotes, as octal escapes: a;b -> "a\073b"."""
    if COOKIE_OCTETS.fullmatch(value):
        return value
    raw = value.encode("utf-8").decode("latin-1")
    return '"' + re.sub(r"[^ !#-+\--:<-\[\]-~]", lambda found: f"\\{ord(found[0]):03o}", raw) + '"'


def etags(field: str) -> list[tuple[bool, str]]:
    """`W/"a", "b"` -> [(True, '"a"'), (False, '"b"')]: whether it is weak, and its opaque part."""
    return [(bool(weak), tag) for weak, tag in ENTITY_TAG.findall(field)]


def matches(field: str, etag: str | None, strong: bool) -> bool:
    """Whether a list of entity tags has this one (RFC 9110 §8.8.3.2); `*` is any that exists."""
    if field.strip() == "*":
        return True
    own_weak, own = etags(etag)[0] if etag else (False, "")
    return any(tag == own and not (strong and (weak or own_weak)) for weak, tag in etags(field))


def seconds(field: str | None) -> int | None:
    """An HTTP date in seconds since 1970; None for what is no date: such a field is ignored (§13.1.3)."""
    try:
        return None if field is None else int(_utc(field))
    except (TypeError, ValueError, OverflowError):
        return None


def _utc(field: str) -> float:
    moment = parsedate_to_datetime(field)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def precondition(request: Request, etag: str | None, modified: float | None) -> int:
    """RFC 9110 §13.2.2, in its order: 0 to go on, 304 Not Modified or 412 Precondition Failed.

    For GET a Response asks by itself; before a change, ask with what is there now, and raise HTTPError.
    """
    at = None if modified is None else int(modified)
    safe = request.method in ("GET", "HEAD")
    # Steps 1 and 2: a tag is more exact than a date, so with If-Match the date isn't looked at.
    match, since = request.headers.get("If-Match"), seconds(request.headers.get("If-Unmodified-Since"))
    if match is not None:
        if not matches(match, etag, strong=True):
            return 412
    elif since is not None and at is not None and at > since:
        return 412
    # Steps 3 and 4, the same way; §13.1.2: weak comparison, as nothing is put together from parts.
    none, since = request.headers.get("If-None-Match"), seconds(request.headers.get("If-Modified-Since"))
    if none is not None:
        if matches(none, etag, strong=False):
            return 304 if safe else 412
    elif safe and since is not None and at is not None and at <= since:
        return 304
    return 0


def if_range_holds(request: Request, etag: str | None, modified: float | None) -> bool:
    """RFC 9110 §13.1.5: whether the client has the same: an equal strong tag, or exactly that date."""
    field = request.headers.get("If-Range")
    if field is None:
        return True
    if etags(field):
        return matches(field, etag, strong=True)
    return modified is not None and seconds(field) == int(modified)


def range_of(field: str, size: int) -> tuple[int, int] | None:
    """Where the one asked range starts and stops (first byte after it); None: send the whole.

    "bytes=0-4", 10 -> (0, 5);  "bytes=-3", 10 -> (7, 10);  "bytes=8-99", 10 -> (8, 10)
    Raises HTTPError 416 with Content-Range when nothing of it is there, "5-2" too. §14.2: what can't be read,
    another unit, or several ranges at once may be ignored.
    """
    found = BYTES.fullmatch(field.strip())
    if found is None:
        return None
    first, last = found[1], found[2]
    start = position(first) if first else max(0, size - position(last))
    stop = min(size, position(last) + 1) if first and last else size
    if start >= stop:
        raise HTTPError(416, "no byte of that range is there", [("Content-Range", f"bytes */{size}")])
    return start, stop


def position(digits: str) -> int:
    """A position in bytes. int() refuses thousands of digits: eighteen are past every end."""
    return int("0" + digits.lstrip("0")[:18])


def json_response(value: Any, status: int = 200, headers: Pairs = ()) -> Response:
    """RFC 8259 §8.1: UTF-8, no charset parameter. Raises ValueError for NaN, which no JSON can say (§6)."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False)
    body = text.encode("utf-8", "backslashreplace") + b"\n"
    return Response(body, status, headers, "application/json")


def redirect(location: str, status: int = 303) -> Response:
    """To another URL, percent-encoded where it must be. Raises ValueError for what would split the header."""
    if status not in (301, 302, 303, 307, 308):
        raise ValueError(f"{status} is no redirect")
    if UNSAFE.search(location.encode("utf-8").decode("latin-1")):
        raise ValueError(f"{location!r} is no URL")
    # RFC 3986 §2.2, §2.3: reserved and unreserved characters, and what is encoded already, stay.
    return Response(b"", status, [("Location", quote(location, safe=":/?#[]@!$&'()*+,;=~%"))])


def file(path: str | os.PathLike[str], content_type: str | None = None) -> Response:
    """A file's bytes, in pieces, with validators: GET is conditional and has ranges. 404 without it."""
    try:
        opened = Path(path).open("rb")  # noqa: SIM115 - the body closes it
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError, ValueError):
        raise HTTPError(404, "there is no such file") from None
    stat = os.fstat(opened.fileno())
    kind, coding = (content_type, None) if content_type else kind_of(os.fspath(path))
    # RFC 9110 §8.8.1: the tag changes with the bytes: time in nanoseconds, and size.
    tag = f'"{stat.st_mtime_ns:x}-{stat.st_size:x}"'
    headers = [("Content-Encoding", coding)] if coding else []
    return Response(FileBody(opened, 0, stat.st_size), 200, headers, kind, etag=tag, modified=stat.st_mtime)


def kind_of(name: str) -> tuple[str, str | None]:
    """Content-Type and Content-Encoding: "export.csv.gz" -> ("text/csv", "gzip").

    RFC 9110 §8.4: the type is of what is inside. Where HTTP has no such coding, the type is the packing's.
    """
    kind, packed = mimetypes.guess_type(name)
    if packed and packed not in CODINGS:
        return f"application/x-{packed}", None
    return kind or "application/octet-stream", packed


# --- task 5: handlers, and the tasks API --------------------------------------------------------------

Handler: TypeAlias = Callable[..., Response]


def wsgi(handler: Callable[[Request], Response]) -> WSGIApplication:
    """A WSGI application from a function. HTTPError becomes {"error": "…"}; others are the server's."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        request = Request(environ)
        try:
            response = handler(request)
        except HTTPError as error:
            response = json_response({"error": str(error)}, error.status, error.headers)
        except BaseException:
            request.close()
            raise
        # A streamed answer may still need what was uploaded: both end together.
        response.closers.append(request.close)
        return response(environ, start_response)

    return application


def dispatch(request: Request, routes: dict[str, dict[str, Handler]]) -> Response:
    """Call the handler of the first pattern that is the whole path, with the request and what it caught."""
    for pattern, handlers in routes.items():
        found = re.fullmatch(pattern, request.path)
        if found is None:
            continue
        method = "GET" if request.method == "HEAD" else request.method
        if method not in handlers:
            allow = sorted({*handlers, "HEAD"} if "GET" in handlers else handlers)
            raise HTTPError(405, f"not {request.method}", [("Allow", ", ".join(allow))])
        return handlers[method](request, *found.groups())
    raise HTTPError(404, f"there is nothing at {request.path}")


tasks, lock = Tasks(), threading.Lock()


def said(request: Request, new: bool = False) -> dict[str, Any]:
    """What the body says of a task."""
    try:
        return checked(request.json(), new)
    except ValueError as error:
        raise HTTPError(400, str(error)) from None


def change_with(number: str, change: Callable[[int], dict[str, Any]]) -> dict[str, Any]:
    try:
        with lock:
            return change(int(number))
    except KeyError:
        raise HTTPError(404, f"there is no task {number}") from None


def list_tasks(request: Request) -> Response:
    with lock:
        return json_response(tasks.all())


def create_task(request: Request) -> Response:
    fields = said(request, new=True)
    with lock:
        task = tasks.add(fields)
    return json_response(
        task, 201, [("Location", f"{request.environ.get('SCRIPT_NAME', '')}/tasks/{task['id']}")]
    )


def show_task(request: Request, number: str) -> Response:
    return json_response(change_with(number, tasks.get))


def change_task(request: Request, number: str) -> Response:
    fields = said(request)
    return json_response(change_with(number, lambda key: tasks.change(key, fields)))


def delete_task(request: Request, number: str) -> Response:
    change_with(number, tasks.delete)
    return Response(status=204)


def tasks_csv(request: Request) -> Response:
    with lock:
        rows = ["id,title,done\r\n", *map(csv_row, tasks.all())]
    return Response((row.encode() for row in rows), content_type="text/csv")


ROUTES: dict[str, dict[str, Handler]] = {
    "/tasks": {"GET": list_tasks, "POST": create_task},
    "/tasks/([1-9][0-9]{0,17})": {
        "GET": show_task,
        "PATCH": change_task,
        "PUT": change_task,
        "DELETE": delete_task,
    },
    r"/tasks\.csv": {"GET": tasks_csv},
}

application = wsgi(lambda request: dispatch(request, ROUTES))
