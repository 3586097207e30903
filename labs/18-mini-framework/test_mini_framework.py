"""Lab 18: a framework, asked through the applications that stand on it, on three servers."""

import json
import random
import time
from typing import Any
from urllib.parse import quote

from client_calls import (
    CLIENT,
    a_shutdown_fails,
    answers_are_whole,
    call,
    lifespan_is_lived_through,
    schemes_and_codes,
    talks_end,
    unseen_request,
    unseen_talk,
)
from http_answers import (
    JSON,
    PATIENCE,
    an_own_handler_explains,
    breaks_off,
    complains_of,
    deep_trees_are_no_accident,
    errands_are_kept_apart,
    half_a_body_is_none,
    head_promises_the_same,
    long_bodies_come_whole,
    members,
    no_content,
    no_nan_goes_out,
    nothing_else_is_cut_off,
    odd_errands_are_no_accident,
    other_types_are_no_json,
    parcels_are_validated,
    pieces_are_closed,
    problems,
    response_says,
    sent_types,
    status,
    title,
    value,
)
from in_a_row import defaults_are_ones_own
from tasks_and_chat import people_talk, tasks_are_kept
from websocket_talks import (
    a_client_has_left,
    an_end_is_raised,
    are_refused,
    closes,
    conversations_get_no_response,
    heard,
    hears,
    opened,
    the_first_route_talks,
)

from workshop.judge.checks import (
    NOT_JSON,
    Client,
    Deadline,
    Probe,
    check,
    expect,
    fail,
    http_scope,
    name,
    that,
    wire_cases,
)

SERVERS = ("uvicorn", "hypercorn", "workshop")


# --- task 1: routes, requests, responses ------------------------------------------------------------


@check(task=1, rule="RFC 9110 §15.5.5, §15.5.6, §9.3.2")
def test_task1_routes_are_found_by_path_and_method(service: Any, probe: Probe, rng: random.Random) -> None:
    """Routes are found by path and method: 404, 405 with Allow, HEAD"""
    client = service("switchboard")
    first, rest = f"{title(rng)} %41", f"{rng.randrange(99)}/{rng.randrange(99)}"
    got = members(value(client.get(f"/line/{quote(first, safe='')}/{rest}")))
    expect("path_params: first", got.get("first"), first, "{first} is one segment of the path, decoded once")
    expect("path_params: rest", got.get("rest"), rest, "{rest:path} is anything, slashes too")
    got = members(value(client.get("/line/x/")))
    expect("path_params of /line/x/", got.get("rest"), "", "anything: nothing, too")
    got = value(client.get("/first/fixed"))
    why = "/first/{name} is registered before /first/fixed: the first route that fits is taken"
    expect("what GET /first/fixed returned", got, ["the first route", "fixed"], why)
    expect("what GET /line returned", value(client.get("/line")), "got", "a text is JSON as well")
    expect("what POST /line returned", value(client.request("POST", "/line"), 201), ["posted"])
    gone = client.request("DELETE", "/line")
    status(gone, 204, "the route's status_code")
    expect("the body of a 204", gone.body, b"", rule="RFC 9110 §15.3.5: no content")
    expect("the Content-Length of a 204", gone.get("Content-Length"), None, rule="RFC 9110 §8.6: MUST NOT")
    no_content(probe, "/unchanged", "the route's status_code")
    status(client.request("DELETE", "/size"), 200, "@app.delete without status_code")
    head = client.request("HEAD", "/line")
    status(head, 200, "every resource that has GET has HEAD")
    expect("the body of HEAD", head.body, b"")
    head_promises_the_same(client)
    wrong = client.request("PATCH", "/line")
    status(wrong, 405, "the path is known, the method is not")
    allow = {one.strip() for one in (wrong.get("Allow") or "").split(",")}
    that(
        {"GET", "HEAD", "POST", "DELETE"} <= allow and "PATCH" not in allow,
        f"Allow = {wrong.get('Allow')!r}",
        "GET, HEAD, POST and DELETE: those of all three routes at /line",
    )
    for target in (
        "/nowhere",
        f"/typed/1/{rng.randrange(99)}",
        f"/lines{rng.randrange(99)}",
        "/ine",
        "/linex/a/b",
    ):
        status(client.get(target), 404, f"no route is {target}")
    for case in wire_cases(__file__, "switchboard-*.http"):
        status(client.send(case.data), int(case.notes["status"]), case.notes["why"])


