"""Checks of what runs a server: what it imports, which processes there are, and how they end.

Import strings and the command line are asked by calling `main`'s functions. The rest is seen from outside:
answers of apps/which_process_asgi.py, its lines in the output, process ids, exit codes.
"""

from __future__ import annotations

import re
import signal
import time
from contextlib import ExitStack

from main_calls import ends, has_options, imported, is_refused, problem, word
from main_processes import SETTLE, Desks, Mains, Outcomes, closed_with, ended, kept, settle

from workshop.judge.checks import WireError, check, expect, fail, name, that, wire_cases
from workshop.judge.concurrent_checks import SideBySide
from workshop.judge.started_services import probe

STRINGS = 'uvicorn\'s documentation, "Command line options": APP is "<module>:<attribute>"'
SETTINGS = 'uvicorn\'s documentation, "Settings": the command line, then the environment, then the default'
CODES = "uvicorn's STARTUP_FAILURE: exit code 3 for a start that failed; 2 for a wrong command line"
SIGNALS = "uvicorn: SIGINT and SIGTERM stop accepting and wait for requests, then comes lifespan.shutdown"
LIMIT = "uvicorn's --timeout-graceful-shutdown: seconds to wait, then requests are cancelled"
FORCE = "uvicorn: a second SIGINT does not wait (CTRL+C to force quit)"
LIFESPAN = 'ASGI, "Lifespan": startup before the first connection, shutdown after the last'
SHUTDOWN_FAILED = 'ASGI lifespan, "Shutdown Failed"'
QUEUE = "listen(2): connections wait in the socket's queue until a process accepts them"
WAIT = "wait(2): a child that ended is a zombie until its parent waits for it"

together = SideBySide(main=Mains, desk=Desks, outcome=Outcomes, probe=probe)


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=STRINGS)
@together.on("")
def test_task1_import_string_names_an_object(probe, rng):
    """An import string names an object, dots and all"""
    module, value = word(rng), name(rng)
    cases = [
        ({module: f"app = {value!r}"}, f"{module}:app"),
        ({module: "", f"{module}.asgi": f"site = {value!r}"}, f"{module}.asgi:site"),
        ({module: f"class site:\n    class inner:\n        app = {value!r}"}, f"{module}:site.inner.app"),
    ]
    for sources, text in rng.sample(cases, len(cases)):
        seen = imported(probe, sources, text)
        that(seen.raised is None, problem(seen), f"the object, {value!r}")
        got = seen.values[-1] if seen.values else None
        expect(f"import_from_string({text!r})", got, value, "the attribute of that module")


@check(task=1, rule=STRINGS)
def test_task1_wrong_import_string_says_what_is_missing(probe, rng):
    """A wrong import string says what is missing"""
    module, other = word(rng), word(rng)
    here = {module: "app = 42\nclass site:\n    app = 42", f"{module}.wing": ""}
    cases = [
        (module, module, "no colon"),
        (f"{module}:", module, "nothing after the colon"),
        (":app", ":app", "nothing before the colon"),
        (f"no_{other}:app", f"no_{other}", "no such module"),
        (f"{module}.no_{other}:app", f"no_{other}", "no such module in a package that is there"),
        (f"{module}:app:no_{other}", f"no_{other}", "two colons"),
        (f"{module}:{other}", other, "no such attribute"),
        (f"{module}:site.{other}", other, "no such attribute of `site`"),
    ]
    for text, named_in, what in cases:
        is_refused(imported(probe, here, text), text, what, named_in)


