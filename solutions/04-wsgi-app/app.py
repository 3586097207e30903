"""The tasks API as one WSGI callable: routes, JSON, errors, a stream, and threads.

Theory of operation. gunicorn's gthread worker calls `application` from many threads at once, one request a
thread. A request goes down and comes back up:

    environ ─▶ application ─▶ answer ─▶ a handler ─▶ tasks (the only thing that threads share, with `places`)
                    ▲                       │
                    └── HTTPError ◀─────────┘  raised anywhere below, turned into JSON here, and only here

1. What a request says is local to its call: environ, body, answer. Nothing of it is kept in the module.
2. What is kept is behind one lock, `Tasks._lock`, held for a few dictionary operations and never while
   bytes are read from, or written to, a client: a slow client would stop everybody.
3. What a stream holds (a place) is taken before start_response and given back by `close`, which the server
   calls in every ending.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

Task = dict[str, Any]
Header = tuple[str, str]
Answer = tuple[str, list[Header], Iterable[bytes]]

BODY_LIMIT = 64 * 1024  # bytes
TITLE_LIMIT = 200  # characters
EXPORTS = 4  # downloads of /tasks.csv at one time

# At most 18 digits: int() refuses more than 4,300, and "²".isdigit() is true while int("²") raises.
TASK_PATH = re.compile(r"/tasks/([1-9][0-9]{0,17})")


class HTTPError(Exception):
    """What is answered instead, raised from wherever it is found out."""

    def __init__(self, status: str, message: str, *headers: Header) -> None:
        super().__init__(message)
        self.status, self.message, self.headers = status, message, list(headers)


def in_json(status: str, value: Any, *headers: Header) -> Answer:
    """An answer of one JSON value. RFC 9110 §8.6: Content-Length counts bytes."""
    body = json.dumps(value).encode() + b"\n"
    described = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return status, [*described, *headers], [body]


# --- tasks 1 and 3: routes and errors ---------------------------------------------------------------


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """Answer one request. PEP 3333, "Thread Support": other threads may be in here, too."""
    try:
        status, headers, body = answer(environ)
    except HTTPError as error:
        status, headers, body = in_json(error.status, {"error": error.message}, *error.headers)
    start_response(status, headers)
    if environ["REQUEST_METHOD"] == "HEAD":
        # RFC 9110 §9.3.2: the header of GET, and no content. The server closes what it is given, which is
        # the empty list; so the body that it never sees is closed here.
        close(body)
        return []
    return body


def close(body: Iterable[bytes]) -> None:
    """PEP 3333, "Specification Details": close() is there on some iterables, and not on a list."""
    if hasattr(body, "close"):
        body.close()


def answer(environ: WSGIEnvironment) -> Answer:
    """Choose the handler by path, then by method, and call it. Raises HTTPError."""
    path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
    handlers = resource(path, environ)
    if not handlers:
        raise HTTPError("404 Not Found", "there is nothing here")
    if "GET" in handlers:
        # RFC 9110 §9.1: whoever has GET has HEAD.
        handlers["HEAD"] = handlers["GET"]
    if method not in handlers:
        # RFC 9110 §15.5.6: a 405 says in Allow which methods there are.
        allow = ", ".join(sorted(handlers))
        raise HTTPError("405 Method Not Allowed", f"this knows {allow}", ("Allow", allow))
    return handlers[method]()


def resource(path: str, environ: WSGIEnvironment) -> dict[str, Callable[[], Answer]]:
    """The handlers of what is at a path, by method; none when nothing is there."""
    if path == "/tasks":
        return {"GET": lambda: in_json("200 OK", tasks.all()), "POST": lambda: create(environ)}
    if path == "/tasks.csv":
        return {"GET": export_answer}
    match = TASK_PATH.fullmatch(path)
    if match is None:
        return {}
    number = int(match[1])
    return {
        "GET": lambda: in_json("200 OK", found(tasks.get(number))),
        "PUT": lambda: change(number, environ),
        "PATCH": lambda: change(number, environ),
        "DELETE": lambda: delete(number),
    }


def found(task: Task | None) -> Task:
    """The task, if there is one. Raises HTTPError 404."""
    if task is None:
        raise HTTPError("404 Not Found", "there is no such task")
    return task


def create(environ: WSGIEnvironment) -> Answer:
    """POST /tasks. Raises HTTPError 400, 413, 415."""
    given = read_task(environ)
    if "title" not in given:
        raise HTTPError("400 Bad Request", "a new task has a title")
    task = tasks.add(given["title"], given.get("done", False))
    # RFC 9110 §15.3.2: a 201 says in Location what was made. SCRIPT_NAME is where we are mounted.
    return in_json("201 Created", task, ("Location", f"{environ.get('SCRIPT_NAME', '')}/tasks/{task['id']}"))


def change(number: int, environ: WSGIEnvironment) -> Answer:
    """PUT or PATCH of one task. Raises HTTPError 400, 404, 413, 415."""
    found(tasks.get(number))
    # Reading takes as long as the client likes: the task may be gone after it, so it is looked up again.
    changes = read_task(environ)
    return in_json("200 OK", found(tasks.change(number, changes)))


def delete(number: int) -> Answer:
    """DELETE of one task. Raises HTTPError 404."""
    if not tasks.delete(number):
        raise HTTPError("404 Not Found", "there is no such task")
    # RFC 9110 §15.3.5 and §8.6: a 204 has no content, and no Content-Length either.
    return "204 No Content", [], []


# --- task 2: the body -------------------------------------------------------------------------------


def read_task(environ: WSGIEnvironment) -> Task:
    """What a request's body says of a task: title, done or both. Raises HTTPError 400, 413, 415."""
    # RFC 9110 §8.3.1: type and subtype compare without case; parameters (charset) may follow.
    media = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise HTTPError("415 Unsupported Media Type", "send application/json")
    try:
        value = json.loads(read_body(environ), parse_constant=no_number)
    # Bytes that are no UTF-8 raise a ValueError, too; "[" 60,000 times: RecursionError up to Python 3.13.
    except (ValueError, RecursionError):
        raise HTTPError("400 Bad Request", "the body is not JSON") from None
    return checked(value)


