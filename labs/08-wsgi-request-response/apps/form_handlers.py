"""A desk that takes forms and hands out one long page: handlers over `wrappers`, which is the learner's.

POST /forms     what arrived, as JSON: fields as they are, files as name, type, size and SHA-256
GET  /page      200,000 bytes with an ETag: conditional requests and ranges work on it

`uploads`, `parsed` and `peak` are for checks that call from inside.
"""

import hashlib
import importlib
import io
import json
import os
import tempfile
import tracemalloc
from typing import Any

wrappers: Any = importlib.import_module("wrappers")

PAGE = b"".join(b"line %05d of a page that is long enough\n" % number for number in range(5_000))[:200_000]
TAG = f'"{hashlib.sha256(PAGE).hexdigest()[:16]}"'


def forms(request: Any) -> Any:
    seen = {"form": request.form, "files": [[*one[:3], digest(one[3])] for one in uploads(request)]}
    return wrappers.Response(json.dumps(seen).encode(), content_type="application/json")


def page(request: Any) -> Any:
    return wrappers.Response(PAGE, etag=TAG)


def desk(request: Any) -> Any:
    if request.path == "/forms":
        return forms(request)
    if request.path == "/page":
        return page(request)
    raise wrappers.HTTPError(404, "there is nothing here")


def application(environ: Any, start_response: Any) -> Any:
    return wrappers.wsgi(desk)(environ, start_response)


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def uploads(request: Any) -> list[list[Any]]:
    """Every uploaded file as [name, filename, content type, bytes], in order."""
    return [
        [name, one.filename, one.content_type, one.file.read()]
        for name, files in request.files.items()
        for one in files
    ]


def parsed(environ: dict[str, Any], body: bytes, piece: int = 1 << 20, **limits: int) -> dict[str, Any]:
    """A form as plain data; wsgi.input gives at most `piece` bytes at a time, as a socket may."""
    environ |= {"wsgi.input": Trickle(body, piece), "CONTENT_LENGTH": str(len(body))}
    request = wrappers.Request(environ, **limits)
    return {"form": request.form, "files": uploads(request)}


class Trickle(io.BytesIO):
    """Bytes that come a few at a time."""

    def __init__(self, data: bytes, piece: int) -> None:
        super().__init__(data)
        self.piece = piece

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self.piece if size is None or size < 0 else min(size, self.piece))

    def readline(self, size: int | None = -1, /) -> bytes:
        return super().readline(self.piece if size is None or size < 0 else min(size, self.piece))


class Flood(io.RawIOBase):
    """A long body that is nowhere in memory: `head`, `count` times `filler`, `tail`."""

    def __init__(self, head: bytes, filler: bytes, count: int, tail: bytes) -> None:
        self.head, self.filler, self.tail = head, filler, tail
        self.total = len(head) + len(filler) * count + len(tail)
        self.given = 0

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        filled = self.total - len(self.head) - len(self.tail)
        at = self.given - len(self.head)
        if at < 0:
            data = self.head[at:]
        elif at < filled:
            start = at % len(self.filler)
            data = self.filler[start:]
        else:
            data = self.tail[at - filled :]
        data = data[: len(into)]
        into[: len(data)] = data
        self.given += len(data)
        return len(data)


def peak(environ: dict[str, Any], head: bytes, filler: bytes, count: int, tail: bytes) -> dict[str, int]:
    """Parse a form with one long file: the most memory that it took at once, and the file's size."""
    flood = Flood(head, filler, count, tail)
    environ |= {"wsgi.input": io.BufferedReader(flood), "CONTENT_LENGTH": str(flood.total)}
    tracemalloc.start()
    files = wrappers.Request(environ).files
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    size = sum(one.file.seek(0, 2) for many in files.values() for one in many)
    return {"peak": most, "size": size, "sent": len(filler) * count}


def ignoring(*_: Any) -> Any:
    """A start_response for a body that is wanted alone."""
    return lambda status, headers, exc_info=None: lambda data: None


def sent_file(data: bytes, modified: int, suffix: str = ".png") -> Any:
    """A response with a new file of these bytes. The file is deleted at once; who has it open can read it."""
    with tempfile.NamedTemporaryFile(suffix=suffix) as made:
        made.write(data)
        made.flush()
        os.utime(made.name, (modified, modified))
        return wrappers.file(made.name)
