"""The events of one call of the probe's, in order, and what an exception in it looked like."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Any

from workshop.run.probe_values import encode

Event = dict[str, Any]
OWN = f"{os.path.dirname(__file__)}{os.sep}"  # noqa: PTH120 - pathlib would be the only thing to import it
EVENTS_LIMIT = 4 * 1024 * 1024


class Log:
    """The events of one call, in order; `flooded` is called when they grow past all use."""

    def __init__(self, flooded: Callable[[], None] | None = None) -> None:
        self.events: list[Event] = []
        self.size = 0
        self._flooded = flooded

    def add(self, event: str, **fields: Any) -> None:
        data = fields.get("data")
        self.size += 100 + (len(data) if isinstance(data, bytes | str) else 0)
        self.events.append({"event": event, **{key: encode(value) for key, value in fields.items()}})
        if self.size > EVENTS_LIMIT and self._flooded is not None:
            self._flooded()

    def raised(self, error: BaseException, during: str) -> None:
        self.events.append({"event": "raised", "during": during, **describe_exception(error)})


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
    frames = traceback.extract_tb(error.__traceback__)
    return [
        f"{f.filename}:{f.lineno} in {f.name}: {f.line}" for f in frames if not f.filename.startswith(OWN)
    ]


def where_now(thread: int) -> list[str]:
    """Where a thread's code stands at this moment."""
    frame: FrameType | None = sys._current_frames().get(thread)
    frames = traceback.extract_stack(frame) if frame else []
    return [
        f"{f.filename}:{f.lineno} in {f.name}: {f.line}" for f in frames if not f.filename.startswith(OWN)
    ]
