"""A program that serves, seen from outside: who answers, which processes there are, and how they end."""

from __future__ import annotations

import re
import select
import signal
import threading
import time
from contextlib import ExitStack

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
from workshop.judge.http_client import Clock, Trail
from workshop.judge.probe_client import Probe
from workshop.judge.processor_time import ProcessorTime
from workshop.judge.stack import Address
from workshop.judge.start_failure import StartTrouble
from workshop.judge.wait_until_idle import POLL, Rest
from workshop.judge.websocket_client import Closed, WebSocket

SETTLE = 8.0
ANSWER = 3.0
PAUSE = 0.1  # at most, between two looks
FIRST_LOOK = 0.5
STEPS = 6
SHOWN = "requests/{}.http"
PIECES, SMALL = 1000, 4096

# Two services come up at a time: a busy machine has no room for more.
_starts = threading.Semaphore(2)
_asked: set[int] = set()


class Mains:
    """main("brief"): that service, up and answering, whatever an earlier check did to it."""

    def __init__(self, means: Means) -> None:
        self.means = means

    def __call__(self, name: str) -> Main:
        self.means.trail.used.add(name)
        with _starts:
            found = self._up(name)
        found.story.clear()
        return found

    def _up(self, name: str) -> Main:
        found = Main(self.means, name)
        if name in self.means.stack.dirty:  # a check failed half way: begin anew
            self.means.stack.dirty.discard(name)
            found.signal(signal.SIGKILL)
            settle(found.exit_code, lambda code: code is not None)
            found = Main(self.means, name)
        found.first_answer = found.ask()
        return found


