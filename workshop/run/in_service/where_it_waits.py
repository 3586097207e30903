"""A service that hangs says where: at a signal, the tasks of its event loops and then its threads.

faulthandler's SIGABRT knows threads alone, and gunicorn's workers take it for themselves. What is written
here has its form: a line "Task …" or "Thread …", and below it frames, the most recent call first.
"""

from __future__ import annotations

# What `signal` wraps in enums. Each process of a service has this file, so it imports little.
import _signal  # type: ignore[import-not-found]
import faulthandler
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

END = "(that is where it waits)"


def number() -> int:
    """The signal; 0 on a system without real-time signals, where SIGABRT has to do."""
    return int(_signal.SIGRTMIN) + 7 if hasattr(_signal, "SIGRTMIN") else 0


def listen() -> None:
    if number():
        _signal.signal(number(), _say)


def _say(*_: object) -> None:
    if "asyncio" in sys.modules:
        _say_tasks(sys.modules["asyncio"])
    faulthandler.dump_traceback(file=2, all_threads=True)
    print(f"\n{END}", file=sys.__stderr__, flush=True)


def _say_tasks(asyncio: Any) -> None:
    import gc

    for loop in gc.get_objects():
        if isinstance(loop, asyncio.AbstractEventLoop) and loop.is_running():
            for task in sorted(
                asyncio.all_tasks(loop), key=lambda one: (len(one.get_name()), one.get_name())
            ):
                print(
                    "Task (most recent call first):",
                    *reversed([*_awaiting(task)]),
                    sep="\n",
                    file=sys.__stderr__,
                )
    print(end="", file=sys.__stderr__, flush=True)


def _awaiting(task: Any) -> Iterator[str]:
    """The frames of a task's coroutine and of those that it waits for, from the outside in."""
    waits = task.get_coro()
    while waits is not None:
        frame = getattr(waits, "cr_frame", None) or getattr(waits, "ag_frame", None)
        if frame is not None:
            yield f'  File "{frame.f_code.co_filename}", line {frame.f_lineno} in {frame.f_code.co_name}'
        waits = getattr(waits, "cr_await", None) or getattr(waits, "ag_await", None)
