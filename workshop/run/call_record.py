"""One call of the probe, as the agent keeps it: the scripts that are played to it, and what happened.

The learner's process has neither. It is told the next step of a script when that is due, and says each thing
that happens when it happens. So code that looks through its own process finds no chunk before it has asked
for it, and can take back nothing that was noted; and what an inner application notes of itself ("inner
closed", "read" …) is noted here, when it is asked to do it.

What the probe's fork says, a line of JSON each, and what it is answered:

    {"event": {...}}                  note this event; no answer
    {"begin": 3}                      call the inner application 3: {"is": the numbers of its scripts}
    {"of": 7, "said": value}          go on with script 7: {"then": the next step, or null at its end}

Values stay as they are in JSON (probe_values.py); nothing here is decoded but bytes that are read in pieces.
"""

from __future__ import annotations

import base64
import io
import time
from collections.abc import Callable, Generator
from typing import Any

from workshop.run.call_memory import CallMemory

Json = Any
Event = dict[str, Any]
Script = Generator[Json, Json, None]
Note = Callable[..., None]

# What a fork may note by its own word; the other events are noted where they are brought about, here.
TOLD = {"called", "start_response", "write", "returned", "chunk", "exhausted", "close", "raised", "send"}
TOLD |= {"still running", "noted"}
ENVIRON = ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"]
SCOPE = ["type", "method", "path", "root_path"]
EVENTS_LIMIT = 64 << 20  # bytes of a call's events: more than any honest one comes to
CALLS_LIMIT = 100_000  # of inner applications


class Garbled(Exception):
    """The fork said something that the probe never says."""


class CallRecord:
    """The transcript of one call, and the scripts of its request. `request` is what the probe is sent.

    `memory` is asked what the call has taken, after each step.
    """

    def __init__(self, request: Json, timed: bool = False, memory: CallMemory | None = None) -> None:
        self.events: list[Event] = []
        self.timed = timed
        self.memory = memory
        self._size = 0
        self._applications: list[Callable[[], list[Script]]] = []
        self._running: list[Script] = []
        self.request = {**self._held(request), "calls": called_modules(request)}
        if request["kind"] == "steps":
            self.request["steps"] = self._run(self._steps(self.request["steps"]))
        elif request["kind"] in ("wsgi", "asgi"):
            self._hold_events(self.request["request"])

    def _hold_events(self, asked: dict[str, Any]) -> None:
        """What a request brings along, a body or events to receive, is handed out piece by piece, too."""
        if "body" in asked:
            asked["body"] = self._run(body(asked["body"], self.note))
        if "receive" in asked:
            over = {"type": f"{asked['scope']['type']}.disconnect"}
            leaves = over if asked.pop("then", "wait") == "disconnect" else None
            asked["receive"] = self._run(events(asked["receive"], leaves, self.note))

    def _held(self, value: Json) -> Json:
        """A request's value with a number in the place of each script."""
        if isinstance(value, list):
            return [self._held(item) for item in value]
        if not isinstance(value, dict):
            return value
        inner = {key: self._held(item) for key, item in value.items()}
        if len(inner) != 1:
            return inner
        match inner:
            case {"$wsgi": script}:
                return {"$wsgi": self._application(lambda: wsgi(script, self.note))}
            case {"$asgi": script}:
                return {"$asgi": self._application(lambda: asgi(script, self.note))}
            case {"$recv": pieces}:
                return {"$recv": self._run(recv(pieces))}
            case {"$note": {"name": name, "answers": answers}}:
                return {"$note": {"name": name, "answers": self._run(in_turn(answers))}}
        return inner

    def _application(self, called: Callable[[], list[Script]]) -> int:
        self._applications.append(called)
        return len(self._applications) - 1

    def _run(self, script: Script) -> int:
        next(script)
        self._running.append(script)
        return len(self._running) - 1

    def _steps(self, steps: list[Json]) -> Script:
        """The steps of a request, each when the one before it is done; what comes of each is its value."""
        yield
        for step in steps:
            value = yield step
            self.note("value", value=value, memory=self.memory.most() if self.memory else None)

    def note(self, event: str, **fields: Json) -> None:
        self._append({"event": event, **fields})

    def _append(self, event: Event) -> None:
        if self.timed:
            event["at"] = time.monotonic()
        self.events.append(event)

    def hear(self, message: Json, size: int) -> Json:
        """Take one message of so many bytes; the answer, or None. Raises Garbled."""
        self._size += size
        if self._size > EVENTS_LIMIT or len(self._running) > CALLS_LIMIT:
            raise Garbled("more than any call comes to")
        try:
            return self._heard(message)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            raise Garbled(f"{type(error).__name__}: {error}") from error

    def _heard(self, message: Json) -> Json:
        match message:
            case {"event": {"event": str(name)} as event} if name in TOLD:
                self._append(event)
                return None
            case {"begin": int(number)}:
                return {"is": [self._run(script) for script in self._applications[number]()]}
            case {"of": int(number), "said": said}:
                return {"then": self._next(number, said)}
        raise Garbled("no message of the probe's")

    def _next(self, number: int, said: Json) -> Json:
        try:
            return self._running[number].send(said)
        except StopIteration:
            return None


