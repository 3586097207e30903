"""Checks of both sides of lifespan.

The two files are judged apart first, by the probe: apps/lifespan_without_socket.py plays a server to app.py,
and applications of every manner to lifespan.py. Then as processes: app.py under uvicorn, lifespan.py with
applications that say in each answer whether their lifespan has begun, or ended (lifespan_reporters.py), and
both together under a keeper that restarts them. What is waited for is an event, never a time.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from urllib.parse import quote

from lifespan_calls import (
    BOOK,
    answered,
    ended_well,
    ended_with,
    history_shown,
    meet,
    people,
    play,
    printed_by_run,
    started,
    stopped,
    told_of_another_error,
    told_without_state,
    types,
    visit,
    written,
)
from lifespan_services import (
    END,
    SETTLE,
    children,
    ended,
    is_answered,
    known,
    refuses_to_start,
    settle,
    waiting,
)

from workshop.judge.checks import (
    NoAnswer,
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
from workshop.judge.started_services import Services, end, front, probe

EVENTS = 'ASGI lifespan, "Startup" and "Shutdown"'
UNSUPPORTED = 'ASGI lifespan, "Scope": an exception means that it is not supported; the server goes on'
STATE = 'ASGI lifespan, "Lifespan State"'
STARTUP = 'ASGI lifespan, "Startup"'
FAILED = 'ASGI lifespan, "Startup Failed"'
SHUTDOWN = 'ASGI lifespan, "Shutdown"'
SHUTDOWN_FAILED = 'ASGI lifespan, "Shutdown Failed"'
CANCEL = "asyncio, Task.cancel(): CancelledError is thrown in at the next await, wherever that is"
RUN = "your lifespan.py: its `run`, with an application that says startup.failed"

together = SideBySide(front=front, service=Services, probe=probe)


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=EVENTS)
@together.on("probe")
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
@together.on("probe")
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
@together.on("probe")
def test_task1_startup_that_fails_is_said(service, stack, trail, probe, rng):
    """No journal, or no state: startup.failed with a message, and uvicorn exits"""
    told_without_state(probe, rng)
    where = "your application: its lifespan, told to by uvicorn"
    reply, client = refuses_to_start(service, stack, trail, "no-journal")
    if reply is None:
        answer = client.get("/visits")
        fail(
            f"uvicorn serves, without a journal; GET /visits gets status {answer.status}",
            "startup.failed: an exception means “I don't know lifespan”, and the server goes on",
            where=where,
        )
    said = reply["output"].strip()[-300:]
    that(reply["code"], f"exit code {reply['code']}", "not 0: uvicorn's is 3", where=where)
    that(
        ("o such file" in said or "no/such/folder" in said) and "Application startup failed" in said,
        got=f"uvicorn printed {said!r}",
        expected="the reason in the message: what is wrong with the journal, as OSError says it",
        where=where,
    )
    told_of_another_error(probe)


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule=EVENTS)
@together.on("probe")
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
        isinstance(versions, dict) and versions.get("version") == "3.0",
        got=f"scope['asgi'] = {versions!r}",
        expected="{'version': '3.0', 'spec_version': '2.0'}",
    )
    expect("Lifespan.state", seen["state"], {"opened": somebody}, "the dict that the application filled")


@check(task=2, rule=STARTUP)
@together.on("slow")
def test_task2_nothing_is_accepted_before_startup_completes(service, stack):
    """The first request comes after startup.complete"""
    end(stack, "slow")
    report = object_of(service("slow").get("/"))
    expect("what the application knew at its first request: started", report.get("started"), True)
    expect("how often it was called with a lifespan scope", report.get("calls"), 1)
    expect("the request in the lifespan's event loop", report.get("same_loop"), True)


@check(task=2, rule=FAILED)
@together.on("probe")
def test_task2_startup_failed_ends_the_process(probe, service, stack, trail, rng):
    """startup.failed: StartupFailed with its message; the process prints it and exits"""
    for manner in ("failed", "failed, then raises", "failed, then waits"):
        message = f"no table for {name(rng)}"
        ended_with("startup", meet(probe, manner, message)["startup"], "StartupFailed", message)
    ended_with("startup", meet(probe, "failed without a message")["startup"], "StartupFailed", "")
    reply, _ = refuses_to_start(service, stack, trail, "refuses")
    if reply is None:
        fail("the server listens", "a process that ends, with the message of startup.failed", where=RUN)
    that(reply["code"], f"exit code {reply['code']}", "not 0: its supervisor must notice", where=RUN)
    message, said = f"no room for process {reply['pid']}", reply["output"].strip()[-300:]
    that(message in said, f"it printed {said!r}", f"the application's message: {message}", where=RUN)
    printed_by_run(probe, startup=f"no chair for {name(rng)}")


@check(task=2, rule=UNSUPPORTED)
@together.on("probe")
def test_task2_applications_without_lifespan_still_run(probe, service, rng):
    """An application that raises or returns instead of replying is served all the same"""
    for manner in ("raises at once", "raises", "returns"):
        seen = meet(probe, manner)
        ended_well("startup", seen["startup"])
    report = object_of(service("plain").get(f"/?mark={rng.randrange(1000)}"))
    expect("what the application says of its startup", report.get("started"), False, "it knows none")


@check(task=2, rule=STATE)
@together.on("witness")
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


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=SHUTDOWN)
@together.on("witness")
def test_task3_shutdown_comes_after_the_last_request(service, stack, trail, rng):
    """After SIGTERM: no new connections, responses to requests in flight, then shutdown"""
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
@together.on("brisk")
def test_task3_requests_that_never_end_are_cut_off(service, probe, stack, trail, rng):
    """Requests over the time limit are cut off, then comes shutdown; shutdown.failed is printed"""
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
    printed_by_run(probe, shutdown=f"{name(rng)} has lost the keys")


@check(task=3, rule=SHUTDOWN)
@together.on("probe")
def test_task3_shutdown_ends_whatever_the_application_does(probe, rng):
    """shutdown sends one event to the same call, and never waits for a call that has ended"""
    message = f"{name(rng)} left the door open"
    seen = meet(probe, "well-mannered", "", True)
    ended_well("startup", seen["startup"])
    ended_well("shutdown", seen["shutdown"])
    that(not seen["left early"], "shutdown returned before the reply", "shutdown that waits for it")
    expect("what the application was told", seen["told"], ["lifespan.startup", "lifespan.shutdown"])
    expect("how often it was called", seen["calls"], 1, "one call, from startup to shutdown")
    for manner in ("complete, then returns", "raises at once", "returns"):
        seen = meet(probe, manner, message, True)
        ended_well("startup", seen["startup"])
        ended_well("shutdown", seen["shutdown"])
    seen = meet(probe, "fails at shutdown", message, True)
    ended_well("startup", seen["startup"])
    ended_with("shutdown", seen["shutdown"], "ShutdownFailed", message)
    seen = meet(probe, "fails at shutdown without a message", "", True)
    ended_with("shutdown", seen["shutdown"], "ShutdownFailed", "")
    for manner in ("complete, then raises", "raises at shutdown", "returns at shutdown"):
        # Nothing was said, so the text leaves it to the server whether that counts as a failure.
        seen = meet(probe, manner, "", True)
        if seen["shutdown"].get("type") != "ShutdownFailed":
            ended_well("shutdown", seen["shutdown"])


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule="lab 12, task 4: no request waits for the disk")
@together.on("visits")
def test_task4_visits_are_written_behind(probe, rng):
    """A visit gets its response before it is written, and is written without another request"""
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
            "a response at once: the journal is written in the background",
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
@together.on("visits")
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
        if lost and who[1] in got:
            expected = "every visit once: what came while a write was under way was not in it. Wait for it, "
            expected += "take what it was given for written, and no more; then the rest is written"
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


@check(task=4, rule="asyncio, “Creating Tasks”: an exception ends its task silently")
@together.on("visits")
def test_task4_failed_writes_are_not_the_end(probe, rng):
    """A write that failed is tried again; one that fails to the end is shutdown.failed"""
    who = people(rng, 3)
    before = [["startup"], visit(who[0]), ["until", "wrote"], ["disk", "fail"]]
    after = [visit(who[1]), ["until", "failed"], ["until", "wrote", 2], ["shutdown"]]
    start, asked, _, _, second, failed, retried, end = play(probe, [*before, *after])
    started(start)
    answered(asked, 201)
    answered(second, 201)
    that(failed["seen"], history_shown(failed), "a background task that writes")
    that(
        retried["seen"],
        got=f"the disk was full for two writes, and nothing was written any more; {history_shown(retried)}",
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
        types(end) == ["lifespan.shutdown.failed"] and isinstance(message, str) and message,
        got=f"visits could not be written to the end; to lifespan.shutdown it replied {shown}"
        + (f", message {message!r}" if types(end) else ""),
        expected="lifespan.shutdown.failed with a message, a str: its operator must learn that they are lost",
        rule=SHUTDOWN_FAILED,
    )
    that("closed" in end["history"], history_shown(end), "closed all the same")


@check(task=4, rule=EVENTS)
@together.on("yours")
def test_task4_restart_loses_no_visit(front, stack, trail, rng):
    """Your application on your server, restarted: no visit is lost, no client is refused"""
    who = people(rng, 6)
    before = known(front)
    for one in who[:3]:
        expect("status", front.request("POST", f"/yours/visits?name={quote(one)}").status, 201)
    first = children(stack)
    stack.ask("signal", service="yours", number=int(signal.SIGHUP))
    # The process that stops may close what it has just accepted (uvicorn does). Then nobody accepts.
    settle(lambda: children(stack), lambda pids: not set(pids) & set(first))
    for one in who[3:]:
        answer = front.request("POST", f"/yours/visits?name={quote(one)}", seconds=6.0)
        expect("status", answer.status, 201, "a client that connects during a restart waits, and is served")
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
    number = object_of(answer).get("number")
    expect("the number of the last one", number, len(after), "those of earlier runs count, too")
