"""Checks of what runs a server: what it imports, which processes there are, and how they end.

Import strings and the command line are asked by calling `main`'s functions. The rest is seen from outside:
answers of apps/which_process_asgi.py, its lines in the output, process ids, exit codes.
"""

from __future__ import annotations

import re
import signal
import time
from contextlib import ExitStack

import pytest

from workshop.judge.checks import (
    Deadline,
    NoAnswer,
    Wire,
    WireError,
    check,
    expect,
    fail,
    made,
    method,
    name,
    named,
    request_bytes,
    that,
    wire_cases,
)
from workshop.judge.start_failure import StartTrouble

STRINGS = 'uvicorn\'s documents, "Command line options": APP is "<module>:<attribute>"'
SIGNALS = "uvicorn: SIGINT and SIGTERM stop accepting and wait for requests, then comes lifespan.shutdown"
LIMIT = "uvicorn's --timeout-graceful-shutdown: seconds to wait, then requests are cancelled"
LIFESPAN = 'ASGI, "Lifespan": startup before the first connection, shutdown after the last'
QUEUE = "listen(2): connections wait in the socket's queue until somebody accepts them"
SETTLE = 5.0
PAUSE = 0.02
FIRST_LOOK = 0.5
STEPS = 5


# --- task 1 -------------------------------------------------------------------------------------------


def word(rng):
    """A module's name that nobody has thought of."""
    return f"{rng.choice(['harbour', 'lighthouse', 'orchard'])}_{rng.randrange(1000, 9999)}"


def imported(probe, sources, text, seconds=3.0):
    """What becomes of import_from_string(text) when there are these modules."""
    sent = f"import_from_string({text!r}) with " + "; ".join(
        f"{module}.py: {source.strip()!r}" for module, source in sources.items()
    )
    steps = [made("modules_from_text:plant", sources), made("main:import_from_string", text)]
    return probe.steps(*steps, sent=sent, seconds=seconds)


def problem(transcript):
    """What was raised, in words; the hole of the starter is named as such."""
    raised = transcript.raised
    return "nothing was raised" if raised is None else f"{raised['type']}: {raised['message']}"


@check(task=1, rule=STRINGS)
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
    here = {module: "app = 42\nclass site:\n    app = 42"}
    cases = [
        (module, module, "no colon"),
        (f"{module}:", module, "nothing after the colon"),
        (":app", ":app", "nothing before the colon"),
        (f"no_{other}:app", f"no_{other}", "no such module"),
        (f"{module}:{other}", other, "no such attribute"),
        (f"{module}:site.{other}", other, "no such attribute of `site`"),
    ]
    for text, named_in, what in cases:
        seen = imported(probe, here, text)
        expected = f"an ImportFromStringError ({what}) whose message has {named_in!r} in it"
        that(seen.raised is not None, f"import_from_string({text!r}) returned {seen.values[-1:]!r}", expected)
        that(seen.raised["type"] == "ImportFromStringError", problem(seen), expected)
        that(named_in in seen.raised["message"], problem(seen), expected)


@check(task=1, rule="Python, “Exception context”: an error that hides another one hides the way to mend it")
def test_task1_failure_inside_a_module_is_not_masked(probe, rng):
    """A failure inside a module is not masked"""
    module, library = word(rng), f"library_{rng.randrange(100, 999)}"
    cases = [
        (f"import {library}\napp = 42", "ModuleNotFoundError", library),
        ("import os\nos.no_such_thing\napp = 42", "AttributeError", "no_such_thing"),
        (f"raise ImportError({library!r})", "ImportError", library),
        ("app = 42 / 0", "ZeroDivisionError", "division by zero"),
        ("def app(:", "SyntaxError", "invalid syntax"),
    ]
    for source, kind, message in [cases[0], *rng.sample(cases[1:], 3)]:
        seen = imported(probe, {module: source}, f"{module}:app")
        expected = f"the module's own {kind}: … {message} …"
        that(seen.raised is not None, "nothing was raised", expected)
        hidden = f"{problem(seen)}: but `{module}` is there, and what failed is inside it"
        got = problem(seen) if seen.raised["type"] == "NotImplementedError" else hidden
        that(seen.raised["type"] == kind and message in seen.raised["message"], got, expected)


