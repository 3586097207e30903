"""Checks of a pre-fork server: which processes there are, who answers, and who is gone.

Every service serves apps/which_process_wsgi.py, whose answers say which process gave them. What is checked is
seen from outside: answers, process ids, exit codes. How an arbiter does it is its own affair.
"""

from __future__ import annotations

import signal
from contextlib import ExitStack

from prefork_processes import (
    SETTLE,
    Preforks,
    count,
    ended,
    no_start_meanwhile,
    outcome_of_broken,
    released,
    said,
    settle,
    was_to_end,
)

from workshop.judge.checks import (
    Deadline,
    WireError,
    check,
    expect,
    fail,
    name,
    object_of,
    that,
    wire_cases,
)
from workshop.judge.concurrent_checks import SideBySide
from workshop.judge.started_services import front

FORK = "accept(2) and fork(2): a child has its parent's listening socket"
NON_BLOCKING = "accept(2): on a non-blocking socket without a waiting connection it fails with EAGAIN"
WAIT = "wait(2): a child that has exited is a zombie until its parent waits for it"
PENDING = "signal(7): a signal that is pending already is not queued a second time"
BOOT = "gunicorn's WORKER_BOOT_ERROR: workers that cannot boot halt the arbiter"
ALIVE = "gunicorn's documentation, “Signal Handling”"
TIMEOUT = "gunicorn's --timeout: workers silent for more than this many seconds are killed"
GRACE = "gunicorn's --graceful-timeout: workers have that long to finish their requests"

IDLE_BEATS = (
    "three workers, two of them those from before: an idle worker beats, too, after each signals.wait"
    " (and it is never blocked in accept: is the listening socket non-blocking?)"
)

together = SideBySide(prefork=Preforks, front=front, outcome_of_broken=outcome_of_broken)


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=FORK)
@together.on("three")
def test_task1_every_worker_answers_on_one_port(prefork):
    """Every worker responds, and the arbiter is their parent"""
    for service, workers in (("main", 2), ("three", 3)):
        here = prefork(service, workers)
        pids = here.have_answered()
        expected = f"{workers} workers that respond: the command says --workers {workers}"
        that(len(pids) == workers, f"responses from {count(pids)}", expected)
        that(
            here.arbiter not in pids,
            "a response from the arbiter itself",
            "an arbiter that serves no request",
        )
        parents = {one["parent"] for one in here.at_once(2 * workers)}
        got = f"workers whose parent is {count(parents)}"
        that(parents == {here.arbiter}, got, f"workers forked by the arbiter, {here.arbiter}")
        living = settle(here.living, lambda pids, workers=workers: len(pids) == workers, 2.0)
        got = f"{len(living)} processes below the arbiter"
        that(len(living) == workers, got, f"{workers}, as many as workers")


