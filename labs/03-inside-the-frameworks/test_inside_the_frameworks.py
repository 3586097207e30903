"""Lab 3: what crosses the boundary, recorded without being changed; three frameworks; faults to be found."""

import contextlib
import importlib
import random
import string
import sys
from typing import Any

from workshop.judge.checks import (
    Client,
    Thing,
    Transcript,
    asgi_app,
    body_event,
    check,
    expect,
    fail,
    http_scope,
    made,
    name,
    named,
    note,
    ref,
    that,
    wire_cases,
    wsgi_app,
)
from workshop.paths import SOLUTIONS, STATE

START_RESPONSE = 'PEP 3333, "The start_response() Callable"'
BOUNDARIES = 'PEP 3333, "Middleware Handling of Block Boundaries"'
DETAILS = 'PEP 3333, "Specification Details"'
MIDDLEWARE = 'PEP 3333, "Middleware: Components that Play Both Sides"'
LENGTH = 'PEP 3333, "Handling the Content-Length Header"'
APPLICATIONS = 'ASGI, "Applications"'
VALIDATOR = "wsgiref.validate:validator"
TEXT = ("Content-Type", "text/plain")


# --- what the checks share --------------------------------------------------------------------------


def word(rng: random.Random, size: int = 8) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=size))


def wsgi_traced(app: Any) -> Any:
    return made("xray:wsgi_xray", app, note("record"))


def asgi_traced(app: Any) -> Any:
    return made("xray:asgi_xray", app, note("record"))


def recorded(seen: Transcript) -> list[tuple[Any, ...]]:
    """What record was called with, in order."""
    return [tuple(event["args"]) for event in seen.all("noted") if event["name"] == "record"]


def ended_well(seen: Transcript) -> None:
    """Fail with the exception when one came out."""
    error = seen.raised
    if error is None:
        return
    why = "an answer, and no exception"
    if "NoneType" in error["message"] and "callable" in error["message"]:
        why = "start_response that returns `write`, as the server's one does: some applications call it"
    elif "positional argument" in error["message"]:
        why = "start_response that takes exc_info as well: it comes third, after a failure"
    fail(f"{error['type']}: {error['message']}", why)


def plain(value: Any) -> Any:
    """A recorded value for comparison: a pair is a pair, whether it is a list or a tuple."""
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value


def line(event: tuple[Any, ...]) -> str:
    return f"record({', '.join(repr(item) for item in event)})"


def records(seen: Transcript, *wanted: tuple[Any, ...], rule: str = DETAILS) -> None:
    """Fail at the first event of the record that is not the wanted one."""
    got = recorded(seen)
    for index, right in enumerate(wanted):
        before = f"after {line(wanted[index - 1])}: " if index else "first: "
        if index >= len(got):
            fail(f"{before}nothing more was recorded", line(right), rule=rule)
        if plain(got[index]) != plain(right):
            fail(f"{before}{line(got[index])}", line(right), rule=rule)
    if len(got) > len(wanted):
        fail(f"one event too many: {line(got[len(wanted)])}", f"nothing after {line(wanted[-1])}", rule=rule)


# What comes by its own type: the wrapper is another object, and may have a close where the body has none.
OWN = ("noted", "returned", "close")


def crossing(seen: Transcript) -> list[dict[str, Any]]:
    """What both sides saw, in order, without what an X-ray may change: the type of the body."""
    kept = [event for event in seen.events if event["event"] not in OWN]
    return [
        {key: item for key, item in event.items() if key not in ("trace", "attributes")} for event in kept
    ]


def said(event: dict[str, Any]) -> str:
    details = ", ".join(f"{key} {value!r}" for key, value in event.items() if key not in ("event", "name"))
    return f"{event['event']} ({details})"[:200]


def unchanged(bare: Transcript, traced: Transcript, what: str, rule: str = MIDDLEWARE) -> None:
    """Fail at the first thing that is not as it is without the X-ray."""
    want, got = crossing(bare), crossing(traced)
    for index in range(max(len(want), len(got))):
        right = said(want[index]) if index < len(want) else "nothing more"
        is_ = said(got[index]) if index < len(got) else "nothing more"
        if index >= len(want) or index >= len(got) or want[index] != got[index]:
            before = f" after {said(got[index - 1])}" if index else ""
            fail(
                f"{what}, with the X-ray{before}: {is_}",
                f"as without it: {right}     {because(right, is_)}".rstrip(),
                rule=because_rule(right, is_, rule),
            )
    that(recorded(traced), f"{what}: nothing was recorded", "record called for what crossed the boundary")


