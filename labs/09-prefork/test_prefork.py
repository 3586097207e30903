"""Checks of a pre-fork server: which processes there are, who answers, and who is gone.

Every service serves apps/which_process_wsgi.py, whose answers say which process gave them. What is checked is
seen from outside: answers, process ids, exit codes. How an arbiter does it is its own affair.
"""

from __future__ import annotations

import signal
import time
from contextlib import ExitStack, suppress

import pytest

from workshop.judge.checks import (
    Deadline,
    NoAnswer,
    Wire,
    WireError,
    check,
    expect,
    fail,
    name,
    object_of,
    request_bytes,
    that,
    wire_cases,
)
from workshop.judge.start_failure import StartTrouble

FORK = "accept(2) and fork(2): a child has its parent's listening socket"
WAIT = "wait(2): a child that ended is a zombie until its parent waits for it"
ALIVE = "gunicorn's documents, “Signal Handling”"
TIMEOUT = "gunicorn's --timeout: workers silent for more than this many seconds are killed"
SETTLE = 5.0
PAUSE = 0.02
STEPS = 5


# --- a server with several processes -------------------------------------------------------------------


class House:
    """One service: its arbiter, and what can be seen of its workers.

    Unlike a Client it does not start the service again in the middle of a check when the arbiter has ended.
    """

    def __init__(self, client, stack, trail, workers):
        self.address, self.name, self.workers = client.address, client.service, workers
        self.stack, self.trail, self.story = stack, trail, []
        self.arbiter = self.pids()[0]

    def pids(self):
        return self.stack.ask("pids", service=self.name)["pids"]

    def children(self):
        """Every process but the arbiter, those that ended and were not waited for among them."""
        return self.pids()[1:]

    def living(self):
        """Every process but the arbiter that has not ended."""
        reply = self.stack.ask("pids", service=self.name)
        return [pid for pid in reply["pids"][1:] if pid not in reply["zombies"]]

    def exit_code(self):
        return self.stack.ask("status", service=self.name)["code"]

    def signal(self, number, pid=None):
        self.note(f"{number.name} to {f'worker {pid}' if pid else 'the arbiter'}")
        self.stack.ask("signal", service=self.name, number=int(number), pid=pid)

    def note(self, what):
        """Keep for the report what was sent: the last steps, equal ones counted."""
        if self.story and self.story[-1][0] == what:
            self.story[-1][1] += 1
        else:
            self.story.append([what, 1])
        steps = [one if times == 1 else f"{one} × {times}" for one, times in self.story[-STEPS:]]
        trail = self.trail
        trail.via, trail.service, trail.connection, trail.response = "direct", self.name, None, None
        trail.sent = "\n".join(steps)

    def open(self, target="/", seconds=6.0, method="GET"):
        """A connection with a request on its way; `.response()` waits for the answer."""
        self.note(f"{method} {target}")
        wire = Wire(self.address.host, self.address.port, seconds)
        wire.send(request_bytes(method, target, [("Connection", "close")]))
        return wire

    def send(self, case):
        """The answer to a request from a file."""
        self.note(f"requests/{case.name}.http")
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
            fail(f"{error.got}: the arbiter is gone", "an arbiter that stays, and workers that answer")

    def who_answers(self, wanted=None):
        """The pids that answer, when many ask at the same time; asked until `wanted` holds for them."""
        return settle(lambda: {one["pid"] for one in self.at_once(3 * self.workers)}, wanted)

    def after_hup(self, before):
        """What many say at the same time, as soon as none of the workers from `before` is among them."""
        return settle(
            lambda: self.at_once(3 * self.workers), lambda all: not before & {one["pid"] for one in all}
        )

    def have_answered(self, known=()):
        """The pids that answer, once there are as many as workers and none of them is `known`."""
        return self.who_answers(lambda pids: len(pids) == self.workers and not pids & set(known))


def said(wire):
    """What the application says: who it is. Then the client leaves: a worker may wait for that."""
    with wire:
        response = wire.response()
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}")
    answer = response.json()
    if not isinstance(answer, dict) or not {"pid", "parent", "edition"} <= answer.keys():
        fail(f"the body {response.text[:200]!r}", "the application's own answer")
    return answer


