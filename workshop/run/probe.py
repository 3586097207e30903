"""The probe: calls the learner's code in the learner's process space and reports what happened, as data.

It decides nothing. The agent starts it (target_processes.py), writes one JSON request a line
to its standard input and reads one JSON answer a line from the descriptor. The learner's modules are
imported once; each request is then answered by a fork, so that no call sees what another one left behind,
and `os._exit(0)` ends a fork and nothing else.

Values cross as JSON. What JSON can't say is tagged:

    {"$bytes": "aGk="}                     bytes, base64
    {"$tuple": [...]}                      a tuple
    {"$object": {"type": ..., "fields"}}   an instance, by its attributes (out only)
    {"$repr": {"type": ..., "text": ...}}  anything else (out only)
    {"$import": "module:attribute"}        the learner's object (in only)
    {"$call": {"fn": ..., "args": [...], "kwargs": {...}}}, {"$attr": [value, "name"]}, {"$ref": "name"}
    {"$wsgi": script}, {"$asgi": script}   an inner application that follows a script (in only)
    {"$recv": [pieces]}                    a `recv(size)` that hands out these pieces, then b"" (in only)
    {"$note": "name"}                      a function that logs its calls as events "noted" (in only)

Only the standard library is used: this runs beside the learner's code, and brings nothing along.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import importlib
import inspect
import io
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

from workshop.run.probe_log import Log, describe_exception, where_now
from workshop.run.scripted_apps import ScriptedASGI, ScriptedWSGI

RESULT_LIMIT = 16 * 1024 * 1024

Json = Any
Event = dict[str, Any]


# --- values as data ---------------------------------------------------------------------------------


def decode(value: Json, names: dict[str, Any] | None = None, log: Log | None = None) -> Any:
    """Turn JSON back into values. `names` are the results of earlier steps; `log` takes inner events."""
    names = {} if names is None else names
    if isinstance(value, list):
        return [decode(item, names, log) for item in value]
    if not isinstance(value, dict):
        return value
    if len(value) == 1:
        (tag, inner) = next(iter(value.items()))
        if tag in DECODERS:
            return DECODERS[tag](inner, names, log)
    return {key: decode(item, names, log) for key, item in value.items()}


def _decode_call(inner: Json, names: dict[str, Any], log: Log | None) -> Any:
    function = decode(inner["fn"], names, log)
    args = decode(inner.get("args", []), names, log)
    kwargs = {key: decode(item, names, log) for key, item in inner.get("kwargs", {}).items()}
    result = function(*args, **kwargs)
    return asyncio.run(result) if inspect.iscoroutine(result) else result


def _decode_attr(inner: Json, names: dict[str, Any], log: Log | None) -> Any:
    return getattr(decode(inner[0], names, log), inner[1])


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """For an import: what it makes stays, and looking through it for garbage takes a sixth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def import_string(text: str) -> Any:
    """The object that "module:attribute.path" names."""
    module, _, attributes = text.partition(":")
    with no_collections():
        found: Any = importlib.import_module(module)
    for attribute in filter(None, attributes.split(".")):
        found = getattr(found, attribute)
    return found


def recv_of(pieces: list[bytes]) -> Callable[[int], bytes]:
    """A `recv(size)` over these pieces: at most one piece at a time, b"" at the end."""
    waiting = [piece for piece in pieces if piece]

    def recv(size: int) -> bytes:
        if not waiting:
            return b""
        piece = waiting.pop(0)
        if len(piece) > size:
            waiting.insert(0, piece[size:])
        return piece[:size]

    return recv


def note_of(name: str, log: Log | None) -> Callable[..., None]:
    """A function that takes anything, logs it as "noted" under this name, and returns None."""

    def note(*args: Any, **kwargs: Any) -> None:
        if log is not None:
            log.add("noted", name=name, args=list(args), kwargs=kwargs)

    return note


DECODERS: dict[str, Callable[[Json, dict[str, Any], Any], Any]] = {
    "$bytes": lambda inner, names, log: base64.b64decode(inner),
    "$tuple": lambda inner, names, log: tuple(decode(inner, names, log)),
    "$import": lambda inner, names, log: import_string(inner),
    "$ref": lambda inner, names, log: names[inner],
    "$call": _decode_call,
    "$attr": _decode_attr,
    "$recv": lambda inner, names, log: recv_of(decode(inner, names, log)),
    "$note": lambda inner, names, log: note_of(inner, log),
    "$wsgi": lambda inner, names, log: ScriptedWSGI(decode(inner, names, log), log or Log()),
    "$asgi": lambda inner, names, log: ScriptedASGI(decode(inner, names, log), log or Log()),
}