# --- task 2 -------------------------------------------------------------------------------------------


@check(
    task=2, rule='uvicorn\'s documents, "Settings": the command line, then the environment, then the default'
)
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
    compare(probe, ["page:app"], bare)
    words = ["--port", str(port), "page:app", "--host", "0.0.0.0", "--reload"]
    compare(probe, words, {**bare, "port": port, "host": "0.0.0.0", "reload": True})
    words = ["page:app", f"--workers={workers}", "--timeout-graceful-shutdown", str(seconds)]
    compare(probe, words, {**bare, "workers": workers, "timeout_graceful_shutdown": seconds})
    crowd = {"WEB_CONCURRENCY": str(workers + 1)}
    compare(probe, ["page:app"], {**bare, "workers": workers + 1}, crowd)
    compare(probe, ["page:app", "--workers", "2"], {**bare, "workers": 2}, crowd)


def compare(probe, argv, expected, environ=()):
    """parse(argv) has these attributes."""
    said = f"parse({argv!r})" + (f" with {environ} in the environment" if environ else "")
    seen = probe.steps(
        made("os:environ.pop", "WEB_CONCURRENCY", None),
        made("os:environ.update", dict(environ)),
        ("config", made("main:parse", argv)),
        *[{"$attr": [named("config"), key]} for key in expected],
        sent=said,
    )
    that(seen.raised is None, problem(seen), "a Config")
    for key, value, got in zip(expected, expected.values(), seen.values[-len(expected) :], strict=False):
        that(got == value, f"config.{key} = {got!r}", f"config.{key} = {value!r}", sent=said)


@check(
    task=2, rule="uvicorn's STARTUP_FAILURE: exit code 3 for a start that failed; 2 for a wrong command line"
)
def test_task2_failed_start_is_one_line_and_an_exit_code(probe, rng):
    """A failed start is one clear line and an exit code"""
    missing, free = f"nobody_{rng.randrange(100, 999)}", ["--port", "0"]
    ends(probe, ["which_process_asgi:app", "--port", "eighty"], 2, "port")
    ends(probe, ["which_process_asgi:app", f"--{missing}"], 2, missing)
    ends(probe, [], 2, "")
    ends(probe, [f"which_process_asgi:{missing}", *free], 3, missing)
    ends(probe, [f"{missing}:app", *free], 3, missing)
    held = [
        ("held", made("socket:create_server", ("127.0.0.1", 0))),
        ("port", made("builtins:str", made("operator:getitem", method(named("held"), "getsockname"), 1))),
    ]
    taken = ["which_process_asgi:app", "--host", "127.0.0.1", "--port", named("port")]
    ends(
        probe,
        taken,
        3,
        "",
        held,
        "main(['which_process_asgi:app', '--host', '127.0.0.1', '--port', PORT]), PORT is taken",
    )


def ends(probe, argv, code, mention, before=(), sent=""):
    """main(argv) ends with this code, by returning or by SystemExit, and says why."""
    sent = sent or f"main({argv!r})"
    seen = probe.steps(*before, ("code", made("main:main", argv)), sent=sent)
    raised = seen.raised
    if raised is not None and raised["type"] != "SystemExit":
        fail(problem(seen), f"exit code {code}", sent=sent)
    got = raised["message"] if raised is not None else str(seen.values[-1] if seen.values else None)
    that(
        got == str(code),
        f"it ended with {got}, and said {seen.output[-200:]!r}",
        f"exit code {code}",
        sent=sent,
    )
    said = seen.output.strip()
    expected = f"a line on stderr that says what was wrong{f': {mention}' if mention else ''}"
    that(said and mention in said, f"exit code {got}, and the output {said[-200:]!r}", expected, sent=sent)
    expected = "one line for a person: nothing is wrong with the program"
    that("Traceback" not in said, f"a traceback: {said[-200:]!r}", expected, sent=sent)


# --- a server with or without children -----------------------------------------------------------------