class Main:
    """One service: its first process, and what can be seen of it. What has ended is not started again."""

    def __init__(self, means: Means, name: str) -> None:
        self.stack, self.trail, self.name = means.stack, means.trail, name
        self.story: list[list] = []
        self.first_answer: dict = {}
        reply = start(means, name)
        self.address = Address(self.stack.service_host, reply["port"])
        self.first = reply["pid"]
        self.spent = ProcessorTime(self.stack, name, self.first)
        # What a process wrote before any check asked it belongs to the one that asks first.
        self.mark = self.trail.marks[name] = reply["mark"] if reply["pid"] in _asked else 0
        _asked.add(reply["pid"])

    # what can be seen

    def pids(self):
        return self.stack.ask("pids", service=self.name)["pids"]

    def zombies(self):
        return self.stack.ask("pids", service=self.name)["zombies"]

    def living(self):
        """Every process that has not ended."""
        reply = self.stack.ask("pids", service=self.name)
        left = [pid for pid in reply["pids"] if pid not in reply["zombies"]]
        return left if self.exit_code() is None else [pid for pid in left if pid != self.first]

    def exit_code(self):
        return self.stack.ask("status", service=self.name)["code"]

    def output(self):
        """What it has written since the check began."""
        return self.stack.ask("status", service=self.name, since=self.mark)["output"]

    def app_lines(self):
        """What the application has printed since then."""
        return "\n".join(line for line in self.output().splitlines() if line.startswith("app:"))

    def said(self, *words, seconds=SETTLE):
        """Whether its output comes to have all of these words."""
        text = settle(self.output, lambda text: all(one in text for one in words), seconds)
        return all(one in text for one in words)

    def rests(self):
        """Wait until all of its processes wait for something: what has not happened by then will not."""
        Rest(self.stack, self.name).comes(2.0)

    def comes_to_accept_nobody(self):
        """Wait for that. Who came in as it was told may hear nothing for a while: the next one is refused."""
        return settle(lambda: self.accepts_nobody(0.3), bool)

    def accepts_nobody(self, seconds=1.0):
        """Whether a new connection is refused, or closed without an answer."""
        try:
            with Wire(self.address.host, self.address.port, seconds) as wire:
                wire.send(request_bytes("GET", "/", [("Connection", "close")]))
                return wire.read() == b""
        except NoAnswer:
            return True
        except Deadline:
            return False

    def takes_no_more(self):
        """Wait until a new request stays in the queue: the child that serves has been told to end."""
        settle(self._leaves_it_in_the_queue, bool)

    def _leaves_it_in_the_queue(self):
        """Nothing comes back though all of its processes wait for something, or in a second."""
        try:
            with Wire(self.address.host, self.address.port, 1.0) as wire:
                wire.send(request_bytes("GET", "/", [("Connection", "close")]))
                rest = Rest(self.stack, self.name)
                while not select.select([wire.socket], [], [], POLL)[0]:
                    if rest.is_long() or time.monotonic() > wire.deadline:
                        return True
                wire.response()
        except WireError:
            return True
        return False

    # what can be done

    def signal(self, number, pid=None):
        self.note(f"{number.name} to {f'worker {pid}' if pid else f'process {self.first}'}")
        self.stack.ask("signal", service=self.name, number=int(number), pid=pid)

    def note(self, what):
        """Keep for the report what was done: the last steps, equal ones counted."""
        if self.story and self.story[-1][0] == what:
            self.story[-1][1] += 1
        else:
            self.story.append([what, 1])
        steps = [one if times == 1 else f"{one} × {times}" for one, times in self.story[-STEPS:]]
        trail = self.trail
        trail.via, trail.service, trail.connection, trail.response = "direct", self.name, None, None
        trail.sent = "\n".join(steps)

    def open(self, target="/", seconds=10.0, fields=(("Connection", "close"),), method="GET"):
        """A connection with a request on its way; `.response()` waits for the answer."""
        self.note(f"{method} {target}")
        wire = Wire(self.address.host, self.address.port, seconds)
        wire.send(request_bytes(method, target, fields))
        return wire

    def hold(self, seconds=10.0, connection="close"):
        """A request that is in flight until `released` sends the rest of its body."""
        return self.open("/wait", seconds, [("Content-Length", "1"), ("Connection", connection)], "POST")

    def unread(self, links):
        """A connection whose answer was sent to the last event, and has not left the server as a whole.

        How much the system keeps for a client that does not read, another one tells before it leaves.
        """
        with self._pieces(PIECES) as full:
            self.ask("/slow?seconds=0.6")  # then the application waits in `send`
            found = re.findall(r"app: waits at piece (\d+)", self.output())
            full.reset()
        count = max(int(found[-1]) - 2, 1) if found else 1
        wire = links.enter_context(self._pieces(count))
        self.said(f"app: sent {count} pieces", seconds=1.0)
        return wire

    def _pieces(self, count):
        self.note("GET /pieces, and its answer is not read")
        wire = Wire(self.address.host, self.address.port, 14.0, SMALL)
        wire.send(request_bytes("GET", f"/pieces?count={count}", [("Connection", "close")]))
        return wire

    def rest_of(self, wire):
        """What the server still had of such an answer."""
        self.note("the answer to GET /pieces is read")
        try:
            wire.response()
        except WireError:
            got = (
                "an answer cut short: its application had returned, and some of it was still with the server"
            )
            fail(got, "all of the answer: `drain` waits until each connection has taken its last byte")

    def begin(self, seconds=10.0):
        """A connection on which half of a request's head was sent."""
        self.note("half of a request's head")
        wire = Wire(self.address.host, self.address.port, seconds)
        wire.send(b"GET / HTTP/1.1\r\nHost: local")
        return wire

    def refused(self):
        """A client that was told 400 (or nothing), and neither reads on nor leaves."""
        self.note("a request line without a version, and then nothing")
        wire = Wire(self.address.host, self.address.port, 14.0)
        wire.send(b"GET\r\n\r\n")
        return wire

    def stay(self, seconds=10.0):
        """A WebSocket that stays open."""
        self.note("WebSocket /stay")
        wire = Wire(self.address.host, self.address.port, seconds)
        opened = WebSocket(wire, "/stay", f"localhost:{self.address.port}")
        if opened.refused is not None:
            got = f"status {opened.refused.status} to the handshake of a WebSocket"
            fail(got, "101: `upgrade` is lab 14's, and the server calls it")
        return opened

    def send(self, case):
        """The answer to a request from a file."""
        self.note(SHOWN.format(case.name))
        with Wire(self.address.host, self.address.port, 6.0) as wire:
            wire.send(case.data)
            return wire.response()

    def ask(self, target="/", seconds=6.0):
        """Who answered, as {"pid", "parent", "edition", "started"}."""
        return said(self.open(target, seconds))

    def again(self, wire=None):
        """Who answered, asked a second time if need be.

        RFC 9112 §9.3.1: servers may close a connection that is idle to it while a request is on its way;
        clients then repeat what is idempotent. To be refused is something else: nobody has the socket.
        """
        try:
            return said(wire or self.open("/"))
        except NoAnswer as error:
            if error.got.startswith("no connection"):
                raise
            return said(self.open("/"))

    def released(self, wire, when, expected="its answer, and the end after it"):
        """The answer to a request that was held, and what it says."""
        self.note("the rest of POST /wait")
        # What the check waited for before may have taken most of this connection's time.
        wire.deadline = max(wire.deadline, time.monotonic() + ANSWER)
        try:
            wire.send(b"A")
        except WireError as error:
            fail(f"a request {when}: {error.got}", expected)
        return kept(wire, when, expected).json()

    def outlasts(self, where):
        """The first process is still there when nothing happens any more, with requests in flight."""
        self.rests()
        code = self.exit_code()
        expected = "a parent that ends after its children: it waits for each of them"
        got = f"it ended (exit code {code}), and a request is in flight"
        if code is not None and [pid for pid in self.living() if pid != self.first]:
            was_to_end(self.trail)
            fail(got, expected, rule="wait(2): only a parent learns that its child has ended", where=where)

    def block_all(self, workers):
        """The pids that answer when as many requests as workers block one process each."""
        with ExitStack() as links:
            wires = []
            for _ in range(workers):
                wires.append(links.enter_context(self.open("/block?seconds=0.25")))
                time.sleep(0.04)  # the process that has it is busy now: another one takes the next
            return {said(wire)["pid"] for wire in wires}

    def who_answers(self, workers, gone=None):
        """The pids that answer, but for one that is gone; asked until they are as many as workers."""
        heard = set()

        def ask():
            heard.update(self.block_all(workers))
            return heard - {gone}

        return settle(ask, lambda pids: len(pids) >= workers)

    def stays(self, seconds=0.0):
        """The parent is the process that it was, and still is after so many seconds."""
        code = settle(self.exit_code, lambda code: code is not None, seconds)
        got = f"the process that was started is gone (exit code {code})"
        that(code is None, got, "a parent that stays: it has the socket")

    def parent_waits(self):
        """The first process has used next to no processor time since the check began: it serves nobody."""
        self.spent.expect_idle("your parent")

    def has_ended(self, number, when="", seconds=SETTLE, rule=""):
        """It has ended, as it was told to, and nobody is left."""
        where = f"your program, after {number.name}{f', {when}' if when else ''}"
        code = settle(self.exit_code, lambda code: code is not None, seconds)
        expected = (
            f"a process that ends at {number.name}, also at one {when}" if when else "a process that ends"
        )
        if code is None:
            children = len(self.living()) - 1
            got = f"{seconds:g} s after {number.name} it is still there, {counted(children)}"
            fail(got, expected, where=where, rule=rule, waits=self.name)
        left = settle(self.living, lambda pids: not pids, 2.0)
        that(
            not left,
            f"it ended, and left {len(left)} process(es) running",
            "no process left behind",
            where=where,
        )
        legal = (0, -number, 128 + number)
        expected = f"0, or the signal's own ({-number} here): an exit at {number.name} is not a failure"
        that(code in legal, f"exit code {code}", expected, where=where)


