"""Checks of both sides of lifespan.

The two files are judged apart first, by the probe: services/apps/lifetime.py plays a server to app.py, and
applications of every manner to lifespan.py. Then as processes: app.py under uvicorn, lifespan.py with
applications that say in each answer whether their lifespan has begun, or ended (lifespan_witness.py), and
both together under a keeper that restarts them. What is waited for is an event, never a time.
"""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from urllib.parse import quote, unquote

from workshop.ask import StartTrouble
from workshop.checks import (
    NoAnswer,
    Wire,
    WireError,
    check,
    expect,
    fail,
    made,
    name,
    object_of,
    ref,
    request_bytes,
    that,
    wire_cases,
)

EVENTS = 'ASGI lifespan, "Startup" and "Shutdown"'
UNSUPPORTED = 'ASGI lifespan, "Scope": an exception means that it is not supported; the server goes on'
STATE = 'ASGI lifespan, "Lifespan State"'
STARTUP = 'ASGI lifespan, "Startup"'
FAILED = 'ASGI lifespan, "Startup Failed"'
SHUTDOWN = 'ASGI lifespan, "Shutdown"'
SHUTDOWN_FAILED = 'ASGI lifespan, "Shutdown Failed"'
CANCEL = "asyncio, Task.cancel(): CancelledError is thrown in at the next await, wherever that is"

SETTLE = 5.0
PAUSE = 0.02


