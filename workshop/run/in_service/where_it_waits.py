"""A service that hangs says where: at a signal, the tasks of its event loops and then its threads.

faulthandler's SIGABRT knows threads alone, and gunicorn's workers take it for themselves. What is written
here has its form: a line "Task …" or "Thread …", and below it frames, the most recent call first.
"""

from __future__ import annotations

# What `signal` wraps in enums. Each process of a service has this file, so it imports little.
import _signal  # type: ignore[import-not-found]
import faulthandler
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

END = "(that is where it waits)"
ROOM = 1 << 16  # bytes that a pipe holds


def number() -> int:
    """The signal; 0 on a system without real-time signals, where SIGABRT has to do."""
    return int(_signal.SIGRTMIN) + 7 if hasattr(_signal, "SIGRTMIN") else 0


def listen() -> None:
    if number():
        _signal.signal(number(), _say)


def _say(*_: object) -> None:
    """Write all of it at once: a service's processes share one pipe, and each is asked at the same time."""
    tasks = _tasks(sys.modules["asyncio"]) if "asyncio" in sys.modules else []
    said = "\n".join([*tasks, _threads(), END, ""])
    os.write(2, said.encode(errors="replace"))


def _threads() -> str:
    """What faulthandler says of the threads. It writes to a file descriptor only, in many small pieces."""
    reads, writes = os.pipe()
    os.set_blocking(writes, False)  # what does not fit is left out
    try:
        faulthandler.dump_traceback(file=writes, all_threads=True)
        return os.read(reads, ROOM).decode(errors="replace")
    finally:
        os.close(reads)
        os.close(writes)


def _tasks(asyncio: Any) -> list[str]:
    import gc

    said = []
    for loop in gc.get_objects():
        if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_running():
            for task in sorted(
                asyncio.all_tasks(loop), key=lambda one: (len(one.get_name()), one.get_name())
            ):
                said += ["Task (most recent call first):", *reversed([*_awaiting(task)])]
    return said


def _awaiting(task: Any) -> Iterator[str]:
    """The frames of a task's coroutine and of those that it waits for, from the outside in."""
    waits = task.get_coro()
    while waits is not None:
        frame = getattr(waits, "cr_frame", None) or getattr(waits, "ag_frame", None)
        if frame is not None:
            yield f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}'
        waits = getattr(waits, "cr_await", None) or getattr(waits, "ag_await", None)
