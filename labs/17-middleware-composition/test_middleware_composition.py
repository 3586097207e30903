"""Lab 17: layers and adapters, around any application, that change what they are for and nothing else."""

import re
from typing import Any

from adapter_runs import (
    ADA,
    ENVIRON,
    adapted,
    asgi_applications_that_wait,
    broken_wsgi_applications,
    crowd_waits_its_turn,
    hard_wsgi_applications,
    latin_1_comes_out_of_wsgi,
    latin_1_goes_into_wsgi,
    server_leaves_half_way,
    slow_reader_leaves,
    stalled_client_holds_one_chunk,
    tasks_are_kept,
    tasks_are_packed,
    threads_are_answered,
    three_meet,
    wsgi_application_is_served,
)
from asgi_messages import (
    Answer,
    ended_well,
    inner_scope,
    inner_values,
    is_called,
    piece,
    scope_with,
    socket_scope,
    start,
    word,
)
from bearer_requests import authorization, comparing, guarded, says_how_to_ask, strangers
from gzip_answers import (
    COOKIES,
    accepted,
    asking,
    head_stays_empty,
    level_counts,
    minimum_counts,
    not_worth_it,
    on_two_lines,
    packed,
    says_what_it_is,
    streams_beside_each_other,
    text_after_each_piece,
    text_of,
    trailers_follow,
    unpacked,
)
from layer_manners import (
    MIDDLEWARE,
    durations_of_two,
    first_layer_is_outermost,
    ids_of_two,
    passes_through,
    played,
    untouched_scope,
)
from messages_through_layers import (
    TIMING,
    duration,
    each_layer,
    later_kind_passes,
    lifespan_passes,
    websocket_passes,
)
from unseen_apps import client_that_leaves, server_that_leaves

from workshop.judge.checks import (
    Closed,
    asgi_app,
    body_event,
    check,
    expect,
    fail,
    made,
    name,
    ref,
    that,
    wire_cases,
    wsgi_app,
)

WSGI_SIDE = 'PEP 3333, "The Application/Framework Side"'
OTHERS = "!#$%&'()*+,/:;<=>?@[]^`{|}~"  # characters that no id has
OVERLAP = "two requests at the same time: keep what belongs to one of them in its own call"


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule=TIMING)
def test_task1_timing_says_how_long_the_application_took(probe, rng):
    """timing says how long the application took"""
    for _ in range(2):
        took, outside = rng.randrange(5000, 9000) / 1000, rng.randrange(2, 9)
        layer = made("middleware:timing", made("layer_calls:steady", took), clock=ref("manual_clock:clock"))
        got = Answer(probe.asgi(made("layer_calls:delayed", layer, outside), scope_with()))
        expect("x-worker", got.all(b"x-worker"), [b"yes"], "the application's own header stays")
        dur = duration(got)
        wanted = round(took * 1000, 3)
        why = f"milliseconds: http.response.start came {took} s after the application was called"
        if round(dur) == round((outside + took) * 1000):
            why += f". A layer outside of yours took {outside} s before that: they are not the application's"
        that(abs(dur - wanted) <= 1, f"dur = {dur}", f"dur = {wanted}     {why}")
    expect("dur of two answers", durations_of_two(probe), [b"2000", b"1000"], OVERLAP)
    Answer(probe.asgi(made("middleware:timing", asgi_app(start(), piece(b"ok"))), scope_with()))