def settle(look, holds, seconds=SETTLE):
    """What `look` sees, as soon as `holds` is true of it, or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(PAUSE)


# --- the application's side, played to ----------------------------------------------------------------


def play(probe, *scripts, state=True):
    """What app.py did in each step of each script: see services/apps/lifetime.py."""
    words = "\nand ".join("; ".join(map(in_words, script)) for script in scripts)
    seen = probe.steps(
        made("lifetime:play", ref("app:app"), *scripts, state=state), seconds=9.0, sent=f"to app.app: {words}"
    )
    if seen.raised:
        error = seen.raised
        fail(f"{error['type']}: {error['message']}", "an application that answers, and raises nothing")
    reports = seen.values[-1]
    return reports[0] if len(scripts) == 1 else reports


STEPS = {
    "startup": "lifespan.startup",
    "shutdown": "lifespan.shutdown",
    "shutdown while": "lifespan.shutdown in the middle of that write",
    "disk hold": "(from now on the disk waits)",
    "disk step": "(the disk does one step)",
    "disk free": "(the disk goes on)",
    "disk fail": "(the disk is full, once)",
    "disk fail always": "(the disk is full)",
    "until writing": "(a write begins)",
    "until wrote": "(it is written)",
    "until failed": "(the write failed)",
    "tasks": "(what runs still?)",
}


def in_words(step):
    """A step as the report says it."""
    if step[0] == "ask":
        return f"{step[1]} {unquote(step[2])}"
    return STEPS[" ".join(word for word in step if isinstance(word, str))]


def types(report):
    return [one.get("type") for one in report["sent"]]


def visit(who):
    return ["ask", "POST", f"/visits?name={quote(who)}"]


BOOK = ["ask", "GET", "/visits"]


def started(report):
    """The application replied startup.complete, and goes on."""
    shown = types(report) or "nothing"
    raised = f", and raised {report['raised']}" if report["raised"] else ""
    that(
        types(report) == ["lifespan.startup.complete"],
        got=f"to lifespan.startup it replied {shown}{raised}",
        expected="one lifespan.startup.complete, when the journal is open",
    )
    that(
        not report["ended"],
        got=f"after startup.complete the lifespan call ended{raised}",
        expected="a call that goes on, and waits for lifespan.shutdown",
    )


def stopped(report):
    """The application replied shutdown.complete, and returned."""
    shown = types(report) or "nothing"
    raised = f", and raised {report['raised']}" if report["raised"] else ""
    that(
        types(report) == ["lifespan.shutdown.complete"],
        got=f"to lifespan.shutdown it replied {shown}{raised}",
        expected="one lifespan.shutdown.complete, when the journal is closed",
    )
    that(report["ended"] and not raised, f"the call has not returned{raised}", "a call that returns after it")


def answered(report, status):
    """A request was answered with this status; its value."""
    if report["how"] != "returned":
        waits = report["how"] == "waits"
        how = "it waits still" if waits else f"it raised {report['type']}: {report['message']}"
        fail(f"a request was not answered: {how}", f"an answer with status {status}")
    expect("status", report["status"], status, f"the body was {report['value']!r}")
    return report["value"]


def people(rng, count):
    """So many names, no two alike; one of them has letters that a query must encode."""
    found = []
    while len(found) < count:
        one = name(rng)
        found += [one] if one not in found else []
    found[rng.randrange(count)] += " Łuk"
    return found


def written(history):
    """Every name that was written, in order, as often as it was."""
    lines = [entry.removeprefix("wrote ") for entry in history if entry.startswith("wrote ")]
    return [one for line in lines for one in line.split(", ")]


def history_shown(report):
    return f"the journal's history is {report['history']!r}"


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=EVENTS)
def test_task1_opens_on_startup_and_closes_on_shutdown(probe, rng):
    """The journal is opened once, before startup.complete, and closed before shutdown.complete"""
    who = people(rng, rng.randrange(2, 5))
    asks = [visit(one) for one in who]
    start, *rest, end = play(probe, [["startup"], *asks, ["shutdown"]])
    started(start)
    at_start = start["sent"][0]["history"]
    expect("the journal's history at startup.complete", at_start, ["opened"], "open it, then say so")
    for number, report in enumerate(rest, 1):
        value = answered(report, 201)
        expect("the answer", value, {"number": number, "name": who[number - 1]})
    opened = rest[-1]["history"].count("opened")
    that(opened == 1, f"it was opened {opened} times by {len(who)} requests", "once, at startup")
    that("closed" not in rest[-1]["history"], "it was closed between requests", "open until shutdown")
    stopped(end)
    at_end = end["sent"][-1]["history"]
    that(
        at_end[-1] == "closed" and at_end.count("closed") == 1,
        got=f"at shutdown.complete the journal's history was {at_end!r}",
        expected="… 'closed': close it, then say so",
    )
    expect("what is in the journal", written(end["history"]), who, "each visit, in order")


@check(task=1, rule=STATE)
def test_task1_visits_are_shared_through_the_state(probe, front, rng):
    """All requests of one server share a book; two servers in one process have two"""
    mine, yours = people(rng, 2), [name(rng) + " elsewhere"]
    first, second = play(
        probe,
        [["startup"], visit(mine[0]), visit(mine[1]), BOOK, ["shutdown"]],
        [["startup"], visit(yours[0]), BOOK, BOOK, ["shutdown"]],
    )
    started(first[0])
    started(second[0])
    for report in [*first[1:3], second[1]]:
        answered(report, 201)
    expect("GET /visits of the first server", answered(first[3], 200), mine, "the state is that server's own")
    expect("GET /visits of the second server", answered(second[3], 200), yours, "no global: the state")
    stopped(first[4])
    # Through nginx and uvicorn, where an earlier check may have left visits.
    somebody = people(rng, 1)[0]
    answer = front.request("POST", f"/visits?name={quote(somebody)}")
    expect("status", answer.status, 201)
    for case in wire_cases(__file__):
        expect(
            f"status of requests/{case.name}.http", str(front.send(case.data).status), case.notes["status"]
        )
    listed = front.get("/visits").json()
    number = answer.json().get("number") if isinstance(answer.json(), dict) else None
    there = isinstance(listed, list) and isinstance(number, int) and listed[number - 1 : number] == [somebody]
    that(there, f"visit {number} was {somebody!r}; GET /visits is {listed!r}", "the same visit in its place")


@check(task=1, rule=FAILED)
def test_task1_startup_that_fails_is_said(service, probe, rng):
    """No journal, or no state: startup.failed with a message, and uvicorn ends"""
    told_without_state(probe, rng)
    where = "your application: its lifespan, told to by uvicorn"
    try:
        client = service("no-journal")
    except StartTrouble as trouble:
        reply = trouble.reply
        if reply["state"] != "exited" or "NotImplementedError" in reply["output"]:
            raise
    else:
        answer = client.get("/visits")
        fail(
            f"uvicorn serves, without a journal; GET /visits gets status {answer.status}",
            "startup.failed: an exception means “I don't know lifespan”, and the server goes on",
            where=where,
        )
    said, sent = reply["output"].strip()[-300:], reply["command"]
    that(reply["code"], f"exit code {reply['code']}", "not 0: uvicorn's is 3", where=where, sent=sent)
    that(
        ("o such file" in said or "no/such/folder" in said) and "Application startup failed" in said,
        got=f"uvicorn printed {said!r}",
        expected="the reason in the message: what is wrong with the journal, as OSError says it",
        where=where,
        sent=sent,
    )


def told_without_state(probe, rng):
    """A server without state gets startup.failed with a reason, or all the same a book."""
    who = people(rng, 1)
    start, asked, book = play(probe, [["startup"], visit(who[0]), BOOK], state=False)
    if types(start) == ["lifespan.startup.failed"]:
        message = start["sent"][0].get("message")
        that(message, f"startup.failed with the message {message!r}", "a message that says what is missing")
        left = start["history"].count("opened") - start["history"].count("closed")
        that(not left, "the journal was opened and is still open", "nothing left open after startup.failed")
        return
    that(
        not start["raised"],
        got=f"without “state” in the scope the lifespan call raised {start['raised']}",
        expected="startup.failed with a message: after an exception the server goes on, without a journal",
        rule='ASGI lifespan, "Lifespan State": a server that lacks it leaves the key out',
    )
    started(start)
    answered(asked, 201)
    expect("GET /visits", answered(book, 200), who)


# --- the server's side, played to ---------------------------------------------------------------------


def meet(probe, manner, message="", to_the_end=False):
    """What Lifespan did with an application of this manner: see services/apps/lifetime.py."""
    call = made("lifetime:meet", ref("lifespan:Lifespan"), manner, message, to_the_end)
    calls = "startup(), then shutdown()" if to_the_end else "startup()"
    shown = f"Lifespan(application).{calls}; the application {MANNERS.get(manner, manner)}"
    seen = probe.steps(call, seconds=9.0, sent=shown)
    if seen.raised:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", f"{calls} without an error of its own")
    return seen.values[-1]


MANNERS = {
    "well-mannered": "replies complete to both events",
    "failed": "replies startup.failed and returns",
    "failed, then raises": "replies startup.failed and raises, as Starlette does",
    "failed, then waits": "replies startup.failed and goes on waiting",
    "raises at once": "raises as soon as it is called: it doesn't know lifespan",
    "raises": "raises when it got lifespan.startup: it doesn't know lifespan",
    "returns": "returns without a reply",
    "complete, then returns": "replies startup.complete and returns",
    "complete, then raises": "replies startup.complete and raises",
    "raises at shutdown": "raises when it got lifespan.shutdown",
    "returns at shutdown": "returns when it got lifespan.shutdown, without a reply",
    "fails at shutdown": "replies shutdown.failed",
}


def ended_well(what, outcome):
    """startup or shutdown returned."""
    if outcome["how"] == "waits":
        fail(
            f"{what} never returned", f"{what} that ends with a reply or with the task, whichever comes first"
        )
    raised = f"{outcome.get('type')}: {outcome.get('message')}"
    that(outcome["how"] == "returned", f"{what} raised {raised}", f"{what} that returns")


def ended_with(what, outcome, kind, message):
    """startup or shutdown raised this error with the application's message."""
    if outcome["how"] == "waits":
        fail(f"{what} never returned", f"{kind}: the reply counts, whatever the task does next")
    raised = "returned" if outcome["how"] == "returned" else f"raised {outcome['type']}: {outcome['message']}"
    that(
        outcome.get("type") == kind and message in outcome.get("message", ""),
        got=f"{what} {raised}",
        expected=f"{what} that raises {kind}: {message}",
    )


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule=EVENTS)
def test_task2_startup_waits_for_the_application(probe, rng):
    """startup gives one event to one call, and waits until the application is ready"""
    somebody = name(rng)
    seen = meet(probe, "well-mannered", somebody)
    ended_well("startup", seen["startup"])
    that(not seen["early"], "startup returned before the application replied", "startup that waits for it")
    expect("what the application was told by then", seen["told_before"], ["lifespan.startup"])
    expect("how often it was called", seen["calls"], 1, "one call, from startup to shutdown")
    scope = seen["scope"]
    expect("scope['type']", scope.get("type"), "lifespan")
    versions = scope.get("asgi")
    that(
        isinstance(versions, dict) and "version" in versions,
        got=f"scope['asgi'] = {versions!r}",
        expected="{'version': '3.0', 'spec_version': '2.0'}",
    )
    expect("Lifespan.state", seen["state"], {"opened": somebody}, "the dict that the application filled")


