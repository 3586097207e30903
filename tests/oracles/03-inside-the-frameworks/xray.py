"""Lab 3 over real implementations: wsgiref.validate on both sides, werkzeug's ClosingIterator, and asgiref's
testing communicator, which calls the application and waits for its end.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator
from typing import Any
from wsgiref.validate import IteratorWrapper, WriteWrapper, check_headers, check_status

from asgiref.testing import ApplicationCommunicator
from werkzeug.wsgi import ClosingIterator


class Sized(ClosingIterator):
    """werkzeug's, with the len of the body that it is around."""

    length = 0

    def __len__(self) -> int:
        return self.length


def wsgi_xray(app: Any, record: Any) -> Any:
    numbers = itertools.count(1)

    def application(environ: dict[str, Any], start_response: Any) -> Any:
        number = next(numbers)

        def tell(*event: Any) -> None:
            record(number, *event)

        def start(status: str, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
            check_status(status)
            check_headers(headers)
            tell("start_response", status, headers, exc_info and exc_info[0].__name__)
            more = (exc_info,) if exc_info else ()
            write = start_response(status, headers, *more)
            return WriteWrapper(lambda data: (tell("write", data), write(data))[1])

        tell("called", environ["REQUEST_METHOD"], environ.get("SCRIPT_NAME", ""), environ["PATH_INFO"])
        body = guarded(lambda: app(environ, start), tell, "call")
        tell("returned", type(body).__name__)
        callbacks = [closing(body, tell)] if hasattr(body, "close") else []
        around = chunks(body, tell)
        if not hasattr(body, "__len__"):
            return ClosingIterator(around, callbacks)
        sized = Sized(around, callbacks)
        sized.length = len(body)
        return sized

    return application


def guarded(call: Callable[[], Any], tell: Any, during: str) -> Any:
    try:
        return call()
    except Exception as error:
        tell("raised", type(error).__name__, during)
        raise


def closing(body: Any, tell: Any) -> Callable[[], None]:
    def close() -> None:
        tell("close")
        guarded(body.close, tell, "close")

    return close


def chunks(body: Any, tell: Any) -> Iterator[bytes]:
    """The validator's own IteratorWrapper checks each chunk; it is told that start_response was called."""
    checked = IteratorWrapper(body, None)
    end = object()
    try:
        while (chunk := guarded(lambda: next(checked, end), tell, "iteration")) is not end:
            tell("chunk", chunk)
            yield chunk
        tell("exhausted")
    finally:
        checked.closed = True  # ClosingIterator is who closes the body


class Messages:
    """In place of one of the communicator's queues: a message moves when the other side moves it."""

    def __init__(self, move: Callable[..., Any]) -> None:
        self.get = self.put = move


class Communicator(ApplicationCommunicator):
    """asgiref's, between two parties that are both there: it queues nothing, and loses no cancellation."""

    def __init__(self, app: Any, scope: Any, receive: Any, send: Any) -> None:
        super().__init__(app, scope)  # type: ignore[no-untyped-call, unused-ignore]
        self._input_queue, self._output_queue = Messages(receive), Messages(send)

    async def until_its_end(self) -> None:
        await self.wait(timeout=None)  # type: ignore[no-untyped-call, unused-ignore]
        if self.future.cancelled():  # `wait` is for tests, and takes that for a good end
            raise asyncio.CancelledError


def asgi_xray(app: Any, record: Any) -> Any:
    numbers = itertools.count(1)

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        number = next(numbers)

        async def recorded_receive() -> Any:
            record(number, "receive", message := await receive())
            return message

        async def recorded_send(message: Any) -> None:
            record(number, "send", message)
            await send(message)

        record(number, "called", scope["type"], scope.get("path", ""))
        try:
            await Communicator(app, scope, recorded_receive, recorded_send).until_its_end()
        except BaseException as error:
            record(number, "raised", type(error).__name__)
            raise
        record(number, "returned")

    return application
