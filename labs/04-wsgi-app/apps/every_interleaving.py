"""Two requests, interleaved in every way that stops the first one once: races without luck.

Threads change places when they like. A race shows when they do so at the wrong moment, which may be once in
a million requests. Here every moment gets its turn:

    the first request   ───────┤ stopped before step n                  ├───▶ answered
    the second request         └── runs, to its end or until it waits ──┘

for each step n of the first request's way through the application's own files. A step is the beginning of a
line, a call, or a store into something that others may see. What belongs together and is under one lock
passes at every n: the second request waits at the lock, and the first one is let go on.

The application's own is all code that is not, as it stands in its file, the library's: the name of a file
alone can be anybody's. The trace function that stops a thread is what debuggers use (`sys.settrace`). Who
sets another one, or none, can't be stopped: a report says so ("untraced").
"""

from __future__ import annotations

import _imp
import contextlib
import dis
import json
import linecache
import os
import re
import sys
import sysconfig
import threading
import time
from collections import Counter
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

from call_in_steps import visit

Request = list[Any]  # method, target, and perhaps a body: ["POST", "/tasks", b"{…}"]
Step = tuple[CodeType, int, int]  # code, instruction (-1: a line's beginning) or line, and which time
Report = dict[str, Any]

PATIENCE = 0.03  # seconds until a thread counts as waiting, where the system can't tell
POLL = 0.001  # seconds
STUCK = 2.0  # seconds after which two requests wait for each other, or for ever
MOST = 2  # a step is stopped at when it is reached for the first and the second time
STORES = ("STORE_ATTR", "STORE_SUBSCR", "STORE_GLOBAL", "STORE_DEREF", "DELETE_SUBSCR", "DELETE_ATTR")


class Walker:
    """A request in a thread of its own, that tells its steps and can be stopped before one of them."""

    def __init__(self, app: Any, request: Request, folder: str, stop_at: Step | None = None) -> None:
        self.steps: list[Step] = []
        self.answer: Report = {}
        self.stopped, self.go_on, self.done = threading.Event(), threading.Event(), threading.Event()
        self._app, self._request, self._folder, self._stop_at = app, request, folder, stop_at
        self._times: Counter[tuple[CodeType, int]] = Counter()
        self._entered = 0  # frames that have not returned yet
        self.untraced = False
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._walk, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _walk(self) -> None:
        if self._folder:
            _trace_by(self._enter)
        try:
            self.answer = visit(self._app, *self._request)
            self.untraced = bool(self._entered)
        except BaseException as error:
            self.error = error
            self.answer = {"raised": f"{type(error).__name__}: {error}", "at": _line_of(error, self._folder)}
        finally:
            _trace_by(None)
            self.done.set()

    def _enter(self, frame: FrameType, event: str, arg: object) -> Any:
        if not _is_own(frame.f_code, self._folder):
            return None
        self._entered += 1
        frame.f_trace_opcodes = True
        return self._trace

    def _trace(self, frame: FrameType, event: str, arg: object) -> Any:
        if event == "return":
            self._entered -= 1
        elif event == "line":
            self._step(frame.f_code, -frame.f_lineno)
        elif event == "opcode" and frame.f_lasti in _stores(frame.f_code):
            self._step(frame.f_code, frame.f_lasti)
        return self._trace

    def _step(self, code: CodeType, where: int) -> None:
        self._times[code, where] += 1
        step = (code, where, self._times[code, where])
        if self._stop_at is None:
            self.steps.append(step)
        elif step == self._stop_at:
            self.stopped.set()
            self.go_on.wait(STUCK * 3)

    def place(self, folder: str) -> str:
        """Where it is now, in the application's own files; "" when it has ended."""
        frame = None if self.done.is_set() else sys._current_frames().get(self._thread.ident or 0)
        while frame is not None and not _is_own(frame.f_code, folder):
            frame = frame.f_back
        return _line(frame.f_code, frame.f_lineno) if frame is not None else ""

    def await_stop(self) -> bool:
        """Whether it came to the step; False when it was done first."""
        while not self.stopped.wait(POLL):
            if self.done.is_set():
                return self.stopped.is_set()
        return True

    def await_end_or_wait(self) -> bool:
        """Whether it ended; False when it waits for somebody."""
        began, asleep = time.monotonic(), 0
        while not self.done.wait(POLL):
            asleep = asleep + 1 if self._is_asleep(time.monotonic() - began) else 0
            if asleep == 3:
                return False
        return True

    def _is_asleep(self, seconds: float) -> bool:
        try:
            stat = Path(f"/proc/self/task/{self._thread.native_id}/stat").read_text()
        except OSError:
            return seconds > PATIENCE
        return stat.rpartition(")")[2].split()[0] == "S"