@check(task=2, rule=STARTUP)
def test_task2_nothing_is_accepted_before_startup_completes(service, stack):
    """The first request comes after startup.complete"""
    fresh(stack, "slow")
    report = object_of(service("slow").get("/"))
    expect("what the application knew at its first request: started", report.get("started"), True)
    expect("how often it was called with a lifespan scope", report.get("calls"), 1)
    expect("the request in the lifespan's event loop", report.get("same_loop"), True)


@check(task=2, rule=FAILED)
def test_task2_startup_failed_ends_the_process(probe, service, stack, rng):
    """startup.failed: StartupFailed with its message; the process prints it and ends"""
    for manner in ("failed", "failed, then raises", "failed, then waits"):
        message = f"no table for {name(rng)}"
        ended_with("startup", meet(probe, manner, message)["startup"], "StartupFailed", message)
    try:
        service("refuses")
    except StartTrouble as trouble:
        reply = trouble.reply
        if reply["state"] != "exited" or "NotImplementedError" in reply["output"]:
            raise
    else:
        # It may listen before, if it lets nobody in: that it ends is what counts.
        reply = settle(lambda: stack.ask("status", service="refuses"), lambda one: one["state"] == "exited")
        expected = "a process that ends, with the message of startup.failed"
        that(reply["state"] == "exited", "the server listens", expected, where=RUN)
    that(reply["code"], f"exit code {reply['code']}", "not 0: whoever started it must notice", where=RUN)
    message, said = f"no room for process {reply['pid']}", reply["output"].strip()[-300:]
    that(message in said, f"it printed {said!r}", f"the application's message: {message}", where=RUN)


