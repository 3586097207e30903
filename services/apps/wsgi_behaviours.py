"""A WSGI application that does what the request tells it to do: for checks of servers.

    GET  /anything                     the environ as JSON, and what wsgiref.validate has to say about it
    POST /do/read?how=lines            reads wsgi.input in one way, then once more; both as JSON
    GET  /do/answer?chunk=a&chunk=b    a body of these chunks; also status=, header=Name:value, raise_at=1,
                                       kind=list|iterator|text (str in place of bytes), say=NOTEBOOK,
                                       error=TEXT (a line for wsgi.errors)
    GET  /do/write?text=a&rest=b       write(a), then [b]; kind=text writes str
    GET  /do/start?how=replace         start_response in unusual ways: replace, too_late, twice, late, never,
                                       empty (never, and no body)
    GET  /do/gate?how=iterator         chunks, each made only after a signal came: see `gate`
    GET  /do/endless?say=NOTEBOOK      chunks until the client is gone; of 64 KiB, chunks=1024 of them
    GET  /do/nap?name=x&seconds=0.01   sleeps (a second at most), and tells how many slept at the same time
    GET  /do/meet?of=4&place=x         waits until as many requests are here at the same time; with early=Ada,
                                       start_response comes before the wait, and has X-Name: Ada
    GET  /do/ignore                    answers without a look at the body; with instead=1 it puts an empty
                                       wsgi.input into its environ first, as middleware does
    POST /do/stubborn                  reads its body again and again, whatever is raised; answers like ignore
    GET  /do/notes?say=NOTEBOOK        what was written into a notebook, as JSON

It keeps its notebooks in memory: one process serves it.
"""

import contextlib
import io
import json
import os
import select
import signal
import sys
import threading
import time
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs
from wsgiref.types import StartResponse, WSGIEnvironment
from wsgiref.validate import check_environ  # type: ignore[attr-defined]

PATIENCE = 3.0  # seconds for a signal, or for company
NUMBER = int(signal.SIGUSR2)
JSON_TYPE = ("Content-Type", "application/json")

notebooks: defaultdict[str, list[str]] = defaultdict(list)
places: dict[str, threading.Barrier] = {}
places_lock = threading.Lock()
sleeping = 0
signal_read, signal_write = os.pipe()
os.set_blocking(signal_read, False)
os.set_blocking(signal_write, False)
# A server that imports applications in another thread can't be signalled; its gate stays shut.
with contextlib.suppress(ValueError):
    signal.signal(NUMBER, lambda *_: os.write(signal_write, b"!"))


class Query:
    """The query string's values, as latin-1 text: a check sends any byte that it likes."""

    def __init__(self, environ: WSGIEnvironment) -> None:
        text = environ.get("QUERY_STRING", "")
        self._values = parse_qs(text, keep_blank_values=True, encoding="latin-1")

    def all(self, name: str) -> list[str]:
        return self._values.get(name, [])

    def get(self, name: str, default: str = "") -> str:
        return next(iter(self.all(name)), default)


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    path = environ.get("PATH_INFO", "")
    if not path.startswith("/do/"):
        return show_environ(environ, start_response)
    behaviour = BEHAVIOURS.get(path.removeprefix("/do/"))
    if behaviour is None:
        return answer_json(start_response, {"error": f"no behaviour {path}"}, "404 Not Found")
    return behaviour(environ, start_response, Query(environ))


def answer_json(start_response: StartResponse, value: Any, status: str = "200 OK") -> list[bytes]:
    """One chunk with its length, as plain as an answer can be."""
    body = json.dumps(value).encode("ascii")
    start_response(status, [JSON_TYPE, ("Content-Length", str(len(body)))])
    return [body]


def show_environ(environ: WSGIEnvironment, start_response: StartResponse) -> list[bytes]:
    """Texts as they are, everything else by its repr; `complaint` is the standard library's validator's."""
    complaint = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # PEP 3333, "environ Variables": these two may be left out where they would be empty.
            defaults = {"SCRIPT_NAME": "", "PATH_INFO": ""}
            check_environ({**defaults, **environ} if type(environ) is dict else environ)
    except Exception as error:
        complaint = f"{type(error).__name__}: {error}"
    shown = {
        "environ": {str(key): value for key, value in environ.items() if isinstance(value, str)},
        "others": {str(key): repr(value) for key, value in environ.items() if not isinstance(value, str)},
        "complaint": complaint,
        "used_before": "was.here" in environ,
    }
    environ["was.here"] = "yes"
    return answer_json(start_response, shown)