def because(right: str, got: str) -> str:
    if right.startswith("inner closed") or got.startswith("inner closed"):
        return "close() is passed on when the server calls it: not before, not never"
    if right.startswith("chunk") and got.startswith(("inner chunk", "inner exhausted")):
        return "each chunk goes out before the next one is asked for"
    if right.startswith("start_response") and got.startswith("start_response"):
        return "status, headers and exc_info go through as they are"
    if got.startswith("read "):
        return "the request's body can be read once, and that is the application's"
    if right.startswith("write"):
        return "write hands the bytes on at once"
    return ""


def because_rule(right: str, got: str, usual: str) -> str:
    if right.startswith("chunk") and got.startswith("inner"):
        return BOUNDARIES
    if "inner closed" in (right + got):
        return DETAILS
    return START_RESPONSE if right.startswith(("start_response", "write")) else usual


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule=MIDDLEWARE)
def test_task1_events_come_in_order(probe, rng):
    """wsgi_xray records each event of an answer, in order"""
    chunks = [word(rng).encode(), b"", word(rng).encode()]
    status, headers = f"20{rng.randrange(7)} Fine", [TEXT, ("X-Task", word(rng))]
    prefix, path = f"/{word(rng)}", f"/tasks/{rng.randrange(1000)}"
    for late in (False, True):
        inner = wsgi_app(status=status, headers=headers, chunks=chunks, late_start=late, write=[b"pushed"])
        seen = probe.wsgi(wsgi_traced(inner), "POST", path, SCRIPT_NAME=prefix)
        ended_well(seen)
        started = [(1, "start_response", status, headers, None), (1, "write", b"pushed")]
        returned = [(1, "returned", "_ScriptedBody")]
        records(
            seen,
            (1, "called", "POST", prefix, path),
            *([*returned, *started] if late else [*started, *returned]),
            *((1, "chunk", chunk) for chunk in chunks),
            (1, "exhausted"),
            (1, "close"),
        )
    left = probe.wsgi(wsgi_traced(wsgi_app(headers=[TEXT], chunks=chunks)), take=1)
    ended_well(left)
    records(
        left,
        (1, "called", "GET", "", "/"),
        (1, "start_response", "200 OK", [TEXT], None),
        (1, "returned", "_ScriptedBody"),
        (1, "chunk", chunks[0]),
        (1, "close"),
    )


@check(task=1, rule='PEP 3333, "Error Handling"')
def test_task1_failures_are_recorded(probe, rng):
    """wsgi_xray records exc_info and exceptions, and lets them through"""
    call, start = (1, "called", "GET", "", "/"), (1, "start_response", "200 OK", [TEXT], None)
    returned, one = (1, "returned", "_ScriptedBody"), word(rng).encode()
    again = (1, "start_response", "500 Failed", [TEXT], "ValueError")
    seen = probe.wsgi(wsgi_traced(wsgi_app(chunks=[one, b"2"], exc_info=True)))
    ended_well(seen)
    ending = ((1, "exhausted"), (1, "close"))
    records(
        seen,
        call,
        start,
        returned,
        (1, "chunk", one),
        again,
        (1, "chunk", b"2"),
        *ending,
        rule=START_RESPONSE,
    )
    wanted = {
        "call": [call, (1, "raised", "RuntimeError", "call")],
        "iteration": [
            *(call, start, returned, (1, "chunk", one)),
            *((1, "raised", "RuntimeError", "iteration"), (1, "close")),
        ],
        "close": [
            *(call, start, returned, (1, "chunk", one), (1, "chunk", b"2"), (1, "exhausted")),
            *((1, "close"), (1, "raised", "RuntimeError", "close")),
        ],
    }
    for when, events in wanted.items():
        who = word(rng)
        seen = probe.wsgi(wsgi_traced(wsgi_app(raises=when, chunks=[one, b"2"], name=who)))
        error = seen.raised or {"type": "nothing", "message": ""}
        if "NotImplementedError" in error["type"]:
            ended_well(seen)
        that(
            who in error["message"],
            got=f"{error['type']} {error['message']!r} came out, where the application had raised in {when}",
            expected="the application's own exception: recorded, and let through to the server",
        )
        records(seen, *events)


SCRIPTS: dict[str, dict[str, Any]] = {
    "a body in four chunks": {"chunks": [b"a", b"", b"b", b"c"]},
    "a late start_response": {"chunks": [b"a", b"b"], "late_start": True},
    "an application that pushes": {"write": [b"1", b"2"], "chunks": [b"3"]},
    "a failure after the first chunk": {"chunks": [b"a", b"b"], "exc_info": True},
    "an exception in the call": {"raises": "call"},
    "an exception in the body": {"raises": "iteration", "chunks": [b"a", b"b", b"c"]},
    "an exception in close": {"raises": "close"},
    "an empty body": {"chunks": []},
}