def no_number(word: str) -> Any:
    """RFC 8259 §6: NaN and Infinity, which Python's parser takes, are no JSON."""
    raise ValueError(f"{word} is no number")


def read_body(environ: WSGIEnvironment) -> bytes:
    """The body, of at most BODY_LIMIT bytes. Raises HTTPError 400, 413."""
    # PEP 3333, "environ Variables": CONTENT_LENGTH may be empty or absent.
    said = environ.get("CONTENT_LENGTH", "")
    if said and not re.fullmatch("[0-9]{1,18}", said):
        raise HTTPError("400 Bad Request", "Content-Length is no length")
    # Without a length there is no body, except on servers that promise an end of the input (a chunked body).
    length = int(said or (BODY_LIMIT + 1 if environ.get("wsgi.input_terminated") else 0))
    # RFC 9110 §15.5.14: refuse by the number. What nginx lets through is thrown away first, see `discard`.
    if said and length > BODY_LIMIT:
        discard(environ, min(length, 2 * BODY_LIMIT))
        raise HTTPError("413 Content Too Large", f"a body has at most {BODY_LIMIT} bytes")
    # PEP 3333, "Input and Error Streams": ask for no more than CONTENT_LENGTH.
    body: bytes = environ["wsgi.input"].read(length) if length else b""
    if len(body) > BODY_LIMIT:
        raise HTTPError("413 Content Too Large", f"a body has at most {BODY_LIMIT} bytes")
    # RFC 9112 §8: a body cut short is incomplete, not a shorter body.
    if said and len(body) < length:
        raise HTTPError("400 Bad Request", "the body ended before its Content-Length")
    return body