@check(task=1, rule="listen(2): connections wait in one queue until a process accepts them")
@together.on("three")
def test_task1_more_clients_than_workers_wait_their_turn(prefork, rng):
    """More clients than workers wait their turn, and no worker dies of it"""
    quiet, here = prefork("main", 2), prefork("three", 3)
    idle, before = quiet.have_answered(), here.have_answered()
    with quiet.open("/slow?seconds=0.6") as slow:  # the other worker looks, and finds nothing to accept
        clients = rng.randrange(16, 24)
        answers = here.at_once(clients, "/slow?seconds=0.01")
        expect("answers", len(answers), clients)
        for _ in range(20):  # connections that come one by one: every idle worker wakes up, one gets it
            here.ask()
        with here.open("/", 3.0) as leaver:
            leaver.reset()
        for case in wire_cases(__file__):
            response = here.send(case)
            expect("status", str(response.status), case.notes.get("status", "200"))
        busy = said(slow)["pid"]
    after = here.have_answered()
    got = f"workers before: {count(before)}; after a crowd, and a client who left: {count(after)}"
    expected = "the same processes: a worker goes on when it finds nothing to accept, or a client gone"
    that(after == before, got, expected)
    got = f"workers before: {count(idle | {busy})}; with one of them busy for 0.6 s: {count(quiet.living())}"
    that({*quiet.living()} == idle | {busy}, got, expected)
    for pid in idle - {busy}:
        quiet.signal(signal.SIGTERM, pid)
        left = settle(quiet.living, lambda pids, pid=pid: pid not in pids)
        got = f"{SETTLE:g} s after SIGTERM to worker {pid}, which was idle for 0.6 s, it is still there"
        expected = (
            "a worker that hears it: none is blocked in accept(). Is the listening socket non-blocking?"
        )
        that(pid not in left, got, expected, rule=NON_BLOCKING)


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule=WAIT)
@together.on("killed")
def test_task2_dead_worker_is_replaced(prefork, rng):
    """A worker that dies is reaped and replaced, whatever it died of"""
    here = prefork("killed", 2)
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGALRM, signal.SIGHUP):
        before = here.have_answered()
        that(len(before) == 2, f"responses from {count(before)} process(es)", "2 workers to begin with")
        victim = rng.choice(sorted(before))
        here.signal(number, victim)
        after = here.who_answers(lambda pids, victim=victim: len(pids) == 2 and victim not in pids)
        here.is_there(f"only worker {victim} was sent {number.name}")
        that(
            len(after) == 2 and victim not in after,
            f"worker {victim} got {number.name}; {SETTLE:g} s later these respond: {count(after)}",
            f"two workers, one of them new: {number.name} kills a worker without the arbiter's handlers",
        )
        that(len(after & before) == 1, "the other worker was replaced as well", "a worker that stays")
        children = settle(here.children, lambda pids, victim=victim: victim not in pids, 2.0)
        that(victim not in children, f"worker {victim} is a zombie", "a child that was waited for")


@check(task=2, rule=PENDING)
@together.on("three")
def test_task2_all_workers_at_once_are_replaced(prefork):
    """Workers that die in the same moment are all replaced"""
    here = prefork("three", 3)
    before = here.have_answered()
    here.signal(signal.SIGSTOP)  # so that it hears of all of them by one SIGCHLD
    for pid in before:
        here.signal(signal.SIGKILL, pid)
    settle(here.living, lambda pids: not before & set(pids))
    here.signal(signal.SIGCONT)
    first = here.ask()["pid"]
    left = before & set(here.children())
    after = here.have_answered(before)
    here.is_there("only its workers were killed")
    that(
        len(after) == 3 and not after & before,
        f"3 workers were killed at once; {SETTLE:g} s later these respond: {count(after)}",
        "3 new ones: one SIGCHLD may stand for several deaths",
    )
    got = f"a new worker ({first}) serves already, and {count(left)} of the killed ones are still zombies"
    that(
        not left,
        got,
        "one SIGCHLD may stand for several deaths: wait for all children that have exited, not for one",
    )


@check(task=2, rule="RFC 9110 §9.2.2: only an idempotent request may be repeated without asking")
@together.on("three")
def test_task2_nginx_asks_again_where_it_may(front, prefork, rng):
    """A worker dies in the middle of a GET: nginx sends it to another worker"""
    here = prefork("main", 2)
    mark = name(rng).replace(" ", "-")
    here.have_answered()
    try:
        response = front.get(f"/once?mark=get-{mark}")
        expect("status", response.status, 200, "the worker that had the request is dead; the other one lives")
        parent = object_of(response).get("parent")
        that(parent == here.arbiter, f"a response from below {parent}", f"a worker of {here.arbiter}")
        response = front.request("POST", f"/once?mark=post-{mark}")
    finally:
        here.take_back(f"/once?forget=1&mark=get-{mark}")
        here.take_back(f"/once?forget=1&mark=post-{mark}")
    where = "nginx: it repeats what may be repeated, and the worker that had this one is dead"
    expect("status", response.status, 502, "a POST may have done something: not repeated", where=where)
    after = here.have_answered()
    that(len(after) == 2, f"two workers died; these respond: {count(after)}", "two workers again", rule=WAIT)