class Desks:
    """desk("reload"): a service that watches its own folder, and where that folder is edited."""

    def __init__(self, means: Means) -> None:
        self.means = means

    def __call__(self, name: str) -> Desk:
        return Desk(Mains(self.means)(name), Probe(self.means.stack, Trail(), Clock(60.0)))


class Desk:
    """Where the files of such a service are edited."""

    def __init__(self, main: Main, probe: Probe) -> None:
        self.main, self.probe = main, probe
        main.note("Emacs has page.py open: .#page.py is a link to nothing")
        # uvicorn's parent has its first look 0.25 s after it has started a child: what was saved before is
        # nothing new to it.
        time.sleep(FIRST_LOOK)

    def save(self, name, text, by_rename=False):
        self.probe.call("server_in_own_folder:write", self.main.first, name, text, by_rename)
        self.main.note(f"{name} was saved: {text.strip()[:80]!r}")

    def edition(self, wanted, when="during the reload"):
        """What answers, as soon as it is of that edition."""
        try:
            return settle(self.main.again, lambda one: one["edition"] == wanted)
        except WireError as error:
            self.main.stays(1.0)
            fail(f"a request {when}: {error.got}", "an answer: it waits in the socket's queue")


def start(means: Means, name: str):
    """The agent's reply, once the service listens. Raises StartTrouble."""
    reply = means.stack.ask("start", service=name)
    means.trail.service = name
    if reply["state"] != "ready":
        raise StartTrouble(reply)
    means.trail.marks.setdefault(name, reply["mark"])
    return reply