def called_modules(value: Json) -> list[str]:
    """The modules whose functions a request has called, in order."""
    found: list[str] = []
    match value:
        case {"$call": {"fn": {"$import": text}}}:
            found.append(text.partition(":")[0])
    for item in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        found += called_modules(item)
    return list(dict.fromkeys(found))


# --- scripts ------------------------------------------------------------------------------------------
#
# Each is a generator. What it yields first is nothing; then each thing that it is sent is what came of the
# step before (null, for the first), and what it yields is the next step.


def wsgi(script: dict[str, Any], note: Note) -> list[Script]:
    """A call of a WSGI application, and the close of its body; the script's keys are in scripted_apps.py."""
    name = script.get("name", "inner")
    return [_wsgi_call(script, name, note), _wsgi_close(script.get("raises"), name, note)]


def _wsgi_call(script: dict[str, Any], name: str, note: Note) -> Script:
    start = ["start", script.get("status", "200 OK"), _headers(script), script.get("write", [])]
    yield
    environ = yield ["environ", script.get("environ", ENVIRON)]
    note("inner called", name=name, environ=environ)
    if script.get("read"):
        data = yield ["read", script["read"]]
        note("inner read", name=name, data=data)
    if script.get("raises") == "call":
        yield ["raise", f"{name} raises when called"]
    if not script.get("late_start"):
        yield start
    yield ["body"]
    if script.get("late_start"):
        yield start
    chunks = script.get("chunks", [{"$bytes": base64.b64encode(b"inner body").decode()}])
    for number, chunk in enumerate(chunks, 1):
        if number == 2 and script.get("exc_info"):
            yield ["start again", f"{name} failed after its first chunk"]
        while script.get("raises") == "iteration" and number == len(chunks):
            yield ["raise", f"{name} raises while it is iterated"]
        note("inner chunk", name=name, number=number)
        yield ["chunk", chunk]
    while True:
        note("inner exhausted", name=name)
        yield ["end"]


def _headers(script: dict[str, Any]) -> Json:
    return script.get("headers", [["Content-Type", "text/plain"]])


def _wsgi_close(raises: str | None, name: str, note: Note) -> Script:
    yield
    while True:
        note("inner closed", name=name)
        yield f"{name} raises in close" if raises == "close" else None


def asgi(script: dict[str, Any], note: Note) -> list[Script]:
    """A call of an ASGI application, and how it ended."""
    name = script.get("name", "inner")
    return [_asgi_call(script, name, note), _asgi_end(name, note)]


def _asgi_call(script: dict[str, Any], name: str, note: Note) -> Script:
    yield
    scope = yield ["scope", script.get("scope", SCOPE)]
    note("inner called", name=name, scope=scope)
    for step in script["steps"]:
        if step[0] in ("send", "raise", "wait"):
            yield step
            if script.get("sends"):
                note("inner sent", name=name)
            continue
        while True:
            message = yield ["receive"]
            note("inner received", name=name, message=message)
            if step[0] == "receive" or (message["type"] == step[1] and not message.get("more_body")):
                break


def _asgi_end(name: str, note: Note) -> Script:
    while (how := (yield)) is not None:
        note("inner cancelled" if how == "cancelled" else "inner ended", name=name)


def recv(pieces: list[Json]) -> Script:
    """The pieces of a `recv(size)`: at most one at a time, b"" at the end."""
    waiting = [piece for piece in map(_bytes, pieces) if piece]
    size = yield
    while True:
        piece = waiting.pop(0) if waiting else b""
        if len(piece) > size:
            waiting.insert(0, piece[size:])
        size = yield _tagged(piece[:size])


def in_turn(answers: list[Json]) -> Script:
    """What a noted function returns, call by call; the last one again and again."""
    yield
    yield from answers
    while answers:
        yield answers[-1]


def body(data: Json, note: Note) -> Script:
    """The bytes of wsgi.input; each read is noted."""
    stream = io.BytesIO(_bytes(data))
    method, size = yield
    while True:
        piece = stream.readline(size) if method == "readline" else stream.read(size)
        note("read", method=method, size=size, returned=len(piece))
        method, size = yield _tagged(piece)


def events(waiting: list[Json], leaves: Json, note: Note) -> Script:
    """The events of a `receive`, with whether more follow; `leaves` is what comes after all of them."""
    yield
    for number, message in enumerate(waiting, 1):
        if message["type"] not in ("pause", "sleep"):
            note("receive", message=message)
        yield {"message": message, "more": number < len(waiting)}
    while True:
        if leaves is not None:
            note("receive", message=leaves)
        yield {"message": leaves, "more": False}


def _bytes(value: Json) -> bytes:
    return base64.b64decode(value["$bytes"])


def _tagged(data: bytes) -> Json:
    return {"$bytes": base64.b64encode(data).decode("ascii")}