@check(task=1, rule="Python, “Exception context”: an error that hides another one hides the cause")
def test_task1_failure_inside_a_module_is_not_masked(probe, rng):
    """A failure inside a module is not masked"""
    module, library = word(rng), f"library_{rng.randrange(100, 999)}"
    cases = [
        (f"import {library}\napp = 42", "ModuleNotFoundError", library),
        (f"import {module[:-1]}\napp = 42", "ModuleNotFoundError", module[:-1]),  # alike, and another one
        (f"import {module}.{library}\napp = 42", "ModuleNotFoundError", f"{module}.{library}"),
        ("import os\nos.no_such_thing\napp = 42", "AttributeError", "no_such_thing"),
        (f"raise ImportError({library!r})", "ImportError", library),
        ("app = 42 / 0", "ZeroDivisionError", "division by zero"),
        ("def app(:", "SyntaxError", "invalid syntax"),
    ]
    for source, kind, message in cases:
        seen = imported(probe, {module: source}, f"{module}:app")
        expected = f"the module's own {kind}: … {message} …"
        that(seen.raised is not None, "nothing was raised", expected)
        hidden = f"{problem(seen)}: but `{module}` is there, and what failed is inside it"
        got = problem(seen) if seen.raised["type"] == "NotImplementedError" else hidden
        that(seen.raised["type"] == kind and message in seen.raised["message"], got, expected)


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule=SETTINGS)
def test_task2_options_and_their_defaults(probe, rng):
    """Options become a Config, or have defaults"""
    port, workers, seconds = rng.randrange(2000, 9000), rng.randrange(3, 9), rng.randrange(1, 60)
    bare = {
        "app": "page:app",
        "host": "127.0.0.1",
        "port": 8000,
        "workers": 1,
        "reload": False,
        "timeout_graceful_shutdown": None,
    }
    has_options(probe, ["page:app"], bare)
    words = ["--port", str(port), "page:app", "--host", "0.0.0.0", "--reload"]
    has_options(probe, words, {**bare, "port": port, "host": "0.0.0.0", "reload": True})
    has_options(probe, ["page:app", "--port=65535"], {**bare, "port": 65535})
    words = ["page:app", f"--workers={workers}", "--timeout-graceful-shutdown", str(seconds)]
    has_options(probe, words, {**bare, "workers": workers, "timeout_graceful_shutdown": seconds})
    words = ["page:app", "--timeout-graceful-shutdown", "0"]
    has_options(probe, words, {**bare, "timeout_graceful_shutdown": 0})
    crowd = {"WEB_CONCURRENCY": str(workers + 1)}
    has_options(probe, ["page:app"], {**bare, "workers": workers + 1}, crowd)
    has_options(probe, ["page:app", "--workers", "2"], {**bare, "workers": 2}, crowd)


@check(task=2, rule=CODES)
def test_task2_failed_start_is_one_line_and_an_exit_code(probe, rng):
    """A failed start is one clear line and an exit code"""
    app, missing, free = "which_process_asgi:app", f"nobody_{rng.randrange(100, 999)}", ["--port", "0"]
    taken = ["--host", "127.0.0.1", "--port", "PORT"]
    ends(probe, [app, "--port", "eighty"], [2], ["port"])
    ends(probe, [app, f"--{missing}"], [2], [missing])
    ends(probe, [], [2])
    ends(probe, [f"which_process_asgi:{missing}", *free], [3], [missing])
    ends(probe, [f"{missing}:app", *free], [3], [missing])
    ends(probe, [app, *taken], [3])
    # Nonsense that `int` lets through. Whether the command line or the start finds out is up to you.
    for port in ("99999", "65536", "-1"):
        ends(probe, [app, f"--port={port}"], [2, 3], [port, "port"])
    for workers in ("0", "-1"):
        ends(probe, [app, f"--workers={workers}", *taken], [2, 3], ["worker", "WORKER"])
    ends(probe, [app, *taken], [2, 3], ["WEB_CONCURRENCY", "workers", missing], {"WEB_CONCURRENCY": missing})


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=LIFESPAN)
@together.on("slow-start")
def test_task3_startup_comes_first_and_shutdown_last(main):
    """Startup comes first, shutdown last"""
    here = main("slow-start")
    here.mark = 0
    why = "what startup puts into the state is in every scope; its startup takes half a second"
    expect("started", here.first_answer["started"], True, why)
    got = f"an answer from process {here.first_answer['pid']}, and {here.first} was started"
    that(here.first_answer["pid"] == here.first, got, "one process that serves: without --workers, no child")
    for case in wire_cases(__file__):
        expect("status", str(here.send(case).status), case.notes.get("status", "200"))
    that("app: startup" in here.output(), "an answer, and no startup", "lifespan.startup first")
    that("app: shutdown" not in here.output(), "shutdown while it serves", "shutdown at the end")
    with here.hold() as held, here.stay():
        here.ask()  # connections are accepted in turn: the one that is held is in flight now
        here.signal(signal.SIGTERM)
        settle(lambda: "app: shutdown" in here.output() or here.accepts_nobody(0.3), bool)
        here.rests()
        here.released(held, "in flight at SIGTERM")
    here.has_ended(signal.SIGTERM)
    expected = "app: shutdown, 0 in flight"
    said = here.said("app: shutdown", seconds=1.0)
    that(said, f"{here.app_lines()!r}", f"then {expected!r}: lifespan.shutdown")
    that(expected in here.output(), f"{here.app_lines()!r}", f"{expected!r}: after the last request")
    failed_shutdown_is_told(main("unclosed"))