@check(task=1, rule=MIDDLEWARE)
def test_task1_request_id_is_the_same_everywhere(probe, rng):
    """request_id: one id, in the scope and in the response"""
    field = b"x-request-id"
    app = made("middleware:request_id", asgi_app(start((field, b"7")), piece(b"ok"), scope=["headers"]))
    given = f"{word(rng)}-{rng.randrange(100)}.A_9".encode()
    got = Answer(seen := probe.asgi(app, scope_with((field, given))))
    inside = "x-request-id in the application's scope"
    expect(inside, inner_values(seen, field), [given], "the client's own")
    expect("x-request-id in the answer", got.all(field), [given], "the same, and once: not the application's")
    fresh: list[bytes] = []
    other = f"{word(rng)}{rng.choice(OTHERS)}".encode()
    for bad in (
        b"",
        b"7f3a\n",
        b'x" 200 0',
        "é".encode() + word(rng).encode(),
        b"x" * 65,
        b"\nx-admin: 1",
        other,
    ):
        got = Answer(seen := probe.asgi(app, scope_with(*([(field, bad)] if bad else []))))
        found = inner_values(seen, field)
        said = f"sent was {bad!r}" if bad else "the client sent none"
        that(
            len(found) == 1 and re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", found[0]),
            got=f"{inside} = {found!r}",
            expected=f"one new id, of 1 to 64 of A-Z a-z 0-9 . _ -     {said}",
        )
        expect("x-request-id in the answer", got.all(field), found, "the one that the application saw")
        fresh += found
    expect("different ids for 7 requests without a usable one", len(set(fresh)), 7)
    ids = [word(rng).encode(), word(rng).encode()]
    answers = ids_of_two(probe, field, ids)
    expect("x-request-id of two answers", answers, [[own] for own in ids], OVERLAP)


@check(task=1, rule=MIDDLEWARE)
def test_task1_everything_else_passes_through(probe, rng):
    """timing and request_id change nothing else"""
    for layer in ("timing", "request_id"):
        passes_through(probe, rng, layer, lambda inner, layer=layer: made(f"middleware:{layer}", inner))
        untouched_scope(probe, layer, ref(f"middleware:{layer}"), scope_with())


# --- task 2 -----------------------------------------------------------------------------------------


@check(
    task=2, rule="RFC 6750 §3; RFC 9110 §15.5.2: a 401 has WWW-Authenticate. What a client sends never raises"
)
def test_task2_strangers_are_asked_for_a_token(probe, rng):
    """Requests without a valid token get a 401 that says how to ask"""
    token, realm = f"{word(rng)}-{rng.randrange(1000)}", word(rng)
    app = guarded({token: "Ada"}, realm=realm)
    right = authorization(f"Bearer {token}")
    for said, fields in strangers(token, rng):
        seen = probe.asgi(app, scope_with(*fields))
        that(not is_called(seen), f"the application was called: {said}", "a 401, and no call")
        got = Answer(seen)
        malformed = got.status == 400 and fields and said not in ("another token", "another scheme")
        that(
            got.status == 401 or malformed,
            got=f"status = {got.status}: {said}",
            expected="status = 401",
        )
        says_how_to_ask(got, said, realm)
    called = is_called(probe.asgi(app, scope_with(right)))
    that(called, "the right token was refused", "the application called")


@check(task=2, rule="RFC 6750 §2.1; RFC 9110 §11.1: a scheme's name has no case")
def test_task2_those_with_a_token_are_let_in(probe, rng):
    """With a valid token the application is called, and gets the user"""
    ada, grace = name(rng), name(rng) + "!"
    tokens = {f"{word(rng)}+/~._-==": ada, word(rng): grace, word(rng): "Tim"}
    for token, user in list(tokens.items())[:2]:
        for scheme in ("Bearer", "bearer", "BEARER"):
            seen = probe.asgi(guarded(tokens), scope_with(authorization(f"{scheme} {token}")))
            got = Answer(seen)
            expect("status", got.status, 200, f"{scheme} {token}: the token is right")
            expect("body", got.body, b"secret", "the application's own")
            known = inner_scope(seen).get("user")
            expect('scope["user"]', known, user, "the application needs the user of that token")
    token = next(iter(tokens))
    seen = probe.asgi(guarded(tokens), {**scope_with(authorization(f"Bearer {token}")), "user": "Tim"})
    known = inner_scope(seen).get("user")
    expect('scope["user"]', known, ada, "the user of that token, whoever a layer outside took it for")
    door = made("functools:partial", ref("middleware:bearer"), tokens=tokens)
    untouched_scope(probe, "bearer", door, scope_with(authorization(f"Bearer {token}")))
    # Put around by a layer that adds the token, so that the same questions can be asked of it.
    steps = [["receive until", "http.request"], start(status=201), piece(b"a", more=True), piece(b"b")]
    data = word(rng).encode()
    seen = probe.asgi(
        guarded(tokens, asgi_app(*steps)),
        scope_with(authorization(f"Bearer {token}"), method="POST"),
        receive=[body_event(data)],
    )
    played(seen, [b"a", b"b"])
    got_body = [event["message"].get("body") for event in seen.all("inner received")]
    expect("what the application received", got_body, [data], "the body is the application's to read")


