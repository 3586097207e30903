"""Whether a service keeps a processor busy while nobody asks it for anything: one that waits uses none.

What counts is the processor time of its processes, which no other program can add to. So nothing here depends
on how fast a machine is: where many compete, one that spins gets less, and may go unnoticed.
"""

from __future__ import annotations

import time

from workshop.judge.checks import that
from workshop.judge.stack import Stack

# Who looks around ten times a second uses less than a hundredth of a processor.
SHARE = 0.1
LEAST = 10  # clock ticks (a tenth of a second)
AGAIN = 0.4  # seconds of the second look: what is done once is no reason
TICKS = 100  # a second
WAITS = "poll(2), epoll_wait(2): who waits for events, or for a time, uses no processor until then"


class ProcessorTime:
    """What a service uses of a processor from the time that this is made: its processes, or one of them."""

    def __init__(self, stack: Stack, service: str, pid: int | None = None) -> None:
        self._stack, self._service, self._pid = stack, service, pid
        self._before, self._since = self._look()

    def _look(self) -> tuple[dict[int, int], float]:
        reply = self._stack.ask("ticks", service=self._service)
        ticks = dict(zip(reply["pids"], reply["ticks"], strict=False))
        return {pid: ticks[pid] for pid in ticks if self._pid in (None, pid)}, time.monotonic()

    def _is_busy(self, least: int) -> bool:
        """Whether `SHARE` or more was used since the last look, and at least so many ticks."""
        now, at = self._look()
        used = sum(now[pid] - self._before.get(pid, now[pid]) for pid in now)
        seconds = at - self._since
        self._before, self._since = now, at
        return used >= max(least, SHARE * TICKS * seconds)

    def is_spent(self) -> bool:
        """Whether a processor was busy for it all along, and still is."""
        if not self._is_busy(LEAST):
            return False
        time.sleep(AGAIN)
        return self._is_busy(0)

    def expect_idle(self, who: str, sent: str = "") -> None:
        """Fail where `who`, as the report calls it, spins while it has nothing to do."""
        got = f"{who} keeps a processor busy, while nobody asks it for anything"
        expected = "a process that waits: it may look around a few times a second, and sleeps in between"
        that(not self.is_spent(), got, expected, rule=WAITS, sent=sent)