@check(task=2, rule=BOOT)
@together.on("broken")
def test_task2_worker_that_cannot_boot_ends_it(outcome_of_broken, trail):
    """When workers cannot boot, the arbiter gives up and says why"""
    reply = outcome_of_broken()
    if reply["state"] != "exited":
        tried = reply["output"].count("AttributeError")
        fail(
            f"{SETTLE:g} s after its start the arbiter still tries: `nobody` was missed {tried} times",
            "an arbiter that gives up: the next worker would fail like the last",
        )
    that("NotImplementedError" not in reply["output"], "a function that isn't written yet", "an arbiter")
    was_to_end(trail)
    where = "your program: `which_process_wsgi` has no `nobody`, so no worker can boot"
    expected = "an exit code of 1 or more (gunicorn's is 3)"
    that(reply["code"] > 0, f"exit code {reply['code']}", expected, where=where)
    got = f"it exited and printed {reply['output'].strip()[-300:]!r}"
    that("nobody" in reply["output"], got, "output that names what is missing", where=where)
    that(not reply["left"], f"{reply['left']} process(es) left behind", "no process left behind", where=where)


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=ALIVE)
@together.on("signalled")
def test_task3_ttin_and_ttou_change_the_number(prefork, rng):
    """TTIN is one worker more, TTOU one less, and never none"""
    here = prefork("signalled", 2)
    more = rng.randrange(1, 3)
    for number in range(1, more + 1):
        # One at a time: a signal that is still pending swallows the next one of its kind (signal(7)).
        here.signal(signal.SIGTTIN)
        settle(here.living, lambda pids, number=number: len(pids) == 2 + number)
    pids = here.who_answers(lambda pids: len(pids) == 2 + more)
    here.is_there("TTIN is a wish for one worker more")
    that(len(pids) == 2 + more, f"after TTIN × {more} these respond: {count(pids)}", f"{2 + more} workers")
    for number in range(1 + more, 0, -1):
        here.signal(signal.SIGTTOU)
        left = settle(here.living, lambda pids, number=number: len(pids) == number)
        here.is_there("TTOU is a wish for one worker less")
        that(len(left) == number, f"after another TTOU there are {len(left)} workers", f"{number}")
    here.signal(signal.SIGTTOU)
    here.rests()  # of two signals that are pending, the lower number comes first: TTIN
    here.signal(signal.SIGTTIN)
    pids = here.who_answers(lambda pids: len(pids) == 2)
    got = f"TTOU with one worker ({left[0]}), then TTIN: {count(pids)}"
    that(
        len(pids) == 2 and left[0] in pids, got, "2 workers: the last one stays at TTOU, and TTIN is one more"
    )
    here.loses_none_at_ttou()


@check(task=3, rule=ALIVE)
@together.on("signalled")
def test_task3_hup_brings_new_code(prefork, rng):
    """HUP: new workers with new code, the old ones gone, the arbiter the same"""
    here = prefork("signalled", 2)
    try:
        for which in ("HUP", "another HUP"):
            before, edition = here.have_answered(), name(rng).replace(" ", "-")
            here.ask(f"/edition?text={edition}", method="POST")
            that(here.ask()["edition"] != edition, "the new code already", f"the old code until {which}")
            here.signal(signal.SIGHUP)
            heard = here.after_hup(before, may_lose=True)
            pids, editions = {one["pid"] for one in heard}, {one["edition"] for one in heard}
            got = f"{SETTLE:g} s after {which} old workers still respond: {count(pids & before)}"
            that(not pids & before, got, "new workers in their place")
            that(
                editions == {edition},
                f"the new workers say edition {' and '.join(sorted(map(repr, editions)))}",
                f"{edition!r}, the code as it is now: each worker imports it itself, after the fork",
            )
            left = set(settle(here.living, lambda pids, old=before: len(pids) == 2 and not old & set(pids)))
            that(not before & left, f"old workers are still there: {count(before & left)}", "they exit")
            that(len(left) == 2, f"{len(left)} workers after {which}", "2, as before")
    finally:
        here.take_back("/edition?text=", "POST")


@check(task=3, rule=ALIVE)
@together.on("signalled")
def test_task3_hup_loses_no_request(prefork, rng):
    """HUP loses no request: neither one in flight nor one that comes meanwhile"""
    here = prefork("signalled", 2)
    before = here.have_answered()
    with ExitStack() as links:
        held = links.enter_context(here.hold())
        queued = ["/slow?seconds=0.1", *["/"] * rng.randrange(3, 7)]
        waiting = [links.enter_context(here.open(target)) for target in queued]
        here.signal(signal.SIGHUP)
        try:
            answers = [said(wire) for wire in waiting] + here.at_once(8, seconds=4.0)
            heard = here.after_hup(before, 4.0)
        except WireError as error:
            lost(here, error)
        here.note("the rest of POST /wait")
        try:
            last = released(held)["pid"]
        except WireError as error:
            lost(here, error)
    that(
        last in before,
        f"worker {last} responded to a request that an older one had accepted",
        "the old worker's response",
    )
    expect("answers", len(answers), len(queued) + 8)
    old = before & {one["pid"] for one in heard}
    that(not old, f"{SETTLE:g} s after HUP old workers still respond: {count(old)}", "new workers")