def failed_shutdown_is_told(here):
    """The application's last message is printed, and the process ends; not as one that could not start."""
    here.mark = 0
    here.signal(signal.SIGTERM)
    code = settle(here.exit_code, lambda code: code is not None)
    that(
        code is not None,
        "the application sent lifespan.shutdown.failed; it still runs",
        "a process that ends",
    )
    said = here.said("a page of the register is wet", seconds=1.0)
    got = f"the application sent lifespan.shutdown.failed; the output: {here.output()[-300:]!r}"
    that(said, got, "its message, “a page of the register is wet”", rule=SHUTDOWN_FAILED)
    got = f"exit code {code} after lifespan.shutdown.failed"
    that(code not in (2, 3), got, "neither 2 nor 3: these say that it could not start", rule=CODES)


@check(task=3, rule=LIFESPAN)
@together.on("failing")
def test_task3_failed_startup_ends_with_3(outcome):
    """A failed startup: its message, exit code 3"""
    reply = outcome("failing")
    where = "your program: the application sent lifespan.startup.failed"
    sent = "nothing: at its start, the application answers lifespan.startup with lifespan.startup.failed"
    late = f"{SETTLE:g} s after lifespan.startup.failed the process still runs"
    that(reply["state"] == "exited", late, "a process that ends", where=where, sent=sent)
    expect("exit code", reply["code"], 3, "uvicorn's STARTUP_FAILURE", where=where, sent=sent)
    last = f"it ended and said {reply['output'].strip()[-300:]!r}"
    expected = "the application's own message, “no ink in the register”"
    that("no ink in the register" in reply["output"], last, expected, where=where, sent=sent)


@check(task=3, rule=SIGNALS)
@together.on("main")
def test_task3_term_lets_requests_finish(main, rng):
    """SIGTERM: requests in flight get their responses, new connections don't"""
    here = main("main")
    refused = here.refused()
    with ExitStack() as links:
        idle = links.enter_context(here.open("/", fields=[("Connection", "keep-alive")]))
        expect("status", idle.response().status, 200)
        half, chat = links.enter_context(here.begin()), links.enter_context(here.stay())
        held = [links.enter_context(here.hold()) for _ in range(rng.randrange(1, 4))]
        held.append(links.enter_context(here.hold(connection="keep-alive")))
        # Then the WebSocket is no longer new to a server that looks at it now and then.
        late = here.unread(links)
        here.signal(signal.SIGTERM)
        closed = here.comes_to_accept_nobody()
        here.signal(signal.SIGTERM)
        here.rests()
        closed = closed and here.accepts_nobody()  # one that came in that moment may have been let go as idle
        expected = "a closed door: they go elsewhere"
        that(closed, "a new request was answered while the old ones finished", expected)
        told, code = closed_with(chat, 2.0)
        left = [what for what, wire in (("idle", idle), ("with half a head", half)) if not ended(wire, 2.0)]
        got = f"still open, while requests were in flight: a connection that was {' and one '.join(left)}"
        that(not left, got, "at SIGTERM, the end of each connection without a request: `drain` closes them")
        answers = [here.released(wire, "in flight at SIGTERM, and at a second one") for wire in held]
        # The other end of the WebSocket takes its time: its TCP connection is open still. Who doesn't wait
        # for what is unread has ended by then.
        settle(here.exit_code, lambda code: code is not None, 1.0)
        here.rest_of(late)
    expect("answers", len(answers), len(held))
    got, expected = f"a WebSocket that was open at SIGTERM: {told}", "a Close frame with 1012"
    that(code in (1001, 1012), got, expected, rule='RFC 6455 §7.4.1: 1001 is "going away"; IANA: 1012')
    with refused:  # a server may listen to it for a moment, but not for ever
        here.has_ended(signal.SIGTERM)
    got = f"a traceback, though nothing has failed: {here.output()[-300:]!r}"
    that("Traceback" not in here.output(), got, "an end without one")


