"""A visit: one call of a WSGI application, by hand, that can be read as far as one likes and then left.

    visit = open_visit(application, "GET", "/tasks.csv")
    visit.take(1)         # one chunk, as a server asks for it
    visit.close()         # and the client is gone

Several visits may be open at one time, in one thread or in several.
"""

from __future__ import annotations

import io
import sys
import threading
import traceback
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

WAIT_SECONDS = 1.0


class Visit:
    """One call. `status` and `headers` are those of the last start_response; "" and [] before it."""

    def __init__(self, app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> None:
        self.status = ""
        self.headers: list[tuple[str, str]] = []
        self._written: list[bytes] = []
        self._result = app(environ, self._start_response)
        self._chunks: Iterator[bytes] | None = None

    def _start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: object = None
    ) -> Callable[[bytes], object]:
        self.status, self.headers = status, list(headers)
        return self._written.append

    def take(self, count: int = -1) -> list[bytes]:
        """The next chunks that are not empty, `count` of them or (-1) all there are."""
        if self._chunks is None:
            self._chunks = iter(self._result)
        taken, self._written = self._written, []
        while len(taken) != count:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            taken += [chunk] if chunk else []
        return taken

    @property
    def returned(self) -> str:
        """The type of what the application returned: "list", "generator" …"""
        return type(self._result).__name__

    def close(self) -> None:
        """What a server does in every ending (PEP 3333, "Specification Details")."""
        if hasattr(self._result, "close"):
            self._result.close()

    def answer(self) -> dict[str, Any]:
        """Read to the end and close: {"status": "200 OK", "headers": [[…, …]], "body": b"…"}"""
        try:
            body = b"".join(self.take())
        finally:
            self.close()
        return {"status": self.status, "headers": [list(pair) for pair in self.headers], "body": body}


def environ_for(
    method: str, target: str, body: bytes = b"", kind: str = "application/json"
) -> dict[str, Any]:
    """An environ as PEP 3333 has it; `target` is as on the wire, "/caf%C3%A9?x=1"."""
    path, _, query = target.partition("?")
    environ = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    return {**environ, "CONTENT_TYPE": kind, "CONTENT_LENGTH": str(len(body))} if body else environ


class Alone:
    """A visit in a thread of its own, as every request has one under gthread: what is kept for each thread
    (`threading.local`, context variables) is not mixed up when several are open.

    Raises TimeoutError, which says where it waits, for what does not end.
    """

    def __init__(self, app: Callable[..., Iterable[bytes]], environ: dict[str, Any]) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._ident = self._thread.submit(threading.get_ident).result()
        self._visit: Visit = self._ended("the call of application", lambda: Visit(app, environ))
        self.returned = self._visit.returned

    def _ended(self, what: str, function: Callable[[], Any]) -> Any:
        asked = self._thread.submit(function)
        if not wait([asked], 2 * WAIT_SECONDS).done:
            raise TimeoutError(f"{what} has no end: it waits at {_place_of(self._ident)}")
        return asked.result()

    def take(self, count: int = -1) -> list[bytes]:
        taken: list[bytes] = self._ended("the next line", lambda: self._visit.take(count))
        return taken

    def close(self) -> None:
        self._ended("close()", self._visit.close)

    def answer(self) -> dict[str, Any]:
        answer: dict[str, Any] = self._ended("the response", self._visit.answer)
        return answer


def _place_of(thread: int) -> str:
    """The line of the application where a thread is: "app.py:42 in export: lock.acquire()"."""
    frames = traceback.extract_stack(sys._current_frames().get(thread))
    own = [one for one in frames if Path(one.filename).name == "app.py"]
    return (
        f"app.py:{own[-1].lineno} in {own[-1].name}: {own[-1].line}" if own else "a place outside of app.py"
    )


def open_visit(app: Any, method: str = "GET", target: str = "/", body: bytes = b"") -> Alone:
    """Call the application in a thread that waits for more to do, and read nothing yet."""
    return Alone(app, environ_for(method, target, body))


def visit(app: Any, method: str = "GET", target: str = "/", body: bytes = b"") -> dict[str, Any]:
    """Call the application, here and now, and read its whole answer."""
    return Visit(app, environ_for(method, target, body)).answer()


def visit_in_thread(app: Any, method: str = "GET", target: str = "/", body: bytes = b"") -> dict[str, Any]:
    """The same in a thread of its own; {} when there is no answer in a second: it waits for somebody."""
    answers: list[dict[str, Any]] = []
    errors: list[BaseException] = []

    def visiting() -> None:
        try:
            answers.append(visit(app, method, target, body))
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=visiting, daemon=True)
    thread.start()
    thread.join(WAIT_SECONDS)
    if errors:
        raise errors[0]
    return answers[0] if answers else {}


class LateBody(io.BytesIO):
    """A body whose first byte comes when `come` is set; `asked` says that somebody waits for it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.asked, self.come = threading.Event(), threading.Event()

    def _wait(self) -> None:
        self.asked.set()
        self.come.wait(3 * WAIT_SECONDS)

    def read(self, size: int | None = -1, /) -> bytes:
        self._wait()
        return super().read(size)

    def readline(self, size: int | None = -1, /) -> bytes:
        self._wait()
        return super().readline(size)

    def readinto(self, buffer: Any, /) -> int:
        self._wait()
        return super().readinto(buffer)


def visit_while_a_body_comes(app: Any, body: bytes) -> dict[str, Any]:
    """POST /tasks whose body is late, and GET /tasks meanwhile: both answers, {} for one that never came."""
    late, answers = LateBody(body), list[dict[str, Any]]()
    environ = environ_for("POST", "/tasks", body) | {"wsgi.input": late}
    thread = threading.Thread(target=lambda: answers.append(Visit(app, environ).answer()), daemon=True)
    thread.start()
    while thread.is_alive() and not late.asked.wait(0.01):
        pass
    meanwhile = visit_in_thread(app, "GET", "/tasks")
    late.come.set()
    thread.join(WAIT_SECONDS)
    return {"meanwhile": meanwhile, "first": answers[0] if answers else {"status": "", "body": b""}}


def fill(tasks: Any, title: str, count: int) -> None:
    """Add so many tasks."""
    for _ in range(count):
        tasks.add(title)


def export_memory(app: Any) -> dict[str, Any]:
    """Read /tasks.csv and keep nothing: its size, and how much memory it took at once."""
    got = {"size": 0, "lines": 0, "largest": 0, "chunks": 0}
    tracemalloc.start()
    made = Visit(app, environ_for("GET", "/tasks.csv"))
    while chunks := made.take(1):
        (chunk,) = chunks
        got["size"] += len(chunk)
        got["lines"] += chunk.count(b"\r\n")
        got["largest"] = max(got["largest"], len(chunk))
        got["chunks"] += 1
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    made.close()
    return {**got, "peak": most, "status": made.status, "returned": made.returned}