@check(task=2, rule='Python, "hmac.compare_digest"')
def test_task2_tokens_are_compared_by_compare_digest(probe, rng):
    """Tokens are compared by hmac.compare_digest"""
    token = word(rng)
    app = guarded({token: "Ada", word(rng): "Grace"})
    for shown, said in ((token, "the right token"), (word(rng), "a wrong token")):
        seen = probe.asgi(comparing(app), scope_with(authorization(f"Bearer {shown}")))
        got = Answer(seen)
        compared = seen.all("noted")
        why = "hmac.compare_digest asked: == and a dictionary stop at the first difference, and that can be "
        why += "measured from outside. (Calls are counted, not time)"
        that(compared, f"hmac.compare_digest was not called, for {said}", why)
        equal = any(event["args"][0] == event["args"][1] for event in compared)
        expect(f"whether compare_digest was given two equal values for {said}", equal, shown == token)
        expect("status", got.status, 200 if shown == token else 401, said)
    for shown, answer, right in ((token, False, 401), (word(rng), True, 200)):
        got = Answer(probe.asgi(comparing(app, answer), scope_with(authorization(f"Bearer {shown}"))))
        why = f"compare_digest returned {answer} (here it always does): only its result decides"
        expect("status", got.status, right, why)


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule="RFC 9110 §12.5.3, Accept-Encoding")
def test_task3_large_bodies_are_packed_for_those_who_ask(probe, rng):
    """A large body is compressed for clients that ask, with the headers that caches need"""
    text = text_of(rng, rng.randrange(2000, 9000))
    etag = word(rng).encode()
    fields = [(b"content-type", b"text/plain"), (b"content-length", str(len(text)).encode())]
    steps = [start(*fields, (b"etag", b'"%b"' % etag), (b"vary", b"Origin"), *COOKIES), piece(text)]
    expect("status without Accept-Encoding", packed(probe, steps, None).status, 200)
    for accept, wanted in [*accepted(rng).items(), (None, False)]:
        got = packed(probe, steps, accept)
        sent = f"Accept-Encoding: {accept}" if accept is not None else "no Accept-Encoding"
        says_what_it_is(got, sent, wanted, text, etag)
    posted = packed(probe, steps, method="POST")
    expect("content-encoding of the answer to a POST", posted.all(b"content-encoding"), [b"gzip"])
    on_two_lines(probe, steps)
    twice = packed(probe, [start((b"etag", b'W/"1"'), (b"vary", b"accept-encoding")), piece(text)])
    expect("etag that was weak", twice.all(b"etag"), [b'W/"1"'], "it stays as it is")


