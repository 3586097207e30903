"""How much of the machine the reading of one submission's answers may take: memory, and a processor's time.

An answer can be small and made so that whoever reads it has to work for hours, or to keep gigabytes: spaces
for a regular expression, a list of millions of lists, bytes that unpack to a thousand times as many. Checks
read what they are given; what they may use for it is bounded here, whatever it is.
"""

from __future__ import annotations

import contextlib
import resource
import signal
from collections.abc import Iterator

from workshop.judge.http_wire import Deadline

MEMORY = 512 << 20  # bytes; all checks of a lab, over its own solution's answers, take a tenth of it
SECONDS = 10.0  # of a processor, for one check; all checks of a lab take less than one
AGAIN = 1.0  # until it is said once more: a check may have taken the first for something else


def bound_memory() -> None:
    """From here on, what this process asks for beyond that raises MemoryError."""
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))


@contextlib.contextmanager
def bound_check() -> Iterator[None]:
    """Within it, a processor's time that is over raises Deadline, in the main thread, wherever that is."""

    def is_over(*_: object) -> None:
        late = Deadline(f"an answer that takes more than {SECONDS:g} s of a processor to read")
        late.expected = "an answer of the kind that the lab asks for: the lab's own solution gave one"
        raise late

    before = signal.signal(signal.SIGPROF, is_over)
    signal.setitimer(signal.ITIMER_PROF, SECONDS, AGAIN)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
