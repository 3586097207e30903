"""Handlers that take forms and give out one long page, over `wrappers`, which is the learner's.

POST /forms     what arrived, as JSON: fields as they are, files as name, type, size and SHA-256
GET  /page      200,000 bytes with an ETag: conditional requests and ranges work on it

Everything below `application` is for checks that call from inside.
"""

import contextlib
import hashlib
import importlib
import io
import itertools
import json
import os
import tempfile
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

wrappers: Any = importlib.import_module("wrappers")

PAGE = b"".join(b"line %05d of a page that is long enough\n" % number for number in range(5_000))[:200_000]
TAG = f'"{hashlib.sha256(PAGE).hexdigest()[:16]}"'


def forms(request: Any) -> Any:
    seen = {"form": request.form, "files": [[*one[:3], digest(one[3])] for one in uploads(request)]}
    return wrappers.Response(json.dumps(seen).encode(), content_type="application/json")


def desk(request: Any) -> Any:
    if request.path == "/forms":
        return forms(request)
    raise wrappers.HTTPError(404, "there is nothing here")


def application(environ: Any, start_response: Any) -> Any:
    if environ["PATH_INFO"] == "/page":  # a response is an application by itself: task 4 needs no handlers
        return wrappers.Response(PAGE, etag=TAG)(environ, start_response)
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
    with closed(request):
        return {"form": request.form, "files": uploads(request)}


@contextlib.contextmanager
def closed(request: Any) -> Iterator[None]:
    """Close the request at the end; whether it knows how is not this call's question."""
    yield
    with contextlib.suppress(Exception):
        request.close()


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
    request = wrappers.Request(environ)
    files = request.files
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with closed(request):
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


def answer(app: Any, environ: dict[str, Any], take: int | None = None) -> dict[str, Any]:
    """A whole answer of a WSGI application, read to its end or `take` chunks, and closed, as plain data."""
    started: dict[str, Any] = {"status": None, "headers": []}

    def start_response(status: str, headers: list[Any], exc_info: Any = None) -> Any:
        started.update(status=status, headers=[tuple(pair) for pair in headers])
        return lambda data: None

    result = app(environ, start_response)
    try:
        body = b"".join(itertools.islice(result, take))
    finally:
        if hasattr(result, "close"):
            result.close()
    return {**started, "body": body}


def open_files() -> int:
    """How many files this process has open."""
    return len(list(Path("/dev/fd").iterdir()))


def file_answer(data: bytes, modified: int, environ: dict[str, Any]) -> dict[str, Any]:
    """The answer of a response from `file`; `left_open` is how many files it keeps after its close."""
    before = open_files()
    response = sent_file(data, modified)
    said = answer(response, environ)
    said["left_open"] = open_files() - before
    return said


def file_peak(size: int, environ: dict[str, Any]) -> dict[str, int]:
    """Send a long file: the most memory that it took at once, and how many bytes came."""
    with tempfile.NamedTemporaryFile() as made:
        made.truncate(size)
        tracemalloc.start()
        result = wrappers.file(made.name)(environ, ignoring())
        sent = sum(len(chunk) for chunk in result)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if hasattr(result, "close"):
            result.close()
    return {"peak": most, "size": sent}


def left_open(environ: dict[str, Any], body: bytes, **limits: int) -> dict[str, Any]:
    """Files that are still open after a form was refused, and the status that it was refused with."""
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    request, before, status = wrappers.Request(environ, **limits), open_files(), 0
    try:
        _ = request.form
    except wrappers.HTTPError as error:
        status = error.status
    request.close()
    return {"status": status, "left_open": open_files() - before}


def upload_kept(how: str, environ: dict[str, Any], body: bytes) -> dict[str, Any]:
    """What becomes of an upload whose handler streams it, ignores it, or raises an HTTPError after it.

    `early` is whether it was closed when the body that streams it was.
    """
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    seen: list[Any] = []
    early: list[bool] = []

    def chunks(file: Any) -> Iterator[bytes]:
        try:
            for line in file:  # noqa: UP028 - `yield from` would close the file by itself
                yield line
        finally:
            early.append(bool(file.closed))

    def handler(request: Any) -> Any:
        seen.extend(one for many in request.files.values() for one in many)
        if how == "raised":
            raise wrappers.HTTPError(409, "not now")
        streams = {"streamed": iter, "left": chunks}
        return wrappers.Response(streams[how](seen[0].file) if how in streams else b"taken")

    said = answer(wrappers.wsgi(handler), environ, take=1 if how == "left" else None)
    return {**said, "early": early, "closed": [bool(one.file.closed) for one in seen]}


def closed_uploads(environ: dict[str, Any], body: bytes) -> list[bool]:
    """Whether each upload is closed after the request's close()."""
    environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
    request = wrappers.Request(environ)
    files = [one.file for many in request.files.values() for one in many]
    request.close()
    return [bool(file.closed) for file in files]


class Watched:
    """The store of tasks, and the names of its methods that were called without the lock."""

    def __init__(self, inner: Any, lock: Any) -> None:
        self.inner, self.lock, self.bare = inner, lock, list[str]()

    def __getattr__(self, name: str) -> Any:
        method = getattr(self.inner, name)
        if not callable(method):
            return method

        def watched(*args: Any, **kwargs: Any) -> Any:
            held = self.lock.locked() if hasattr(self.lock, "locked") else self.lock._is_owned()
            self.bare += [] if held else [name]
            return method(*args, **kwargs)

        return watched


def calls_without_lock(environs: list[dict[str, Any]]) -> list[str]:
    """Methods of `wrappers.tasks` that these requests call while nobody holds `wrappers.lock`.

    Who has neither has a store and a lock of another name: nothing can be said of those.
    """
    store, lock = getattr(wrappers, "tasks", None), getattr(wrappers, "lock", None)
    if store is None or lock is None:
        return []
    wrappers.tasks = watched = Watched(store, lock)
    for environ in environs:
        answer(wrappers.application, environ)
    return watched.bare


def lock_after(environ: dict[str, Any]) -> dict[str, Any]:
    """The status of this request, and whether `wrappers.lock` is held after its response."""
    said, lock = tasks_answer(environ), getattr(wrappers, "lock", None)
    held = lock is not None and (lock.locked() if hasattr(lock, "locked") else lock._is_owned())
    return {"status": said["status"], "held": bool(held)}


def tasks_answer(environ: dict[str, Any]) -> dict[str, Any]:
    """A whole answer of the tasks API."""
    return answer(wrappers.application, environ)


def broken_handler(environ: dict[str, Any]) -> dict[str, Any]:
    """The answer of a handler with a mistake of its own, which raises KeyError."""

    def handler(request: Any) -> Any:
        return wrappers.Response({"Ada": "lovelace"}[request.method])

    return answer(wrappers.wsgi(handler), environ)


def tags_of_a_file(data: bytes, modified: int, environ: dict[str, Any]) -> list[str]:
    """The ETag of a file, twice, and once more when it has grown within the same second."""
    tags = []
    with tempfile.NamedTemporaryFile(suffix=".png") as made:
        for more, at in ((data, modified), (b"", modified), (data, modified + 0.25)):
            made.write(more)
            made.flush()
            os.utime(made.name, (at, at))
            said = answer(wrappers.file(made.name), environ)
            tags.append(next((value for name, value in said["headers"] if name.lower() == "etag"), ""))
    return tags