def lost(here, error):
    """A request that was in flight at HUP, or came meanwhile, has no answer."""
    here.is_there("HUP is for its workers")
    if isinstance(error, Deadline):
        got = f"an old worker has a request in flight, and after HUP no other worker responds: {error.got}"
        fail(got, "a response to every request: start new workers first, then stop the old ones")
    fail(f"a request in flight at HUP, or just after it: {error.got}", "a response to every request")


@check(task=3, rule=ALIVE)
@together.on("three")
def test_task3_int_ends_everything_at_once(prefork):
    """At INT and QUIT arbiter and workers exit at once"""
    for number in (signal.SIGINT, signal.SIGQUIT):
        here = prefork("three", 3)
        here.have_answered()
        with here.hold() as held:
            here.signal(number)
            here.has_ended(number, 4.0)
            got = "the request in flight is still open"
            that(ended(held, 1.0), got, "a connection that closes with its worker")


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule=TIMEOUT)
@together.on("hung")
def test_task4_worker_that_hangs_is_replaced(prefork):
    """A worker that hangs is replaced, even if it ignores signals; idle ones stay"""
    here, at_hup = prefork("hung", 3), prefork("hung-at-hup", 2)
    before = here.have_answered()
    at_hup.have_answered()
    with at_hup.open("/hang", 20.0) as old, here.open("/hang", 10.0) as hung:
        at_hup.ask()
        at_hup.signal(signal.SIGHUP)
        here.ask()
        that(
            ended(hung, SETTLE),
            f"{SETTLE:g} s later (--timeout 1) the worker still hangs, and so does its client",
            "a worker killed after a second without a heartbeat: with a signal that it can't ignore",
        )
        what = "one worker of three hung, the others had nothing to do"
        stayed(here, before, what, lambda pids: len(pids) == 3 and pids != before)
        at_hup.is_shown()
        that(
            ended(old, SETTLE),
            f"{SETTLE:g} s after HUP (--timeout 1) an old worker hangs: it was asked to exit, and can't",
            "a worker killed after a second without a heartbeat: with a signal that it can't ignore",
        )


@check(task=4, rule=TIMEOUT)
@together.on("frozen")
def test_task4_frozen_worker_is_replaced_and_busy_ones_are_not(prefork, rng):
    """A frozen worker is replaced; those that work for less than the timeout stay"""
    here = prefork("frozen", 3)
    before = here.have_answered()
    victim = rng.choice(sorted(before))
    here.signal(signal.SIGSTOP, victim)
    served = []

    def look():
        try:
            served.append(here.ask("/slow?seconds=0.2")["pid"])
        except WireError as error:
            here.is_there("one of its workers was stopped")
            got = f"a worker that works for 0.2 s (--timeout 1) exited with its request: {error.got}"
            fail(got, IDLE_BEATS)
        return here.children()

    children = settle(look, lambda pids: victim not in pids)
    that(
        victim not in children,
        f"worker {victim} was stopped (SIGSTOP) {SETTLE:g} s ago (--timeout 1) and is still there",
        "a new worker in its place: a stopped process can't beat, and only SIGKILL reaches it",
    )
    what = f"one worker of three was stopped, the others served {len(served)} requests"
    stayed(here, before, what, lambda pids: len(pids) == 3)
    slow = prefork("slow-import", 1)
    try:
        slow.ask(seconds=SETTLE)
    except WireError as error:
        got = f"no worker serves a module that takes 0.7 s to be imported (--timeout 30): {error.got}"
        fail(got, "for a worker that has not beaten yet, --timeout counts from its fork")