# --- reading ------------------------------------------------------------------------------------------


def read(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    """`how`: all, sizes (3 bytes at a time), line by line, lines, or by iteration. Then once more."""
    stream = environ["wsgi.input"]
    match query.get("how"):
        case "all":
            pieces = [stream.read()]
        case "sizes":
            pieces = list(iter(lambda: stream.read(3), b""))
        case "line":
            pieces = list(iter(stream.readline, b""))
        case "lines":
            pieces = stream.readlines()
        case "iteration":
            pieces = list(stream)
        case "more":
            pieces = [stream.read(int(query.get("size", "100000")))]
        case other:
            return answer_json(start_response, {"error": f"no way to read {other!r}"}, "404 Not Found")
    then = stream.read(10)
    parts = [piece.decode("latin-1") for piece in pieces]
    return answer_json(start_response, {"pieces": parts, "then": then.decode("latin-1")})


def ignore(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    if query.get("instead"):
        environ["wsgi.input"] = io.BytesIO()
    return answer_json(start_response, {"ignored": query.get("name")})


def stubborn(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    """Takes any exception of wsgi.input for nothing, and reads on."""
    for _ in range(4):
        with contextlib.suppress(Exception):
            environ["wsgi.input"].read()
    return answer_json(start_response, {"ignored": query.get("name")})


# --- answering ----------------------------------------------------------------------------------------


class Noted:
    """An iterable that notes when it is asked for a chunk, when it raises and when it is closed."""

    def __init__(self, chunks: list[bytes], raise_at: int | None, notebook: list[str]) -> None:
        self._chunks, self._raise_at, self._notebook = chunks, raise_at, notebook
        self._given = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._given == self._raise_at:
            self._notebook.append("raised")
            said = self._chunks[: self._given]
            raise RuntimeError(f"this application raises here, after {said}: that is on purpose")
        if self._given == len(self._chunks):
            raise StopIteration
        self._given += 1
        return self._chunks[self._given - 1]

    def close(self) -> None:
        self._notebook.append("closed")


def answer(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    """raise_at=-1 raises before the application returns; n in place of chunk n."""
    headers = [(name, value) for name, _, value in (one.partition(":") for one in query.all("header"))]
    chunks = [chunk.encode("latin-1") for chunk in query.all("chunk")]
    raise_at = int(query.get("raise_at")) if query.get("raise_at") else None
    if query.get("error"):
        environ["wsgi.errors"].write(f"{query.get('error')}\n")
        environ["wsgi.errors"].flush()
    if raise_at == -1:
        raise RuntimeError(f"this application raises at once, for {query.get('name')}: that is on purpose")
    start_response(query.get("status", "200 OK"), headers)
    match query.get("kind"):
        case "list":
            return chunks
        case "text":
            return query.all("chunk")  # type: ignore[return-value]  # what no server may send: str
    return Noted(chunks, raise_at, notebooks[query.get("say")])


def write(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    texts = [text.encode("latin-1") for text in query.all("text")]
    rest = query.get("rest").encode("latin-1")
    length = sum(map(len, texts)) + len(rest)
    send = start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", str(length))])
    for text in query.all("text") if query.get("kind") == "text" else texts:
        send(text)  # type: ignore[arg-type]
    return [rest]


def start(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    notebook, name = notebooks[query.get("say")], query.get("name", "Ada")
    match query.get("how"):
        case "replace":
            return _replace(start_response, name)
        case "too_late":
            return _too_late(start_response, name, notebook)
        case "twice":
            return _twice(start_response, name, notebook)
        case "never":
            return [b"a body without a head"]
        case "empty":
            return []
        case "late":
            return _late(start_response, name)
    return answer_json(start_response, {"error": "no such way to start"}, "404 Not Found")


def exc_info() -> Any:
    """What is being handled, typed as `StartResponse` wants it."""
    return sys.exc_info()


def _replace(start_response: StartResponse, name: str) -> Iterable[bytes]:
    """An error before anything was sent: the second call replaces the first one's headers."""
    start_response("200 OK", [("X-First", "Ada")])
    try:
        raise LookupError(name)
    except LookupError:
        body = f"sorry, {name}\n".encode()
        headers = [("X-Second", name), ("Content-Length", str(len(body)))]
        start_response("503 Try Later", headers, exc_info())
        return [body]


def _too_late(start_response: StartResponse, name: str, notebook: list[str]) -> Iterable[bytes]:
    """An error after the head was sent: the second call must raise the error again."""
    send = start_response("200 OK", [("Content-Length", "1000")])
    send(f"begun for {name}\n".encode())
    try:
        raise LookupError(name)
    except LookupError as error:
        try:
            start_response("503 Try Later", [], exc_info())
        except BaseException as again:
            notebook.append("the same" if again is error else f"another: {again!r}")
            raise
    notebook.append("nothing")
    return [b"went on"]


def _twice(start_response: StartResponse, name: str, notebook: list[str]) -> Iterable[bytes]:
    """A second call without exc_info is an error, and says so in the application."""
    start_response("200 OK", [])
    try:
        start_response("201 Created", [("Content-Length", "7"), ("X-Second", name)])
    except Exception as error:
        notebook.append(type(error).__name__)
        raise
    notebook.append("nothing")
    return [b"went on"]


def _late(start_response: StartResponse, name: str) -> Iterator[bytes]:
    """A generator: nothing in it runs before the first chunk is asked for."""
    body = f"late, {name}\n".encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    yield body


def gate(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    """Lines "INDEX PID SIGNAL": each is made only after the process PID got SIGNAL for the one before.

    So a client that sees a line, and only then sends the signal, knows that the server sent it before the
    next one was made. Without a signal the gate gives up after PATIENCE seconds, and says so in the body.
    """
    with contextlib.suppress(BlockingIOError):
        os.read(signal_read, 1000)
    send = start_response("200 OK", [("Content-Type", "text/plain")])
    lines = _gated(int(query.get("lines", "3")))
    if query.get("how") == "write":
        for line in lines:
            send(line)
        return []
    return lines


def _gated(count: int) -> Iterator[bytes]:
    for index in range(count):
        yield f"{index} {os.getpid()} {NUMBER}\n".encode()
        if index + 1 < count and not _signalled():
            yield f"gave up after line {index}\n".encode()
            return


def _signalled() -> bool:
    ready, _, _ = select.select([signal_read], [], [], PATIENCE)
    return bool(ready and os.read(signal_read, 1))


def endless(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    """64 KiB at a time, until the server closes the iterable: 64 MiB at the most."""
    notebook = notebooks[query.get("say")]
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Noted([b"." * 65536] * min(int(query.get("chunks", "1024")), 1024), None, notebook)


def nap(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    global sleeping
    with places_lock:
        sleeping += 1
        seen = sleeping
    time.sleep(min(float(query.get("seconds", "0.01")), 1.0))
    with places_lock:
        sleeping -= 1
    return answer_json(start_response, {"name": query.get("name"), "at_once": seen})


def meet(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    count, place, early = int(query.get("of", "2")), query.get("place"), query.get("early")
    if early:
        start_response("200 OK", [("X-Name", early)])
    with places_lock:
        barrier = places.setdefault(place, threading.Barrier(count))
    try:
        barrier.wait(PATIENCE)
    except threading.BrokenBarrierError:
        return [b"alone"] if early else answer_json(start_response, {"met": False}, "503 Service Unavailable")
    if early:
        return [early.encode()]
    return answer_json(start_response, {"met": True, "place": place})


def notes(environ: WSGIEnvironment, start_response: StartResponse, query: Query) -> Iterable[bytes]:
    return answer_json(start_response, notebooks.get(query.get("say"), []))


Behaviour = Callable[[WSGIEnvironment, StartResponse, Query], Iterable[bytes]]
BEHAVIOURS: dict[str, Behaviour] = {
    "answer": answer,
    "endless": endless,
    "gate": gate,
    "ignore": ignore,
    "meet": meet,
    "nap": nap,
    "notes": notes,
    "read": read,
    "start": start,
    "stubborn": stubborn,
    "write": write,
}