@check(task=1, rule=MIDDLEWARE)
def test_task1_nothing_changes(probe, rng):
    """behind wsgi_xray both sides see what they saw without it"""
    data = f'{{"title": "{name(rng)}"}}'.encode()
    for what, script in SCRIPTS.items():
        for take in (None, 1):
            inner = wsgi_app(**{"status": f"2{rng.randrange(10, 99)} Fine", "headers": [TEXT], **script})
            bare = probe.wsgi(inner, "POST", body=data, take=take)
            traced = probe.wsgi(wsgi_traced(inner), "POST", body=data, take=take)
            if bare.raised is None or (traced.raised or {}).get("type") != "RuntimeError":
                ended_well(traced)
            left = f"{what}, and a client that leaves" if take else what
            unchanged(bare, traced, left)
    length_is_told(probe)
    input_is_left_alone(probe, data)


def length_is_told(probe: Any) -> None:
    """A body that has a len has one behind the X-ray: servers ask for it."""
    seen = probe.steps(
        ("environ", {"SCRIPT_NAME": "", "PATH_INFO": "/"}),
        made("wsgiref.util:setup_testing_defaults", named("environ")),
        (
            "body",
            made(wsgi_traced(ref("environ_wsgi:application")), named("environ"), note("start_response")),
        ),
        made("builtins:len", named("body")),
        sent="len(body), where the application returned a list of one chunk",
    )
    error = seen.raised
    that(
        error is None,
        got=f"{(error or {}).get('type')}: {(error or {}).get('message')}",
        expected="1: a server that sees one chunk adds its Content-Length, also with the X-ray",
        rule=LENGTH,
    )
    expect("len(body)", seen.values[-1], 1, "that of the application's list", rule=LENGTH)


def input_is_left_alone(probe: Any, data: bytes) -> None:
    seen = probe.wsgi(wsgi_traced(wsgi_app(read=-1)), "POST", body=data)
    ended_well(seen)
    got = (seen.first("inner read") or {}).get("data")
    expect("what the application read of wsgi.input", got, data, "a body can be read once")
    seen = probe.wsgi(wsgi_traced(wsgi_app()), "POST", body=data)
    got_reads = len(seen.all("read"))
    expect(
        "reads of wsgi.input", got_reads, 0, "the application asked for nothing, so nothing was to be read"
    )


@check(task=1, rule='PEP 3333, "Thread Support"')
def test_task1_overlapping_calls_have_their_own_numbers(probe, rng):
    """calls that overlap are recorded under their own numbers"""
    paths, asked = [f"/{word(rng)}" for _ in range(2)], [("app", wsgi_traced(wsgi_app(headers=[TEXT])))]
    for number, path in enumerate(paths):
        environ = {"SCRIPT_NAME": "", "PATH_INFO": path, "REQUEST_METHOD": "GET", "QUERY_STRING": ""}
        asked.append((f"body {number}", made(named("app"), environ, note("start_response"))))
    asked += [made("builtins:list", named(f"body {number}")) for number in (0, 1)]
    seen = probe.steps(*asked, sent=f"GET {paths[0]} and GET {paths[1]}, and only then both bodies")
    ended_well(seen)
    calls = [
        [
            (number, "called", "GET", "", path),
            (number, "start_response", "200 OK", [TEXT], None),
            (number, "returned", "_ScriptedBody"),
        ]
        for number, path in enumerate(paths, 1)
    ]
    bodies = [[(number, "chunk", b"inner body"), (number, "exhausted")] for number in (1, 2)]
    records(seen, *calls[0], *calls[1], *bodies[0], *bodies[1], rule='PEP 3333, "Thread Support"')


@check(task=1, rule=MIDDLEWARE)
def test_task1_flask_and_django_notice_nothing(probe, service, rng):
    """Flask and Django answer the same behind wsgi_xray, byte for byte"""
    who, data = word(rng), name(rng).encode()
    for framework in ("flask", "django"):
        app = ref(f"greeting_{framework}:application")
        for asked in (
            {"query": f"name={who}"},
            {"path": "/letters", "query": f"name={who}"},
            {"path": "/letters", "query": f"name={who}", "take": 2},
            {"path": "/upper", "method": "POST", "body": data},
            {"path": f"/{who}"},
            {"method": "HEAD"},
        ):
            what = f"{framework.title()}, {asked.get('method', 'GET')} {asked.get('path', '/')}"
            bare, traced = probe.wsgi(app, **asked), probe.wsgi(wsgi_traced(app), **asked)
            ended_well(traced)
            unchanged(bare, traced, what)
        validated(probe, framework, app, who)
    served(service("traced"), service("bare"), who)