@check(task=3, rule=LIMIT)
@together.on("brief")
def test_task3_limit_cuts_off_what_is_left(main):
    """The time limit cuts off the remaining requests, then shutdown comes"""
    here = main("brief")
    with here.open("/slow?seconds=0.4") as short, here.open("/slow?seconds=60", 12.0) as long:
        here.ask()
        here.signal(signal.SIGTERM)
        kept(short, "that is through in less than the limit")
        here.has_ended(signal.SIGTERM)
        that(ended(long, 2.0), "the connection is still open", "a connection that ends")
    expected = "“app: cut off /slow”: the application's task is cancelled, and may tidy up"
    that(here.said("app: cut off /slow", seconds=1.0), f"output {here.output()[-300:]!r}", expected)
    expected = "“app: shutdown, 0 in flight” at the end, limit or not"
    said = here.said("app: shutdown, 0 in flight", seconds=1.0)
    that(said, f"output {here.output()[-300:]!r}", expected, rule=LIFESPAN)


@check(task=3, rule=FORCE)
@together.on("failing")
def test_task3_first_sigint_waits_and_second_does_not(main):
    """The first SIGINT waits, the second does not"""
    here = main("interrupted")
    with here.hold() as held, here.hold(12.0) as long:
        here.ask()
        here.signal(signal.SIGINT)
        here.rests()
        here.released(held, "in flight at the first SIGINT")
        here.rests()
        got = "it has ended, with a request in flight"
        that(here.exit_code() is None, got, "it waits: there is no time limit", rule=SIGNALS)
        ends_at_sigint(here, long, "the second SIGINT", "the second Ctrl-C")
    here = main("interrupted")
    with here.hold(12.0) as long:
        here.ask()
        here.signal(signal.SIGTERM)
        here.rests()
        what = "SIGTERM and then SIGINT"
        ends_at_sigint(here, long, what, "a SIGINT, whichever signal began the wait")


def ends_at_sigint(here, long, after, at):
    """A process that waits for a request ends at SIGINT, and the request's connection with it."""
    here.signal(signal.SIGINT)
    code = settle(here.exit_code, lambda code: code is not None)
    that(code is not None, f"{SETTLE:g} s after {after} it still waits", f"a process that ends at {at}")
    that(ended(long, 2.0), "the connection is still open", "a connection that ends with its process")


# --- task 4 -------------------------------------------------------------------------------------------


def page(text, first=""):
    return f"{first}\nfrom which_process_asgi import edition\n\napp = edition({text!r})\n"