class House:
    """One service: its first process, and what can be seen of it.

    Unlike a Client it does not start the service again in the middle of a check when it has ended.
    """

    def __init__(self, client, stack, trail):
        self.address, self.name = client.address, client.service
        self.stack, self.trail, self.story = stack, trail, []
        self.first = self.pids()[0]
        self.mark = trail.marks.get(self.name, 0)

    def pids(self):
        return self.stack.ask("pids", service=self.name)["pids"]

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

    def said(self, *words, seconds=SETTLE):
        """Whether its output comes to have all of these words."""
        text = settle(self.output, lambda text: all(one in text for one in words), seconds)
        return all(one in text for one in words)

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

    def open(self, target="/", seconds=10.0, more=()):
        """A connection with a request on its way; `.response()` waits for the answer."""
        self.note(f"GET {target}")
        wire = Wire(self.address.host, self.address.port, seconds)
        wire.send(request_bytes("GET", target, more or [("Connection", "close")]))
        return wire

    def ask(self, target="/", seconds=6.0):
        """Who answered, as {"pid", "parent", "edition", "started"}."""
        return said(self.open(target, seconds))

    def block_all(self, workers):
        """The pids that answer when as many requests as workers block one process each."""
        with ExitStack() as links:
            wires = []
            for _ in range(workers):
                wires.append(links.enter_context(self.open("/block?seconds=0.25")))
                time.sleep(2 * PAUSE)  # the process that has it is busy now: another one takes the next
            return {said(wire)["pid"] for wire in wires}

    def who_answers(self, workers, wanted):
        """The pids that answer; asked until `wanted` holds for them, or for a while."""
        return settle(lambda: self.block_all(workers), wanted)


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
    """The answer to a request that was in flight at some moment; none, or another status, fails."""
    try:
        with wire:
            response = wire.response()
    except WireError as error:
        fail(f"a request {when}: {error.got}", expected)
    that(response.status == 200, f"a request {when}: status {response.status}", expected)
    return response


def settle(look, holds, seconds=SETTLE):
    """What `look` sees, as soon as `holds` is true of it, or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(PAUSE)


@pytest.fixture
def house(service, stack, trail):
    """house("main"): the service, up and answering."""

    def enter(name):
        found = House(service(name), stack, trail)
        found.ask()
        return found

    return enter


def has_ended(house, number, seconds=SETTLE):
    """It has ended, as it was told to, and nobody is left."""
    where = f"your program, after {number.name}"
    code = settle(house.exit_code, lambda code: code is not None, seconds)
    that(code is not None, f"{seconds:g} s later it is still there", "a process that ends", where=where)
    left = settle(house.living, lambda pids: not pids, 2.0)
    that(not left, f"it ended, and left {len(left)} process(es) running", "nobody left behind", where=where)
    legal = (0, -number, 128 + number)
    expected = f"0, or the signal's own ({-number} here): to end at {number.name} is no failure"
    that(code in legal, f"exit code {code}", expected, where=where)


def accepts_nobody(house):
    """Whether a new connection is refused, or closed without an answer."""
    try:
        with Wire(house.address.host, house.address.port, 1.0) as wire:
            wire.send(request_bytes("GET", "/", [("Connection", "close")]))
            return wire.read() == b""
    except NoAnswer:
        return True
    except Deadline:
        return False


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


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=LIFESPAN)
def test_task3_startup_comes_first_and_shutdown_last(house):
    """Startup comes first, shutdown last"""
    here = house("main")
    here.mark = 0
    expect("started", here.ask()["started"], True, "what startup puts into the state is in every scope")
    for case in wire_cases(__file__):
        here.note(f"requests/{case.name}.http")
        with Wire(here.address.host, here.address.port, 6.0) as wire:
            wire.send(case.data)
            expect("status", str(wire.response().status), case.notes.get("status", "200"))
    that("app: startup" in here.output(), "an answer, and no startup", "lifespan.startup first")
    that("app: shutdown" not in here.output(), "shutdown while it serves", "shutdown at the end")
    with here.open("/slow?seconds=0.5") as slow:
        here.ask()  # connections are accepted in turn: the slow one is in flight now
        here.signal(signal.SIGTERM)
        settle(lambda: "app: shutdown" in here.output() or accepts_nobody(here), bool)
        said(slow)
    has_ended(here, signal.SIGTERM)
    expected = "app: shutdown, 0 in flight"
    got = "\n".join(line for line in here.output().splitlines() if line.startswith("app:"))
    that(here.said("app: shutdown", seconds=1.0), f"{got!r}", f"then {expected!r}: lifespan.shutdown")
    that(expected in here.output(), f"{got!r}", f"{expected!r}: after the last request")


@check(task=3, rule=LIFESPAN)
def test_task3_failed_startup_ends_with_3(service, stack, trail):
    """A failed startup: its message, exit code 3"""
    reply = outcome(service, stack, trail, "failing")
    where = "your program: the application sent lifespan.startup.failed"
    that(reply["state"] == "exited", f"{SETTLE:g} s later it still runs", "a process that ends", where=where)
    expect("exit code", reply["code"], 3, "uvicorn's STARTUP_FAILURE", where=where)
    last = f"it ended and said {reply['output'].strip()[-300:]!r}"
    expected = "the application's own message, “no ink in the register”"
    that("no ink in the register" in reply["output"], last, expected, where=where)


def outcome(service, stack, trail, name):
    """What became of a service that can't start: state, code, output and processes left."""
    trail.via, trail.service = "direct", name
    try:
        service(name)
    except StartTrouble as trouble:  # it ended before anybody saw it listen
        if trouble.reply["state"] != "exited" or "NotImplementedError" in trouble.reply["output"]:
            raise
        return {**trouble.reply, "left": trouble.reply["left_behind"]}
    look = lambda: stack.ask("status", service=name)  # noqa: E731
    reply = settle(look, lambda reply: reply["state"] == "exited")
    trail.marks.clear()
    trail.service = ""  # that it ended is what was asked of it
    pids = stack.ask("pids", service=name)
    left = settle(
        lambda: set(stack.ask("pids", service=name)["pids"][1:]) - set(pids["zombies"]), lambda s: not s, 1.0
    )
    return {**reply, "left": len(left)}