def settle(look, holds=None, seconds=SETTLE):
    """What `look` sees, as soon as `holds` is true of it, or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds is None or holds(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(PAUSE)


@pytest.fixture
def house(service, stack, trail):
    """house("main", 2): the service with its workers up, whatever an earlier check did to it."""

    def enter(name, workers):
        found = House(service(name), stack, trail, workers)
        if len(found.living()) == workers:
            return found
        if len(settle(found.living, lambda pids: len(pids) == workers, 1.0)) != workers:
            # An earlier check failed half way, or the number is wrong from the start: begin anew.
            found.signal(signal.SIGKILL)
            settle(found.exit_code, lambda code: code is not None)
            found = House(service(name), stack, trail, workers)
        return found

    return enter


def count(pids):
    return f"{len(pids)} ({', '.join(str(pid) for pid in sorted(pids)) or 'none'})"


def is_there(house, why):
    """The arbiter is the process that it was."""
    that(house.exit_code() is None, "the arbiter is gone", f"an arbiter that stays: {why}")


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=FORK)
def test_task1_every_worker_answers_on_one_port(house, rng):
    """Every worker answers, and the arbiter is their parent"""
    name, workers = rng.choice([("main", 2), ("three", 3)])
    here = house(name, workers)
    pids = here.have_answered()
    expected = f"{workers} workers that answer: the command says --workers {workers}"
    that(len(pids) == workers, f"answers from {count(pids)}", expected)
    that(here.arbiter not in pids, "an answer from the arbiter itself", "an arbiter that serves nobody")
    parents = {one["parent"] for one in here.at_once(2 * workers)}
    that(
        parents == {here.arbiter},
        f"workers whose parent is {count(parents)}",
        f"workers forked by the arbiter, {here.arbiter}",
    )
    living = settle(here.living, lambda pids: len(pids) == workers, 2.0)
    that(
        len(living) == workers, f"{len(living)} processes below the arbiter", f"{workers}, as many as workers"
    )


@check(task=1, rule="listen(2): connections wait in one queue until somebody accepts them")
def test_task1_more_clients_than_workers_wait_their_turn(house, rng):
    """More clients than workers wait their turn, and no worker dies of it"""
    here = house("three", 3)
    before = here.have_answered()
    clients = rng.randrange(16, 24)
    answers = here.at_once(clients, "/slow?seconds=0.01")
    expect("answers", len(answers), clients)
    for _ in range(20):  # connections that come one by one: every idle worker wakes up, one gets it
        here.ask()
    here.ask("/slow?seconds=0.6")  # meanwhile the others look, and find nothing to accept
    with here.open("/", 3.0) as leaver:
        leaver.reset()
    for case in wire_cases(__file__):
        response = here.send(case)
        expect("status", str(response.status), case.notes.get("status", "200"))
    after = here.have_answered()
    that(
        after == before,
        f"workers before: {count(before)}; after a crowd, and a client who left: {count(after)}",
        "the same processes: to find nothing to accept, or a client gone, is no reason to end",
    )


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule=WAIT)
def test_task2_dead_worker_is_replaced(house, rng):
    """A worker that dies is reaped and replaced, whatever it died of"""
    here = house("main", 2)
    for number in rng.sample([signal.SIGKILL, signal.SIGTERM, signal.SIGALRM], 2):
        before = here.have_answered()
        that(len(before) == 2, f"answers from {count(before)} process(es)", "2 workers to begin with")
        victim = rng.choice(sorted(before))
        here.signal(number, victim)
        after = here.who_answers(lambda pids, victim=victim: len(pids) == 2 and victim not in pids)
        is_there(here, f"only worker {victim} was sent {number.name}")
        that(
            len(after) == 2 and victim not in after,
            f"worker {victim} got {number.name}; {SETTLE:g} s later these answer: {count(after)}",
            "two workers, one of them new",
        )
        that(len(after & before) == 1, "the other worker was replaced as well", "a worker that stays")
        children = settle(here.children, lambda pids, victim=victim: victim not in pids, 2.0)
        that(victim not in children, f"worker {victim} is a zombie", "a child that was waited for")


@check(task=2, rule="signal(7): a signal that is pending already is not queued a second time")
def test_task2_all_workers_at_once_are_replaced(house):
    """Workers that die in the same moment are all replaced"""
    here = house("three", 3)
    before = here.have_answered()
    here.signal(signal.SIGSTOP)  # so that it hears of all of them by one SIGCHLD
    for pid in before:
        here.signal(signal.SIGKILL, pid)
    settle(here.living, lambda pids: not before & set(pids))
    here.signal(signal.SIGCONT)
    after = here.have_answered(before)
    is_there(here, "only its workers were killed")
    that(
        len(after) == 3 and not after & before,
        f"3 workers were killed at once; {SETTLE:g} s later these answer: {count(after)}",
        "3 new ones: one SIGCHLD may stand for several ends",
    )
    children = settle(here.children, lambda pids: not before & set(pids), 2.0)
    left = before & set(children)
    that(not left, f"{count(left)} of the killed workers are zombies", "children that were waited for")


@check(task=2, rule="RFC 9110 §9.2.2: only an idempotent request may be repeated without asking")
def test_task2_nginx_asks_again_where_it_may(front, house, rng):
    """A worker dies in the middle of a GET: nginx asks again, and another answers"""
    here = house("main", 2)
    mark = name(rng).replace(" ", "-")
    here.have_answered()
    try:
        response = front.get(f"/once?mark=get-{mark}")
        expect("status", response.status, 200, "the worker that had the request is dead; the other one lives")
        parent = object_of(response).get("parent")
        that(parent == here.arbiter, f"an answer from below {parent}", f"a worker of {here.arbiter}")
        response = front.request("POST", f"/once?mark=post-{mark}")
    finally:
        here.take_back(f"/once?forget=1&mark=get-{mark}")
        here.take_back(f"/once?forget=1&mark=post-{mark}")
    where = "nginx: it repeats what may be repeated, and the worker that had this one is dead"
    expect("status", response.status, 502, "a POST may have done something: not repeated", where=where)
    after = here.have_answered()
    that(len(after) == 2, f"two workers died; these answer: {count(after)}", "two workers again")


@check(task=2, rule="gunicorn's WORKER_BOOT_ERROR: workers that cannot boot halt the arbiter")
def test_task2_worker_that_cannot_boot_ends_it(service, stack, trail):
    """When workers cannot boot, the arbiter gives up and says why"""
    reply = outcome_of_broken(service, stack)
    trail.via, trail.service = "direct", "broken"
    if reply["state"] != "exited":
        tried = reply["output"].count("AttributeError")
        fail(
            f"{SETTLE:g} s after its start the arbiter still tries: `nobody` was missed {tried} times",
            "an arbiter that gives up: the next worker would fail like the last",
        )
    that("NotImplementedError" not in reply["output"], "a hole that is not filled yet", "an arbiter")
    trail.marks.clear()
    trail.service = ""  # that it ended is what was asked of it
    where = "your program: `which_process_wsgi` has no `nobody`, so no worker can serve"
    expected = "an exit code of 1 or more (gunicorn's is 3)"
    that(reply["code"] > 0, f"exit code {reply['code']}", expected, where=where)
    said = f"it ended and said {reply['output'].strip()[-300:]!r}"
    that("nobody" in reply["output"], said, "output that names what is missing", where=where)
    that(not reply["left"], f"{reply['left']} process(es) left behind", "nobody left behind", where=where)


def outcome_of_broken(service, stack):
    """What became of an arbiter whose workers cannot boot: state, code, output and processes left."""
    try:
        service("broken")
    except StartTrouble as trouble:  # it ended before anybody saw it listen: that will do
        if trouble.reply["state"] != "exited" or "NotImplementedError" in trouble.reply["output"]:
            raise
        return {**trouble.reply, "left": trouble.reply["left_behind"]}
    look = lambda: stack.ask("status", service="broken")  # noqa: E731
    settle(look, lambda reply: reply["state"] == "exited")
    reply = settle(look, lambda reply: "nobody" in reply["output"], 0.5)
    pids = stack.ask("pids", service="broken")
    return {**reply, "left": len(set(pids["pids"][1:]) - set(pids["zombies"]))}


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=ALIVE)
def test_task3_ttin_and_ttou_change_the_number(house, rng):
    """TTIN is one worker more, TTOU one less, and never none"""
    here = house("main", 2)
    more = rng.randrange(1, 3)
    for number in range(1, more + 1):
        # One at a time: a signal that is still pending swallows the next one of its kind (signal(7)).
        here.signal(signal.SIGTTIN)
        settle(here.living, lambda pids, number=number: len(pids) == 2 + number)
    pids = here.who_answers(lambda pids: len(pids) == 2 + more)
    is_there(here, "TTIN is a wish for one worker more")
    that(len(pids) == 2 + more, f"after TTIN × {more} these answer: {count(pids)}", f"{2 + more} workers")
    for number in range(1 + more, 0, -1):
        here.signal(signal.SIGTTOU)
        left = settle(here.living, lambda pids, number=number: len(pids) == number)
        is_there(here, "TTOU is a wish for one worker less")
        that(len(left) == number, f"after another TTOU there are {len(left)} workers", f"{number}")
    here.signal(signal.SIGTTOU)
    last = settle(here.living, lambda pids: not pids, 0.4)
    that(last, "after TTOU with one worker nobody is left", "one worker: the last one stays")
    here.signal(signal.SIGTTIN)
    pids = here.who_answers(lambda pids: len(pids) == 2)
    that(
        len(pids) == 2, f"TTOU with one worker, then TTIN: {count(pids)}", "2 workers: 1 stayed 1, and 1 more"
    )


@check(task=3, rule=ALIVE)
def test_task3_hup_brings_new_code(house, rng):
    """HUP: new workers with new code, the old ones gone, the arbiter the same"""
    here = house("main", 2)
    before = here.have_answered()
    edition = name(rng).replace(" ", "-")
    here.ask(f"/edition?text={edition}", method="POST")
    try:
        that(here.ask()["edition"] != edition, "the new code already", "the old code until HUP")
        here.signal(signal.SIGHUP)
        heard = here.after_hup(before)
        pids, editions = {one["pid"] for one in heard}, {one["edition"] for one in heard}
        that(
            not pids & before,
            f"{SETTLE:g} s after HUP old workers still answer: {count(pids & before)}",
            "new workers in their place",
        )
        that(
            editions == {edition},
            f"the new workers say edition {' and '.join(sorted(map(repr, editions)))}",
            f"{edition!r}, the code as it is now: each worker imports it itself, after the fork",
        )
        left = settle(here.living, lambda pids: len(pids) == 2 and not before & set(pids))
        that(not before & set(left), f"old workers are still there: {count(before & set(left))}", "they end")
        that(len(left) == 2, f"{len(left)} workers after HUP", "2, as before")
    finally:
        here.take_back("/edition?text=", "POST")


@check(task=3, rule=ALIVE)
def test_task3_hup_loses_no_request(house, rng):
    """HUP loses no request: neither one in flight nor one that comes meanwhile"""
    here = house("main", 2)
    before = here.have_answered()
    with ExitStack() as links:
        slow = links.enter_context(here.open("/slow?seconds=0.5"))
        here.ask()  # connections are accepted in turn: when this is answered, the slow one is with a worker
        queued = ["/slow?seconds=0.2", *["/"] * rng.randrange(3, 7)]
        waiting = [links.enter_context(here.open(target)) for target in queued]
        here.signal(signal.SIGHUP)
        try:
            answers = [said(wire) for wire in waiting] + here.at_once(8)
            heard = here.after_hup(before)
            last = said(slow)["pid"]
        except WireError as error:
            is_there(here, "HUP is for its workers")
            fail(f"a request in flight at HUP, or just after it: {error.got}", "an answer to every request")
    that(last in before, f"worker {last} answered what an older one had accepted", "the old worker's answer")
    expect("answers", len(answers), len(queued) + 8)
    old = before & {one["pid"] for one in heard}
    that(not old, f"{SETTLE:g} s after HUP old workers still answer: {count(old)}", "new workers")


@check(task=3, rule=ALIVE)
def test_task3_int_ends_everything_at_once(house, rng):
    """INT and QUIT end arbiter and workers, and wait for nobody"""
    here = house("three", 3)
    here.have_answered()
    number = rng.choice([signal.SIGINT, signal.SIGQUIT])
    with here.open("/slow?seconds=30", 10.0) as slow:
        here.ask()
        here.signal(number)
        has_ended(here, number, 4.0)
        that(
            ended(slow, 1.0), "the request in flight is still open", "a connection that ends with its worker"
        )


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule=TIMEOUT)
def test_task4_worker_that_hangs_is_replaced(house):
    """A worker that hangs is replaced, even if it hears no signal; idle ones are left alone"""
    here = house("brisk", 3)
    before = here.have_answered()
    with here.open("/hang", 10.0) as hung:
        here.ask()
        that(
            ended(hung, SETTLE),
            f"{SETTLE:g} s later (--timeout 1) the worker still hangs, and so does its client",
            "a worker killed after a second without a heartbeat: with a signal that can't be held off",
        )
    after = here.who_answers(lambda pids: len(pids) == 3 and pids != before)
    is_there(here, "one of its workers hung")
    stayed(before, after, "one worker of three hung, the others had nothing to do")


@check(task=4, rule=TIMEOUT)
def test_task4_frozen_worker_is_replaced_and_busy_ones_are_not(house, rng):
    """A frozen worker is replaced; those that work for less than the time-out stay"""
    here = house("brisk", 3)
    before = here.have_answered()
    victim = rng.choice(sorted(before))
    here.signal(signal.SIGSTOP, victim)
    served = []

    def look():
        served.append(here.ask("/slow?seconds=0.2")["pid"])
        return here.children()

    children = settle(look, lambda pids: victim not in pids)
    if victim in children:
        here.signal(signal.SIGCONT, victim)
        fail(
            f"worker {victim} was stopped (SIGSTOP) {SETTLE:g} s ago (--timeout 1) and is still there",
            "a new worker in its place: one that can't run can't beat, and hears nothing but SIGKILL",
        )
    after = here.who_answers(lambda pids: len(pids) == 3)
    is_there(here, "one of its workers was stopped")
    stayed(before, after, f"one worker of three was stopped, the others served {len(served)} requests")


def stayed(before, after, what):
    """All but one of the workers are the same."""
    expected = "three workers, two of them those from before: an idle worker's heart beats, too"
    got = f"{what}; before: {count(before)}; after: {count(after)}"
    that(len(after) == 3 and len(after & before) == 2, got, expected)


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule=ALIVE)
def test_task5_term_lets_requests_finish(house, rng):
    """TERM: the requests in flight are answered, and then everybody is gone"""
    here = house("main", 2)
    before = here.have_answered()
    with here.open(f"/slow?seconds={rng.choice([0.3, 0.4, 0.5])}") as slow:
        here.ask()
        here.signal(signal.SIGTERM)
        try:
            pid = said(slow)["pid"]
        except WireError as error:
            fail(f"the request in flight at TERM: {error.got}", "its answer, and the end after it")
    that(pid in before, f"an answer from {pid}, who was not there", "the worker's that had the request")
    has_ended(here, signal.SIGTERM, SETTLE)


@check(task=5, rule="gunicorn's --graceful-timeout")
def test_task5_term_waits_no_longer_than_its_limit(house):
    """TERM: who is not through at the end of the limit is killed"""
    here = house("brisk", 3)
    here.have_answered()
    with here.open("/hang", 10.0) as deaf, here.open("/slow?seconds=30", 10.0) as slow:
        here.ask()
        here.signal(signal.SIGTERM)
        has_ended(here, signal.SIGTERM, SETTLE)
        that(ended(deaf, 1.0) and ended(slow, 1.0), "a request is still open", "connections that end")


@check(task=5, rule="getppid(2): a process whose parent is gone has another parent")
def test_task5_workers_notice_that_the_arbiter_is_gone(house):
    """Workers end by themselves when the arbiter is killed"""
    here = house("brisk", 3)
    workers = here.have_answered()
    here.signal(signal.SIGKILL)
    left = settle(here.living, lambda pids: not pids)
    that(
        not left,
        f"{SETTLE:g} s after the arbiter got SIGKILL, of {len(workers)} workers these run: {count(left)}",
        "workers that look whether their parent is there: nobody else will end them",
        where="your workers: a killed arbiter can tell them nothing",
    )


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


def has_ended(house, number, seconds):
    """The arbiter has ended, as it was told to, and nobody is left."""
    where = f"your arbiter, after {number.name}"
    code = settle(house.exit_code, lambda code: code is not None, seconds)
    that(
        code is not None,
        f"{seconds:g} s later the arbiter is still there",
        "an arbiter that ends",
        where=where,
    )
    left = settle(house.living, lambda pids: not pids, 1.0)
    that(not left, f"it ended, and left worker(s) running: {count(left)}", "nobody left behind", where=where)
    legal = (0, -number, 128 + number)
    that(code in legal, f"exit code {code}", f"0: to end at {number.name} is no failure", where=where)