@check(task=4, rule=QUEUE)
@together.on("reload")
def test_task4_saved_file_is_served_and_nobody_is_refused(desk, rng):
    """A saved file is served, and no connection is refused"""
    at = desk("reload")
    here, near, far = at.main, name(rng), name(rng)
    before = here.ask()
    that(before["pid"] != here.first, "an answer from the process that was started", "a child that serves")
    got = "nothing was saved, and another process answers than before"
    that(before["pid"] == here.first_answer["pid"], got, "a child that stays until a file is saved")
    # A module of a package below: the application's own file stays as it was.
    at.save("wing/east.py", f"SAID = {near!r}\n", by_rename=True)
    after = at.edition(near)
    here.stays()
    serves(before, after, near, "wing/east.py")
    with here.hold() as held:
        here.ask()
        at.save("page.py", page(far, "import time\ntime.sleep(0.3)"))
        here.takes_no_more()
        waiting = [here.open("/")]
        here.released(held, "in flight when page.py was saved")
        try:
            heard = []
            until = time.monotonic() + SETTLE
            while time.monotonic() < until and not (heard and heard[-1]["edition"] == far):
                waiting.append(here.open("/"))
                time.sleep(0.03)
                if len(waiting) >= 4:
                    heard += [here.again(wire) for wire in waiting]
                    waiting = []
            heard += [here.again(wire) for wire in waiting]
        except WireError as error:
            here.stays(1.0)
            fail(f"a request during the reload: {error.got}", "an answer: it waits in the socket's queue")
    serves(after, heard[-1], far, "page.py")
    here.stays()
    left = settle(here.pids, lambda pids: after["pid"] not in pids, 2.0)
    got = f"process {after['pid']}, which had the old code, is there"
    expected = "it ends, and its parent waits for it"
    zombie = after["pid"] in here.zombies()
    that(after["pid"] not in left, f"{got} as a zombie" if zombie else f"{got} still", expected, rule=WAIT)
    here.parent_waits()
    with here.hold() as held:
        here.ask()
        here.signal(signal.SIGINT)
        here.outlasts("your parent, after SIGINT")
        here.released(held, "in flight when the parent got SIGINT")
    here.has_ended(signal.SIGINT)


def serves(before, after, edition, file):
    """Another process than before serves what was saved."""
    got = f"edition = {after['edition']!r}, {SETTLE:g} s after {file} was saved, from "
    expected = f"edition = {edition!r}, from a new process"
    if after["pid"] == before["pid"]:
        got += "the same process as before"
        expected += ": each .py file below the folder is looked at, and a change ends the child"
    else:
        got += "a new process"
        expected += " that has read the files as they are now: its parent has imported none of them"
    that(after["edition"] == edition and after["pid"] != before["pid"], got, expected)