@check(task=3, rule=SIGNALS)
def test_task3_term_lets_requests_finish(house, rng):
    """SIGTERM: in flight is answered, nobody new gets in"""
    here = house("main")
    with ExitStack() as links:
        idle = links.enter_context(here.open("/", more=[("Connection", "keep-alive")]))
        expect("status", idle.response().status, 200)
        seconds = rng.choice([2.0, 2.1, 2.2])
        slow = [
            links.enter_context(here.open(f"/slow?seconds={seconds}")) for _ in range(rng.randrange(2, 5))
        ]
        here.ask()
        here.signal(signal.SIGTERM)
        closed = settle(lambda: accepts_nobody(here), bool, 1.8)
        heard = [kept(wire, "in flight at SIGTERM") for wire in slow]
        that(
            closed,
            "a new request was answered while the old ones finished",
            "a closed door: they go elsewhere",
        )
        expect("answers", len(heard), len(slow))
        has_ended(here, signal.SIGTERM)


@check(task=3, rule=LIMIT)
def test_task3_limit_cuts_off_what_is_left(house):
    """The limit cuts off what is left, then shutdown comes"""
    here = house("brief")
    with here.open("/slow?seconds=0.4") as short, here.open("/slow?seconds=60", 12.0) as long:
        here.ask()
        here.signal(signal.SIGTERM)
        kept(short, "that is through in less than the limit")
        has_ended(here, signal.SIGTERM)
        that(ended(long, 2.0), "the connection is still open", "a connection that ends")
    expected = "“app: cut off /slow”: the application's task is cancelled, and may tidy up"
    that(here.said("app: cut off /slow", seconds=1.0), f"output {here.output()[-300:]!r}", expected)
    expected = "“app: shutdown, 0 in flight” at the end, limit or not"
    that(here.said("app: shutdown, 0 in flight", seconds=1.0), f"output {here.output()[-300:]!r}", expected)


@check(task=3, rule="uvicorn: a second SIGINT does not wait (CTRL+C to force quit)")
def test_task3_first_sigint_waits_and_second_does_not(house):
    """The first SIGINT waits, the second does not"""
    here = house("main")
    with here.open("/slow?seconds=0.7") as slow, here.open("/slow?seconds=60", 12.0) as long:
        here.ask()
        here.signal(signal.SIGINT)
        kept(slow, "in flight at the first SIGINT")
        that(
            here.exit_code() is None,
            "it has ended, with a request in flight",
            "it waits: nobody said how long",
        )
        here.signal(signal.SIGINT)
        code = settle(here.exit_code, lambda code: code is not None)
        expected = "a process that ends at the second Ctrl-C"
        that(code is not None, f"{SETTLE:g} s after the second SIGINT it still waits", expected)
        that(ended(long, 2.0), "the connection is still open", "a connection that ends with its process")