@check(task=3, rule="RFC 1951 §3.2.4; zlib's Z_SYNC_FLUSH")
def test_task3_streams_are_packed_piece_by_piece(probe, rng):
    """Each piece of a stream can be unpacked when it arrives"""
    # The first one is short: of a whole body that would be too little, but who knows what follows?
    pieces = [text_of(rng, 80), *[text_of(rng, rng.randrange(20, 3000)) for _ in range(3)]]
    steps: list[Any] = [start((b"content-length", str(sum(map(len, pieces))).encode()))]
    for one in pieces:
        steps += [piece(one, more=True), ["receive"]]  # the application looks up between its pieces
    steps.append(["send", {"type": "http.response.body"}])  # no body, no more_body: both are optional
    app = made("middleware:gzip", asgi_app(*steps), minimum=500)
    scope = scope_with(*asking("gzip"))
    seen = probe.asgi(app, scope, receive=[body_event(b"", more=True)] * len(pieces))
    got = Answer(seen)
    expect(
        "content-encoding",
        got.all(b"content-encoding"),
        [b"gzip"],
        "a stream is compressed, whatever its length",
    )
    expect("content-length", got.all(b"content-length"), [], "it was the length of the uncompressed body")
    for number, text in enumerate(text_after_each_piece(seen), 1):
        expect(
            f"bytes of text that a client has when the application's send of piece {number} returned",
            len(text),
            sum(map(len, pieces[:number])),
            "all of it: bytes that stay in the compressor may wait for minutes, or for ever",
        )
    expect("the text", unpacked(got.body), b"".join(pieces))
    streams_beside_each_other(probe)
    plain = probe.asgi(app, scope_with(), receive=[body_event(b"", more=True)] * len(pieces))
    expect(
        "the pieces for a client that did not ask for gzip",
        Answer(plain).pieces,
        [*pieces, b""],
        "as they were",
    )


@check(task=3, rule="RFC 9110 §8.4, Content-Encoding")
def test_task3_what_is_not_worth_it_stays_as_it_is(probe, rng):
    """Small, compressed and absent bodies stay as they are"""
    text = text_of(rng, rng.randrange(1000, 3000))
    small = text[: rng.randrange(1, 500)]
    for said, steps in not_worth_it(text, small):
        got = packed(probe, steps)
        wanted = b"".join(step[1]["body"] for step in steps[1:])
        that(
            got.body == wanted,
            got=f"{len(got.body)} bytes {got.body[:20]!r} for {len(wanted)} of the application's: {said}",
            expected="the application's own bytes",
        )
        before = [value for key, value in steps[0][1]["headers"] if key == b"content-encoding"]
        expect(f"content-encoding: {said}", got.all(b"content-encoding"), before, "as it was")
        length = [value for key, value in steps[0][1]["headers"] if key == b"content-length"]
        if length:
            expect(f"content-length: {said}", got.all(b"content-length"), length, "as it was")
    head_stays_empty(probe, text)
    for status in (200, 404):
        large = packed(probe, [start(status=status), piece(text)])
        expect(f"content-encoding of a large {status}", large.all(b"content-encoding"), [b"gzip"])
    minimum_counts(probe, rng.randrange(40, 400))
    trailers_follow(probe, text)
    level_counts(probe, text)
    passes_through(probe, rng, "gzip", lambda inner: made("middleware:gzip", inner))
    untouched_scope(probe, "gzip", ref("middleware:gzip"), scope_with())


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule='ASGI, "Connection Scope": a layer hands on the types that it is not about')
def test_task4_lifespan_and_websockets_pass_through_every_layer(probe, front, rng):
    """Lifespan and WebSockets pass through every layer"""
    token, text = word(rng), name(rng)
    close = 4000 + rng.randrange(99)
    shown = socket_scope(authorization(f"Bearer {token}"), *asking("gzip"), (b"x-request-id", b"7f3a"))
    for layer, wrap in each_layer({token: "Ada"}).items():
        lifespan_passes(probe, layer, wrap, text)
        websocket_passes(probe, layer, wrap, shown, text, close)
        if layer != "bearer":  # a door may keep shut for what it does not know
            later_kind_passes(probe, layer, wrap, text)
    # Through all of them, in a real server and behind nginx.
    with front.websocket("/echo/", fields=ADA) as ada:
        if ada.refused is not None:
            fail(f"the status {ada.refused.status} instead of a WebSocket", "101: the token is right")
        expect("the first message", ada.receive(), "started", "what the lifespan left in the state")
        ada.send(text)
        expect("the echo", ada.receive(), f"Ada: {text}", "the application, with the user")