@check(task=1, rule='ASGI www, "HTTP Connection Scope" and "Response Start"')
def test_task1_requests_and_responses_are_objects(service: Any, probe: Probe, rng: random.Random) -> None:
    """A Request has what the client sent, a Response sends what it was made of"""
    client = service("switchboard")
    note, body = f"n{rng.randrange(999)}", f"{title(rng)}".encode()
    tags = [title(rng), "", title(rng)]
    target = "/seen?" + "&".join(f"tag={quote(one)}" for one in tags)
    fields = [("x-nOTE", note), ("X-Note", "two")]
    seen = members(value(client.request("POST", target, fields, body, seconds=2 * PATIENCE)))
    expect("request.headers.get('X-Note')", seen.get("note"), note, "in any case of its name; the first")
    expect("request.headers.getlist('x-note')", seen.get("notes"), [note, "two"])
    expect("request.headers.get('x-none', 'none')", seen.get("none"), "none")
    expect("request.query_params.getlist('tag')", seen.get("tags"), tags, "decoded, in order, empty ones too")
    expect("request.body()", seen.get("body"), body.decode("latin-1"))
    try:
        again = value(client.request("POST", "/twice", (), body, seconds=PATIENCE))
    except Deadline:
        again = f"no answer in {PATIENCE:g} s: the second body() waits for events that will not come"
    why = "read once, and kept: a handler and a middleware component may both ask for it"
    expect(
        "await request.body() == await request.body()", again, True, why, rule="framework.py, Request.body"
    )
    pieces = [body[:3], b"", *(body[at : at + 3] for at in range(3, len(body), 3))]
    events = [{"type": "http.request", "body": one, "more_body": True} for one in pieces]
    parts = probe.asgi(
        "framework_features:app", http_scope("POST", "/seen"), [*events, {"type": "http.request"}]
    )
    got = b"".join(one.get("body", b"") for one in parts.sends if one.get("type") == "http.response.body")
    shown = json.dumps(body.decode("latin-1"))
    try:
        whole = json.loads(got).get("body")
    except (*NOT_JSON, AttributeError):
        whole = f"(no JSON: {got[:80]!r})"
    expect(
        f"the body that came in {len(pieces)} pieces", whole, json.loads(shown), "until more_body is False"
    )
    half_a_body_is_none(probe, body)
    long_bodies_come_whole(client, rng.randrange(100_000, 200_000))
    response_says(client, probe, rng)


@check(task=1, rule='ASGI www, "Disconnect - receive event"')
def test_task1_stream_ends_with_its_client(service: Any, probe: Probe, rng: random.Random) -> None:
    """A stream goes out piece by piece, and ends when its client leaves"""
    client = service("switchboard")
    number = rng.randrange(3, 9)
    code = rng.choice([203, 404])
    answer = client.get(f"/ticks?number={number}&status={code}")
    status(answer, code, "StreamingResponse(pieces, status_code)")
    expect("X-Note", answer.get("X-Note"), "ticks", "StreamingResponse(pieces, status_code, headers)")
    expect("body", answer.body.decode(), "".join(f"{at}\n" for at in range(number)))
    with client.connect(seconds=2 * PATIENCE) as connection:
        connection.send(b"GET /ticks HTTP/1.1\r\nHost: localhost\r\n\r\n")
        head, pieces = connection.stream()
        that(head.status == 200, head.line, "200, and a body without end")
        expect("the first piece", next(pieces, b"")[:2], b"0\n", "each piece is sent as soon as it is there")
        connection.reset()
    end = time.monotonic() + PATIENCE
    while (counts := value(client.get("/count"))).get("open") != 0:
        if time.monotonic() > end:
            fail(
                f"streams that still run: {counts.get('open')}",
                "none: the client has left, so the generator's `finally` runs",
            )
        time.sleep(0.02)
    that(counts.get("opened", 0) >= 1, "no stream was opened", "one that was opened, and then closed")
    pieces_are_closed(probe)


# --- task 2: values from annotations ----------------------------------------------------------------