def validated(probe: Any, framework: str, app: Any, who: str) -> None:
    """The standard library's validator on both sides of the X-ray has no complaint."""
    seen = probe.wsgi(made(VALIDATOR, wsgi_traced(made(VALIDATOR, app))), query=f"name={who}")
    error = seen.raised
    if error is not None and error["type"] == "AssertionError":
        fail(
            f"{framework.title()}, with wsgiref.validate on both sides of the X-ray: {error['message']}",
            "no complaint: towards the server you are an application, towards it a server",
        )
    ended_well(seen)
    that(
        "without being closed" not in seen.output,
        got=f"{framework.title()}, with wsgiref.validate on both sides: {seen.output.strip()[-90:]}",
        expected="close() on the application's body when yours is closed",
        rule=DETAILS,
    )


def served(traced: Client, bare: Client, who: str) -> None:
    """Under gunicorn: the same fields and the same body, the hour apart."""
    for target in (f"/?name={who}", f"/letters?name={who}", f"/{who}"):
        got, want = traced.get(target), bare.get(target)
        expect(f"status of {target}", got.status, want.status, "as without the X-ray")
        expect(f"body of {target}", got.body, want.body, "as without the X-ray")
        length, wanted = got.get("Content-Length"), want.get("Content-Length")
        expect(f"Content-Length of {target}", length, wanted, "as without the X-ray", rule=LENGTH)


# --- task 2 -----------------------------------------------------------------------------------------


def start_event(status: int = 200) -> dict[str, Any]:
    return {"type": "http.response.start", "status": status, "headers": [(b"content-type", b"text/plain")]}


def answer_event(data: bytes, more: bool = False) -> dict[str, Any]:
    return {"type": "http.response.body", "body": data, "more_body": more}


@check(task=2, rule='ASGI www, "HTTP"')
def test_task2_messages_come_in_order(probe, rng):
    """asgi_xray records each message, in order"""
    path, status = f"/tasks/{rng.randrange(1000)}", rng.randrange(200, 207)
    pieces = [body_event(word(rng).encode(), True), body_event(word(rng).encode())]
    sends = [start_event(status), answer_event(word(rng).encode(), True), answer_event(b"")]
    steps = [["receive"], ["send", sends[0]], ["receive"], ["send", sends[1]], ["send", sends[2]]]
    seen = probe.asgi(asgi_traced(asgi_app(*steps)), http_scope("POST", path), receive=pieces)
    ended_well(seen)
    records(
        seen,
        (1, "called", "http", path),
        (1, "receive", pieces[0]),
        (1, "send", sends[0]),
        (1, "receive", pieces[1]),
        (1, "send", sends[1]),
        (1, "send", sends[2]),
        (1, "returned"),
        rule='ASGI www, "HTTP"',
    )
    startup, complete = {"type": "lifespan.startup"}, {"type": "lifespan.startup.complete"}
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    app = asgi_traced(asgi_app(["receive"], ["send", complete]))
    seen = probe.asgi(app, scope, receive=[startup])
    ended_well(seen)
    records(
        seen,
        (1, "called", "lifespan", ""),
        (1, "receive", startup),
        (1, "send", complete),
        (1, "returned"),
        rule='ASGI, "Lifespan Scope"',
    )


@check(task=2, rule=APPLICATIONS)
def test_task2_nothing_changes(probe, rng):
    """behind asgi_xray both sides see what they saw without it"""
    what, who = word(rng), word(rng)
    cases: dict[str, tuple[list[list[Any]], list[dict[str, Any]]]] = {
        "an answer in pieces": (
            [["send", start_event()], ["send", answer_event(b"a", True)], ["send", answer_event(b"b")]],
            [],
        ),
        "a body in pieces": (
            [["receive until", "http.request"], ["send", start_event()], ["send", answer_event(b"a")]],
            [body_event(b"1", True), body_event(b"2", True), body_event(b"3")],
        ),
        "an application that reads nothing": (
            [["send", start_event()], ["send", answer_event(b"a")]],
            [body_event(b"1")],
        ),
        "an exception": ([["receive"], ["send", start_event()], ["raise", what]], [body_event()]),
    }
    for title, (steps, events) in cases.items():
        inner = asgi_app(*steps, name=who, scope=["type", "path", "root_path", "method", "headers"])
        bare = probe.asgi(inner, http_scope(path=f"/{what}"), receive=events)
        traced = probe.asgi(asgi_traced(inner), http_scope(path=f"/{what}"), receive=events)
        if bare.raised is None or (traced.raised or {}).get("type") == "NotImplementedError":
            ended_well(traced)
        unchanged_asgi(bare, traced, title)
        last = recorded(traced)[-1]
        ending = (1, "raised", "RuntimeError") if bare.raised else (1, "returned")
        expect(f"the last event of {title}", line(last), line(ending))
    cancelled(probe)


