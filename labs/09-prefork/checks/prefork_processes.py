"""A server with several processes, seen from outside: who answers, which processes there are, who is gone."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

from workshop.judge.checks import (
    Deadline,
    NoAnswer,
    Wire,
    WireError,
    expect,
    fail,
    request_bytes,
    that,
)
from workshop.judge.concurrent_checks import Means
from workshop.judge.stack import Address
from workshop.judge.start_failure import StartTrouble
from workshop.judge.wait_until_idle import Rest

SETTLE = 8.0
PAUSE = 0.1  # at most, between two looks
STEPS = 6
SHOWN = "requests/{}.http"

# Two services come up at a time: on a busy machine a worker must do it within its --timeout.
_starts = threading.Semaphore(2)
_asked: set[int] = set()


@contextmanager
def no_start_meanwhile() -> Iterator[None]:
    """Before a service starts, the agent ends every process that has lost its parent, whoever's it was."""
    with _starts, _starts:
        yield


class Preforks:
    """prefork("three", 3): that service with so many workers, whatever an earlier check did to it."""

    def __init__(self, means: Means) -> None:
        self.means = means

    def __call__(self, name: str, workers: int) -> Prefork:
        self.means.trail.used.add(name)
        with _starts:
            found = self._up(name, workers)
        found.story.clear()
        return found

    def _up(self, name: str, workers: int) -> Prefork:
        found = Prefork(self.means, name, workers)
        is_good = name not in self.means.stack.dirty and self._is_full(found)
        if not is_good:  # a check failed half way, or the number is wrong from the start: begin anew
            self.means.stack.dirty.discard(name)
            found.signal(signal.SIGKILL)
            settle(found.exit_code, lambda code: code is not None)
            found = Prefork(self.means, name, workers)
            self._is_full(found)
        return found

    @staticmethod
    def _is_full(found: Prefork) -> bool:
        return len(settle(found.living, lambda pids: len(pids) == found.workers, 1.0)) == found.workers


class Prefork:
    """One service: its arbiter, and what can be seen of its workers. What has ended is not started again."""

    def __init__(self, means: Means, name: str, workers: int) -> None:
        self.stack, self.trail, self.name, self.workers = means.stack, means.trail, name, workers
        self.story: list[list] = []
        reply = start(means, name)
        self.address = Address(self.stack.service_host, reply["port"])
        self.arbiter = reply["pid"]
        # What a process wrote before any check asked it belongs to the one that asks first.
        self.trail.marks[name] = reply["mark"] if reply["pid"] in _asked else 0
        _asked.add(reply["pid"])

    # what can be seen

    def children(self):
        """Every process but the arbiter, those that ended and were not waited for among them."""
        return self.stack.ask("pids", service=self.name)["pids"][1:]

    def zombies(self):
        return self.stack.ask("pids", service=self.name)["zombies"]

    def living(self):
        """Every process but the arbiter that has not ended."""
        reply = self.stack.ask("pids", service=self.name)
        return [pid for pid in reply["pids"][1:] if pid not in reply["zombies"]]

    def exit_code(self):
        return self.stack.ask("status", service=self.name)["code"]

    def rests(self):
        """Wait until all of its processes wait for something: what has not happened by then will not."""
        Rest(self.stack, self.name).comes(2.0)

    def is_there(self, why):
        """Fail unless the arbiter is the process that it was."""
        expected = f"an arbiter that stays: {why}"
        that(self.exit_code() is None, "the arbiter is gone", expected, where="your arbiter: its loop")

    # what can be done

    def signal(self, number, pid=None):
        self.note(f"{number.name} to {f'worker {pid}' if pid else 'the arbiter'}")
        self.stack.ask("signal", service=self.name, number=int(number), pid=pid)

    def note(self, what):
        """Keep for the report what was sent: the last steps, equal ones counted."""
        if self.story and self.story[-1][0] == what:
            self.story[-1][1] += 1
        else:
            self.story.append([what, 1])
        self.is_shown()

    def is_shown(self):
        """Let the report be of this service, and of what was last sent to it."""
        steps = [one if times == 1 else f"{one} × {times}" for one, times in self.story[-STEPS:]]
        trail = self.trail
        trail.via, trail.service, trail.connection, trail.response = "direct", self.name, None, None
        trail.sent = "\n".join(steps)

    def open(self, target="/", seconds=6.0, method="GET", fields=(), body=b""):
        """A connection with a request on its way; `.response()` waits for the answer."""
        self.note(f"{method} {target}")
        wire = Wire(self.address.host, self.address.port, seconds)
        wire.send(request_bytes(method, target, [*fields, ("Connection", "close")]) + body)
        return wire

    def hold(self, seconds=10.0):
        """A request that a worker has, and that is not over before `release` sends the rest of its body."""
        wire = self.open("/wait", seconds, "POST", [("Content-Length", "1")])
        self.ask()  # connections are accepted in turn: when this one is answered, the other is with a worker
        return wire

    def loses_none_at_ttou(self):
        """Both of two workers have a request, and TTOU says that one has to go: both are answered."""
        length = [("Content-Length", "1")]
        with self.hold() as first, self.open("/wait", 10.0, "POST", length) as second:
            self.rests()  # the other worker has the second one
            self.signal(signal.SIGTTOU)
            self.rests()
            self.note("the rest of both POST /wait")
            try:
                released(first)
                released(second)
            except WireError as error:
                expected = "a response to both: the worker that has to go exits after its current request"
                fail(f"two workers have a request each, and then TTOU: {error.got}", expected)
        left = settle(self.living, lambda pids: len(pids) == 1)
        that(len(left) == 1, f"after TTOU and two responses there are {len(left)} workers", "1")
        self.signal(signal.SIGTTIN)
        settle(self.living, lambda pids: len(pids) == 2)

    def send(self, case):
        """The answer to a request from a file."""
        self.note(SHOWN.format(case.name))
        with Wire(self.address.host, self.address.port, 6.0) as wire:
            wire.send(case.data)
            return wire.response()

    def ask(self, target="/", seconds=6.0, method="GET"):
        """Who answered, as {"pid", "parent", "edition"}."""
        return self.at_once(1, target, seconds, method)[0]

    def take_back(self, target, method="GET"):
        """Undo what a check did. It is no part of the report, and may fail where the check has failed."""
        with suppress(WireError), Wire(self.address.host, self.address.port, 2.0) as wire:
            wire.send(request_bytes(method, target, [("Connection", "close")]))
            wire.response()

    def at_once(self, count, target="/slow?seconds=0.02", seconds=6.0, method="GET"):
        """So many requests at the same time; what was said to each."""
        try:
            with ExitStack() as links:
                wires = [links.enter_context(self.open(target, seconds, method)) for _ in range(count)]
                return [said(wire) for wire in wires]
        except WireError as error:
            if settle(self.exit_code, lambda code: code is not None, 0.5) is None:
                raise
            fail(f"{error.got}: the arbiter is gone", "an arbiter that stays, and workers that respond")

    def who_answers(self, wanted=None):
        """The pids that answer, when many ask at the same time; asked until `wanted` holds for them."""
        return settle(lambda: {one["pid"] for one in self.at_once(3 * self.workers)}, wanted)

    def after_hup(self, before, seconds=6.0, may_lose=False):
        """What many say at the same time, as soon as none of the workers from `before` is among them.

        With `may_lose` they ask again after a request that was lost: that is for another check to say.
        """

        def ask():
            try:
                return self.at_once(3 * self.workers, seconds=seconds)
            except NoAnswer:
                if not may_lose:
                    raise
                return []

        heard = settle(ask, lambda all: all and not before & {one["pid"] for one in all})
        return heard or self.at_once(3 * self.workers, seconds=seconds)

    def have_answered(self, known=()):
        """The pids that answer, once there are as many as workers and none of them is `known`."""
        return self.who_answers(lambda pids: len(pids) == self.workers and not pids & set(known))

    def has_ended(self, number, seconds=SETTLE):
        """The arbiter has ended, as it was told to, and nobody is left."""
        where = f"your arbiter, after {number.name}"
        code = settle(self.exit_code, lambda code: code is not None, seconds)
        if code is None:
            workers = self.living()
            got = f"{seconds:g} s after {number.name} the arbiter is still there, "
            got += f"with workers: {count(workers)}" if workers else "and no worker"
            fail(got, "an arbiter that exits", where=where, waits=self.name)
        left = settle(self.living, lambda pids: not pids, 1.0)
        that(
            not left,
            f"it exited, and left worker(s) running: {count(left)}",
            "no process left behind",
            where=where,
        )
        legal = (0, -number, 128 + number)
        that(code in legal, f"exit code {code}", f"0: an exit at {number.name} isn't a failure", where=where)