RUN = "your lifespan.py: its `run`, with an application that says startup.failed"


@check(task=2, rule=UNSUPPORTED)
def test_task2_applications_without_lifespan_still_run(probe, service, rng):
    """An application that raises or returns instead of replying is served all the same"""
    for manner in ("raises at once", "raises", "returns"):
        seen = meet(probe, manner)
        ended_well("startup", seen["startup"])
    report = object_of(service("plain").get(f"/?mark={rng.randrange(1000)}"))
    expect("what the application says of its startup", report.get("started"), False, "it knows none")


@check(task=2, rule=STATE)
def test_task2_each_request_has_a_copy_of_the_state(service, rng):
    """A request finds what startup left; its own keys stay its own, the objects are shared"""
    client = service("witness")
    marks = [f"{name(rng).replace(' ', '-')}-{number}" for number in range(3)]
    states = []
    for mark in marks:
        state = object_of(client.get(f"/?mark={mark}")).get("state")
        that(
            isinstance(state, dict),
            got=f"the request's scope has state = {state!r}",
            expected="a dict: a copy of what the application left there at startup",
        )
        expect("state['opened']", state.get("opened"), "at startup", "what was put in at startup")
        that(
            "mark" not in state,
            got=f"a new request finds state['mark'] = {state.get('mark')!r}, which another one put in",
            expected="a copy for each request: what one puts in, no other finds",
        )
        states.append(state)
    shared = states[-1].get("shared")
    that(
        isinstance(shared, list) and shared[-2:] == marks[:2],
        got=f"state['shared'] = {shared!r}, to which two requests before have added {marks[:2]!r}",
        expected="a shallow copy: the objects in it are the application's own, the same for all",
    )