def _trace_by(function: Any) -> None:
    """Set this thread's trace function; the hook below counts those that somebody else sets."""
    _mine.append(threading.get_ident())
    try:
        sys.settrace(function)
    finally:
        _mine.remove(threading.get_ident())


_mine: list[int] = []
_others: list[str] = []


def _hook(event: str, arguments: object) -> None:
    if event == "sys.settrace" and threading.get_ident() not in _mine:
        _others.append(event)


HERE = f"{Path(__file__).parent}{os.sep}"
_verdicts: dict[int, tuple[CodeType, bool]] = {}  # by id, since to hash code takes long
_compiled: dict[str, set[CodeType]] = {}


def _is_own(code: CodeType, folder: str) -> bool:
    """Whether this code is the application's: it is not the library's, nor of the files beside this one."""
    known = _verdicts.get(id(code))
    if known is None:
        name = code.co_filename
        known = _verdicts[id(code)] = (code, name.startswith(folder) or code not in _codes(name))
    return known[1]


def _codes(name: str) -> set[CodeType]:
    """All code of a file of the library's; none where it is somebody else's, or no file."""
    if name not in _compiled:
        _compiled[name] = set()
        with contextlib.suppress(OSError, ValueError, SyntaxError, ImportError):
            _compiled[name] = set(_within(_code_of(name)))
    return _compiled[name]


def _code_of(name: str) -> CodeType:
    if name.startswith("<frozen "):
        frozen: CodeType = _imp.get_frozen_object(name.removeprefix("<frozen ").removesuffix(">"))
        return frozen
    places = {sysconfig.get_path(key) for key in ("stdlib", "platstdlib", "purelib", "platlib")}
    if not name.startswith((HERE, *(f"{place}{os.sep}" for place in places))):
        raise ValueError(name)
    found = SourceFileLoader("library", name).get_code("library")
    if found is None:
        raise ValueError(name)
    return found