@check(task=4, rule='ASGI www, "Close - send event": before accept, the client gets a 403')
def test_task4_websocket_without_a_token_is_refused_before_it_begins(probe, front, rng):
    """A WebSocket without a token is refused before it is accepted"""
    token = word(rng)
    app = guarded({token: "Ada"}, asgi_app(["receive"], ["send", {"type": "websocket.accept"}], ["receive"]))
    wrong = [[], [authorization(f"Bearer {word(rng)}")], [authorization(f"Basic {token}")]]
    for fields in wrong:
        seen = probe.asgi(app, socket_scope(*fields), receive=[{"type": "websocket.connect"}])
        that(
            not is_called(seen), "the application was called for a WebSocket without a valid token", "no call"
        )
        ended_well(seen, "websocket.close, and no exception")
        types = [one.get("type") if isinstance(one, dict) else one for one in seen.sends]
        expect(
            "messages to a WebSocket without a valid token",
            types,
            ["websocket.close"],
            "close it before it is accepted; http.response.start is not a message for a WebSocket",
        )
    right = probe.asgi(
        app,
        socket_scope(authorization(f"Bearer {token}")),
        receive=[{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}],
    )
    that(is_called(right), "the right token was refused", "the application called")
    with front.websocket("/echo/") as stranger:
        if stranger.refused is None:
            said = stranger.receive()
            fail(
                f"a WebSocket, which then said {said if isinstance(said, Closed) else repr(said)}",
                "a refusal",
            )
        that(
            stranger.refused.status in (401, 403),
            got=f"status = {stranger.refused.status}",
            expected="status = 403: the handshake is answered with a refusal",
        )


# --- task 5 -----------------------------------------------------------------------------------------


@check(task=5, rule=MIDDLEWARE)
def test_task5_the_stack_has_an_order(probe, front, rng):
    """The first layer is outermost, and a 401 of the real stack has its id"""
    first_layer_is_outermost(probe, text_of(rng, 900))
    for case in wire_cases(__file__):
        own = f"{case.name}.{word(rng)}"
        head, _, body = case.data.partition(b"\r\n\r\n")
        answer = front.send(head + f"\r\nX-Request-ID: {own}\r\nConnection: close\r\n\r\n".encode() + body)
        expect(f"status of {case.name}.http", answer.status, int(case.notes["status"]), case.notes["because"])
        expect(f"X-Request-ID of {case.name}.http", answer.get("X-Request-ID"), own, "every response has one")
        that(
            answer.get("Server-Timing"), f"no Server-Timing in the answer to {case.name}.http", "timing, too"
        )
    tasks_are_packed(front, text_of(rng, 150).decode())


@check(task=5, rule='PEP 3333, "The Server/Gateway Side"')
def test_task5_wsgi_application_runs_on_an_event_loop(probe, rng):
    """asgi_from_wsgi is a WSGI server to the application"""
    chunks, written = [word(rng).encode() for _ in range(3)], word(rng).encode()
    data = [word(rng).encode() for _ in range(3)]
    fields = [["Content-Type", "text/plain"], ["X-Own", "1"], ["Set-Cookie", "a=1"], ["Set-Cookie", "b=2"]]
    for late in (False, True):
        inner = wsgi_app(
            status="201 Created",
            headers=fields,
            chunks=chunks,
            write=[] if late else [written],
            late_start=late,
            read=-1,
            environ=list(ENVIRON),
        )
        body = (b"" if late else written) + b"".join(chunks)
        wsgi_application_is_served(probe, inner, data, body)
    broken_wsgi_applications(probe, rng)
    hard_wsgi_applications(probe)
    for framework in ("greeting_flask", "greeting_django"):
        seen = probe.asgi(
            adapted(ref(f"{framework}:application")),
            scope_with((b"content-length", b"3"), method="POST", path="/upper"),
            receive=[body_event(b"ada")],
        )
        expect(f"what {framework} answers to POST /upper", Answer(seen).body, b"ADA")
    latin_1_comes_out_of_wsgi(probe)