def fresh(stack, service):
    """End a service, if it runs: the next question starts it anew."""
    if stack.ask("status", service=service)["state"] == "running":
        stack.ask("signal", service=service, number=int(signal.SIGKILL))
        settle(lambda: stack.ask("status", service=service), lambda reply: reply["state"] != "running")


# --- task 3 -------------------------------------------------------------------------------------------


def ended(stack, service, after, seconds=SETTLE):
    """The service's process has ended by itself, in peace; everything that it printed."""
    look = lambda: stack.ask("status", service=service)  # noqa: E731
    reply = settle(look, lambda reply: reply["state"] == "exited", seconds)
    that(reply["state"] == "exited", f"{after}, the process is still there", "a process that ends", where=END)
    # Its last words may take a moment.
    reply = settle(look, lambda reply: "shutdown" in reply["output"], 0.5)
    return reply


END = "your lifespan.py: its `run`, after SIGTERM"


def waiting(client):
    """A request in flight: its head and half of its body are sent; the application waits for the rest."""
    wire = Wire(client.address.host, client.address.port, 9.0)
    wire.send(request_bytes("POST", "/wait", [("Content-Length", "2")]) + b"A")
    return wire


def is_answered(client, seconds=1.5):
    """Whether somebody who comes now is answered, and not refused or left waiting."""
    try:
        with Wire(client.address.host, client.address.port, seconds) as wire:
            wire.send(request_bytes("GET", "/"))
            return wire.response().status == 200
    except WireError:
        return False


@check(task=3, rule=SHUTDOWN)
def test_task3_shutdown_comes_after_the_last_request(service, stack, trail, rng):
    """After SIGTERM nobody new is served, requests in flight are answered, then comes shutdown"""
    client = service("witness")
    served = 1
    that(
        is_answered(client, 3.0), "no answer before SIGTERM", "an answer", where="your lifespan.py: its `run`"
    )
    with waiting(client) as slow, waiting(client) as slower:
        client.get("/")  # answered: so the two before it have been accepted
        stack.ask("signal", service="witness", number=int(signal.SIGTERM))
        trail.sent = "POST /wait, half of it; SIGTERM; GET / again and again; the other half"
        trail.connection = None
        late = settle(lambda: is_answered(client), lambda answered: not answered)
        that(not late, "new connections are served still", "a server that stops accepting", where=END)
        status = stack.ask("status", service="witness")
        running = status["state"] == "running"
        that(
            running and "witness: shutdown" not in status["output"],
            got=f"two requests in flight, and {'lifespan.shutdown' if running else 'the process ended'}",
            expected="the application is told after the last request: until then it needs what it opened",
            where=END,
        )
        for wire in rng.sample([slow, slower], 2):
            wire.send(b"B")
            try:
                report = object_of(wire.response("POST"))
            except WireError as error:
                fail(f"a request in flight at SIGTERM: {error.got}", "its answer, then shutdown", where=END)
            expect("what it was answered: stopped", report.get("stopped"), False, "not while it is in flight")
            served += 1
    reply = ended(stack, "witness", "all requests were answered")
    times = reply["output"].count("witness: shutdown")
    expect("how often the application was told lifespan.shutdown", times, 1, "and then it ends", where=END)
    that("shutdown with 0 in flight" in reply["output"], reply["output"][-200:], "0 in flight", where=END)
    that(reply["code"] in (0, -15, 143), f"exit code {reply['code']}", "0: nothing has failed", where=END)


@check(task=3, rule="lab 12, --grace (uvicorn: --timeout-graceful-shutdown)")
def test_task3_requests_that_never_end_are_cut_off(service, stack, trail):
    """Requests that outlast the limit are cut off, then comes shutdown; shutdown.failed is printed"""
    client = service("brisk")
    pid = stack.ask("status", service="brisk")["pid"]
    with waiting(client) as slow:
        client.get("/")
        stack.ask("signal", service="brisk", number=int(signal.SIGTERM))
        trail.sent, trail.connection = "POST /wait, half of it; SIGTERM, with --grace 0.5", None
        reply = ended(stack, "brisk", f"{SETTLE:g} s after SIGTERM, with --grace 0.5")
        with suppress(NoAnswer):
            slow.read_all()
    that(
        "witness: shutdown" in reply["output"],
        got="it ended, and the application was not told lifespan.shutdown",
        expected="lifespan.shutdown, after those that were late are cut off: it has a journal to close",
        where=END,
    )
    message = f"process {pid} lost its keys"
    that(
        message in reply["output"],
        got=f"the application said shutdown.failed, and the process printed {reply['output'][-200:]!r}",
        expected=f"its message: {message}",
        rule=SHUTDOWN_FAILED,
        where=END,
    )


