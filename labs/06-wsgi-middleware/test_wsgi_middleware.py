"""Lab 6: layers around any application, that change what they are for and nothing else."""

import base64
import random
import re
import string
import time
from collections.abc import Callable, Sequence
from typing import Any

from workshop.judge.checks import (
    Probe,
    Transcript,
    check,
    expect,
    fail,
    made,
    method,
    name,
    named,
    note,
    object_of,
    ref,
    request_bytes,
    that,
    wire_cases,
    wsgi_app,
)

APPLICATION_SIDE = 'PEP 3333, "The Application/Framework Side"'
START_RESPONSE = 'PEP 3333, "The start_response() Callable"'
BOUNDARIES = 'PEP 3333, "Middleware Handling of Block Boundaries"'
DETAILS = 'PEP 3333, "Specification Details"'
MIDDLEWARE = 'PEP 3333, "Middleware: Components that Play Both Sides"'
VALIDATOR = "wsgiref.validate:validator"
ORIGIN = "https://tasks.example"
OVERLAP = "two requests at the same time: what belongs to one of them lives in its own call"
LINE = re.compile(r'(\S+) (\S+) "(\S+) (\S+)" (\d{3}|-) (\d+)(?: (\w+))?')

Wrap = Callable[[Any], Any]
Pairs = Sequence[tuple[str, str]]


# --- what the checks share --------------------------------------------------------------------------


def word(rng: random.Random, size: int = 8) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=size))


def basic(user: str, password: str, scheme: str = "Basic") -> tuple[str, str]:
    token = base64.b64encode(f"{user}:{password}".encode()).decode("ascii")
    return "Authorization", f"{scheme} {token}"


def values(seen: Transcript, field: str) -> list[str]:
    """Every value of a response field; names compare without case (RFC 9110 §5.1)."""
    pairs = [pair for pair in seen.headers if len(pair) == 2 and all(type(part) is str for part in pair)]
    return [value for key, value in pairs if key.lower() == field.lower()]


def listed(seen: Transcript, field: str) -> set[str]:
    """The members of a field that is a list, in lower case."""
    return {
        part.strip().lower() for value in values(seen, field) for part in value.split(",") if part.strip()
    }


def one(seen: Transcript, field: str, value: str, why: str, **more: str) -> None:
    """Fail unless the field is there once, with this value."""
    expect(f"values of {field}", values(seen, field), [value], why, **more)


def code(seen: Transcript) -> str:
    """The status code, whatever the status was given as."""
    return str(seen.status)[:3]


def is_called(seen: Transcript) -> bool:
    return seen.first("inner called") is not None


def inner_environ(seen: Transcript) -> dict[str, Any]:
    return (seen.first("inner called") or {}).get("environ", {})


def ended_well(seen: Transcript, why: str = "an answer, and no exception") -> None:
    """Fail with the exception when one came out."""
    error = seen.raised
    if error is None:
        return
    when = {
        "call": "when it was called",
        "preparing": "when it was put around an application",
        "close": "in close",
    }
    when |= {"iteration": "while its body was iterated over", "step": "in one of these calls"}
    said = f"{error['type']} {when.get(error['during'], '')}: {error['message']}"
    if "NoneType" in error["message"] and "callable" in error["message"]:
        why = "start_response that returns what the server's one returned: `write`. Some applications call it"
    elif "positional argument" in error["message"]:
        why = "start_response that takes three arguments: the third, exc_info, comes after a failure"
    fail(said, why)


def answered(seen: Transcript, status: str, body: bytes) -> None:
    ended_well(seen)
    expect("status", seen.status, status, "the application's own")
    expect("body", seen.body, body, "the application's own, every byte of it")


# --- what every layer owes to both sides --------------------------------------------------------------


def passes_through(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs = ()) -> None:
    """Fail unless a layer passes on everything that it is not about."""
    body_is_lazy(probe, rng, layer, wrap, headers)
    request_body_stays(probe, rng, layer, wrap, headers)
    write_is_passed_on(probe, rng, layer, wrap, headers)
    exc_info_is_passed_on(probe, rng, layer, wrap, headers)
    broken_application_is_released(probe, rng, layer, wrap, headers)
    validator_is_content(probe, rng, layer, wrap, headers)


