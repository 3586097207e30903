"""The events of one call of the probe's, in order, and what an exception in it looked like."""

from __future__ import annotations

import gc
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING, Any

from workshop.run.probe_line import Line
from workshop.run.probe_values import Json, encode

if TYPE_CHECKING:
    import asyncio

Event = dict[str, Any]
OWN = f"{os.path.dirname(__file__)}{os.sep}"  # noqa: PTH120 - pathlib would be the only thing to import it
EVENTS_LIMIT = 4 * 1024 * 1024


class Log:
    """What happens in one call, told to the agent, event by event, and what it answers (call_record.py).

    `flooded` is called when the events grow past all use.
    """

    def __init__(self, line: Line, flooded: Callable[[], None] | None = None) -> None:
        self._line, self._flooded = line, flooded
        self._size = 0

    def add(self, event: str, **fields: Any) -> None:
        data = fields.get("data")
        self._grow(100 + (len(data) if isinstance(data, bytes | str) else 0))
        self._line.tell({"event": {"event": event, **{key: encode(value) for key, value in fields.items()}}})

    def raised(self, error: BaseException, during: str) -> None:
        self._line.tell({"event": {"event": "raised", "during": during, **describe_exception(error)}})

    def begin(self, number: int) -> Any:
        """Call an inner application: the numbers of its scripts."""
        return self._line.ask({"begin": number})["is"]

    def go_on(self, number: int, said: Json = None) -> Any:
        """The next step of a script, now that this came of the one before; None at its end."""
        self._grow(100)
        return self._line.ask({"of": number, "said": said})["then"]

    def _grow(self, size: int) -> None:
        self._size += size
        if self._size > EVENTS_LIMIT and self._flooded is not None:
            self._flooded()


def describe_exception(error: BaseException) -> Event:
    """Type, message, public attributes, and the learner's own frames of an exception."""
    public = {k: encode(v) for k, v in getattr(error, "__dict__", {}).items() if not k.startswith("_")}
    return {
        "type": type(error).__name__,
        "bases": [base.__name__ for base in type(error).__mro__],
        "message": str(error)[:4000],
        "attributes": public,
        "trace": own_frames(error),
    }


def own_frames(error: BaseException) -> list[str]:
    """The exception's frames, without the probe's own."""
    if isinstance(error, SyntaxError) and error.filename:
        return [f"{error.filename}:{error.lineno} {(error.text or '').strip()}"]
    return _lines(traceback.extract_tb(error.__traceback__))


def where_now(thread: int) -> list[str]:
    """Where a thread's code stands at this moment, and the tasks of an event loop that waits."""
    stands = _thread_now(thread)
    return [*stands, *(line for line in _tasks_now() if line not in stands)]


def _tasks_now() -> list[str]:
    """Where the tasks of all running event loops stand, the last call of each last."""
    if "asyncio" not in sys.modules:
        return []
    import asyncio

    loops = [one for one in gc.get_objects() if isinstance(one, asyncio.AbstractEventLoop)]
    tasks = [task for loop in loops if loop.is_running() for task in asyncio.all_tasks(loop)]
    return [line for task in tasks for line in _lines(traceback.StackSummary.extract(_awaiting(task)))]


def _awaiting(task: asyncio.Task[Any]) -> Iterator[tuple[FrameType, int]]:
    """The frames of a task's coroutine and of those that it waits for, from the outside in."""
    coroutine: Any = task.get_coro()
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None)
        if frame is not None:
            yield frame, frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None)


def _thread_now(thread: int) -> list[str]:
    frame: FrameType | None = sys._current_frames().get(thread)
    return _lines(traceback.extract_stack(frame)) if frame else []


def _lines(frames: traceback.StackSummary) -> list[str]:
    theirs = [frame for frame in frames if not frame.filename.startswith(OWN)]
    return [f"{one.filename}:{one.lineno} in {one.name}: {one.line}" for one in theirs]