def discard(environ: WSGIEnvironment, length: int) -> None:
    """Read `length` bytes of the body and keep none.

    gunicorn drains at most 64 KiB of what an application left unread, then closes a connection that it has
    said it would keep; nginx sends the next client's request on it, and that client gets a 502.
    """
    while length > 0 and (piece := environ["wsgi.input"].read(min(length, 8192))):
        length -= len(piece)


def checked(value: Any) -> Task:
    """The fields of a task, if they are what they must be. Raises HTTPError 400."""
    if not isinstance(value, dict) or not value.keys() & {"title", "done"}:
        raise HTTPError("400 Bad Request", "a task is an object with title, done, or both")
    task = {key: value[key] for key in ("title", "done") if key in value}
    if not is_title(task.get("title", "-")):
        raise HTTPError("400 Bad Request", f"title is text of 1 to {TITLE_LIMIT} characters")
    if not isinstance(task.get("done", False), bool):
        raise HTTPError("400 Bad Request", "done is true or false")
    return task


def is_title(value: Any) -> bool:
    """Whether it is text that says something, and that UTF-8 can say: JSON can name half a character."""
    if not isinstance(value, str) or not value.strip() or len(value) > TITLE_LIMIT:
        return False
    return not any("\ud800" <= char <= "\udfff" for char in value)


# --- task 4: a stream -------------------------------------------------------------------------------

places = threading.BoundedSemaphore(EXPORTS)


def export_answer() -> Answer:
    """GET /tasks.csv. Raises HTTPError 503."""
    lines = export()
    # A generator that never began has no `finally` to reach: close() on it would do nothing. So it begins
    # here, before start_response, as far as its first yield; a 503 comes out here, too.
    next(lines)
    return "200 OK", [("Content-Type", "text/csv; charset=utf-8")], lines


def export() -> Iterator[bytes]:
    """The lines of /tasks.csv (RFC 4180). Its first `next` takes a place: HTTPError 503."""
    if not places.acquire(blocking=False):
        # RFC 9110 §15.6.4.
        raise HTTPError("503 Service Unavailable", "too many exports under way", ("Retry-After", "1"))
    try:
        yield b""
        yield b"id,title,done\r\n"
        # all() is a copy: the lock is not held between two yields, which may lie minutes apart.
        for task in tasks.all():
            # RFC 4180 §2: in quotes, a quote is doubled; commas and line ends stand for themselves.
            title = task["title"].replace('"', '""')
            yield f'{task["id"]},"{title}",{json.dumps(task["done"])}\r\n'.encode()
    finally:
        # PEP 3333, "Specification Details": the server calls close() in every ending, and close() comes here.
        places.release()


# --- task 5: what threads share ---------------------------------------------------------------------


class Tasks:
    """Tasks by id. Whatever reads and then writes does both under the lock."""

    def __init__(self) -> None:
        self._rows: dict[int, Task] = {}
        self._last = 0
        self._lock = threading.Lock()

    def all(self) -> list[Task]:
        with self._lock:
            return list(self._rows.values())

    def get(self, number: int) -> Task | None:
        """The task, or None when there is none."""
        with self._lock:
            return self._rows.get(number)

    def add(self, title: str, done: bool = False) -> Task:
        """A new task. Its id was never given before, not even to a task that is gone."""
        with self._lock:
            self._last += 1
            task = self._rows[self._last] = {"id": self._last, "title": title, "done": done}
            return task

    def change(self, number: int, changes: Task) -> Task | None:
        """The task with these changes, or None when there is none."""
        with self._lock:
            if number not in self._rows:
                return None
            # A new row, not the old one changed: another thread may be writing that one as JSON just now.
            task = self._rows[number] = {**self._rows[number], **changes}
            return task

    def delete(self, number: int) -> bool:
        """Whether there was one."""
        with self._lock:
            return self._rows.pop(number, None) is not None


tasks = Tasks()