@check(task=5, rule='PEP 3333, "Buffering and Streaming"; ASGI, "Overview": the loop must not block')
def test_task5_threads_are_few_and_nobody_is_stuck(probe, service, rng):
    """Few threads for many requests; a chunk waits for its client; a client that leaves frees its thread"""
    stalled_client_holds_one_chunk(probe, rng.randrange(2, 6))
    client = service("over-asgi")
    three_meet(client, word(rng))
    crowd_waits_its_turn(client, rng.randrange(7, 10))
    slow_reader_leaves(client, rng)
    client_that_leaves(probe, rng)


@check(task=5, rule=WSGI_SIDE)
def test_task5_asgi_application_runs_in_threads(probe, service, rng):
    """wsgi_from_asgi is an ASGI server to the application"""
    data, chunks = word(rng).encode(), [word(rng).encode() for _ in range(3)]
    steps = [["receive until", "http.request"], start((b"x-own", b"1"), (b"x-own", b"2"), status=201)]
    steps += [piece(one, more=number < 2) for number, one in enumerate(chunks)]
    app = made(
        "middleware:wsgi_from_asgi",
        asgi_app(*steps, scope=["type", "method", "path", "query_string", "headers"]),
    )
    seen = probe.wsgi(app, "POST", "/caf\xc3\xa9", "a=%20", headers=[("X-Request-ID", "7")], body=data)
    ended_well(seen)
    expect("status", seen.status[:3] if seen.status else None, "201")
    own = [pair for pair in seen.headers if str(pair[0]).lower() == "x-own"]
    expect("values of X-Own", [pair[1] for pair in own], ["1", "2"], "text, and repeats kept")
    expect("body", seen.body, b"".join(chunks))
    that(
        len([one for one in seen.chunks if one]) == len(chunks),
        got=f"{len(chunks)} messages came out as {seen.chunks!r}",
        expected="a chunk for each body message: a stream stays a stream",
    )
    got = inner_scope(seen)
    for key, wanted in (
        ("type", "http"),
        ("method", "POST"),
        ("path", "/caf\xe9"),
        ("query_string", b"a=%20"),
    ):
        expect(f'scope["{key}"]', got.get(key), wanted, "translations:scope_of makes it")
    expect("x-request-id in the scope", inner_values(seen, b"x-request-id"), [b"7"], "bytes, in lower case")
    body = b"".join(event["message"].get("body", b"") for event in seen.all("inner received"))
    expect("what the application received", body, data, "wsgi.input, in http.request events, to its end")

    who = word(rng)
    for sent in ([], [start(), piece(b"a", more=True)]):
        seen = probe.wsgi(made("middleware:wsgi_from_asgi", asgi_app(*sent, ["raise", who])))
        error = seen.raised or {}
        started = seen.status[:3] if seen.status else "no status"
        that(
            who in error.get("message", "") or (not sent and started == "500"),
            got=f"{started} and {error.get('type', 'no exception')}, where the application raised another",
            expected="the application's own exception, in the server's thread: the server has to log it",
            rule='PEP 3333, "Error Handling"',
        )
    server_leaves_half_way(probe, rng.randrange(2, 6))
    server_that_leaves(probe, rng)
    asgi_applications_that_wait(probe)
    threads_are_answered(probe, rng.randrange(3, 6))
    latin_1_goes_into_wsgi(probe)
    tasks_are_kept(service("over-wsgi"), name(rng))
