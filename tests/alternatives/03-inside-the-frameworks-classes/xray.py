"""Another shape: generators for bodies, a class for each traced application, a lock for the numbers."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any


class Counter:
    def __init__(self) -> None:
        self.lock, self.last = threading.Lock(), 0

    def __call__(self) -> int:
        with self.lock:
            self.last += 1
            return self.last


class Log:
    """One call's record."""

    def __init__(self, record: Any, number: int) -> None:
        self.record, self.number = record, number

    def __call__(self, kind: str, *details: Any) -> None:
        self.record(self.number, kind, *details)

    @contextlib.contextmanager
    def failures(self, *during: str) -> Iterator[None]:
        try:
            yield
        except BaseException as error:
            self("raised", type(error).__name__, *during)
            raise


class wsgi_xray:
    def __init__(self, app: Any, record: Any) -> None:
        self.app, self.record, self.number = app, record, Counter()

    def __call__(self, environ: Any, start_response: Any) -> Any:
        log = Log(self.record, self.number())

        def start(status: Any, headers: Any, exc_info: Any = None) -> Any:
            log("start_response", status, headers, exc_info[0].__name__ if exc_info else None)
            write = start_response(status, headers, exc_info)

            def logged(data: bytes) -> None:
                log("write", data)
                write(data)

            return logged

        path = environ.get("PATH_INFO", "")
        log("called", environ["REQUEST_METHOD"], environ.get("SCRIPT_NAME", ""), path)
        with log.failures("call"):
            body = self.app(environ, start)
        log("returned", type(body).__name__)
        return Around(body, log)


class Around:
    """Its attributes decide at run time: `close` and `len` are there when the body has them."""

    def __new__(cls, body: Any, log: Log) -> Any:
        names: dict[str, Any] = {}
        if hasattr(body, "close"):
            names["close"] = lambda self: closed(body, log)
        if hasattr(body, "__len__"):
            names["__len__"] = lambda self: len(body)
        return type("Around", (), {"__iter__": lambda self: chunks(body, log), **names})()


def closed(body: Any, log: Log) -> None:
    log("close")
    with log.failures("close"):
        body.close()


def chunks(body: Any, log: Log) -> Iterator[bytes]:
    with log.failures("iteration"):
        waiting = iter(body)
    while True:
        with log.failures("iteration"):
            found = list(next_one(waiting))
        if not found:
            log("exhausted")
            return
        log("chunk", found[0])
        yield found[0]


def next_one(waiting: Iterator[bytes]) -> Iterator[bytes]:
    for chunk in waiting:
        yield chunk
        return


class asgi_xray:
    def __init__(self, app: Any, record: Any) -> None:
        self.app, self.record, self.number = app, record, Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        log = Log(self.record, self.number())
        log("called", scope["type"], scope.get("path", ""))
        with log.failures():
            await self.app(dict(scope), Receiver(receive, log), Sender(send, log))
        log("returned")


class Receiver:
    def __init__(self, receive: Any, log: Log) -> None:
        self.receive, self.log = receive, log

    async def __call__(self) -> Any:
        message = await self.receive()
        self.log("receive", message)
        return message


class Sender:
    def __init__(self, send: Any, log: Log) -> None:
        self.send, self.log = send, log

    async def __call__(self, message: Any) -> None:
        self.log("send", message)
        await self.send(message)