@check(task=4, rule="uvicorn's --reload: the parent watches on when a child could not start")
@together.on("mended")
def test_task4_broken_file_says_so_and_the_next_save_mends_it(desk, rng):
    """A broken file prints its traceback, the next save is served"""
    at = desk("mended")
    here, text, broken = at.main, name(rng), f"broken_{rng.randrange(100, 999)}"
    here.mark = here.stack.ask("status", service="mended")["mark"]
    source, kind = rng.choice(
        [
            (f"{broken}", "NameError"),
            (f"import {broken}", "ModuleNotFoundError"),
            (f"def {broken}(:", "SyntaxError"),
        ]
    )
    at.save("page.py", page(text, source))
    told = here.said(kind, broken)
    here.stays()
    got = f"the output since then: {here.output()[-300:]!r}"
    that(told, got, f"the {kind} of page.py on stderr, with {broken!r} in it")
    here.rests()
    times = here.output().count(broken)
    more = settle(lambda: here.output().count(broken), lambda now: now > times, 1.0)
    got = f"page.py was tried again, though nobody had saved it: {here.output()[-300:]!r}"
    that(more == times, got, "no new child before the next save: it would fail like the last")
    try:
        with here.open("/", SETTLE) as early:
            at.save("page.py", page(text))
            after = here.again(early)
    except WireError as error:
        here.stays(1.0)
        expected = "an answer, when page.py is fixed: until then it waits in the socket's queue"
        fail(f"a request while page.py was broken: {error.got}", expected, rule=QUEUE)
    expect("edition", after["edition"], text, "page.py was fixed")
    with here.hold() as held:
        here.ask()
        at.save("page.py", page(text, "import time"))
        here.takes_no_more()
        here.signal(signal.SIGTERM)
        here.rests()
        here.released(held, "in flight when page.py was saved, and the parent got SIGTERM")
    here.has_ended(signal.SIGTERM, "which came while it waited for its child", rule=SIGNALS)


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule="accept(2), fork(2): each process that has the socket may accept")
@together.on("workers")
def test_task5_every_worker_answers_and_a_dead_one_is_replaced(main, rng):
    """Every worker responds, a dead one is replaced"""
    here = main("workers")
    before = here.who_answers(3)
    expected = "three processes: the command says --workers 3"
    that(len(before) == 3, f"answers from {len(before)} process(es)", expected)
    got = "an answer from the process that was started"
    that(here.first not in before, got, "a parent that serves no requests")
    one = here.ask()
    got = f"a response from process {one['pid']}, whose application process {one['imported']} had imported"
    expected = "an application that each worker imports itself: its parent must not import it"
    that(one["imported"] == one["pid"], got, expected)
    for death in (signal.SIGKILL, signal.SIGTERM, 1, 70):
        victim = rng.choice(sorted(before))
        if isinstance(death, signal.Signals):
            here.signal(death, victim)
        else:
            with here.open(f"/exit?code={death}") as wire:
                ended(wire, 2.0)
            left = settle(here.pids, lambda pids, before=before: not before <= set(pids))
            victim = next(iter(before - set(left)), victim)
        how = f"worker {victim} ended ({getattr(death, 'name', f'exit code {death}')}) after it had served"
        settle(here.pids, lambda pids, victim=victim: victim not in pids)
        got, expected = f"{how}; the parent is gone", "a parent that stays, whatever its worker died of"
        try:
            after = here.who_answers(3, victim)
        except WireError:
            that(settle(here.exit_code, lambda code: code is not None, 1.0) is None, got, expected)
            raise
        that(here.exit_code() is None, got, expected)
        got = f"{how}; then {len(after - {victim})} process(es) answer"
        that(len(after) == 3 and victim not in after, got, "three, one of them new")
        got = f"{how}; {len(after - before)} new processes"
        that(len(after & before) == 2, got, "one: the other two stay")
        got, expected = f"{how}; it is a zombie", "a child that was waited for"
        that(victim not in here.pids(), got, expected, rule=WAIT)
        before = after
    here.parent_waits()
    here.signal(signal.SIGINT)
    here.has_ended(signal.SIGINT)


@check(task=5, rule=SIGNALS)
@together.on("two-workers")
def test_task5_term_drains_every_worker(main, rng):
    """SIGTERM drains every worker"""
    here = main("two-workers")
    workers = here.who_answers(2)
    got = f"answers from {len(workers)} process(es)"
    that(len(workers) == 2 and here.first not in workers, got, "two workers: the command says --workers 2")
    with ExitStack() as links:
        held = [links.enter_context(here.hold()) for _ in range(rng.randrange(6, 10))]
        here.block_all(2)
        here.signal(signal.SIGTERM)
        here.outlasts("your parent, after SIGTERM")
        for wire in held:
            here.released(wire, "in flight at SIGTERM", "its worker's answer, and the end after it")
    here.has_ended(signal.SIGTERM)
    times = len(re.findall("app: shutdown, 0 in flight", here.output()))
    got = f"lifespan.shutdown in {times} process(es)"
    that(times >= 2, got, "in both workers: each has its own application", rule=LIFESPAN)


@check(task=5, rule="uvicorn: a worker that failed to start (exit code 3) stops the parent")
@together.on("failing")
def test_task5_workers_that_cannot_start_end_it(outcome):
    """Workers that cannot start: their parent exits"""
    reply = outcome("unfit")
    where = "your parent: the startup of every worker fails"
    tried = reply["output"].count("app: startup")
    got = f"{SETTLE:g} s later it still tries: {tried} startups failed"
    expected = "a parent that gives up: the next worker fails like the last"
    that(reply["state"] == "exited", got, expected, where=where)
    got = f"output {reply['output'][-300:]!r}"
    that("no ink" in reply["output"], got, "the application's message", where=where)
    expect("exit code", reply["code"], 3, "a start that failed", rule=CODES, where=where)
    that(not reply["left"], f"{reply['left']} process(es) left behind", "no process left behind", where=where)