def body_is_lazy(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    """Chunks go out one for one, and `close` comes after them, or when the client has left."""
    chunks = [word(rng).encode(), b"", word(rng).encode(), b"!"]
    for late in (False, True):
        inner = wsgi_app(chunks=chunks, late_start=late, status="201 Created")
        seen = probe.wsgi(wrap(inner), headers=headers)
        answered(seen, "201 Created", b"".join(chunks))
        in_turn(seen, layer)
        closed(seen, layer, "after the last chunk")
    left = probe.wsgi(wrap(wsgi_app(chunks=chunks)), headers=headers, take=1)
    ended_well(left)
    closed(left, layer, "when the client left after the first chunk, and the server closed the body")


def in_turn(seen: Transcript, layer: str) -> None:
    """Between two chunks of the application's there is one of the layer's."""
    waiting = 0
    for event in seen.events:
        if event["event"] == "inner chunk":
            waiting += 1
        elif event["event"] == "chunk":
            waiting = 0
        number = event.get("number")
        if waiting > 1:
            fail(
                f"{layer}: the application had to make chunk {number} before its chunk {number - 1} was out",
                "one chunk out for each chunk in, b'' too, before the next one is asked for: a body may be "
                "larger than memory, or never end",
                rule=BOUNDARIES,
            )
    out, made_inside = len(seen.all("chunk")), len(seen.all("inner chunk"))
    that(
        out >= made_inside,
        got=f"{layer}: {out} chunks out for {made_inside} in",
        expected="at least one out for each one in, if only b'': it tells the server that work goes on",
        rule=BOUNDARIES,
    )


def closed(seen: Transcript, layer: str, when: str) -> None:
    names = seen.names()
    that(
        "inner closed" in names,
        got=f"{layer}: the application's body was not closed {when}",
        expected="close() on the application's body, when yours is closed: it frees what that holds",
        rule=DETAILS,
    )
    last = max((number for number, event in enumerate(names) if event == "chunk"), default=-1)
    that(
        names.index("inner closed") > last,
        got=f"{layer}: the application's body was closed before its last chunk was out",
        expected="close() when the server calls close(), and not before",
        rule=DETAILS,
    )


def request_body_stays(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    data = f'{{"title": "{name(rng)}"}}'.encode()
    seen = probe.wsgi(wrap(wsgi_app()), "POST", "/tasks", body=data, headers=headers)
    ended_well(seen)
    that(
        not seen.all("read"),
        got=f"{layer}: wsgi.input was read, and the application had not asked for it",
        expected="the request's body unread: it can be read once, and that is the application's",
        rule='PEP 3333, "Input and Error Streams"',
    )
    seen = probe.wsgi(wrap(wsgi_app(read=-1)), "POST", "/tasks", body=data, headers=headers)
    ended_well(seen)
    got = (seen.first("inner read") or {}).get("data")
    expect(f"{layer}: what the application read of the body", got, data)


def write_is_passed_on(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    written, rest = [word(rng).encode(), word(rng).encode()], word(rng).encode()
    seen = probe.wsgi(wrap(wsgi_app(write=written, chunks=[rest])), headers=headers)
    answered(seen, "200 OK", b"".join(written) + rest)
    got = [event["data"] for event in seen.all("write")]
    expect(f"{layer}: what reached the server's write", got, written, "at once, not with the rest")


def exc_info_is_passed_on(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    seen = probe.wsgi(wrap(wsgi_app(chunks=[b"a", b"b"], exc_info=True)), headers=headers)
    ended_well(seen)
    starts = [(event["status"], event["exc_info"]) for event in seen.all("start_response")]
    what = f"{layer}: status and exc_info of each start_response"
    why = "without the third argument the server can't tell a failure from a mistake"
    expect(what, starts, [("200 OK", None), ("500 Failed", "ValueError")], why, rule=START_RESPONSE)


def broken_application_is_released(
    probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs
) -> None:
    """Around an application that raises: the exception comes out, and what it held is let go of."""
    for when in ("call", "iteration", "close"):
        who = word(rng)
        seen = probe.wsgi(wrap(wsgi_app(raises=when, name=who, chunks=[b"a", b"b"])), headers=headers)
        error = seen.raised or {}
        that(
            when == "close" or error,
            got=f"{layer}: no exception came out, although the application raised in {when}",
            expected="the application's own exception: what becomes of it is the server's business",
            rule='PEP 3333, "Error Handling"',
        )
        that(
            not error or who in error.get("message", ""),
            got=f"{layer}: {error.get('type')}: {error.get('message')}, where the application raised another",
            expected="the application's own exception, not one about it",
            rule='PEP 3333, "Error Handling"',
        )
        if when != "call":
            closed(seen, layer, f"by the server's call of close, after the application had raised in {when}")


def validator_is_content(probe: Probe, rng: random.Random, layer: str, wrap: Wrap, headers: Pairs) -> None:
    """The standard library's validator on both sides: of the layer as an application, and as a server."""
    data = word(rng).encode()
    for script in ({"chunks": [data, b"!"]}, {"chunks": [data, b"!"], "late_start": True, "read": -1}):
        inner = made(VALIDATOR, wsgi_app(**script))
        seen = probe.wsgi(made(VALIDATOR, wrap(inner)), "POST", "/tasks", body=data, headers=headers)
        error = seen.raised
        if error is not None and error["type"] == "AssertionError":
            fail(
                f"{layer}, with wsgiref.validate on both sides of it: {error['message']}",
                "what both sides can rely on: towards the server an application, towards it a server",
                rule=MIDDLEWARE,
            )
        answered(seen, "200 OK", data + b"!")
        that(
            "without being closed" not in seen.output,
            got=f"{layer}, with wsgiref.validate on both sides of it: {seen.output.strip()[-90:]}",
            expected="close() on the application's body when yours is closed",
            rule=DETAILS,
        )


# --- task 1 -----------------------------------------------------------------------------------------


def duration(seen: Transcript) -> float:
    """The app's milliseconds in Server-Timing, however it is spelled."""
    metrics = [part.strip() for value in values(seen, "Server-Timing") for part in value.split(",")]
    mine = [metric for metric in metrics if metric.split(";")[0].strip() == "app"]
    found = re.search(r';\s*dur\s*=\s*"?([0-9]+(?:\.[0-9]+)?)', mine[0]) if mine else None
    if len(mine) != 1 or found is None:
        fail(f"values of Server-Timing = {values(seen, 'Server-Timing')!r}", "one value: 'app;dur=12.5'")
    return float(found[1])


@check(task=1, rule='Server Timing, "The Server-Timing Header Field"')
def test_task1_timing_says_how_long_the_application_took(probe, rng):
    """timing says how long the application took"""
    clock = ref("manual_clock:clock")
    for late in (False, True):
        before, after = rng.randrange(100, 900) / 1000, rng.randrange(2, 9)
        outside = rng.randrange(2, 9)
        worker = made("manual_clock:worker", before, after, late=late)
        layer = made("middleware:timing", worker, clock=clock)
        seen = probe.wsgi(made("manual_clock:delayed", layer, outside))
        ended_well(seen)
        one(seen, "X-Worker", "yes", "the application's own header stays")
        got, wanted = duration(seen), round(before * 1000, 3)
        kind = "at its first chunk" if late else "at once"
        why = f"milliseconds: start_response came {kind}, {before} s after the call"
        if round(got) == round((outside + before) * 1000):
            why += f". A layer outside of yours took {outside} s before that: they are not the application's"
        that(abs(got - wanted) <= 1, f"dur = {got}", f"dur = {wanted}     {why}")
    ended_well(probe.wsgi(made("middleware:timing", wsgi_app())), "a clock of its own when it is given none")


@check(task=1, rule=APPLICATION_SIDE)
def test_task1_request_id_is_the_same_everywhere(probe, rng):
    """request_id: one id, in the application and in the answer"""
    app = made("middleware:request_id", wsgi_app(environ=["HTTP_X_REQUEST_ID"]))
    given = f"{word(rng)}-{rng.randrange(100)}.A_9"
    seen = probe.wsgi(app, headers=[("X-Request-ID", given)])
    ended_well(seen)
    key = 'environ["HTTP_X_REQUEST_ID"]'
    expect(key, inner_environ(seen).get("HTTP_X_REQUEST_ID"), given, "the client's own")
    one(seen, "X-Request-ID", given, "the client's own, once")
    fresh = []
    for bad in ("", "a b", 'x" 200 0 "GET', "é" + word(rng), "x" * 65, "\nX-Admin: 1"):
        headers = [("X-Request-ID", bad)] if bad else []
        seen = probe.wsgi(app, headers=headers)
        ended_well(seen)
        inside = inner_environ(seen).get("HTTP_X_REQUEST_ID")
        usable = isinstance(inside, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", inside)
        said = f"sent was X-Request-ID: {bad!r}" if bad else "the client sent none"
        that(
            usable,
            got=f"{key} = {inside!r}",
            expected=f"a new id of 1 to 64 of A-Z a-z 0-9 . _ -     {said}",
        )
        one(seen, "X-Request-ID", str(inside), "the one that the application saw")
        fresh.append(inside)
    expect("different ids for 6 requests without one", len(set(fresh)), 6)
    own = made(
        "middleware:request_id", wsgi_app(headers=[("Content-Type", "text/plain"), ("x-request-id", "7")])
    )
    one(probe.wsgi(own, headers=[("X-Request-ID", given)]), "X-Request-ID", given, "one name, not two")
    at_the_same_time(probe, rng)


def at_the_same_time(probe: Probe, rng: random.Random) -> None:
    """Two requests that overlap: the second comes before the first one's response is started."""
    ids = [word(rng), word(rng)]
    layer = made("middleware:request_id", wsgi_app(late_start=True))
    seen = overlapping(probe, layer, [{"HTTP_X_REQUEST_ID": own} for own in ids])
    for number, own in enumerate(ids):
        started = [
            event["args"] for event in seen.all("noted") if event["name"] == f"start_response {number}"
        ]
        headers = started[-1][1] if started and len(started[-1]) > 1 else []
        pairs = [pair for pair in headers if isinstance(pair, tuple) and len(pair) == 2]
        got = [value for key, value in pairs if str(key).lower() == "x-request-id"]
        expect("values of X-Request-ID", got, [own], OVERLAP, rule='PEP 3333, "Thread Support"')


def overlapping(
    probe: Probe, layer: Any, requests: Sequence[dict[str, str]], close: bool = False
) -> Transcript:
    """Call one layer for two requests, then iterate over the first body, and over the second; close them."""
    asked: list[Any] = [("app", layer)]
    for number, more in enumerate(requests):
        own = f"environ {number}"
        usual = {"SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": ""}
        asked += [(own, {**usual, **more}), made("wsgiref.util:setup_testing_defaults", named(own))]
        call = made(named("app"), named(own), note(f"start_response {number}"))
        asked.append((f"body {number}", call))
    bodies = [named(f"body {number}") for number in range(len(requests))]
    asked += [made("builtins:list", body) for body in bodies]
    asked += [method(body, "close") for body in bodies if close]
    seen = probe.steps(*asked, sent=f"two requests that overlap, to one layer: {requests[0]}, {requests[1]}")
    ended_well(seen)
    return seen


@check(task=1, rule=MIDDLEWARE)
def test_task1_everything_else_passes_through(probe, rng):
    """Chunks, close, write, exc_info pass through both layers"""
    for layer in ("timing", "request_id"):

        def wrap(inner: Any, layer: str = layer) -> Any:
            return made(f"middleware:{layer}", inner)

        passes_through(probe, rng, layer, wrap)
        seen = probe.wsgi(wrap(wsgi_app(chunks=[b"a", b"b"], exc_info=True)))
        field = {"timing": "Server-Timing", "request_id": "X-Request-ID"}[layer]
        got = len(values(seen, field))
        expect(f"{field} fields in the answer that replaced the first one", got, 1, rule=START_RESPONSE)


# --- task 2 -----------------------------------------------------------------------------------------


def guarded(users: dict[str, str], realm: str = "tasks", **script: Any) -> Any:
    keys = ["REMOTE_USER", "PATH_INFO"]
    return made("middleware:basic_auth", wsgi_app(environ=keys, **script), users=users, realm=realm)


def is_refused(probe: Probe, app: Any, headers: Pairs, said: str, method: str = "GET") -> Transcript:
    """Fail unless this is answered with 401; the application must not be called."""
    seen = probe.wsgi(app, method, "/tasks", headers=headers)
    ended_well(seen, f"401, and no exception: {said}. What a client sends never raises")
    that(
        not is_called(seen),
        got=f"the application was called: {said}",
        expected="401 Unauthorized, and the application not called",
    )
    expect("status", code(seen), "401", said)
    return seen


@check(task=2, rule="RFC 9110 §15.5.2")
def test_task2_strangers_are_asked_who_they_are(probe, rng):
    """Without the right name and password: 401 and a challenge"""
    user, password, realm = word(rng), word(rng), word(rng)
    app = guarded({user: password}, realm)
    token = basic(user, password)[1].partition(" ")[2]
    strangers = [
        ([], "no Authorization"),
        ([basic(user, word(rng))], "the wrong password"),
        ([basic(user, "")], "no password"),
        ([basic(user, password[:-1])], "the beginning of the password"),
        ([basic(word(rng), password)], "the wrong name"),
        ([basic(word(rng), "")], "a name that nobody has, and an empty password"),
        ([("Authorization", f"Bearer {token}")], "another scheme than Basic"),
        ([("Authorization", "Basic")], "a scheme and nothing after it"),
        ([("Authorization", "Basic %%%")], "no base64"),
        ([("Authorization", "Basic \xe9")], "a byte that is not ASCII"),
        ([("Authorization", f"Basic {token[:-1]}")], "base64 that is cut short"),
        ([("Authorization", "Basic " + base64.b64encode(user.encode()).decode())], "a name without a colon"),
        ([("Authorization", "Basic " + base64.b64encode(b"\xff:\xfe").decode())], "bytes that are no UTF-8"),
    ]
    for headers, said in strangers:
        seen = is_refused(probe, app, headers, said)
        challenges = values(seen, "WWW-Authenticate")
        right = rf'Basic\s+(.*,\s*)?realm="?{realm}"?(\s*,.*)?'
        that(
            any(re.fullmatch(right, value, re.IGNORECASE) for value in challenges),
            got=f"values of WWW-Authenticate = {challenges!r}",
            expected=f'\'Basic realm="{realm}", charset="UTF-8"\'     it makes a browser ask for a password',
        )
        asked = any('charset="utf-8"' in value.lower() for value in challenges)
        that(
            asked,
            got=f"WWW-Authenticate = {challenges[0]!r}",
            expected='charset="UTF-8" in it: else each browser picks an encoding of its own',
            rule="RFC 7617 §2.1",
        )
    seen = probe.wsgi(made(VALIDATOR, app), headers=[])
    ended_well(seen, "a 401 that wsgiref.validate takes: it has a Content-Type, too")
    length = values(seen, "Content-Length")
    that(
        length in ([], [str(len(seen.body))]),
        got=f"Content-Length = {length!r} for a body of {len(seen.body)} bytes",
        expected="the length of the body in bytes",
        rule="RFC 9110 §8.6",
    )
    seen = probe.wsgi(app, headers=[basic(user, password)])
    ended_well(seen)
    that(is_called(seen), f"{seen.status}: the right password was refused, too", "the application called")


@check(task=2, rule="RFC 7617 §2")
def test_task2_those_with_the_password_are_let_in(probe, rng):
    """With the right name and password: the application, and REMOTE_USER"""
    user, data = word(rng), word(rng).encode()
    cases = [
        (word(rng), "Basic", "a name and a password"),
        (word(rng), "bAsIc", "a scheme's name has no case (RFC 9110 §11.1)"),
        (f"{word(rng)}:{word(rng)}:", "Basic", "a password with colons: the first one ends the name"),
        (f"{word(rng)}ü明", "Basic", "a password that is not ASCII, in UTF-8 (RFC 7617 §2.1)"),
        (f" {word(rng)} ", "Basic", "a password that begins and ends with a space"),
    ]
    for password, scheme, said in cases:
        users = {word(rng): word(rng), user: password}
        app = guarded(users, status="202 Accepted", chunks=[data])
        seen = probe.wsgi(app, headers=[basic(user, password, scheme)])
        ended_well(seen, f"an answer: {said}")
        that(
            is_called(seen),
            got=f"{seen.status}, and the application was not called",
            expected=f"let in: {said}",
        )
        answered(seen, "202 Accepted", data)
        got = inner_environ(seen).get("REMOTE_USER")
        expect('environ["REMOTE_USER"]', got, user, "the application needs to know who asks")
    is_refused(probe, guarded({user: "secret"}), [basic(user, "Secret")], "the wrong password")


@check(task=2, rule='Python, "hmac.compare_digest"')
def test_task2_passwords_are_compared_by_compare_digest(probe, rng):
    """hmac.compare_digest has the last word, for unknown names, too"""
    user, password = word(rng), word(rng)
    app = made("compare_digest_counter:witness", guarded({user: password}))
    cases = [
        (basic(user, password), "the right password"),
        (basic(user, word(rng)), "a wrong password"),
        (basic(word(rng), password), "a name that nobody has"),
    ]
    for header, said in cases:
        seen = probe.wsgi(app, headers=[header])
        ended_well(seen)
        asked = int(next(iter(values(seen, "X-Compared")), "0"))
        why = "== stops at the first difference, and how long that took can be measured from outside"
        if said == "a name that nobody has":
            why = "an answer without a comparison comes sooner: it tells which names exist"
        that(
            asked,
            got=f"hmac.compare_digest was not asked, for {said}",
            expected=f"hmac.compare_digest asked each time     {why}. (Calls are counted, not time)",
        )
    right = probe.wsgi(app, headers=[basic(user, password)])
    that(is_called(right), f"{right.status} for the right password", "the application called")
    equal = values(right, "X-Equal")
    expect("what compare_digest said of the right password", equal, ["True"], "it is what decides")


@check(task=2, rule=MIDDLEWARE)
def test_task2_everything_else_passes_through(probe, rng):
    """Chunks, close, write, exc_info pass through basic_auth"""
    user, password = word(rng), word(rng)

    def wrap(inner: Any) -> Any:
        return made("middleware:basic_auth", inner, users={user: password})

    passes_through(probe, rng, "basic_auth", wrap, [basic(user, password)])


# --- task 3 -----------------------------------------------------------------------------------------


def sharing(*origins: str, **script: Any) -> Any:
    keys = ["REQUEST_METHOD", "HTTP_ORIGIN"]
    return made("middleware:cors", wsgi_app(environ=keys, **script), origins=list(origins))


def varies(seen: Transcript, said: str) -> None:
    that(
        listed(seen, "Vary") & {"origin", "*"},
        got=f"values of Vary = {values(seen, 'Vary')!r}, {said}",
        expected="Vary: Origin     else a cache gives one origin's answer to another",
        rule='RFC 9110 §12.5.5; Fetch, "CORS protocol and HTTP caches"',
    )


@check(task=3, rule='Fetch, "HTTP responses" of the CORS protocol')
def test_task3_answers_are_shared_with_these_origins(probe, rng):
    """Answers are shared with these origins, and with no others"""
    mine, second = f"https://{word(rng)}.example", f"http://localhost:{rng.randrange(2000, 9000)}"
    data = word(rng).encode()
    app = sharing(mine, second, chunks=[data], status="404 Not Found")
    field = "Access-Control-Allow-Origin"
    for origin in (mine, second):
        seen = probe.wsgi(app, headers=[("Origin", origin)])
        answered(seen, "404 Not Found", data)
        one(seen, field, origin, "one origin, the one that asked; an error is an answer, too")
        varies(seen, "for an origin of ours")
    others = [
        f"{mine}.evil.example",
        mine.replace("https://", "http://"),
        f"{mine}:8443",
        "https://evil-" + mine.removeprefix("https://"),
        "null",
    ]
    for origin in others:
        seen = probe.wsgi(app, headers=[("Origin", origin)])
        answered(seen, "404 Not Found", data)
        expect(
            f"values of {field}",
            values(seen, field),
            [],
            f"Origin is {origin!r}: scheme, host and port decide",
        )
        varies(seen, "for an origin that is not ours")
    seen = probe.wsgi(app)
    answered(seen, "404 Not Found", data)
    expect(f"values of {field}", values(seen, field), [], "no Origin was sent: nobody asked")
    varies(seen, "when no Origin was sent")
    said = [("Content-Type", "text/plain"), (field.lower(), "*"), ("Vary", "Accept-Encoding")]
    seen = probe.wsgi(sharing(mine, headers=said), headers=[("Origin", mine)])
    one(seen, field, mine, "the application had sent one of its own: a browser refuses two")
    expect("members of Vary", listed(seen, "Vary"), {"accept-encoding", "origin"}, "the application's stays")


@check(task=3, rule='Fetch, "CORS-preflight request"')
def test_task3_preflights_are_answered_by_the_layer(probe, rng):
    """A preflight is answered by the layer, and OPTIONS alone is not one"""
    mine, other = f"https://{word(rng)}.example", f"https://{word(rng)}.example"
    age, asked = rng.randrange(100, 999), rng.choice(["PUT", "PATCH", "DELETE"])
    inner, field = wsgi_app(chunks=[b"options"]), word(rng)
    app = made(
        "middleware:cors", inner, origins=[mine], methods=["GET", asked], headers=["X-A", field], max_age=age
    )

    def preflight(origin: str, method: str) -> Transcript:
        sent = [("Origin", origin), ("Access-Control-Request-Method", method)]
        seen = probe.wsgi(made(VALIDATOR, app), "OPTIONS", "/tasks/1", headers=sent)
        ended_well(seen, "a preflight that wsgiref.validate takes: a 204 has no content, so no Content-Type")
        got = f"the application was called for a preflight, and answered {seen.status}"
        that(
            not is_called(seen), got, "an answer of the layer's own: the application does not know of origins"
        )
        expect("status", code(seen), "204", "a success; browsers look at the header alone")
        expect("body", seen.body, b"", "a 204 has none (RFC 9110 §15.3.5)")
        return seen

    seen = preflight(mine, asked)
    one(seen, "Access-Control-Allow-Origin", mine, "as for any other answer")
    methods = listed(seen, "Access-Control-Allow-Methods")
    expect("members of Access-Control-Allow-Methods", methods, {"get", asked.lower()}, "those of `methods`")
    names = listed(seen, "Access-Control-Allow-Headers")
    expect("members of Access-Control-Allow-Headers", names, {"x-a", field}, "those of `headers`")
    one(seen, "Access-Control-Max-Age", str(age), "seconds; without it each request costs two")
    methods = listed(preflight(mine, "BREW"), "Access-Control-Allow-Methods")
    that(
        "brew" not in methods,
        "BREW is allowed: the request's own word was sent back",
        "those of `methods` only",
    )
    granted = values(preflight(other, asked), "Access-Control-Allow-Origin")
    expect("values of Access-Control-Allow-Origin", granted, [], f"{other} is not one of `origins`")
    alone = [
        ([], "OPTIONS without Origin"),
        ([("Origin", mine)], "OPTIONS without Access-Control-Request-Method"),
    ]
    for sent, said in alone:
        seen = probe.wsgi(app, "OPTIONS", "/tasks", headers=sent)
        ended_well(seen)
        that(
            is_called(seen), f"{said} did not reach the application", "the application's answer: no preflight"
        )
        expect("body", seen.body, b"options")


@check(task=3, rule=MIDDLEWARE)
def test_task3_everything_else_passes_through(probe, rng):
    """Chunks, close, write, exc_info pass through cors"""

    def wrap(inner: Any) -> Any:
        return made("middleware:cors", inner, origins=[ORIGIN])

    headers = [("Origin", ORIGIN)]
    passes_through(probe, rng, "cors", wrap, headers)
    seen = probe.wsgi(wrap(wsgi_app(chunks=[b"a", b"b"], exc_info=True)), headers=headers)
    why = "also in the answer that replaced the first one: the page wants to read the error"
    one(seen, "Access-Control-Allow-Origin", ORIGIN, why)


# --- task 4 -----------------------------------------------------------------------------------------


def logging(**script: Any) -> Any:
    return made("middleware:access_log", wsgi_app(**script), note("log"))


def lines(seen: Transcript) -> list[str]:
    """What `log` was called with, in order."""
    said = [event["args"][0] for event in seen.all("noted") if event["args"]]
    return [line if isinstance(line, str) else repr(line) for line in said]


def the_line(seen: Transcript, when: str) -> tuple[str, ...]:
    """The parts of the one line: client, id, method, target, status, bytes, exception."""
    found = lines(seen)
    expect(f"lines of the log, {when}", len(found), 1, f"it was {found!r}")
    match = LINE.fullmatch(found[0].rstrip("\n"))
    if match is None:
        fail(f"the line {found[0]!r}", "'127.0.0.1 7f3a-1 \"GET /tasks?done=1\" 200 51'")
    return tuple(part or "" for part in match.groups())


@check(task=4, rule='PEP 3333, "Buffering and Streaming"')
def test_task4_one_line_after_the_last_byte(probe, rng):
    """One line, after the last byte, with the real status and bytes"""
    chunks = [word(rng, rng.randrange(1, 40)).encode(), b"", word(rng).encode()]
    size, own = sum(map(len, chunks)), f"{word(rng)}-1"
    code, path, query = rng.choice(["200 OK", "404 Not Found"]), f"/{word(rng)}", f"done={rng.randrange(9)}"
    said = [("Content-Type", "text/plain"), ("Content-Length", str(size + 7))]
    for late in (False, True):
        app = logging(chunks=chunks, status=code, headers=said, late_start=late)
        sent = [("X-Request-ID", own)]
        seen = probe.wsgi(app, path=path, query=query, headers=sent, REMOTE_ADDR="192.0.2.7")
        answered(seen, code, b"".join(chunks))
        line = the_line(seen, "at the end")
        last = max((number for number, event in enumerate(seen.names()) if event == "chunk"), default=-1)
        that(
            seen.names().index("noted") > last,
            got="the line was written before the last chunk was out",
            expected="the line after the last byte: before that, nobody knows how many there will be",
        )
        expect("status in the line", line[4], code[:3], "as start_response got it, whenever it did")
        why = "the chunks' bytes, counted; Content-Length is a promise, and this one is wrong"
        expect("bytes in the line", line[5], str(size), why)
        expect("client, id, method and target", line[:4], ("192.0.2.7", own, "GET", f"{path}?{query}"))
        expect("exception in the line", line[6], "", "none was raised")
    written = [word(rng).encode()] * 2
    seen = probe.wsgi(logging(write=written, chunks=[b"!"]), "POST", SCRIPT_NAME="/v1")
    ended_well(seen)
    line = the_line(seen, "when the application used write")
    expect(
        "bytes in the line", line[5], str(len(b"".join(written)) + 1), "what went through write counts, too"
    )
    expect(
        "id, method and target", line[1:4], ("-", "POST", "/v1/"), "- without an id; SCRIPT_NAME comes first"
    )
    forged = '/a\r\n192.0.2.1 - "GET /admin" 200 1\x1b[2J\xe9'
    seen = probe.wsgi(logging(), path=forged)
    ended_well(seen)
    found = "".join(lines(seen)).rstrip("\n")
    that(
        found and found.isascii() and found.isprintable() and found.count('"') == 2,
        got=f"the line {found!r} for the path {forged!r}",
        expected="one line, of printable ASCII, with two quotation marks: a client must not write your log",
    )
    default_log(probe)


def default_log(probe: Probe) -> None:
    """Without `log`, the line goes to wsgi.errors: the probe's is its standard error."""
    seen = probe.wsgi(made("middleware:access_log", wsgi_app(chunks=[b"abc"])), path="/tasks")
    ended_well(seen, "a line on wsgi.errors when there is no `log`")
    that(
        '"GET /tasks" 200 3\n' in seen.output,
        got=f"{seen.output[-200:]!r} on wsgi.errors",
        expected="'127.0.0.1 - \"GET /tasks\" 200 3\\n' on wsgi.errors, when no `log` is given",
        rule='PEP 3333, "Input and Error Streams"',
    )


@check(task=4, rule=DETAILS)
def test_task4_a_line_in_every_ending(probe, rng):
    """A line when the client leaves, and when the application raises"""
    data = word(rng).encode()
    left = probe.wsgi(logging(chunks=[data, data, data]), take=1)
    ended_well(left)
    line = the_line(left, "when the client left after the first chunk")
    expect("status and bytes", line[4:6], ("200", str(len(data))), "what was handed to the server by then")
    endings = [
        (
            "call",
            ("-", "0"),
            "no status: start_response was never called, and what the server will say is its own",
        ),
        ("iteration", ("200", str(len(data))), "what was handed to the server before that"),
        ("close", ("200", str(2 * len(data))), "the whole body was out by then"),
    ]
    for when, wanted, why in endings:
        seen = probe.wsgi(logging(chunks=[data, data], raises=when))
        line = the_line(seen, f"when the application raised in {when}")
        expect(f"status and bytes, when the application raised in {when}", line[4:6], wanted, why)
        expect("exception in the line", line[6], "RuntimeError", "a 200 with half a body was no success")
    strict = made("strict_start_response:strict", logging(chunks=[data, data], exc_info=True))
    seen = probe.wsgi(strict)
    line = the_line(seen, "when the application changed its mind after the first chunk")
    why = "the client has the 200 already: the server raised exc_info again instead of taking the 500"
    expect("status in the line", line[4], "200", why, rule=START_RESPONSE)
    early = probe.wsgi(made("strict_start_response:strict", logging(chunks=[b"", data], exc_info=True)))
    line = the_line(early, "when the application changed its mind before the first byte")
    expect(
        "status in the line",
        line[4],
        "500",
        "nothing was sent yet: the second one counts",
        rule=START_RESPONSE,
    )


@check(task=4, rule=MIDDLEWARE)
def test_task4_everything_else_passes_through(probe, rng):
    """Chunks, close, write, exc_info pass through access_log"""

    def wrap(inner: Any) -> Any:
        return made("middleware:access_log", inner, note("log"))

    passes_through(probe, rng, "access_log", wrap)
    paths = [f"/{word(rng)}", f"/{word(rng)}"]
    seen = overlapping(
        probe, wrap(wsgi_app(chunks=[b"abc"])), [{"PATH_INFO": path} for path in paths], close=True
    )
    logged = [event["args"][0] for event in seen.all("noted") if event["name"] == "log" and event["args"]]
    found = [match.group(4, 6) for match in map(LINE.fullmatch, map(str, logged)) if match]
    wanted = [(path, "3") for path in paths]
    expect("target and bytes of the lines", found, wanted, OVERLAP, rule='PEP 3333, "Thread Support"')


# --- task 5 -----------------------------------------------------------------------------------------


@check(task=5, rule=MIDDLEWARE)
def test_task5_the_first_layer_is_outermost(probe, rng):
    """stack(app, [a, b]) is a(b(app)), around any application"""
    own, user, password = f"{word(rng)}.1", word(rng), word(rng)
    log = made("functools:partial", ref("middleware:access_log"), log=note("log"))
    door = made("functools:partial", ref("middleware:basic_auth"), users={user: password})
    naming, data = ref("middleware:request_id"), word(rng).encode()
    inner = wsgi_app(chunks=[data, b"!"])
    asked = [basic(user, password), ("X-Request-ID", own)]

    plain = probe.wsgi(made("middleware:stack", inner, []))
    answered(plain, "200 OK", data + b"!")
    for layers, said, wanted in (([log, door], "outside", 1), ([door, log], "inside", 0)):
        seen = probe.wsgi(made("middleware:stack", inner, layers))
        ended_well(seen)
        names = "[access_log, basic_auth]" if wanted else "[basic_auth, access_log]"
        expect(f"status without a password, with {names}", code(seen), "401", "every layer is there")
        expect(f"lines of the log for that 401, with {names}", len(lines(seen)), wanted, f"the log is {said}")
    for layers in ([naming, log, door], [door, naming, log]):
        checked = [part for layer in layers for part in (ref(VALIDATOR), layer)]
        seen = probe.wsgi(made("middleware:stack", inner, [*checked, ref(VALIDATOR)]), headers=asked)
        ended_well(seen, "no complaint of wsgiref.validate, which stands between all layers")
        answered(seen, "200 OK", data + b"!")
        in_turn(seen, "the stack")
        closed(seen, "the stack", "after the last chunk")
        line = the_line(seen, "from the middle of the stack")
        expect("id and bytes in the line", (line[1], line[5]), (own, str(len(data) + 1)))
        broken = probe.wsgi(made("middleware:stack", wsgi_app(raises="iteration"), layers), headers=asked)
        that(
            broken.raised, "no exception, although the application raised", "the application's own exception"
        )
        closed(
            broken,
            "the stack",
            "by the server's call of close, after the application had raised in iteration",
        )
    frameworks_run_unchanged(probe, [naming, log, ref("middleware:timing"), door], asked)


def frameworks_run_unchanged(probe: Probe, layers: list[Any], asked: Pairs) -> None:
    for framework in ("greeting_flask", "greeting_django"):
        app = made("middleware:stack", ref(f"{framework}:application"), layers)
        seen = probe.wsgi(app, "POST", "/upper", body=b"ada", headers=asked)
        answered(seen, "200 OK", b"ADA")
        seen = probe.wsgi(app, path="/letters", query="name=Ada", headers=asked)
        answered(seen, "200 OK", b"Ada")
        that(
            len(seen.all("chunk")) >= 3,
            got=f"{framework}: its three chunks came out as {len(seen.all('chunk'))}",
            expected="one chunk out for each chunk in",
            rule=BOUNDARIES,
        )


def logged(stack: Any, mark: int, own: str) -> list[tuple[str, ...]]:
    """The lines of the service's output that carry this request's id; waits for the first of them."""
    deadline = time.monotonic() + 2
    while True:
        output = stack.ask("status", service="tasks", since=mark)["output"]
        found = [match for match in map(LINE.fullmatch, output.splitlines()) if match and match[2] == own]
        if found or time.monotonic() > deadline:
            return [match.groups() for match in found]
        time.sleep(0.02)


@check(task=5, rule='Fetch, "CORS-preflight fetch"')
def test_task5_the_order_is_right_for_browsers_and_the_log(front, stack, rng):
    """Through nginx: preflights need no password, and all is logged"""
    front.get("/tasks")
    mark = stack.ask("status", service="tasks")["mark"]
    ids: dict[str, tuple[int, int]] = {}
    for case in wire_cases(__file__):
        own = f"{case.name}.{word(rng)}"
        head, _, body = case.data.partition(b"\r\n\r\n")
        answer = front.send(head + f"\r\nX-Request-ID: {own}\r\nConnection: close\r\n\r\n".encode() + body)
        expect(f"status of {case.name}.http", answer.status, int(case.notes["status"]), case.notes["because"])
        field, shared = "Access-Control-Allow-Origin", case.notes.get("shared")
        if shared:
            expect(
                f"{field} of {case.name}.http",
                answer.get(field),
                shared,
                "else the page can't read the answer",
            )
        got = answer.get("X-Request-ID")
        expect(f"X-Request-ID of {case.name}.http", got, own, "every answer has one, whoever gave it")
        ids[own] = (answer.status, len(answer.body))
    for own, (status, size) in ids.items():
        found = logged(stack, mark, own)
        what = f"lines of the log for {own.partition('.')[0]}.http"
        expect(what, len(found), 1, "every answer is logged, with its id, whichever layer gave it")
        expect("status and bytes in the line", found[0][4:6], (str(status), str(size)), "what the client got")
    title = name(rng)
    made_task = request_bytes(
        "POST",
        "/tasks",
        [basic("Ada", "lovelace"), ("Content-Type", "application/json"), ("Connection", "close")],
        f'{{"title": "{title}"}}'.encode(),
    )
    answer = front.send(made_task, "POST")
    expect(
        "status", answer.status, 201, "the tasks API is behind it all, and its body was left for it to read"
    )
    expect("title", object_of(answer).get("title"), title)
    that(answer.get("Server-Timing"), "no Server-Timing in the answer", "timing in the stack, too")