def _within(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _within(constant)


_known: dict[CodeType, frozenset[int]] = {}


def _stores(code: CodeType) -> frozenset[int]:
    """The instructions of this code that call, or that store where others may see it."""
    if code not in _known:
        _known[code] = frozenset(
            one.offset
            for one in dis.get_instructions(code)
            if one.opname in STORES or one.opname.startswith("CALL")
        )
    return _known[code]


def _line_of(error: BaseException, folder: str) -> str:
    """The last line of the application's own that an exception passed: "app.py:12"."""
    found, trace = "", error.__traceback__
    while trace is not None:
        if folder and _is_own(trace.tb_frame.f_code, folder):
            found = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
        trace = trace.tb_next
    return found


def _line(code: CodeType, line: int) -> str:
    """A line as "app.py:12 in add: self.rows[number] = task"."""
    text = linecache.getline(code.co_filename, line).strip()
    return f"{Path(code.co_filename).name}:{line} in {code.co_name}: {text}".removesuffix(": ")


def _shown(step: Step) -> str:
    code, where, _ = step
    lines = (n for a, b, n in code.co_lines() if a <= where < b and n)
    line = -where if where < 0 else next(lines, code.co_firstlineno)
    return _line(code, line)


def _meet(app: Any, first: Request, second: Request, folder: str, step: Step) -> Report | None:
    """Stop `first` before a step, run `second`, let `first` go on; None when it did not come there."""
    one, two = Walker(app, first, folder, step), Walker(app, second, "")
    one.start()
    if not one.await_stop():
        return None
    two.start()
    two.await_end_or_wait()
    one.go_on.set()
    ended = one.done.wait(STUCK) and two.done.wait(STUCK)
    places = [place for place in (one.place(folder), two.place(folder)) if place]
    waits = [] if ended else places or ["outside of the application's files"]
    return {"stopped": _shown(step), "first": one.answer, "second": two.answer, "waits": waits}


def _untraced(number: object) -> Report:
    return {"stopped": "", "id": number, "first": {}, "second": {}, "waits": [], "untraced": True}


class Waits(Exception):
    """A request by itself never ends; the message is where it waits."""


class Asking:
    """Requests by themselves, with no other under way; `trail` is what was asked, and answered, so far."""

    def __init__(self, app: Any, folder: str) -> None:
        self._app, self._folder, self.trail = app, folder, list[str]()

    def ask(self, request: Request) -> Report:
        """The answer. Raises Waits, or what the application raised."""
        alone = Walker(self._app, request, "")
        alone.start()
        if not alone.done.wait(STUCK):
            self.trail.append(f"{request[0]} {request[1]}")
            raise Waits(alone.place(self._folder) or "outside of the application's files")
        if alone.error is not None:
            raise alone.error
        self.trail.append(f"{request[0]} {request[1]}, which gets {alone.answer['status']}")
        return alone.answer

    def clean(self, clean_up: Request, numbers: list[object]) -> None:
        for number in {one for one in numbers if isinstance(one, int)}:
            self.ask(_filled(clean_up, number))


def _filled(request: Request, number: object) -> Request:
    return [request[0], request[1].replace("{id}", str(number)), *request[2:]]


def _id_of(answer: Report) -> object:
    """The id in an answer of JSON; None when there is none."""
    try:
        return json.loads(answer["body"])["id"]
    except (KeyError, TypeError, ValueError):
        return None


def _length(answer: Report) -> bool | None:
    """Whether Content-Length is the body's; None without one."""
    said = [value for name, value in answer.get("headers", ()) if name.lower() == "content-length"]
    return said == [str(len(answer["body"]))] if said else None


def _kind(met: Report, after: list[Report]) -> str:
    """What a report says, its numbers replaced by letters: "the same id twice" is the same for any id."""
    letters: dict[str, str] = {}
    answers = [met["first"], met["second"], *after]
    text = repr([[one.get("status"), _length(one), one.get("body"), one.get("raised")] for one in answers])
    return re.sub(r"\b\d+\b", lambda match: letters.setdefault(match[0], f"n{len(letters)}"), text)


def explore(
    app: Any,
    within: str,
    first: Request,
    second: Request,
    before: Request,
    then: list[Request],
    clean_up: Request,
) -> list[Report]:
    """Every interleaving that stops `first` once. Reports what was answered, and judges nothing.

    Steps are those in the files of module `within` and beside it. For each step: `before` makes a task,
    whose id is put in for {id}; the two meet; the requests of `then` come after them; and `clean_up` is sent
    for every id that appeared, so that each step begins as the last one did. A report has `stopped`, `id`,
    `first`, `second`, `then` (answers), and `waits` (where the two are, when they never end). If the two end,
    and a later request doesn't, `after` is all that was asked since. Of reports that are alike but for their
    ids and places the first is kept.
    """
    folder = str(Path(sys.modules[within].__file__ or "").parent) + os.sep
    sys.addaudithook(_hook)
    asking = Asking(app, folder)
    reports: dict[str, Report] = {}
    last: Report = {"stopped": "", "id": 0, "first": {}, "second": {}}
    try:
        number = _id_of(asking.ask(before))
        alone = Walker(app, _filled(first, number), folder)
        alone.start()
        if not alone.done.wait(STUCK * 2):
            return [{**last, "id": number, "waits": [alone.place(folder)]}]
        if alone.untraced or _others:
            return [_untraced(number)]
        asking.clean(clean_up, [number, _id_of(alone.answer)])
        for step in (one for one in alone.steps if one[2] <= MOST):
            number = _id_of(asking.ask(before))
            met = _meet(app, _filled(first, number), _filled(second, number), folder, step)
            if _others:
                return [_untraced(number)]
            last = {**(met or last), "id": number}
            if met is not None and met["waits"]:
                return [*reports.values(), {**last, "then": []}]
            asking.trail.clear()
            ids = [number]
            if met is not None:
                after = [asking.ask(_filled(one, number)) for one in then]
                reports.setdefault(_kind(met, after), {**last, "then": after})
                ids += [_id_of(met["first"]), _id_of(met["second"])]
            asking.clean(clean_up, ids)
    except Waits as late:
        return [*reports.values(), {**last, "then": [], "waits": [str(late)], "after": asking.trail}]
    return list(reports.values())