class Outcomes:
    """outcome("failing"): what became of a service that can't start: state, code, output, processes left."""

    def __init__(self, means: Means) -> None:
        self.means = means

    def __call__(self, name: str):
        stack, trail = self.means.stack, self.means.trail
        trail.via = "direct"
        try:
            with _starts:
                start(self.means, name)
        except StartTrouble as trouble:  # it ended before anybody saw it listen
            if trouble.reply["state"] != "exited" or "NotImplementedError" in trouble.reply["output"]:
                raise
            return {**trouble.reply, "left": trouble.reply["left_behind"]}
        reply = settle(lambda: stack.ask("status", service=name), lambda reply: reply["state"] == "exited")
        was_to_end(trail)  # that it ended is what was asked of it

        def left():
            found = stack.ask("pids", service=name)
            return set(found["pids"][1:]) - set(found["zombies"])

        return {**reply, "left": len(settle(left, lambda pids: not pids, 1.0))}


def was_to_end(trail):
    """That the service has ended is what was asked of it: the report need not say so."""
    trail.marks.clear()
    trail.service = ""


def counted(children):
    """How many processes below it are still there, in words."""
    return f"and {children} of its children with it" if children > 0 else "and no child of its own"


def said(wire):
    """What which_process_asgi says: who it is."""
    with wire:
        response = wire.response()
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}")
    answer = response.json()
    if not isinstance(answer, dict) or not {"pid", "parent", "edition", "started"} <= answer.keys():
        fail(f"the body {response.text[:200]!r}", "the application's own answer")
    return answer


def kept(wire, when, expected="its answer, and the end after it"):
    """The answer to a request that was in flight at some moment, and the end of its connection after it."""
    try:
        with wire:
            response = wire.response()
            over = ended(wire, 2.0)
    except WireError as error:
        fail(f"a request {when}: {error.got}", expected)
    that(response.status == 200, f"a request {when}: status {response.status}", expected)
    that(over, f"a request {when}: its answer, and then the connection stays open", expected)
    return response


def closed_with(socket, seconds):
    """How the server closed a WebSocket within that time, and the code: None when it did not."""
    try:
        told = socket.receive(seconds)
    except WireError:
        return "it is still open", None
    return str(told), told.code if isinstance(told, Closed) else None


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


def settle(look, holds, seconds=SETTLE):
    """What `look` sees, as soon as `holds` is true of it, or the time is over."""
    began = time.monotonic()
    while True:
        seen, waited = look(), time.monotonic() - began
        if holds(seen) or waited > seconds:
            return seen
        time.sleep(min(PAUSE, 0.01 + waited / 8))  # each look goes through the process table