@check(task=2, rule="framework.py, App: a parameter is found by its name and annotation")
def test_task2_path_and_query_have_their_types(service: Any, rng: random.Random) -> None:
    """Parameters of path and query have the types of their annotations"""
    client = service("switchboard")
    number, ratio, word = rng.randrange(-999, 999), rng.randrange(1, 99) + 0.5, title(rng)
    target = f"/typed/{number}?word={quote(word)}&ratio={ratio}"
    got = value(client.get(target))
    expect("[number, ratio, word, loud, maybe]", got, [number, ratio, word, False, None], "int, float, str")
    for text, loud in (("true", True), ("false", False), ("1", True), ("0", False)):
        maybe = rng.randrange(99)
        got = value(client.get(f"{target}&loud={text}&maybe={maybe}"))
        expect(f"with loud={text}", got, [number, ratio, word, loud, maybe], "bool, and int | None")
    got = value(client.get(f"/typed/{number}?word=&ratio={ratio}"))
    expect("with word=", got, [number, ratio, "", False, None], "an empty text is a text")
    no_nan_goes_out(client, rng.choice(["nan", "inf", "-inf"]))


@check(task=2, rule="framework.py, App: a parameter that is a dataclass is the body's JSON")
def test_task2_json_becomes_a_dataclass(service: Any, probe: Probe, rng: random.Random) -> None:
    """A JSON body becomes a dataclass, with dataclasses and lists in it"""
    client = service("switchboard")
    number = rng.randrange(999)
    short = {"title": title(rng), "minutes": rng.randrange(99)}
    rest: dict[str, Any] = {"price": 0.0, "urgent": False, "tags": [], "owner": None}
    owner = {"name": name(rng), "age": rng.randrange(99)}
    long = {**short, "price": 2.5, "urgent": True, "tags": [title(rng), "b", "c"], "owner": owner}
    null = {**short, "owner": None}
    for body, wanted in ((short, {**short, **rest}), (null, {**short, **rest}), (long, long)):
        sent = json.dumps(body).encode()
        got = members(value(client.request("POST", f"/errands/{number}?dry=true", JSON, sent)))
        expect("errand", got.get("errand"), wanted, "absent fields have the dataclass's defaults")
        expect("isinstance(errand, Errand)", got.get("dataclasses"), True, "and the owner within it an Owner")
        others = [got.get("number"), got.get("dry"), got.get("method")]
        expect(
            "number, dry, request.method", others, [number, True, "POST"], "all kinds of parameters at once"
        )
    for kind in ("application/json; charset=utf-8", "Application/JSON"):
        answer = client.request("POST", "/errands/1", [("Content-Type", kind)], json.dumps(short).encode())
        status(answer, 200, f"{kind} is JSON", rule="RFC 9110 §8.3.1")
    other_types_are_no_json(client, json.dumps(short).encode())
    odd_errands_are_no_accident(client, rng)
    errands_are_kept_apart(probe)
    defaults_are_ones_own(probe, rng)


@check(task=2, rule="RFC 9110 §15.5.21: understood, and can't be processed")
def test_task2_what_is_wrong_is_named(service: Any, rng: random.Random) -> None:
    """422 names every parameter that is wrong, and says what is wrong with it"""
    client = service("switchboard")
    bad = rng.choice(["abc", "1.5", "--", "two"])
    asked = f"/typed/{bad}?ratio=much&loud=perhaps"
    found = complains_of(
        client.get(asked), asked, ("path", "number"), ("query", "ratio"), ("query", "word"), ("query", "loud")
    )
    that(
        found.get(("query", "word")) != found.get(("query", "ratio")),
        f"both msg = {found.get(('query', 'word'))!r}",
        "two different msg: one value is missing, the other isn't a number",
    )
    asked = "/typed/1?ratio=1&word=w&maybe=x"
    complains_of(client.get(asked), asked, ("query", "maybe"))
    good = {"title": title(rng), "minutes": 5}
    cases: list[tuple[Any, tuple[Any, ...]]] = [
        ({"minutes": 5}, ("body", "title")),
        ({**good, "title": 5}, ("body", "title")),
        ({**good, "minutes": "soon"}, ("body", "minutes")),
        ({**good, "minutes": 5.5}, ("body", "minutes")),
        ({**good, "tags": "a"}, ("body", "tags")),
        ({**good, "tags": ["a", [], "b"]}, ("body", "tags", 1)),
        ({**good, "owner": {"age": 3}}, ("body", "owner", "name")),
        ({**good, "title": None}, ("body", "title")),
    ]
    rng.shuffle(cases)
    for body, where in cases:
        asked = json.dumps(body)
        complains_of(client.request("POST", "/errands/1", JSON, asked.encode()), asked, where)
    asked = '/errands/x?dry=x with {"minutes": []}'
    answer = client.request("POST", "/errands/x?dry=x", JSON, b'{"minutes": []}')
    complains_of(answer, asked, ("path", "number"), ("query", "dry"), ("body", "title"), ("body", "minutes"))
    for body in (b"", b"{", b"[1]", b'"text"', b"null"):
        asked = f"the body {body!r}"
        found = problems(client.request("POST", "/errands/1", JSON, body), asked)
        that(all(one[0] == "body" for one in found), f"{asked}: {sorted(found)}", '"body" first in its loc')
    odd = client.request("POST", "/errands/1", JSON, b"\xff").status
    expected = "422 (FastAPI: 400): JSON is UTF-8, and this is not"
    that(odd in (400, 422), f"status = {odd} for the body b'\\xff'", expected)
    parcels_are_validated(client)
    deep_trees_are_no_accident(client)


