"""Both sides of lifespan without a socket: what the probe did with them, and what it should have been.

See apps/lifespan_without_socket.py.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from workshop.judge.checks import expect, fail, made, name, ref, that

LACKS_STATE = 'ASGI lifespan, "Lifespan State": a server that lacks it leaves the key out'


def play(probe, *scripts, state=True):
    """What app.py did in each step of each script: see apps/lifespan_without_socket.py."""
    words = "\nand ".join("; ".join(map(in_words, script)) for script in scripts)
    seen = probe.steps(
        made("lifespan_without_socket:play", ref("app:app"), *scripts, state=state),
        seconds=9.0,
        sent=f"to app.app{'' if state else ', without the key state in the scope'}: {words}",
    )
    if seen.raised:
        error = seen.raised
        fail(f"{error['type']}: {error['message']}", "an application that answers, and raises nothing")
    reports = seen.values[-1]
    return reports[0] if len(scripts) == 1 else reports


NO_FOLDER = "/dev/null/journal.txt"  # no folder, but a device: another OSError than for one that is missing

STEPS = {
    "startup": "lifespan.startup",
    "shutdown": "lifespan.shutdown",
    "shutdown while": "lifespan.shutdown in the middle of that write",
    "disk hold": "(from now on the disk waits)",
    "disk step": "(the disk does one step)",
    "disk free": "(the disk goes on)",
    "disk fail": "(the disk is full, for two writes)",
    "disk fail always": "(the disk is full)",
    "until writing": "(a write begins)",
    "until wrote": "(it is written)",
    "until failed": "(the write failed)",
    "tasks": "(what runs still?)",
    f"path {NO_FOLDER}": f"(the journal is {NO_FOLDER})",
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
        got = f"{report['asked']} was not answered: {how}"
        if report.get("type") == "KeyError":
            got += f"; scope['state'] of this request has the keys {report['state']}"
        fail(got, f"an answer with status {status}")
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


def meet(probe, manner, message="", to_the_end=False):
    """What Lifespan did with an application of this manner: see apps/lifespan_without_socket.py."""
    call = made("lifespan_without_socket:meet", ref("lifespan:Lifespan"), manner, message, to_the_end)
    calls = "startup(), then shutdown()" if to_the_end else "startup()"
    shown = f"Lifespan(application).{calls}; the application {MANNERS.get(manner, manner)}"
    seen = probe.steps(call, seconds=9.0, sent=shown)
    if seen.raised:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", f"{calls} without an error of its own")
    return seen.values[-1]


MANNERS = {
    "well-mannered": "replies complete to both events",
    "failed": "replies startup.failed and returns",
    "failed without a message": "replies startup.failed and leaves the message out",
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
    "fails at shutdown without a message": "replies shutdown.failed and leaves the message out",
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


def printed_by_run(probe, startup="", shutdown=""):
    """What `run` prints to standard output and to standard error, with an application that says failed."""
    said = f"startup.failed: {startup}" if startup else f"shutdown.failed: {shutdown}"
    call = made("lifespan_without_socket:run_to_its_end", ref("lifespan:run"), startup, shutdown)
    sent = f"run(application, …); the application says lifespan.{said}"
    seen = probe.steps(call, seconds=9.0, sent=sent)
    if seen.raised:
        fail(f"run raised {seen.raised['type']}: {seen.raised['message']}", "run that returns an exit code")
    report, message = seen.values[-1], startup or shutdown
    got = f"run printed {report['stdout']!r} to standard output and {report['stderr']!r} to standard error"
    that(message in report["stderr"], got, f"the message on standard error: {message}", sent=sent)


def told_of_another_error(probe):
    """A journal that can't be opened for another reason: startup.failed, with that reason."""
    _, start = play(probe, [["path", NO_FOLDER], ["startup"]])
    raised = f", and raised {start['raised']}" if start["raised"] else ""
    that(
        types(start) == ["lifespan.startup.failed"],
        got=f"to lifespan.startup it replied {types(start) or 'nothing'}{raised}",
        expected="one lifespan.startup.failed: Journal.open raises OSError, whichever it is",
    )
    message = start["sent"][0].get("message")
    said = isinstance(message, str) and "ot a directory" in message
    that(said, f"startup.failed with the message {message!r}", "a str: the reason, as OSError says it")


def told_without_state(probe, rng):
    """A server without state gets startup.failed with a reason, or all the same a book."""
    who = people(rng, 1)
    start, asked, book = play(probe, [["startup"], visit(who[0]), BOOK], state=False)
    if types(start) == ["lifespan.startup.failed"]:
        message = start["sent"][0].get("message")
        that(message, f"startup.failed with the message {message!r}", "a message that says what is missing")
        left = start["history"].count("opened") - start["history"].count("closed")
        that(
            not left,
            "startup.failed, and the journal was opened and is still open",
            "nothing left open after startup.failed",
        )
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