# --- task 4 -------------------------------------------------------------------------------------------


class Desk:
    """Where the files of the `reload` service are edited."""

    def __init__(self, house, probe):
        self.house, self.probe = house, probe
        self.watched()

    def watched(self):
        """Give the parent the time for its first look at the files.

        uvicorn has it 0.25 s after it has started a child: what was saved before is nothing new to it.
        """
        time.sleep(FIRST_LOOK)

    def save(self, name, text, by_rename=False):
        trail = self.house.trail
        kept = trail.service
        self.probe.call("server_in_own_folder:write", self.house.first, name, text, by_rename)
        trail.service = kept
        self.house.note(f"{name} was saved: {text.strip()[:80]!r}")

    def lock(self, name):
        """What Emacs does while a file has changes that are not saved: a link to nowhere, named like it."""
        trail = self.house.trail
        kept = trail.service
        self.probe.call("server_in_own_folder:link", self.house.first, f".#{name}", "ada@localhost.4242:1843")
        trail.service = kept
        self.house.note(f".#{name} was made: a symbolic link to nowhere, as Emacs does it")

    def edition(self, wanted, when="during the reload"):
        """What answers, as soon as it is of that edition."""
        try:
            return settle(lambda: again(self.house), lambda one: one["edition"] == wanted)
        except WireError as error:
            stays(self.house, 1.0)
            fail(f"a request {when}: {error.got}", "an answer: it waits in the socket's queue")


def again(house, wire=None):
    """Who answered, asked a second time if need be.

    RFC 9112 §9.3.1: servers may close a connection that is idle to it while a request is on its way; clients
    then repeat what is idempotent. To be refused is something else: nobody has the socket.
    """
    try:
        return said(wire or house.open("/"))
    except NoAnswer as error:
        if error.got.startswith("no connection"):
            raise
        return said(house.open("/"))


def page(text, first=""):
    return f"{first}\nfrom which_process_asgi import edition\n\napp = edition({text!r})\n"


@check(task=4, rule=QUEUE)
def test_task4_saved_file_is_served_and_nobody_is_refused(house, probe, rng):
    """A saved file is served, and nobody is refused"""
    here = house("reload")
    desk = Desk(here, probe)
    before = here.ask()
    that(before["pid"] != here.first, "an answer from the process that was started", "a child that serves")
    near, far = name(rng), name(rng)
    desk.lock("page.py")
    # A module of a package below: the application's own file stays as it was.
    desk.save("wing/east.py", f"SAID = {near!r}\n", by_rename=rng.random() < 0.5)
    after = desk.edition(near)
    stays(here)
    expect("edition", after["edition"], near, f"{SETTLE:g} s after wing/east.py was saved")
    that(
        after["pid"] != before["pid"], "the same process", "a new process: a module is imported once in each"
    )
    desk.watched()
    with here.open("/slow?seconds=0.4") as slow:
        here.ask()
        desk.save("page.py", page(far, "import time\ntime.sleep(0.4)"), by_rename=rng.random() < 0.5)
        waiting, heard = [], []
        try:
            said(slow)
            until = time.monotonic() + SETTLE
            while time.monotonic() < until and not (heard and heard[-1]["edition"] == far):
                waiting.append(here.open("/"))
                time.sleep(2 * PAUSE)
                if waiting and len(waiting) >= 8:
                    heard += [again(here, wire) for wire in waiting]
                    waiting = []
            heard += [again(here, wire) for wire in waiting]
        except WireError as error:
            stays(here, 1.0)
            fail(f"a request during the reload: {error.got}", "an answer: it waits in the socket's queue")
    expect("edition", heard[-1]["edition"], far, "page.py was saved")
    stays(here)
    left = settle(here.living, lambda pids: after["pid"] not in pids, 2.0)
    that(after["pid"] not in left, f"process {after['pid']} still runs the old code", "it ends")


def stays(house, seconds=0.0):
    """The parent is the process that it was, and still is after so many seconds."""
    code = settle(house.exit_code, lambda code: code is not None, seconds)
    expected = "a parent that stays: it has the socket"
    that(code is None, f"the process that was started is gone (exit code {code})", expected)


