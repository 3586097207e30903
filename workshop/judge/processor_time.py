"""Whether a service keeps a processor busy while nobody asks it for anything: one that waits uses none.

What counts is the processor time of its processes, which no other program can add to. Where many compete for
the processors, one that spins gets a small share only. So the other thing that counts is how often a process
has waited by itself (proc_pid_status(5), voluntary_ctxt_switches): one that looks around does so after each
look, and one that spins runs until the kernel takes the processor away.
"""

from __future__ import annotations

import time
from typing import NamedTuple

from workshop.judge.checks import that
from workshop.judge.stack import Stack

# Who looks around ten times a second uses less than a hundredth of a processor.
SHARE = 0.1
LEAST = 10  # clock ticks (a tenth of a second)
FEW = 2  # clock ticks without waiting that are worth a second look
AGAIN = 0.4  # seconds of the second look: what is done once is no reason
LOOKS = 12  # of AGAIN seconds each, at most, where a process that never waits gets little of a processor
TICKS = 100  # a second
WAITS = "poll(2), epoll_wait(2): who waits for events, or for a time, uses no processor until then"


class Use(NamedTuple):
    """What each process did in some seconds: the clock ticks that it ran, and how often it waited."""

    seconds: float
    processes: list[tuple[int, int]]

    def is_share(self, least: int) -> bool:
        """Whether `SHARE` of a processor or more was used, and at least so many ticks."""
        used = sum(ticks for ticks, _ in self.processes)
        return used >= max(least, SHARE * TICKS * self.seconds)

    def runs_on(self, least: int) -> bool:
        """Whether a process ran for so many ticks, and for more than one from each wait to the next."""
        return any(ticks >= least and ticks > waits for ticks, waits in self.processes)


class ProcessorTime:
    """What a service uses of a processor from the time that this is made: its processes, or one of them."""

    def __init__(self, stack: Stack, service: str, pid: int | None = None) -> None:
        self._stack, self._service, self._pid = stack, service, pid
        self._before, self._since = self._look()

    def _look(self) -> tuple[dict[int, tuple[int, int]], float]:
        """The ticks and the waits of each process so far, and when this was."""
        reply = self._stack.ask("ticks", service=self._service)
        rows = zip(reply["pids"], reply["ticks"], reply["waits"], strict=False)
        return {
            pid: (ticks, waits) for pid, ticks, waits in rows if self._pid in (None, pid)
        }, time.monotonic()

    def _used(self, begin_anew: bool = False) -> Use:
        """What was used since the beginning, which is now from here on if `begin_anew`."""
        now, at = self._look()
        both = [(now[pid], self._before[pid]) for pid in now if pid in self._before]
        use = Use(at - self._since, [(new[0] - old[0], new[1] - old[1]) for new, old in both])
        if begin_anew:
            self._before, self._since = now, at
        return use

    def is_spent(self) -> bool:
        """Whether a processor was busy for it all along, and still is."""
        use = self._used(begin_anew=True)
        if not use.is_share(LEAST) and not use.runs_on(FEW):
            return False
        for _ in range(LOOKS):
            time.sleep(AGAIN)
            use = self._used()
            if use.is_share(0) or use.runs_on(LEAST):
                return True
            if not use.runs_on(1):
                return False
        return False

    def expect_idle(self, who: str, sent: str = "") -> None:
        """Fail where `who`, as the report calls it, spins while it has nothing to do."""
        got = f"{who} keeps a processor busy, while nobody asks it for anything"
        expected = "a process that waits: it may look around a few times a second, and sleeps in between"
        that(not self.is_spent(), got, expected, rule=WAITS, sent=sent)
