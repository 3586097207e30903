"""The probe: calls the learner's code in the learner's process space and reports what happened, as data.

It decides nothing. The agent starts it (probe_process.py), writes one JSON request a line to its standard
input, hears over a socket what happens during a call, and reads one JSON answer a line from a descriptor.
The learner's modules are imported once; each request is then answered by a fork, so that no call sees what
another one left behind, and `os._exit(0)` ends a fork and nothing else.

Values cross as JSON. What JSON can't say is tagged:

    {"$bytes": "aGk="}                     bytes, base64
    {"$tuple": [...]}                      a tuple
    {"$dict": [[key, value], ...]}         a dict with a key that begins as a tag does, or is bytes
    {"$object": {"type": ..., "fields"}}   an instance, by its attributes (out only)
    {"$repr": {"type": ..., "text": ...}}  anything else (out only)
    {"$import": "module:attribute"}        the learner's object (in only)
    {"$call": {"fn": ..., "args": [...], "kwargs": {...}}}, {"$attr": [value, "name"]}, {"$ref": "name"}
    {"$wsgi": script}, {"$asgi": script}   an inner application that follows a script (in only)
    {"$recv": [pieces]}                    a `recv(size)` that hands out these pieces, then b"" (in only)
    {"$note": "name"}                      a function that logs its calls as events "noted" (in only)
    {"$note": {"name": ..., "answers": [...]}}  the same, with what it returns, call by call (in only)

Scripts, pieces, answers, bodies, events to receive and steps stay with the agent (call_record.py): the probe
has a number in the place of each, and asks for what comes next.

Only the standard library is used: this runs beside the learner's code, and brings nothing along.
"""

from __future__ import annotations

import _thread
import base64
import contextlib
import encodings.idna  # noqa: F401  (what makes a socket needs it: once, and not in each fork)
import gc
import importlib
import json
import operator
import os
import select
import signal
import sys
import threading
import time
import types
from collections.abc import Callable, Iterator
from typing import Any

from workshop.run.probe_calls import call_wsgi
from workshop.run.probe_line import SocketLine
from workshop.run.probe_log import Log, describe_exception, where_now
from workshop.run.probe_values import encode
from workshop.run.renewed_modules import folders, given_files, renew
from workshop.run.scripted_apps import ScriptedASGI, ScriptedWSGI

Json = Any
Event = dict[str, Any]
GIVEN = folders()


# --- values as data ---------------------------------------------------------------------------------


def decode(value: Json, names: dict[str, Any] | None = None, log: Any = None) -> Any:
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


def _decode_call(inner: Json, names: dict[str, Any], log: Log) -> Any:
    function = decode(inner["fn"], names, log)
    args = decode(inner.get("args", []), names, log)
    kwargs = {key: decode(item, names, log) for key, item in inner.get("kwargs", {}).items()}
    result = function(*args, **kwargs)
    if isinstance(result, types.CoroutineType):
        import asyncio

        return asyncio.run(result)
    return result


def _decode_attr(inner: Json, names: dict[str, Any], log: Log) -> Any:
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


def recv_of(number: int, log: Log) -> Callable[[int], bytes]:
    """A `recv(size)` over pieces: at most one at a time, b"" at the end."""

    def recv(size: int) -> bytes:
        return base64.b64decode(log.go_on(number, operator.index(size))["$bytes"])

    return recv


def note_of(name: str, log: Log) -> Callable[..., None]:
    """A function that takes anything, logs it as "noted" under this name, and returns None."""

    def note(*args: Any, **kwargs: Any) -> None:
        log.add("noted", name=name, args=list(args), kwargs=kwargs)

    return note


def answering(name: str, number: int, log: Log) -> Callable[..., Any]:
    """The same, but it returns what the check has it return."""
    note = note_of(name, log)

    def answer(*args: Any, **kwargs: Any) -> Any:
        note(*args, **kwargs)
        return decode(log.go_on(number), log=log)

    return answer


def _decode_note(inner: Json, names: dict[str, Any], log: Log) -> Any:
    if isinstance(inner, dict):
        return answering(inner["name"], inner["answers"], log)
    return note_of(inner, log)


DECODERS: dict[str, Callable[[Json, dict[str, Any], Any], Any]] = {
    "$bytes": lambda inner, names, log: base64.b64decode(inner),
    "$tuple": lambda inner, names, log: tuple(decode(inner, names, log)),
    "$dict": lambda inner, names, log: {key: decode(item, names, log) for key, item in inner},
    "$import": lambda inner, names, log: import_string(inner),
    "$ref": lambda inner, names, log: names[inner],
    "$call": _decode_call,
    "$attr": _decode_attr,
    "$recv": lambda inner, names, log: recv_of(inner, log),
    "$note": _decode_note,
    "$wsgi": lambda inner, names, log: ScriptedWSGI(inner, log, lambda value: decode(value, names, log)),
    "$asgi": lambda inner, names, log: ScriptedASGI(inner, log, lambda value: decode(value, names, log)),
}