def unchanged_asgi(bare: Transcript, traced: Transcript, title: str) -> None:
    """Fail at the first difference; what was still running is compared as well."""
    kept = [
        [
            {key: plain(item) for key, item in event.items() if key not in ("trace", "attributes")}
            for event in seen.events
            if event["event"] not in ("noted", "returned")
        ]
        for seen in (bare, traced)
    ]
    for index in range(max(map(len, kept))):
        want, got = (said(side[index]) if index < len(side) else "nothing more" for side in kept)
        early = got.startswith(("receive", "still running")) and not want.startswith("receive")
        why = "     receive is called when the application calls it, and not before" if early else ""
        that(want == got, f"{title}, with the X-ray: {got}", f"as without it: {want}{why}")
    that(recorded(traced), f"{title}: nothing was recorded", "record called for what crossed the boundary")


def cancelled(probe: Any) -> None:
    """A server cancels a call: the application is told, and the record says so."""
    app = asgi_traced(asgi_app(["receive"], ["wait"]))
    seen = probe.asgi(app, http_scope(), receive=[body_event()], settle=0.05)
    if not recorded(seen):
        ended_well(seen)
    that(
        seen.first("inner cancelled"),
        got="a call that was cancelled, and the application did not notice",
        expected="CancelledError in the application: await it, in no task of its own",
    )
    last = recorded(seen)[-1:] or [()]
    expect("the last event of a cancelled call", line(last[0]), line((1, "raised", "CancelledError")))