def stayed(here, before, what, wanted):
    """All but one of the workers are the same, and whoever comes now is answered."""
    try:
        after = here.who_answers(wanted)
    except WireError as error:
        here.is_there("one of its workers is silent")
        fail(f"{what}; a request that one of them had: {error.got}", IDLE_BEATS)
    here.is_there("one of its workers is silent")
    got = f"{what}; before: {count(before)}; after: {count(after)}"
    that(len(after) == 3 and len(after & before) == 2, got, IDLE_BEATS)


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule=ALIVE)
@together.on("killed")
def test_task5_term_lets_requests_finish(prefork, rng):
    """TERM: workers finish the requests in flight, then all processes exit"""
    here = prefork("killed", 2)
    before = here.have_answered()
    with here.hold() as held:
        here.signal(signal.SIGTERM)
        pid = finished(here, held, "at TERM")
    that(pid in before, f"a response from {pid}, who was not there", "the worker's that had the request")
    here.has_ended(signal.SIGTERM)
    for number in (signal.SIGINT, signal.SIGQUIT):
        here = prefork("killed", 2)
        with here.hold() as held:
            here.signal(signal.SIGTERM)
            here.rests()
            here.signal(number)
            here.has_ended(number)
            got = f"TERM, then {number.name}: a request is still open"
            that(ended(held, 1.0), got, f"{number.name} ends the wait that TERM began")
    here = prefork("gives-up", 3)
    here.have_answered()
    edition = f"broken-{rng.randrange(100, 999)}"
    try:
        with here.hold() as held:
            here.ask(f"/edition?text={edition}", method="POST")
            here.signal(signal.SIGKILL, here.ask()["pid"])
            here.note("(the next worker can't import the application)")
            finished(here, held, "when another worker could not boot", rule=BOOT)
    finally:
        here.take_back("/edition?text=", "POST")
    code = settle(here.exit_code, lambda code: code is not None)
    was_to_end(here.trail)
    that(
        code, f"a worker could not boot; exit code {code}", "an arbiter that gives up, not with 0", rule=BOOT
    )
    left = settle(here.living, lambda pids: not pids, 1.0)
    got = f"a worker could not boot; the arbiter exited, and left worker(s) running: {count(left)}"
    that(not left, got, "no process left behind", rule=BOOT)


def finished(here, held, when, rule=ALIVE):
    """Who answers the request that is in flight; the arbiter waits for that, when all others have gone."""
    settle(lambda: here.exit_code() is not None or len(here.living()) == 1, bool)
    here.rests()
    code, left = here.exit_code(), here.living()
    got = f"the arbiter exited (exit code {code}), and one of its workers has a request in flight"
    expected = "an arbiter that waits for its workers: each exits after its current request"
    if code is not None:
        was_to_end(here.trail)
    that(
        code is None or not left,
        f"{when}: {got}",
        expected,
        rule=rule,
        where="your arbiter: `stop` and what calls it",
    )
    here.note("the rest of POST /wait")
    try:
        return released(held)["pid"]
    except WireError as error:
        fail(f"the request in flight {when}: {error.got}", "its response, and a close after it", rule=rule)


@check(task=5, rule=GRACE)
@together.on("brisk")
def test_task5_term_waits_no_longer_than_its_limit(prefork):
    """TERM: a worker that isn't ready within the limit is killed"""
    here = prefork("brisk", 3)
    here.have_answered()
    with here.open("/hang", 10.0) as deaf, here.hold() as held:
        here.signal(signal.SIGTERM)
        here.has_ended(signal.SIGTERM, SETTLE)
        that(ended(deaf, 1.0) and ended(held, 1.0), "a request is still open", "closed connections")


@check(task=5, rule="getppid(2): a process whose parent is gone has another parent")
@together.on("brisk")
def test_task5_workers_notice_that_the_arbiter_is_gone(prefork):
    """Workers exit by themselves when the arbiter is killed"""
    here = prefork("brisk", 3)
    workers = here.have_answered()
    with no_start_meanwhile():
        here.signal(signal.SIGKILL)
        left = settle(here.living, lambda pids: not pids)
        for pid in left:
            here.signal(signal.SIGKILL, pid)
    that(
        not left,
        f"{SETTLE:g} s after the arbiter got SIGKILL, of {len(workers)} workers these run: {count(left)}",
        "workers that check whether their parent is there: no other process will stop them",
        where="your workers: a killed arbiter can send them nothing",
    )