@check(task=3, rule=SHUTDOWN)
def test_task3_shutdown_ends_whatever_the_application_does(probe, rng):
    """shutdown tells the same call, once, and never waits for somebody who has gone"""
    message = f"{name(rng)} left the door open"
    seen = meet(probe, "well-mannered", "", True)
    ended_well("startup", seen["startup"])
    ended_well("shutdown", seen["shutdown"])
    expect("what the application was told", seen["told"], ["lifespan.startup", "lifespan.shutdown"])
    expect("how often it was called", seen["calls"], 1, "one call, from startup to shutdown")
    for manner in ("complete, then returns", "raises at once", "returns"):
        seen = meet(probe, manner, message, True)
        ended_well("startup", seen["startup"])
        ended_well("shutdown", seen["shutdown"])
    seen = meet(probe, "fails at shutdown", message, True)
    ended_well("startup", seen["startup"])
    ended_with("shutdown", seen["shutdown"], "ShutdownFailed", message)
    for manner in ("complete, then raises", "raises at shutdown", "returns at shutdown"):
        # Nothing was said, so the text leaves it to the server whether that counts as a failure.
        seen = meet(probe, manner, "", True)
        if seen["shutdown"].get("type") != "ShutdownFailed":
            ended_well("shutdown", seen["shutdown"])


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule="lab 12, task 4: nobody waits for the disk")
def test_task4_visits_are_written_behind(probe, rng):
    """A visit is answered before it is written, and written without another request"""
    who = people(rng, 4)
    before, later = [visit(one) for one in who[:2]], [visit(one) for one in who[2:]]
    hold, free = ["disk", "hold"], ["disk", "free"]
    start, _, *asked = play(
        probe, [["startup"], hold, *before, BOOK, free, ["until", "wrote", 1], *later, ["until", "wrote", 2]]
    )
    started(start)
    for report in asked[:2]:
        that(
            report["how"] != "waits",
            "POST /visits waits for a disk that is held",
            "an answer at once: the journal is written behind",
        )
        answered(report, 201)
    expect("GET /visits, before anything was written", answered(asked[2], 200), who[:2], "from memory")
    for report in (asked[4], asked[7]):
        that(
            report["seen"],
            f"nothing more was written without a further request; {history_shown(report)}",
            "a background task that writes every EVERY seconds, again and again",
        )
    for report in asked[5:7]:
        answered(report, 201)


@check(task=4, rule=CANCEL)
def test_task4_every_visit_is_written_once_before_the_end(probe, rng):
    """Shutdown in the middle of a write: each visit is written once, then the journal is closed"""
    for steps in rng.sample([0, 1], 2):
        who = people(rng, rng.randrange(3, 6))
        early, late = who[:1], who[1:]
        # A write waits for the disk twice: before it takes place, and after.
        moves = [["disk", "step"], ["until", "wrote", 2]] * steps
        script = [
            *[["startup"], *map(visit, early), ["until", "wrote", 1], ["disk", "hold"]],
            *[visit(late[0]), ["until", "writing", 2], *moves],
            *[*map(visit, late[1:]), ["shutdown while"], ["tasks"]],
        ]
        reports = play(probe, script)
        started(reports[0])
        for step, report in zip(script, reports, strict=True):
            if step[0] == "ask":
                answered(report, 201)
            if step[0] == "until":
                that(
                    report["seen"], history_shown(report), "a background task that writes every EVERY seconds"
                )
        end, left = reports[-2:]
        got = written(end["history"])
        lost = [one for one in who if one not in got]
        twice = sorted({one for one in got if got.count(one) > 1})
        when = "after" if steps else "before"
        expected = (
            "every visit once, in order: a write that was begun is waited for, then the rest is written"
        )
        that(not lost, f"shutdown came in a write, {when} it took place; lost: {lost!r}", expected)
        that(not twice, f"shutdown came in a write, {when} it took place; twice: {twice!r}", expected)
        expect("what is in the journal", got, who, "in order")
        stopped(end)
        that(
            end["sent"][-1]["history"][-1] == "closed",
            f"at shutdown.complete {history_shown(end)}",
            "… 'closed': the last write, then close, then shutdown.complete",
        )
        tasks = left["tasks"]
        that(
            not tasks, f"after shutdown.complete these tasks still run: {tasks!r}", "none that is left behind"
        )