@check(task=2, rule='asyncio, "Running Blocking Code": what blocks belongs in a thread')
def test_task2_plain_functions_run_in_threads(service: Any) -> None:
    """A handler that is a plain function doesn't block the event loop"""
    client = service("switchboard")
    with client.connect(seconds=2 * PATIENCE) as waiting:
        waiting.send(b"GET /blocking HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        gate = client.get("/open-the-gate")
        expect("in its loop's thread", value(gate), True, "a coroutine runs on the event loop")
        blocked = waiting.response()
    got, sent = members(value(blocked)), "GET /blocking: its handler is a plain function that waits"
    why = "a plain function may block: it runs in a thread"
    expect("in a thread", got.get("thread"), True, why, sent=sent)
    expect("opened", got.get("opened"), True, "by a request that was answered meanwhile")


# --- task 3: WebSockets and lifespan ----------------------------------------------------------------


@check(task=3, rule='ASGI www, "WebSocket"')
def test_task3_websocket_from_accept_to_close(service: Any, probe: Probe, rng: random.Random) -> None:
    """A WebSocket has parameters and state, can be closed, and can be refused"""
    client = service("switchboard")
    text, times = f"ada {rng.randrange(999)}", rng.randrange(2, 4)
    with client.websocket(f"/shout/{times}?mark={quote('?')}", subprotocols=["soap", "shout"]) as socket:
        expect("the subprotocol", opened(socket).subprotocol, "shout", "accept(subprotocol=…)")
        socket.send(text)
        for _ in range(times):
            hears(socket, f"{text.upper()}? in blue")
        socket.send("bye")
        hears(socket, b"bye")
        closes(socket, 4001, "close(4001, 'bye')", "bye")
    code = rng.randrange(4100, 4200)
    with client.websocket("/shout/1") as socket:
        opened(socket).close(code)
        heard(socket, "an end")
    an_end_is_raised(client, code)
    are_refused(client)
    the_first_route_talks(client)
    a_client_has_left(probe, text)


@check(task=3, rule="ASGI, Lifespan Protocol")
def test_task3_lifespan_opens_and_closes(service: Any, probe: Probe) -> None:
    """The lifespan is entered before the first request, and left at the end"""
    scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
    begin, finish = {"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}
    seen = probe.asgi("framework_features:app", scope, [begin, {"type": "pause", "until": 1}, finish])
    wanted = ["lifespan.startup.complete", "lifespan.shutdown.complete"]
    expect("sent", sent_types(seen), wanted, "one for each event")
    order = [line for line in seen.output.splitlines() if line.startswith("switchboard")]
    expect("printed", order, ["switchboard opened", "switchboard closed"], "entered, and left")
    early = probe.asgi("framework_features:app", scope, [begin, {"type": "pause", "until": 1}], settle=0.2)
    names = early.names()
    waiting = early.events[: names.index("still running") if "still running" in names else None]
    before = [one["message"].get("type") for one in waiting if one["event"] == "send"]
    expect("sent before any shutdown", before, wanted[:1], "the lifespan waits for the shutdown")
    bare = probe.asgi("framework_features:bare", scope, [begin, {"type": "pause", "until": 1}, finish])
    expect("sent by an App without a lifespan", sent_types(bare), wanted)
    broken = probe.asgi("framework_features:broken", scope, [begin])
    expect("sent when it raises", sent_types(broken), ["lifespan.startup.failed"])
    a_shutdown_fails(probe, scope)
    message = broken.sends[0].get("message", "")
    that("there is no ink" in str(message), f"message = {message!r}", "the reason, for the server's log")
    client = service("switchboard")
    first, second = value(client.get("/ink")), value(client.get("/ink"))
    pairs = [one if isinstance(one, list) and len(one) == 2 else [None, 0] for one in (first, second)]
    expect("request.state.ink", pairs[0][0], "blue", "what the lifespan yielded is in every scope's state")
    expect("visits more", pairs[1][1] - pairs[0][1], 1, "the same list each time: a shallow copy")
    odd = probe.asgi("framework_features:app", {"type": "soap", "asgi": {"version": "3.0"}})
    that(
        odd.raised,
        got=f"sent {sent_types(odd)}, no exception",
        expected="an exception, for an unknown type",
        rule='ASGI, "Applications"',
    )


# --- task 4: errors, layers, mounts -----------------------------------------------------------------


@check(task=4, rule='framework.py, App.exception_handler; ASGI www, "Response Start"')
def test_task4_errors_find_their_handler(service: Any, probe: Probe, rng: random.Random) -> None:
    """Exceptions find the handler of their nearest class; the others are 500, and raised for the log"""
    client = service("switchboard")
    text = f"t{rng.randrange(999)}"
    got = value(client.get(f"/trouble/{text}"), 418, "DeepTrouble is a Trouble, which has a handler")
    expect("the handler's answer", got, {"trouble": text, "at": f"/trouble/{text}"})
    got = value(
        client.get(f"/own-trouble/{text}"), 420, "the nearest class wins: OwnTrouble has a handler of its own"
    )
    expect("the handler's answer", got, {"own": text}, "the nearest class wins, registered last or first")
    code = rng.choice([400, 409, 451])
    refused = client.get(f"/refused?status={code}&text={text}")
    expect("HTTPException's answer", value(refused, code), {"detail": text})
    expect("X-Why", refused.get("X-Why"), text, "HTTPException(…, headers=…)")
    status(client.get("/accident"), 500, "no handler for a LookupError")
    seen = probe.asgi("framework_features:app", http_scope(path="/accident"), [{"type": "http.request"}])
    raised = seen.raised
    that(
        raised and raised["type"] == "LookupError",
        f"raised {raised and raised['type']}, sent {sent_types(seen)}",
        "the 500 sent, and the LookupError raised again, so that the server logs it",
    )
    expect("sent", sent_types(seen)[:1], ["http.response.start"])
    an_own_handler_explains(probe)
    conversations_get_no_response(probe)
    no_content(probe, "/refused?status=304&text=same", "HTTPException(304)")
    breaks_off(probe, "/half", "the exception")
    breaks_off(probe, "/torn", "the application's own OSError")


@check(task=4, rule='ASGI, "Middleware"')
def test_task4_layers_see_everything(service: Any, probe: Probe, rng: random.Random) -> None:
    """Middleware is around everything, the first component outermost"""
    client = service("switchboard")
    got = value(client.get("/line/a/b"))
    layers = got.get("layers") if isinstance(got, dict) else got
    expect("through", layers, ["outer", "inner"], "the first of `middleware` is the first to see a request")
    targets = (("/line", 200), ("/nowhere", 404), ("/typed/x", 422), (f"/trouble/{rng.random()}", 418))
    for target, code in targets:
        answer = client.get(target)
        status(answer, code)
        names = [one.strip() for field in answer.all("x-layers") for one in field.split(",")]
        expect(
            f"x-layers of the {code}",
            names,
            ["inner", "outer"],
            "the way back; a response to an error passes through, too",
        )
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}
    seen = probe.asgi("framework_features:app", scope, [{"type": "lifespan.startup"}], settle=0.2)
    printed = [line for line in seen.output.splitlines() if line.startswith("layer ")]
    why = "middleware may open something, too: the lifespan passes through all of it"
    expect("printed", printed, ["layer inner: lifespan", "layer outer: lifespan"][::-1], why)


@check(task=4, rule='ASGI www, "HTTP Connection Scope": root_path')
def test_task4_mounted_applications_know_where_they_are(
    service: Any, probe: Probe, rng: random.Random
) -> None:
    """A mounted application has its prefix in root_path; path stays whole"""
    client = service("switchboard")
    who = f"ada{rng.randrange(999)}"
    answer = client.get(f"/below/{who}/x")
    status(answer, 200)
    expect("root_path and path", answer.text, f"/below /below/{who}/x", "as Starlette's Mount does it")
    got = value(client.get(f"/inner/where/{who}"))
    expect("name, root_path, path", got, [who, "/inner", f"/inner/where/{who}"], "routes match what is below")
    status(client.get("/inner/nowhere"), 404)
    status(client.get(f"/belowstairs/{who}"), 404, "a prefix ends where a segment ends")
    with client.websocket(f"/below/{who}") as socket:
        hears(opened(socket), f"/below /below/{who}")
    scope = http_scope(path=f"/api/inner/where/{who}", root_path="/api")
    seen = probe.asgi("framework_features:app", scope, [{"type": "http.request"}])
    body = b"".join(one.get("body", b"") for one in seen.sends if one.get("type") == "http.response.body")
    wanted = [who, "/api/inner", f"/api/inner/where/{who}"]
    try:
        nested = json.loads(body)
    except NOT_JSON:
        nested = body[:100]
    expect("mounted in an application that is mounted at /api", nested, wanted, "prefixes add up")
    nothing_else_is_cut_off(probe)


# --- task 5: a test client --------------------------------------------------------------------------


@check(task=5, rule='ASGI www, "HTTP"; ASGI, Lifespan Protocol')
def test_task5_client_calls_as_a_server_does(probe: Probe, rng: random.Random) -> None:
    """The client calls an application as a server does, lifespan included"""
    one, word = title(rng), f"w{rng.randrange(999)}"
    statuses, made, listed, gone, kind = call(probe, "a_task", one)
    expect("statuses of POST, PATCH, GET, POST of {, DELETE, GET", statuses, [201, 200, 200, 422, 204, 404])
    expect("what POST returned", made, {"id": 1, "title": one, "done": False}, "json= is sent as JSON")
    expect("what GET /tasks?done=true returned", listed, [{"id": 1, "title": one, "done": True}])
    expect("the text of a 204", gone, "")
    expect("headers.get('content-type')", (kind or "").partition(";")[0], "application/json", "in any case")
    first, rest, seen, layers = call(probe, "what_it_sends", word)
    expect("path", [first, rest], ["café", "a b/c"], "scope['path'] is percent-decoded UTF-8")
    seen = seen if isinstance(seen, dict) else {}
    got = [seen.get("tags"), seen.get("body"), seen.get("note")]
    expect("query, content, headers", got, [[word, "b"], word, word])
    that(layers is not None, "headers.get('x-layers') = None", "the headers that the layers have added")
    lifespan_is_lived_through(probe)
    schemes_and_codes(probe)
    answers_are_whole(probe)
    unseen_request(probe, rng)


@check(task=5, rule='ASGI www, "WebSocket"')
def test_task5_client_talks_and_listens(probe: Probe, rng: random.Random) -> None:
    """Two WebSockets of one client talk to each other, in one thread"""
    ada, grace, text = f"Ada{rng.randrange(99)}", f"Grace{rng.randrange(99)}", f"tea {rng.randrange(999)}"
    mine, theirs = call(probe, "a_chat", ada, grace, text)
    said = [f"{ada}: {text}", f"{grace}: {text[::-1]}"]
    expect(f"what {ada} hears", mine, [f"* welcome: {ada}, {grace}", *said])
    wanted = [f"* welcome: {grace}", f"* {ada} joined", *said, f"* {ada} left"]
    expect(f"what {grace} hears", theirs, wanted, "leaving `with` is a disconnect")
    raised = call(probe, "a_websocket_accident")
    why = "LookupError, what the application raised, from a receive or from the end of the block"
    that("nobody handles this either" in str(raised), f"in a conversation: {raised}", why, where=CLIENT)
    talks_end(probe, text)
    unseen_talk(probe, rng)


@check(task=5, rule="PEP 3333 had it first: any application, any server")
def test_task5_tasks_and_chat_on_three_servers(front: Client, service: Any, rng: random.Random) -> None:
    """The tasks API and the chat, under uvicorn, hypercorn and the workshop's own server"""
    for server in SERVERS:
        client = front if server == "uvicorn" else service(server)
        at = f"under {server}: "
        one = title(rng)
        tasks_are_kept(client, at, one)
        people_talk(client, at, f"/rooms/tea{rng.randrange(10**6)}?name=", one)