def start(means: Means, name: str):
    """The agent's reply, once the service listens. Raises StartTrouble."""
    reply = means.stack.ask("start", service=name)
    means.trail.service = name
    if reply["state"] != "ready":
        raise StartTrouble(reply)
    means.trail.marks.setdefault(name, reply["mark"])
    return reply


def outcome_of_broken(means: Means):
    """What became of an arbiter whose workers cannot boot: state, code, output and processes left."""

    def outcome():
        stack, trail = means.stack, means.trail
        try:
            with _starts:
                start(means, "broken")
        except StartTrouble as trouble:  # it ended before anybody saw it listen: that will do
            if trouble.reply["state"] != "exited" or "NotImplementedError" in trouble.reply["output"]:
                raise
            return {**trouble.reply, "left": trouble.reply["left_behind"]}
        look = lambda: stack.ask("status", service="broken")  # noqa: E731
        settle(look, lambda reply: reply["state"] == "exited")
        reply = settle(look, lambda reply: "nobody" in reply["output"], 0.5)
        pids = stack.ask("pids", service="broken")
        trail.via = "direct"
        return {**reply, "left": len(set(pids["pids"][1:]) - set(pids["zombies"]))}

    return outcome


def was_to_end(trail):
    """That the service has ended is what was asked of it: the report need not say so."""
    trail.marks.clear()
    trail.service = ""


def said(wire):
    """What the application says: who it is. Then the client leaves: a worker may wait for that."""
    with wire:
        response = wire.response()
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}")
    answer = response.json()
    if not isinstance(answer, dict) or not {"pid", "parent", "edition"} <= answer.keys():
        fail(f"the body {response.text[:200]!r}", "the application's own response")
    return answer


def released(wire):
    """What the application says to a request that was held."""
    wire.send(b"A")
    return said(wire)


def ended(wire, seconds):
    """Whether the other end of a connection is gone within that time, with a last word or without."""
    wire.deadline = time.monotonic() + seconds
    try:
        wire.read_all()
    except Deadline:
        return False
    except NoAnswer:  # a reset
        pass
    return True


def settle(look, holds=None, seconds=SETTLE):
    """What `look` sees, as soon as `holds` is true of it, or the time is over."""
    began = time.monotonic()
    while True:
        seen, waited = look(), time.monotonic() - began
        if holds is None or holds(seen) or waited > seconds:
            return seen
        time.sleep(min(PAUSE, 0.01 + waited / 8))  # each look goes through the process table


def count(pids):
    return f"{len(pids)} ({', '.join(str(pid) for pid in sorted(pids)) or 'none'})"