# --- one request, in a fork -------------------------------------------------------------------------


def run_steps(number: int, log: Log) -> None:
    """Evaluate steps one after the other; each result is an event, an exception ends it."""
    names: dict[str, Any] = {}
    step = log.go_on(number)
    while step is not None:
        try:
            value = decode(step["do"], names, log)
        except BaseException as error:
            log.raised(error, "step")
            return
        names[step.get("as", "_")] = value
        step = log.go_on(number, encode(value))


def perform(request: Json, log: Log) -> None:
    """Do what one request asks for. The learner's exceptions become events."""
    kind = request["kind"]
    try:
        renew(request["calls"], GIVEN)
    except BaseException as error:
        log.raised(error, "preparing")
        return
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
        return
    import asyncio

    from workshop.run.probe_asgi_calls import call_asgi

    asyncio.run(call_asgi(prepared, log, lambda value: decode(value, {}, log)))


def answer(request: Json, out: int, link: int) -> None:
    """In the fork: perform, and write how it ended to `out`; a watchdog writes it when time is over."""
    main, once = threading.get_ident(), threading.Lock()

    def finish(**ended: Any) -> None:
        if once.acquire(blocking=False):
            view = memoryview(json.dumps({"ended": True, **ended}).encode())
            while view:
                view = view[os.write(out, view) :]
            os._exit(0)
        threading.Event().wait()

    def watch() -> None:
        time.sleep(request["seconds"])
        finish(timeout=where_now(main))

    line = SocketLine(link, request["call"], lambda size: finish(too_much=size))
    log = Log(line, lambda: finish(flooded=where_now(main)))
    _thread.start_new_thread(watch, ())  # a Thread takes three times as long, in every call
    perform(request, log)
    finish()


def fork_and_answer(request: Json, link: int) -> bytes:
    """Answer one request in a fork; what the fork wrote, or how it died."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        os.setpgid(0, 0)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)  # a breakpoint() must not read the next request
        with contextlib.suppress(BaseException):
            answer(request, writer, link)
        os._exit(70)
    os.close(writer)
    data = _read_all(reader, time.monotonic() + request["seconds"] + 1.0)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL) if not data else None
    _, status = os.waitpid(pid, 0)
    if data is None:
        return json.dumps({"events": [], "hung": True}).encode()
    if data:
        return data
    return json.dumps({"died": os.waitstatus_to_exitcode(status)}).encode()


def _read_all(reader: int, deadline: float) -> bytes | None:
    """Everything up to the end, or what came in time; None when nothing did."""
    pieces: list[bytes] = []
    with os.fdopen(reader, "rb", buffering=0) as pipe:
        while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
            piece = pipe.read(1 << 16)
            if not piece:
                return b"".join(pieces)
            pieces.append(piece)
    return b"".join(pieces) or None


def import_first(module: str) -> Json:
    """Import a learner's module before any call; None when that went well, else what happened."""
    try:
        with no_collections():
            importlib.import_module(module)
    except BaseException as error:
        return describe_exception(error)
    gc.freeze()  # what all forks have is no garbage in any of them
    return None


def prepare(request: Json, line: str) -> None:
    """Do what each fork would have to do anew."""
    given = given_files(request["calls"], GIVEN)  # compiled
    name = "workshop.run.probe_asgi_calls" if request["kind"] == "asgi" else "asyncio"
    is_used = request["kind"] == "asgi" or '"$asgi"' in line
    if name not in sys.modules and (is_used or any("asyncio" in one.imports for one in given)):
        import_first(name)


def serve(out: int, link: int) -> None:
    """Answer requests until standard input ends.

    `out` is the descriptor for the answers, `link` the one for what happens during a call (probe_line.py).
    """
    for line in sys.stdin:
        request = json.loads(line)
        if request["kind"] == "import":
            data = json.dumps({"import": import_first(request["module"])}).encode()
        else:
            with contextlib.suppress(Exception):  # the fork says what it was
                prepare(request, line)
            data = fork_and_answer(request, link)
        view = memoryview(data + b"\n")
        while view:
            view = view[os.write(out, view) :]


def main(out: int, link: int) -> None:
    """Serve until the agent has no more requests, or Ctrl-C."""
    with contextlib.suppress(KeyboardInterrupt):
        serve(out, link)
