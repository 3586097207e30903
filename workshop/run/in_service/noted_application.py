"""In a service's process, before anything else: wraps the application that is served, and notes its events.

WORKSHOP_NOTES says which application, and the file: one JSON object a line. The wrapped application takes
and gives what the application itself does. A list or a tuple, and what `wsgi.file_wrapper` made, stay what
they are.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import inspect
import itertools
import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any

CUT = 300  # characters
LIMIT = 4 << 20  # bytes that a process notes
SLOW = 0.02  # seconds after which it is noted that an await has come back

Message = dict[str, Any]


class Notes:
    """Events on a file that several processes append to."""

    def __init__(self, file: str, service: str) -> None:
        self.file, self.service = file, service
        self.left = LIMIT
        self.calls = itertools.count(1)

    def add(self, call: str, what: str, text: str = "", size: int | None = None) -> None:
        event = {"at": time.monotonic(), "service": self.service, "call": call, "what": what, "text": text}
        if size is not None:
            event["size"] = size
        line = json.dumps(event).encode() + b"\n"
        self.left -= len(line)
        if self.left < 0:
            return
        try:  # opened each time: a server may close every descriptor that it finds, or fork
            descriptor = os.open(self.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        except OSError:
            return
        try:
            os.write(descriptor, line)
        finally:
            os.close(descriptor)

    def number(self) -> str:
        return f"{os.getpid()}.{next(self.calls)}"


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= CUT else f"{text[: CUT // 2]} … {text[-CUT // 3 :]}"


class Wrapped:
    """What both kinds have in common: everything else is the application's own."""

    def __init__(self, app: Any, notes: Notes) -> None:
        self._app, self._notes = app, notes
        self.__wrapped__ = app  # its signature is the application's

    def __getattr__(self, name: str) -> Any:
        return getattr(self._app, name)


class WrappedWSGI(Wrapped):
    def __call__(self, environ: Any, start_response: Any) -> Any:
        notes, call = self._notes, self._notes.number()
        if not isinstance(environ, dict):
            return self._app(environ, start_response)
        asked = [environ.get(key) for key in ("REQUEST_METHOD", "PATH_INFO", "QUERY_STRING")]
        notes.add(call, "called", " ".join(shown(one) for one in asked if one))

        def started(status: Any, headers: Any, *exc_info: Any) -> Any:
            notes.add(call, "start_response", f"{shown(status)}, {shown(headers)}")
            write = start_response(status, headers, *exc_info)

            def written(data: Any) -> Any:
                notes.add(call, "write", shown(data), size_of(data))
                return write(data)

            return written

        try:
            body = self._app(environ, started)
        except BaseException as error:
            notes.add(call, "raised", shown(error))
            raise
        wrapper = environ.get("wsgi.file_wrapper")
        if isinstance(body, list | tuple | bytes | str) or (
            isinstance(wrapper, type) and isinstance(body, wrapper)
        ):
            notes.add(call, "returned", shown(body))
            return body
        notes.add(call, "returned", f"an iterable ({type(body).__name__})")
        kind = SizedBody if hasattr(body, "__len__") else Body
        return kind(body, notes, call)


class Body:
    """A response's iterable, with what its own has: close, __len__ and the rest."""

    def __init__(self, body: Any, notes: Notes, call: str) -> None:
        self._body, self._notes, self._call = body, notes, call

    def __iter__(self) -> Iterator[Any]:
        return self._noted(iter(self._body))

    def _noted(self, chunks: Iterator[Any]) -> Iterator[Any]:
        try:
            for chunk in chunks:
                self._notes.add(self._call, "chunk", shown(chunk), size_of(chunk))
                yield chunk
        except GeneratorExit:
            raise
        except BaseException as error:
            self._notes.add(self._call, "raised", shown(error))
            raise
        self._notes.add(self._call, "no more chunks")

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._body, name)
        return self._closing(value) if name == "close" else value

    def _closing(self, close: Callable[[], Any]) -> Callable[[], Any]:
        def closed() -> Any:
            self._notes.add(self._call, "close")
            return close()

        return closed


class SizedBody(Body):
    def __len__(self) -> int:
        return len(self._body)


class WrappedASGI(Wrapped):
    async def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        notes, call = self._notes, self._notes.number()
        if not isinstance(scope, dict):
            return await self._app(scope, receive, send)
        asked = f"{scope.get('method', '')} {shown(scope['path'])}" if "path" in scope else ""
        notes.add(call, "called", f"{scope.get('type')} scope {asked}".rstrip())

        async def received() -> Message:
            notes.add(call, "await receive()")
            message: Message = await receive()
            notes.add(call, "received", told(message), payload(message))
            return message

        async def sent(message: Message) -> None:
            notes.add(call, "send", told(message), payload(message))
            began = time.monotonic()
            await send(message)
            if time.monotonic() - began > SLOW:
                notes.add(call, "send came back", told(message))

        try:
            result = await self._app(scope, received, sent)
        except BaseException as error:
            notes.add(call, "raised", shown(error))
            raise
        notes.add(call, "returned")
        return result


def told(message: Any) -> str:
    """An event in a few words: http.response.body b"he" (more)."""
    if not isinstance(message, dict):
        return shown(message)
    more = " (more)" if message.get("more_body") else ""
    rest = {key: value for key, value in message.items() if key not in ("type", "more_body")}
    return f"{message.get('type')} {shown(rest) if rest else ''}".rstrip() + more


def payload(message: Any) -> int | None:
    """How many bytes, or characters, of a body or a frame an event carries."""
    if not isinstance(message, dict):
        return None
    return next((size_of(message[key]) for key in ("body", "bytes", "text") if message.get(key)), None)


def size_of(data: Any) -> int | None:
    return len(data) if isinstance(data, bytes | bytearray | str) else None


def wrapped(app: Any, notes: Notes) -> Any:
    """An application that notes what happens; what is none, a factory, say, stays what it is.

    Servers tell the two kinds, and factories, by calling or by looking: a wrapper looks like its application.
    """
    is_async = inspect.iscoroutinefunction(app) or inspect.iscoroutinefunction(getattr(app, "__call__", None))  # noqa: B004
    kind, arguments = (WrappedASGI, 3) if is_async else (WrappedWSGI, 2)
    try:
        inspect.signature(app).bind(*[None] * arguments)
    except (TypeError, ValueError):
        return app
    return app if inspect.isclass(app) else kind(app, notes)


class Finder(importlib.abc.MetaPathFinder):
    """Finds the module of the application as Python would, and wraps the application once it is there."""

    def __init__(self, module: str, attribute: str, notes: Notes) -> None:
        self.module, self.attribute, self.notes = module, attribute, notes

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != self.module:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module
            spec.loader.exec_module = lambda module: self._execute(execute, module)  # type: ignore[method-assign]
        return spec

    def _execute(self, execute: Callable[[ModuleType], None], module: ModuleType) -> None:
        execute(module)
        place, _, last = self.attribute.rpartition(".")
        owner: Any = module
        for name in filter(None, place.split(".")):
            owner = getattr(owner, name, None)
        if hasattr(owner, last):
            setattr(owner, last, wrapped(getattr(owner, last), self.notes))


def begin() -> None:
    told_so = json.loads(os.environ["WORKSHOP_NOTES"])
    notes = Notes(told_so["file"], told_so["service"])
    sys.meta_path.insert(0, Finder(told_so["module"], told_so["attribute"], notes))