@check(task=4, rule="asyncio, “Creating Tasks”: an exception ends its task, and nobody hears of it")
def test_task4_failed_writes_are_not_the_end(probe, rng):
    """A write that failed is tried again; one that fails to the end is shutdown.failed"""
    who = people(rng, 3)
    start, asked, _, second, failed, retried, end = play(
        probe,
        [
            ["startup"],
            visit(who[0]),
            ["disk", "fail"],
            visit(who[1]),
            ["until", "failed"],
            ["until", "wrote"],
            ["shutdown"],
        ],
    )
    started(start)
    answered(asked, 201)
    answered(second, 201)
    that(failed["seen"], history_shown(failed), "a background task that writes")
    that(
        retried["seen"],
        got=f"a write failed once (disk full), and nothing was written any more; {history_shown(retried)}",
        expected="a task that lives on, keeps what it could not write, and tries again",
    )
    expect("what is in the journal", written(end["history"]), who[:2], "each visit once, in order")
    stopped(end)
    start, _, asked, end = play(probe, [["startup"], ["disk", "fail always"], visit(who[2]), ["shutdown"]])
    started(start)
    answered(asked, 201)
    shown = types(end) or (f"nothing, and raised {end['raised']}" if end["raised"] else "nothing")
    message = end["sent"][-1].get("message") if end["sent"] else None
    that(
        types(end) == ["lifespan.shutdown.failed"] and message,
        got=f"visits could not be written to the end; to lifespan.shutdown it replied {shown}",
        expected="lifespan.shutdown.failed with a message: somebody must learn that they are lost",
        rule=SHUTDOWN_FAILED,
    )
    that("closed" in end["history"], history_shown(end), "closed all the same")


@check(task=4, rule=EVENTS)
def test_task4_restart_loses_no_visit(front, stack, trail, rng):
    """Your application on your server, restarted: no visit is lost, nobody is turned away"""
    who = people(rng, 6)
    before = known(front)
    for one in who[:3]:
        expect("status", front.request("POST", f"/yours/visits?name={quote(one)}").status, 201)
    first = children(stack)
    stack.ask("signal", service="yours", number=int(signal.SIGHUP))
    for one in who[3:]:
        answer = front.request("POST", f"/yours/visits?name={quote(one)}", seconds=6.0)
        expect("status", answer.status, 201, "whoever comes during a restart waits, and is served")
    then = settle(lambda: children(stack), lambda pids: pids and not set(pids) & set(first))
    that(
        not set(then) & set(first), f"after SIGHUP to the keeper, process {first} still runs", "one that ends"
    )
    after = known(front)
    trail.sent = f"POST /yours/visits × 3; SIGHUP to the keeper; POST × {len(who) - 3}; GET /yours/visits"
    fresh_ones = after[len(before) :]
    lost = [one for one in who if one not in after]
    that(not lost, f"after the restart these visits, all answered 201, are lost: {lost!r}", "every visit")
    expect("the visits since", fresh_ones, who, "each once, in order")


def known(front):
    """The visits in the book of your own server."""
    answer = front.get("/yours/visits")
    expect("status", answer.status, 200, f"the body was {answer.text[:100]!r}")
    visits = answer.json()
    that(isinstance(visits, list), f"GET /visits is {visits!r}", "a list of names")
    return visits


def children(stack):
    """The processes below the keeper that have not ended."""
    reply = stack.ask("pids", service="yours")
    return [pid for pid in reply["pids"][1:] if pid not in reply["zombies"]]