# --- what happened, in order ------------------------------------------------------------------------


# --- inner applications that follow a script --------------------------------------------------------


# --- calling a WSGI application ---------------------------------------------------------------------


class LoggedInput(io.RawIOBase):
    """wsgi.input over given pieces; logs each read, so that a check sees what was consumed, and when."""

    def __init__(self, body: bytes, log: Log) -> None:
        self._buffer, self._log = io.BytesIO(body), log

    def _logged(self, method: str, size: int, data: bytes) -> bytes:
        self._log.add("read", method=method, size=size, returned=len(data))
        return data

    def read(self, size: int | None = -1) -> bytes:
        return self._logged("read", -1 if size is None else size, self._buffer.read(size))

    def readinto(self, into: Any) -> int:
        data = self._buffer.read(len(into))
        into[: len(data)] = data
        return len(self._logged("readinto", len(into), data))

    def readline(self, size: int | None = -1) -> bytes:
        return self._logged("readline", -1 if size is None else size, self._buffer.readline(size))

    def readlines(self, hint: int | None = -1) -> list[bytes]:
        return list(self)

    def __iter__(self) -> LoggedInput:
        return self

    def __next__(self) -> bytes:
        line = self.readline()
        if not line:
            raise StopIteration
        return line


def make_environ(request: dict[str, Any], log: Log) -> dict[str, Any]:
    """The environ that PEP 3333 "environ Variables" asks for, with the request's own `environ` on top."""
    environ = {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": "/",
        "QUERY_STRING": "",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "localhost",
        "REMOTE_ADDR": "127.0.0.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": LoggedInput(request.get("body", b""), log),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }
    environ.update(request.get("environ", {}))
    return environ


def call_wsgi(request: dict[str, Any], log: Log) -> None:
    """Call an application once, as a server does, and log everything that crosses the boundary.

    `take` ends the iteration after so many chunks, as a client does that leaves; close is then still called.
    """
    app = request["app"]

    def write(data: bytes) -> None:
        log.add("write", data=data)

    def start_response(status: Any, headers: Any, exc_info: Any = None) -> Callable[[bytes], None]:
        kind = None if exc_info is None else type(exc_info[1]).__name__
        pairs = [list(pair) if isinstance(pair, tuple) else {"not": repr(pair)} for pair in headers]
        log.add("start_response", status=status, headers=pairs, of=type(headers).__name__, exc_info=kind)
        return write

    log.add("called")
    try:
        body = app(make_environ(request, log), start_response)
    except BaseException as error:
        log.raised(error, "call")
        return
    log.add("returned", type=type(body).__name__, has_close=hasattr(body, "close"))
    try:
        _iterate(body, request.get("take"), log)
    finally:
        _close(body, log)


def _iterate(body: Any, take: int | None, log: Log) -> None:
    try:
        if take == 0:
            return
        for number, chunk in enumerate(body, 1):
            log.add("chunk", data=chunk, type=type(chunk).__name__)
            if number == take:
                return
        log.add("exhausted")
    except BaseException as error:
        log.raised(error, "iteration")


def _close(body: Any, log: Log) -> None:
    if not hasattr(body, "close"):
        return
    try:
        body.close()
        log.add("close")
    except BaseException as error:
        log.raised(error, "close")


# --- calling an ASGI application --------------------------------------------------------------------


async def call_asgi(request: dict[str, Any], log: Log) -> None:
    """Call an application once and play it the given events.

    When the events run out, `then` decides: "wait" (receive never returns), or "disconnect" (a disconnect of
    the scope's own kind). An event {"type": "pause", "until": N} waits until N messages were sent, and
    {"type": "sleep", "seconds": s} passes time between two events. When the application still runs
    `settle` seconds after the last event, it is cancelled and that is logged.
    """
    scope = request["scope"]
    events = list(request.get("receive", []))
    last_event = asyncio.Event()
    sent = 0
    moved = asyncio.Condition()

    async def wait_until_sent(wanted: int) -> None:
        async with moved:
            await moved.wait_for(lambda: sent >= wanted)

    async def next_event() -> Event:
        while events:
            message: Event = events.pop(0)
            if message["type"] == "pause":
                await wait_until_sent(message["until"])
            elif message["type"] == "sleep":
                await asyncio.sleep(message["seconds"])
            else:
                return message
        last_event.set()
        if request.get("then", "wait") == "disconnect":
            return {"type": f"{scope['type']}.disconnect"}
        await asyncio.Event().wait()
        raise AssertionError("never reached")

    async def receive() -> Event:
        message = await next_event()
        if not events:
            last_event.set()
        log.add("receive", message=message)
        return message

    async def send(message: Event) -> None:
        nonlocal sent
        log.add("send", message=message)
        sent += 1
        async with moved:
            moved.notify_all()

    log.add("called")
    app: Callable[..., Awaitable[None]] = request["app"]
    await _run_asgi(lambda: app(scope, receive, send), last_event, request.get("settle", 1.0), log)