@check(task=4, rule="uvicorn's --reload: the parent watches on when a child could not start")
def test_task4_broken_file_says_so_and_the_next_save_mends_it(house, probe, rng):
    """A broken file says so, the next save mends it"""
    here = house("reload")
    desk = Desk(here, probe)
    text, broken = name(rng), f"broken_{rng.randrange(100, 999)}"
    here.ask()
    here.mark = here.stack.ask("status", service="reload")["mark"]
    source, kind = rng.choice(
        [
            (f"{broken}", "NameError"),
            (f"import {broken}", "ModuleNotFoundError"),
            (f"def {broken}(:", "SyntaxError"),
        ]
    )
    desk.save("page.py", page(text, source))
    told = here.said(kind, broken)
    stays(here)
    got = f"the output since then: {here.output()[-300:]!r}"
    that(told, got, f"the {kind} of page.py on stderr, with {broken!r} in it")
    desk.watched()
    desk.save("page.py", page(text))
    after = desk.edition(text, "after page.py was mended")
    expect("edition", after["edition"], text, "page.py was mended")
    here.signal(signal.SIGTERM)
    has_ended(here, signal.SIGTERM)


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule="accept(2), fork(2): whoever has the socket may accept")
def test_task5_every_worker_answers_and_a_dead_one_is_replaced(house, rng):
    """Every worker answers, a dead one is replaced"""
    here = house("workers")
    before = here.who_answers(3, lambda pids: len(pids) == 3)
    expected = "three processes: the command says --workers 3"
    that(len(before) == 3, f"answers from {len(before)} process(es)", expected)
    that(
        here.first not in before, "an answer from the process that was started", "a parent that serves nobody"
    )
    victim = rng.choice(sorted(before))
    number = rng.choice([signal.SIGKILL, signal.SIGTERM])
    here.signal(number, victim)
    settle(here.pids, lambda pids: victim not in pids)
    after = here.who_answers(3, lambda pids: len(pids) == 3 and victim not in pids)
    that(
        here.exit_code() is None,
        "the parent is gone",
        f"a parent that stays: only {victim} got {number.name}",
    )
    got = f"worker {victim} got {number.name}; then {len(after - {victim})} process(es) answer"
    that(len(after) == 3 and victim not in after, got, "three, one of them new")
    that(len(after & before) == 2, f"{len(after - before)} new processes", "one: the other two stay")
    that(victim not in here.pids(), f"worker {victim} is a zombie", "a child that was waited for")


@check(task=5, rule=SIGNALS)
def test_task5_term_drains_every_worker(house, rng):
    """SIGTERM drains every worker"""
    here = house("workers")
    here.who_answers(3, lambda pids: len(pids) == 3)
    with ExitStack() as links:
        slow = []
        for _ in range(rng.randrange(6, 10)):
            slow.append(links.enter_context(here.open("/slow?seconds=0.7")))
        here.block_all(3)
        here.signal(signal.SIGTERM)
        for wire in slow:
            kept(wire, "in flight at SIGTERM", "its worker's answer, and the end after it")
    has_ended(here, signal.SIGTERM)
    times = len(re.findall("app: shutdown, 0 in flight", here.output()))
    that(
        times >= 3, f"lifespan.shutdown in {times} process(es)", "in all three: each has its own application"
    )


@check(task=5, rule="uvicorn: a worker that failed to start (exit code 3) stops the parent")
def test_task5_workers_that_cannot_start_end_it(service, stack, trail):
    """Workers that cannot start end their parent"""
    reply = outcome(service, stack, trail, "unfit")
    where = "your parent: the startup of every worker fails"
    tried = reply["output"].count("app: startup")
    got = f"{SETTLE:g} s later it still tries: {tried} startups failed"
    that(
        reply["state"] == "exited",
        got,
        "a parent that gives up: the next worker fails like the last",
        where=where,
    )
    that(
        "no ink" in reply["output"],
        f"output {reply['output'][-300:]!r}",
        "the application's message",
        where=where,
    )
    that((reply["code"] or 0) >= 0, f"it died of signal {-(reply['code'] or 0)}", "an exit code", where=where)
    that(not reply["left"], f"{reply['left']} process(es) left behind", "nobody left behind", where=where)
