"""Lab 3: what crosses the boundary, recorded without being changed; three frameworks; faults to be found."""

from bare_and_traced import (
    SCRIPTS,
    answer_event,
    cancelled,
    input_is_left_alone,
    length_is_told,
    served,
    start_event,
    unchanged,
    unchanged_asgi,
    validated,
)
from explained_recordings import explained, stacks
from mounted_applications import (
    found,
    nowhere_in_asgi,
    nowhere_in_wsgi,
    other_scopes,
    scope_stays,
    script_name_may_be_missing,
)
from recorded_events import (
    BOUNDARIES,
    DETAILS,
    MIDDLEWARE,
    START_RESPONSE,
    asgi_traced,
    ended_well,
    line,
    plain,
    recorded,
    records,
    word,
    wsgi_traced,
)
from records_of_odd_calls import (
    a_list_is_not_closed,
    calls_that_overlap,
    left_half_way,
    the_body_is_closed,
    the_body_is_read_when_asked,
)

from workshop.judge.checks import (
    Transcript,
    asgi_app,
    body_event,
    check,
    expect,
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

APPLICATIONS = 'ASGI, "Applications"'
THREADS = 'PEP 3333, "Thread Support"'
TEXT = ("Content-Type", "text/plain")


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule=MIDDLEWARE)
def test_task1_events_come_in_order(probe, rng):
    """wsgi_xray records each event of a response, in order"""
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
    a_list_is_not_closed(probe, chunks)
    the_body_is_closed(probe, chunks)


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
    the_body_is_read_when_asked(probe)


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


@check(task=1, rule=THREADS)
def test_task1_overlapping_calls_have_their_own_numbers(probe, rng):
    """calls that overlap are recorded under their own numbers"""
    paths, asked = [f"/{word(rng)}" for _ in range(2)], [("app", wsgi_traced(wsgi_app(headers=[TEXT])))]
    for number, path in enumerate(paths):
        environ = {"PATH_INFO": path, "REQUEST_METHOD": "GET"}  # SCRIPT_NAME may be missing where it is empty
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
    records(seen, *calls[0], *calls[1], *bodies[0], *bodies[1], rule=THREADS)


@check(task=1, rule=MIDDLEWARE)
def test_task1_flask_and_django_notice_nothing(probe, service, rng):
    """Flask and Django send the same bytes behind wsgi_xray"""
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


# --- task 2 -----------------------------------------------------------------------------------------


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
    socket, connect, close = {"type": "websocket", "path": path}, "websocket.connect", "websocket.close"
    app = asgi_traced(asgi_app(["receive"], ["send", {"type": close}]))
    seen = probe.asgi(app, socket, receive=[{"type": connect}])
    ended_well(seen)
    met = [(1, "receive", {"type": connect}), (1, "send", {"type": close})]
    records(seen, (1, "called", "websocket", path), *met, (1, "returned"), rule='ASGI www, "WebSocket"')
    calls_that_overlap(probe, [f"/{word(rng)}", f"/{word(rng)}"])


@check(task=2, rule=APPLICATIONS)
def test_task2_nothing_changes(probe, rng):
    """behind asgi_xray both sides see what they saw without it"""
    what, who = word(rng), word(rng)
    cases = {
        "a response in pieces": (
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


@check(task=2, rule=APPLICATIONS)
def test_task2_fastapi_notices_nothing(probe, rng):
    """FastAPI sends the same behind asgi_xray, lifespan included"""
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
    script_name_may_be_missing(probe, mounts, short)
    nowhere_in_wsgi(probe, mounts, short, f"/{word(rng)}{short}")


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
        why = f"the longest prefix of {prefix + path!r}, which is what is left of the path after root_path"
        expect("the application that was called", called.get("name"), prefix, why)
        inner = called.get("scope", {})
        got, wanted = inner.get("root_path"), root + prefix
        expect("root_path", got, wanted, "what was mounted before stays in front" if root else "")
        expect(
            "path",
            inner.get("path"),
            root + prefix + path,
            "in ASGI it stays whole: root_path is its beginning",
        )
    scope_stays(probe, mounts, long)
    nowhere_in_asgi(probe, mounts, short)
    other_scopes(probe, apps, short)


@check(task=3, rule='PEP 3333, "environ Variables"')
def test_task3_three_frameworks_find_their_way(front, service, rng):
    """Flask, Django and FastAPI run in one process, and their links work"""
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


# --- task 4 -----------------------------------------------------------------------------------------


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
            expected="as often released as opened, when close() has returned. Which object has a close?",
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
        expected="row by row, as before: a table may be larger than memory",
        rule=BOUNDARIES,
    )


@check(task=4, rule=START_RESPONSE)
def test_task4_error_page_reaches_the_client(probe, rng):
    """quotient's own error page arrives, and so do the right results"""
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
        why = "more_body True: there is another piece, and upload did not receive it" if count > 1 else ""
        expect(f"body, for an upload in pieces, {count} of them", body, f"{size}\n".encode(), why)
    half = [body_event(b"only half", True), {"type": "http.disconnect"}]
    left_half_way(seen=probe.asgi(app, http_scope("POST", "/"), receive=half, then="disconnect", settle=0.2))