async def _run_asgi(call: Callable[[], Any], last_event: asyncio.Event, settle: float, log: Log) -> None:
    async def run() -> None:
        await call()

    task = asyncio.ensure_future(run())
    ended = asyncio.ensure_future(last_event.wait())
    await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    await asyncio.wait({task}, timeout=settle)
    if not task.done():
        log.add("still running")
        task.cancel()
        await asyncio.wait({task}, timeout=settle)
        return
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.raised(error, "call")
    else:
        log.add("returned")


# --- one request, in a fork -------------------------------------------------------------------------


def run_steps(steps: list[Json], log: Log) -> None:
    """Evaluate steps one after the other; each result is an event, an exception ends it."""
    names: dict[str, Any] = {}
    for step in steps:
        try:
            value = decode(step["do"], names, log)
        except BaseException as error:
            log.raised(error, "step")
            return
        names[step.get("as", "_")] = value
        log.add("value", value=value)


def perform(request: Json, log: Log) -> None:
    """Do what one request asks for. The learner's exceptions become events."""
    kind = request["kind"]
    if kind == "steps":
        run_steps(request["steps"], log)
        return
    try:
        prepared = decode(request["request"], {}, log)
    except BaseException as error:
        log.raised(error, "preparing")
        return
    if kind == "wsgi":
        call_wsgi(prepared, log)
    else:
        asyncio.run(call_asgi(prepared, log))


def answer(request: Json, out: int) -> None:
    """In the fork: perform, and write the transcript to `out`; a watchdog writes it when time is over."""
    main, once = threading.get_ident(), threading.Lock()

    def finish(**extra: Any) -> None:
        if once.acquire(blocking=False):
            data = json.dumps({"events": list(log.events), **extra}).encode()
            if len(data) > RESULT_LIMIT:
                data = json.dumps({"events": [], "too_much": len(data)}).encode()
            view = memoryview(data)
            while view:
                view = view[os.write(out, view) :]
            os._exit(0)
        threading.Event().wait()

    def watch() -> None:
        time.sleep(request["seconds"])
        finish(timeout=where_now(main))

    log = Log(flooded=lambda: finish(flooded=where_now(main)))
    threading.Thread(target=watch, daemon=True).start()
    perform(request, log)
    finish()


def fork_and_answer(request: Json) -> bytes:
    """Answer one request in a fork; what the fork wrote, or how it died."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setpgid(0, 0)
        with contextlib.suppress(BaseException):
            answer(request, writer)
        os._exit(70)
    os.close(writer)
    data = _read_all(reader, time.monotonic() + request["seconds"] + 1.0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL) if not data else None
    _, status = os.waitpid(pid, 0)
    if data:
        return data
    return json.dumps({"events": [], "died": os.waitstatus_to_exitcode(status)}).encode()


def _read_all(reader: int, deadline: float) -> bytes:
    pieces = []
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            piece = pipe.read(1 << 16)
            if not piece:
                break
            pieces.append(piece)
    return b"".join(pieces)


def import_first(module: str) -> Json:
    """Import a learner's module before any call; None when that went well, else what happened."""
    try:
        with no_collections():
            importlib.import_module(module)
    except BaseException as error:
        return describe_exception(error)
    gc.freeze()  # what all forks have is no garbage in any of them
    return None


def serve(out: int) -> None:
    """Answer requests until standard input ends; `out` is the descriptor for the answers."""
    for line in sys.stdin:
        request = json.loads(line)
        if request["kind"] == "import":
            data = json.dumps({"import": import_first(request["module"])}).encode()
        else:
            data = fork_and_answer(request)
        view = memoryview(data + b"\n")
        while view:
            view = view[os.write(out, view) :]


def main(out: int) -> None:
    """Serve until the agent has no more requests, or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        serve(out)
