"""The tasks API as plain WSGI: `application` keeps tasks in memory and speaks JSON.

    GET    /tasks        200, a list of {"id": 1, "title": "Read PEP 3333", "done": false}
    POST   /tasks        201 and the task, from {"title": "…"} (and "done"); Location names it
    GET    /tasks/1      200 and the task
    PATCH  /tasks/1      200 and the task, changed: {"title": …} and {"done": …}, or one of them
    PUT    /tasks/1      the same
    DELETE /tasks/1      204
    GET    /tasks.csv    200, a line for each task, streamed

Errors are {"error": "…"}: 400 for a body that says nothing useful, 404, 405 with Allow, 413 for more than
64 KiB, 415 for another type than JSON. HEAD works wherever GET does.
"""

import json
import re
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from wsgiref.types import StartResponse, WSGIEnvironment

BODY_LIMIT = 64 * 1024
TITLE_LIMIT = 200
TASK_PATH = re.compile(r"/tasks/([1-9][0-9]{0,17})")

Task = dict[str, Any]
Answer = tuple[str, list[tuple[str, str]], Iterable[bytes]]


class Problem(Exception):
    """A request that gets an error for an answer."""

    def __init__(self, status: str, why: str, *headers: tuple[str, str]) -> None:
        super().__init__(why)
        self.status, self.headers = status, list(headers)


class Tasks:
    """Tasks by id; safe under threads: everything that reads and then writes holds the lock."""

    def __init__(self) -> None:
        self._tasks: dict[int, Task] = {}
        self._last = 0
        self._lock = threading.Lock()

    def all(self) -> list[Task]:
        with self._lock:
            return [dict(task) for task in self._tasks.values()]

    def get(self, number: int) -> Task:
        with self._lock:
            return dict(self._find(number))

    def add(self, title: str, done: bool) -> Task:
        with self._lock:
            self._last += 1
            self._tasks[self._last] = {"id": self._last, "title": title, "done": done}
            return dict(self._tasks[self._last])

    def change(self, number: int, changes: Task) -> Task:
        with self._lock:
            task = self._find(number)
            task.update(changes)
            return dict(task)

    def delete(self, number: int) -> None:
        with self._lock:
            self._find(number)
            del self._tasks[number]

    def _find(self, number: int) -> Task:
        try:
            return self._tasks[number]
        except KeyError:
            raise Problem("404 Not Found", f"there is no task {number}") from None


tasks = Tasks()


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    try:
        status, headers, body = answer(environ)
    except Problem as problem:
        status, headers, body = in_json(problem.status, {"error": str(problem)}, *problem.headers)
    start_response(status, headers)
    return body if environ["REQUEST_METHOD"] != "HEAD" else []


def answer(environ: WSGIEnvironment) -> Answer:
    """Raises Problem."""
    path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
    match = TASK_PATH.fullmatch(path)
    number = int(match[1]) if match else 0
    routes: dict[str, Callable[[], Answer]]
    if path == "/tasks":
        routes = {"GET": lambda: in_json("200 OK", tasks.all()), "POST": lambda: create(environ)}
    elif path == "/tasks.csv":
        routes = {"GET": as_csv}
    elif match:
        routes = {
            "GET": lambda: in_json("200 OK", tasks.get(number)),
            "PUT": lambda: change(number, environ),
            "PATCH": lambda: change(number, environ),
            "DELETE": lambda: delete(number),
        }
    else:
        raise Problem("404 Not Found", f"there is nothing at {path}")
    if "GET" in routes:
        routes["HEAD"] = routes["GET"]
    if method not in routes:
        allow = ("Allow", ", ".join(sorted(routes)))
        raise Problem("405 Method Not Allowed", f"{path} does not know {method}", allow)
    return routes[method]()


def in_json(status: str, value: Any, *headers: tuple[str, str]) -> Answer:
    body = json.dumps(value, ensure_ascii=False).encode() + b"\n"
    own = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    return status, [*own, *headers], [body]


def create(environ: WSGIEnvironment) -> Answer:
    wanted = read_task(environ)
    if "title" not in wanted:
        raise Problem("400 Bad Request", "a task has a title")
    task = tasks.add(wanted["title"], wanted.get("done", False))
    location = f"{environ.get('SCRIPT_NAME', '')}/tasks/{task['id']}"
    return in_json("201 Created", task, ("Location", location))


def change(number: int, environ: WSGIEnvironment) -> Answer:
    return in_json("200 OK", tasks.change(number, read_task(environ)))


def delete(number: int) -> Answer:
    tasks.delete(number)
    return "204 No Content", [], []


def as_csv() -> Answer:
    return "200 OK", [("Content-Type", "text/csv; charset=utf-8")], csv_lines(tasks.all())


def csv_lines(rows: list[Task]) -> Iterator[bytes]:
    """RFC 4180: a header line, then a line for each task; quotes are doubled."""
    yield b"id,title,done\r\n"
    for task in rows:
        title = task["title"].replace('"', '""')
        yield f'{task["id"]},"{title}",{"true" if task["done"] else "false"}\r\n'.encode()


def read_task(environ: WSGIEnvironment) -> Task:
    """What a body says of a task: `title`, `done` or both. Raises Problem."""
    kind = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise Problem("415 Unsupported Media Type", "send application/json")
    try:
        said = json.loads(read_body(environ))
    except (ValueError, RecursionError):
        raise Problem("400 Bad Request", "the body is no JSON") from None
    if not isinstance(said, dict) or not said.keys() & {"title", "done"}:
        raise Problem("400 Bad Request", "a task is an object with a title and done")
    title, done = said.get("title", "-"), said.get("done", False)
    if not isinstance(title, str) or not title.strip() or len(title) > TITLE_LIMIT or not is_text(title):
        raise Problem("400 Bad Request", f"a title is text, of 1 to {TITLE_LIMIT} characters")
    if not isinstance(done, bool):
        raise Problem("400 Bad Request", "done is true or false")
    return {key: said[key] for key in ("title", "done") if key in said}


def is_text(title: str) -> bool:
    """JSON can name half a surrogate pair; no encoding can send it."""
    return not any("\ud800" <= char <= "\udfff" for char in title)


def read_body(environ: WSGIEnvironment) -> bytes:
    """The body's bytes, BODY_LIMIT of them at the most. Raises Problem."""
    text = environ.get("CONTENT_LENGTH") or ""
    if text and not (text.isascii() and text.isdigit()):
        raise Problem("400 Bad Request", "Content-Length is no number")
    if not text and not environ.get("wsgi.input_terminated"):
        return b""
    length = int(text) if text else BODY_LIMIT + 1
    if text and length > BODY_LIMIT:
        raise Problem("413 Content Too Large", f"a body has at most {BODY_LIMIT} bytes")
    body: bytes = environ["wsgi.input"].read(length)
    if len(body) > BODY_LIMIT:
        raise Problem("413 Content Too Large", f"a body has at most {BODY_LIMIT} bytes")
    if text and len(body) < length:
        raise Problem("400 Bad Request", "the body is shorter than its Content-Length")
    return body