@check(task=2, rule=APPLICATIONS)
def test_task2_fastapi_notices_nothing(probe, rng):
    """FastAPI answers the same behind asgi_xray, lifespan included"""
    app, who = ref("greeting_fastapi:application"), word(rng)
    data = [body_event(word(rng).encode(), True), body_event(word(rng).encode())]
    for scope, events in (
        (http_scope(query=f"name={who}".encode()), [body_event()]),
        (http_scope(path="/letters", query=f"name={who}".encode()), [body_event()]),
        (http_scope("POST", "/upper"), data),
        (http_scope(path="/broken"), [body_event()]),
        (http_scope(path=f"/{who}"), [body_event()]),
    ):
        what = f"FastAPI, {scope['method']} {scope['path']}"
        bare = probe.asgi(app, scope, receive=events)
        traced = probe.asgi(asgi_traced(app), scope, receive=events)
        if bare.raised is None or (traced.raised or {}).get("type") == "NotImplementedError":
            ended_well(traced)
        that(recorded(traced), f"{what}: nothing was recorded", "a record of the call")
        expect(f"{what}: messages sent", plain(traced.sends), plain(bare.sends), "as without the X-ray")
        raised = [(seen.raised or {}).get("type") for seen in (traced, bare)]
        expect(f"{what}: the exception", raised[0], raised[1], "as without the X-ray")
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    seen = probe.asgi(
        asgi_traced(app), scope, receive=[{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    )
    ended_well(seen)
    types = [message.get("type") for message in seen.sends]
    complete = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    expect("FastAPI, lifespan: messages sent", types, complete, rule='ASGI, "Lifespan Scope"')


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule='PEP 3333, "environ Variables"')
def test_task3_wsgi_prefix_moves_to_script_name(probe, rng):
    """wsgi_mounts moves the prefix from PATH_INFO to SCRIPT_NAME"""
    short, before = f"/{word(rng)}", f"/{word(rng)}"
    long, rest = f"{short}/{word(rng)}", f"/tasks/{rng.randrange(1000)}"
    apps = {
        prefix: wsgi_app(name=prefix, environ=["SCRIPT_NAME", "PATH_INFO"], chunks=[prefix.encode()])
        for prefix in (short, long)
    }
    mounts = made("mounts:wsgi_mounts", apps)
    for prefix, path, script in (
        (short, rest, ""),
        (long, rest, ""),
        (long, rest, before),
        (short, "/", before),
        (short, "", ""),
        (short, f"{short}/x", ""),
        (short, "/caf\xc3\xa9", before),
    ):
        seen = probe.wsgi(mounts, path=prefix + path, SCRIPT_NAME=script)
        ended_well(seen)
        called = seen.first("inner called")
        that(
            called is not None,
            got=f"{seen.status} for PATH_INFO {prefix + path!r}, where {prefix!r} is mounted",
            expected=f"the application under {prefix!r} called",
        )
        expect("the application that was called", (called or {}).get("name"), prefix, "the longest that fits")
        environ = (called or {}).get("environ", {})
        got = (environ.get("SCRIPT_NAME"), environ.get("PATH_INFO"))
        why = "what was mounted before stays in front" if script else "together they are the path, as before"
        expect("SCRIPT_NAME, PATH_INFO", got, (script + prefix, path), why)
        expect("body", seen.body, prefix.encode(), "the application's own")
    for path in (f"{short}ette", f"/{word(rng)}{short}", "/", ""):
        seen = probe.wsgi(mounts, path=path)
        ended_well(seen)
        why = "a prefix ends where a segment ends" if path.startswith(short) else "nothing is mounted there"
        expect(f"status of {path!r}", str(seen.status)[:3], "404", why)


@check(task=3, rule='ASGI www, "HTTP Connection Scope"')
def test_task3_asgi_prefix_is_added_to_root_path(probe, rng):
    """asgi_mounts adds the prefix to root_path, and the path stays whole"""
    short, before = f"/{word(rng)}", f"/{word(rng)}"
    long, rest = f"{short}/{word(rng)}", f"/tasks/{rng.randrange(1000)}"
    keys = ["type", "path", "root_path"]
    apps = {
        prefix: asgi_app(["send", start_event()], ["send", answer_event(b"x")], name=prefix, scope=keys)
        for prefix in (short, long)
    }
    mounts = made("mounts:asgi_mounts", apps)
    for prefix, path, root in (
        (short, rest, ""),
        (long, rest, ""),
        (long, rest, before),
        (short, "/", before),
        (short, f"{short}/x", ""),
        (short, "/café", ""),
    ):
        scope = http_scope(path=root + prefix + path, root_path=root)
        seen = probe.asgi(mounts, scope, receive=[body_event()])
        ended_well(seen)
        called = seen.first("inner called") or {}
        expect("the application that was called", called.get("name"), prefix, "the longest that fits")
        inner = called.get("scope", {})
        got, wanted = inner.get("root_path"), root + prefix
        expect("root_path", got, wanted, "what was mounted before stays in front" if root else "")
        expect(
            "path",
            inner.get("path"),
            root + prefix + path,
            "in ASGI it stays whole: root_path is its beginning",
        )
    nowhere_in_asgi(probe, mounts, short)
    other_scopes(probe, apps, short)


def nowhere_in_asgi(probe: Any, mounts: Any, short: str) -> None:
    for path in (f"{short}ette", "/"):
        seen = probe.asgi(mounts, http_scope(path=path), receive=[body_event()])
        ended_well(seen)
        start = seen.sends[0] if seen.sends and isinstance(seen.sends[0], dict) else {}
        why = "a prefix ends where a segment ends" if path.startswith(short) else "nothing is mounted there"
        expect(f"status of {path!r}", start.get("status"), 404, why)


def other_scopes(probe: Any, apps: dict[str, Any], short: str) -> None:
    """Lifespan goes to one application, a WebSocket where its path leads."""
    startup, complete = {"type": "lifespan.startup"}, {"type": "lifespan.startup.complete"}
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    app = asgi_app(["receive"], ["send", complete], name="lifespan")
    seen = probe.asgi(made("mounts:asgi_mounts", apps, lifespan=app), scope, receive=[startup])
    ended_well(seen)
    rule = 'ASGI, "Lifespan Scope"'
    expect(
        "lifespan: messages sent", seen.sends, [complete], "those of the application `lifespan`", rule=rule
    )
    mounts = made("mounts:asgi_mounts", apps)
    seen = probe.asgi(mounts, scope, receive=[startup])
    that(
        seen.raised,
        got=f"lifespan, and no application for it: it returned, after sending {seen.sends!r}",
        expected="an exception: the server takes it for `not supported`, and goes on",
        rule=APPLICATIONS,
    )
    socket = {**http_scope(path=f"{short}ette"), "type": "websocket", "subprotocols": []}
    seen = probe.asgi(mounts, socket, receive=[{"type": "websocket.connect"}])
    ended_well(seen)
    types = [message.get("type") if isinstance(message, dict) else message for message in seen.sends]
    expect("a WebSocket to nowhere: messages sent", types, ["websocket.close"], rule='ASGI www, "Close"')
    socket = {**socket, "path": f"{short}/chat"}
    called = probe.asgi(mounts, socket, receive=[{"type": "websocket.connect"}]).first("inner called") or {}
    expect("a WebSocket's application", called.get("name"), short, "mounted as for http")


@check(task=3, rule='PEP 3333, "environ Variables"')
def test_task3_three_frameworks_find_their_way(front, service, rng):
    """Flask, Django and FastAPI answer from one process, and link to themselves"""
    for served_by, frameworks in (("wsgi", ("flask", "django")), ("asgi", ("flask", "django", "fastapi"))):
        for framework in frameworks:
            number = rng.randrange(1, 1000)
            answer = service(served_by).get(f"/{framework}/tasks/{number}")
            found(answer, served_by, framework, number)
    for case in wire_cases(__file__):
        answer = front.send(case.data)
        expect(
            f"status ({case.name})", str(answer.status), case.notes.get("status"), case.notes.get("why", "")
        )


def found(answer: Any, served_by: str, framework: str, number: int) -> None:
    """Fail unless a framework saw itself mounted."""
    who, prefix = f"{framework}, mounted by {served_by}_mounts", f"/{framework}"
    expect(f"{who}: status", answer.status, 200)
    try:
        seen = answer.json()
    except ValueError:
        seen = {}
    that(isinstance(seen, dict) and seen, f"{who}: {answer.body[:80]!r}", "the JSON of its task")
    expect(f"{who}: framework", seen.get("framework"), framework)
    expect(f"{who}: prefix", seen.get("prefix"), prefix, "SCRIPT_NAME, or root_path: where it is mounted")
    expect(f"{who}: path", seen.get("path"), f"/tasks/{number}", "the path within it")
    expect(
        f"{who}: link", seen.get("link"), f"{prefix}/tasks/{number}", "a link without its prefix leads away"
    )
    if framework == "fastapi":
        why = "its lifespan has begun: its state is in the scope of each request"
        expect(f"{who}: started", seen.get("started"), "yes", why, rule='ASGI, "Lifespan Scope"')


# --- task 4 -----------------------------------------------------------------------------------------

LOOK = {
    "01": "between which two lines should another one stand?",
    "02": "clients may leave: that is no fault. Who is told, and by whom?",
    "03": "compare what the inner start_responses were given with the outer ones, item by item",
    "04": "a strange order may be a legal one: hold it against each rule",
    "05": "who was told that it is over, and who was not?",
    "06": "what was promised, and what came? Count, inside first",
    "07": "the first two lines should say the same of the request, in other words or in the same",
    "08": "how does a client know that this was the end? And who told it otherwise?",
    "09": "which message has one line where it should have two?",
    "10": "read the first line again: what was the application asked?",
}


def stacks() -> Any:
    """Stacks with faults, recorded here and now by the reference's X-ray: never by the learner's."""
    folder = str(SOLUTIONS / "03-inside-the-frameworks")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("stacks")
    finally:
        sys.path.remove(folder)


def kept(recording: Any) -> str:
    """Put a recording where the learner can read it whole and try it again; the words for the report."""
    text = stacks().as_text(recording.events)
    with contextlib.suppress(OSError):  # a grader's folder may be read-only
        (STATE / "recording.txt").write_text(text, encoding="utf-8")
        return (
            f"finding(events), with the events of {STATE.name}/recording.txt ({len(recording.events)} lines)"
        )
    return f"finding(events) of:\n{text}"


def explained(probe: Any, recordings: list[Any]) -> None:
    """Fail at the first recording for which the learner's `finding` is not what happened."""
    ask = [made("findings:finding", recording.events) for recording in recordings]
    seen = [probe.steps(one) for one in ask]
    right = [is_right(one, recording) for one, recording in zip(seen, recordings, strict=True)]
    if all(right):
        return
    first = right.index(False)
    recording = recordings[first]
    answer = probe.steps(ask[first], sent=kept(recording))
    ended_well(answer)
    said = f"{plain(answer.values[-1])!r} for one like traffic/{recording.like}.txt"
    fail(
        f"{said}: that is not what happened ({sum(right)} of {len(right)} are right)",
        f"layer, rule and line, all three     {LOOK[recording.like]}",
    )


def is_right(seen: Transcript, recording: Any) -> bool:
    """Whether a finding has the layer, the rule and a line that will do."""
    answer = seen.values[-1] if seen.values and not seen.raised else None
    items = list(answer.attributes.values()) if isinstance(answer, Thing) else answer
    if not isinstance(items, list | tuple) or len(items) != 3:
        return False
    return items[0] == recording.layer and items[1] == recording.rule and items[2] in recording.lines


@check(task=4, rule="the rule that findings.py has for it")
def test_task4_recordings_are_explained(probe, rng):
    """each recording: which layer broke which rule, at which line"""
    explained(probe, list(stacks().examples().values()))
    explained(probe, stacks().drawn(rng) + stacks().all_healthy(stacks().Draw(rng)))


@check(task=4, rule=DETAILS)
def test_task4_export_releases_what_it_holds(probe, rng):
    """export puts its connection back when the client leaves"""
    app = wsgi_traced(made("broken:export", note("opened"), note("released")))
    for take in (None, 3, 2, 1, 0):
        seen = probe.wsgi(app, take=take)
        ended_well(seen)
        rows = [b"id,title\n", b"1,Ask Ada\n", b"2,Ask Grace\n"]
        wanted = b"".join(rows if take is None else rows[:take])
        expect("body" if take is None else f"body, {take} chunks of it", seen.body, wanted)
        names = [event.get("name", event["event"]) for event in seen.events]
        end = names.index("close") if "close" in names else len(names)
        taken, back = (names[:end].count(what) for what in ("opened", "released"))
        when = "was read to its end" if take is None else f"was left after {take} chunks"
        that(
            taken == back,
            got=f"a body that {when} and closed: opened {taken} times, released {back} times by then",
            expected="as often released as opened, when close() has returned. Who has a close here?",
        )
        that(
            take in (0, 1) or taken == 1,
            got=f"a body that {when}: opened {taken} times",
            expected="opened once: rows come from a connection",
        )
    lazily(seen=probe.wsgi(app))


def lazily(seen: Transcript) -> None:
    """Fail when the whole table was read before its first row went out."""
    names = [event.get("name", event["event"]) for event in seen.events]
    last = max((index for index, what in enumerate(names) if what == "chunk"), default=0)
    early = "released" in names and names.index("released") < names.index("chunk") < last
    that(
        not early,
        got="released before the first row went out: the whole table was read into memory",
        expected="row by row, as it was: a table may be larger than memory",
        rule=BOUNDARIES,
    )


@check(task=4, rule=START_RESPONSE)
def test_task4_error_page_reaches_the_client(probe, rng):
    """quotient's own error page gets through, and the right answers too"""
    app, number = wsgi_traced(ref("broken:quotient")), rng.choice([2, 3, 4, 6, 7, 9, 12])
    seen = probe.wsgi(app, query=str(number))
    ended_well(seen)
    expect("status", seen.status, "200 OK")
    expect("body", seen.body, f"{252 / number}\n".encode())
    for query in (word(rng), "0", ""):
        seen = probe.wsgi(app, query=query)
        ended_well(seen)
        starts = [(event["status"][:3], event["exc_info"]) for event in seen.all("start_response")]
        that(
            starts and starts[-1][0] == "500" and all(kind for _, kind in starts[1:]),
            got=f"/?{query}: status and exc_info of each start_response = {starts!r}",
            expected="[('200', None), ('500', 'ValueError')], or one call with the 500: a second one without "
            "exc_info is an error of its own, and the server's page replaces yours",
        )
        expect("body", seen.body, b"Ask for a number that is not 0.\n")


@check(task=4, rule='ASGI www, "Request - receive event"')
def test_task4_upload_is_counted_to_its_end(probe, rng):
    """upload counts every piece of the body"""
    app = asgi_traced(ref("broken:upload"))
    for count in (1, 2, rng.randrange(3, 9)):
        pieces = [word(rng, rng.randrange(1, 50)).encode() for _ in range(count)]
        events = [body_event(piece, index < count) for index, piece in enumerate(pieces, 1)]
        seen = probe.asgi(app, http_scope("POST", "/"), receive=events)
        ended_well(seen)
        sends = [message for message in seen.sends if isinstance(message, dict)]
        body = b"".join(message.get("body", b"") for message in sends)
        size = sum(map(len, pieces))
        why = "more_body True: there is another piece, and nobody asked for it" if count > 1 else ""
        expect(f"body, for an upload in {count} pieces", body, f"{size}\n".encode(), why)
    half = [body_event(b"only half", True), {"type": "http.disconnect"}]
    seen = probe.asgi(app, http_scope("POST", "/"), receive=half, then="disconnect", settle=0.2)
    that(
        "still running" not in seen.names(),
        got="a client that left half way, and upload is still waiting for the rest",
        expected="an end: http.disconnect means that no more comes",
        rule='ASGI www, "Disconnect - receive event"',
    )
