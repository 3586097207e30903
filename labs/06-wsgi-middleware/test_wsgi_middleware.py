"""Lab 6: layers around any application, that change what they are for and nothing else."""

import re

from layer_answers import (
    answered,
    basic,
    code,
    duration,
    ended_well,
    inner_environ,
    is_called,
    listed,
    one,
    sent_with_id,
    values,
    word,
)
from layer_contract import (
    DETAILS,
    MIDDLEWARE,
    START_RESPONSE,
    VALIDATOR,
    closed,
    frameworks_run_unchanged,
    in_turn,
    passes_through,
)
from log_lines import (
    cannot_be_forged,
    default_log,
    each_has_its_line,
    lines,
    logged_as_answered,
    logging,
    the_line,
)
from one_after_another import nobody_stays_in, preflights_are_alike, stacked_once
from overlapping_requests import each_has_its_own, times_are_their_own
from passwords import comparing, guarded, is_refused, strangers
from request_ids import KEY, LESSON, OTHERS, each_gets_a_new_id
from shared_answers import its_own_permission_goes, preflight, sharing, varies

from workshop.judge.checks import (
    check,
    expect,
    made,
    name,
    note,
    object_of,
    ref,
    that,
    wire_cases,
    wsgi_app,
)

ORIGIN = "https://tasks.example"


# --- task 1 -----------------------------------------------------------------------------------------


@check(task=1, rule='Server Timing, "The Server-Timing Header Field"')
def test_task1_timing_says_how_long_the_application_took(probe, rng):
    """timing says how long the application took"""
    clock = ref("manual_clock:clock")
    for late in (False, True):
        before, after = rng.randrange(1100, 1900) / 1000, rng.randrange(2, 9)
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
    said = [("Content-Type", "text/plain"), ("Server-Timing", "db;dur=5")]
    measured = values(probe.wsgi(made("middleware:timing", wsgi_app(headers=said))), "Server-Timing")
    why = "'db;dur=5', the application's own, and one of yours"
    kept = any("db;dur=5" in value for value in measured) and any("app;" in value for value in measured)
    that(kept, f"values of Server-Timing = {measured!r}", why, rule="the lesson, task 1")
    times_are_their_own(probe)


@check(task=1, rule='PEP 3333, "The Application/Framework Side"')
def test_task1_request_id_is_the_same_everywhere(probe, rng):
    """request_id: one id, in the application and in the response"""
    app = made("middleware:request_id", wsgi_app(environ=["HTTP_X_REQUEST_ID"]))
    given = f"{word(rng)}-{rng.randrange(100)}.A_9"
    seen = probe.wsgi(app, headers=[("X-Request-ID", given)])
    ended_well(seen)
    expect(KEY, inner_environ(seen).get("HTTP_X_REQUEST_ID"), given, "the client's own", rule=LESSON)
    one(seen, "X-Request-ID", given, "the client's own, once", rule=LESSON)
    other = f"{word(rng)}{rng.choice(OTHERS)}"
    refused = (
        "",
        "",
        "a b",
        'x" 200 0 "GET',
        "é" + word(rng),
        "x" * 65,
        "\nX-Admin: 1",
        f"{word(rng)}\n",
        other,
    )
    each_gets_a_new_id(probe, app, refused)
    twice = [("Content-Type", "text/plain"), ("x-request-id", "7")]
    own, longest = made("middleware:request_id", wsgi_app(headers=twice)), "x" * 64
    for sent, why in ((given, "one name, not two"), (longest, "64 characters, which may be one's own")):
        seen = probe.wsgi(own, headers=[("X-Request-ID", sent)])
        one(seen, "X-Request-ID", sent, why, rule=LESSON)
    layer = made("middleware:request_id", wsgi_app(late_start=True))
    each_has_its_own(probe, layer, "HTTP_X_REQUEST_ID", [word(rng), word(rng)], "X-Request-ID")


@check(task=1, rule=MIDDLEWARE)
def test_task1_everything_else_passes_through(probe, rng):
    """Chunks, close, write, exc_info pass through both layers"""
    for layer in ("timing", "request_id"):

        def wrap(inner, layer=layer):
            return made(f"middleware:{layer}", inner)

        passes_through(probe, rng, layer, wrap)
        seen = probe.wsgi(wrap(wsgi_app(chunks=[b"a", b"b"], exc_info=True)))
        field = {"timing": "Server-Timing", "request_id": "X-Request-ID"}[layer]
        got = len(values(seen, field))
        expect(f"{field} fields in the response that replaced the first one", got, 1, rule=START_RESPONSE)


# --- task 2 -----------------------------------------------------------------------------------------


@check(task=2, rule="RFC 9110 §15.5.2")
def test_task2_strangers_are_asked_who_they_are(probe, rng):
    """Without the right name and password: 401 and WWW-Authenticate"""
    user, password, realm = word(rng), word(rng), word(rng)
    app = guarded({user: password}, realm)
    for headers, said in strangers(user, password, rng):
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
            expected='charset="UTF-8" in it: otherwise each browser chooses its own encoding',
            rule="RFC 7617 §2.1",
        )
    for verb in ("GET", "POST"):
        seen = probe.wsgi(made(VALIDATOR, app), verb, headers=[])
        ended_well(seen, "a 401 that wsgiref.validate takes: it has a Content-Type, too")
        length = values(seen, "Content-Length")
        got = f"Content-Length = {length!r} for a body of {len(seen.body)} bytes, the response to {verb}"
        right = length in ([], [str(len(seen.body))])
        that(right, got, "the length of the body in bytes", rule="RFC 9110 §8.6")
    seen = probe.wsgi(app, headers=[basic(user, password)])
    ended_well(seen)
    that(is_called(seen), f"{seen.status}: the right password was refused, too", "the application called")
    nobody_stays_in(probe, rng)


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
        # a server in front may have put a name there: the one that was proved here replaces it
        more = {"REMOTE_USER": "somebody"} if scheme == "bAsIc" else {}
        seen = probe.wsgi(app, headers=[basic(user, password, scheme)], **more)
        ended_well(seen, f"a response: {said}")
        that(
            is_called(seen),
            got=f"{seen.status}, and the application was not called",
            expected=f"the application called: {said}",
        )
        answered(seen, "202 Accepted", data)
        got = inner_environ(seen).get("REMOTE_USER")
        expect('environ["REMOTE_USER"]', got, user, "the application needs to know who asks")
    is_refused(probe, guarded({user: "secret"}), [basic(user, "Secret")], "the wrong password")


@check(task=2, rule='Python, "hmac.compare_digest"')
def test_task2_passwords_are_compared_by_compare_digest(probe, rng):
    """hmac.compare_digest has the last word, for unknown names, too"""
    user, password = word(rng), word(rng)
    app = comparing(guarded({user: password}))
    cases = [
        (basic(user, password), "the right password"),
        (basic(user, word(rng)), "a wrong password"),
        (basic(word(rng), password), "a name that no user has"),
    ]
    for header, said in cases:
        seen = probe.wsgi(app, headers=[header])
        ended_well(seen)
        why = "== stops at the first difference, and how long that took can be measured from outside"
        if said == "a name that no user has":
            why = "a response without a comparison comes sooner: it shows which names exist"
        that(
            seen.all("noted"),
            got=f"hmac.compare_digest was not called, for {said}",
            expected=f"hmac.compare_digest called each time     {why}. (Calls are counted, not time)",
        )
    right = probe.wsgi(app, headers=[basic(user, password)])
    that(is_called(right), f"{right.status} for the right password", "the application called")
    equal = any(event["args"][0] == event["args"][1] for event in right.all("noted"))
    expect("whether compare_digest was given two equal values for the right password", equal, True)
    seen = probe.wsgi(comparing(guarded({user: password}), False), headers=[basic(user, password)])
    that(
        not is_called(seen),
        got="the application was called, although hmac.compare_digest returned False (here it always does)",
        expected="401: only the result of compare_digest decides",
    )
    seen = probe.wsgi(comparing(guarded({user: password}), True), headers=[basic(user, word(rng))])
    got = f"{seen.status}, although hmac.compare_digest returned True (here it always does)"
    that(is_called(seen), got, "the application called: only the result of compare_digest decides")


@check(task=2, rule=MIDDLEWARE)
def test_task2_everything_else_passes_through(probe, rng):
    """Chunks, close, write, exc_info pass through basic_auth"""
    user, password = word(rng), word(rng)

    def wrap(inner):
        return made("middleware:basic_auth", inner, users={user: password})

    passes_through(probe, rng, "basic_auth", wrap, [basic(user, password)])


# --- task 3 -----------------------------------------------------------------------------------------


@check(task=3, rule='Fetch, "HTTP responses" of the CORS protocol')
def test_task3_answers_are_shared_with_these_origins(probe, rng):
    """Pages of these origins may read responses, and no others"""
    mine, second = f"https://{word(rng)}.example", f"http://localhost:{rng.randrange(2000, 9000)}"
    data = word(rng).encode()
    app = sharing(mine, second, chunks=[data], status="404 Not Found")
    field = "Access-Control-Allow-Origin"
    for origin in (mine, second):
        seen = probe.wsgi(app, headers=[("Origin", origin)])
        answered(seen, "404 Not Found", data)
        one(seen, field, origin, "one origin, that of the request; an error is a response, too")
        varies(seen, "for an origin of ours")
    others = [
        f"{mine}.evil.example",
        mine[:-1],
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
    expect(f"values of {field}", values(seen, field), [], "the request had no Origin")
    varies(seen, "when no Origin was sent")
    layer = sharing(mine, second, late_start=True)
    each_has_its_own(probe, layer, "HTTP_ORIGIN", [mine, second], field)
    its_own_permission_goes(probe, mine, f"https://{word(rng)}.example")


@check(task=3, rule='Fetch, "CORS-preflight request"')
def test_task3_preflights_are_answered_by_the_layer(probe, rng):
    """The layer responds to a preflight; OPTIONS alone is not one"""
    mine, other = f"https://{word(rng)}.example", f"https://{word(rng)}.example"
    age, asked = rng.randrange(100, 999), rng.choice(["PUT", "PATCH", "DELETE"])
    inner, field = wsgi_app(chunks=[b"options"]), word(rng)
    app = made(
        "middleware:cors", inner, origins=[mine], methods=["GET", asked], headers=["X-A", field], max_age=age
    )
    seen = preflight(probe, app, mine, asked)
    one(seen, "Access-Control-Allow-Origin", mine, "as for any other response")
    methods = listed(seen, "Access-Control-Allow-Methods")
    expect("members of Access-Control-Allow-Methods", methods, {"get", asked.lower()}, "those of `methods`")
    names = listed(seen, "Access-Control-Allow-Headers")
    expect("members of Access-Control-Allow-Headers", names, {"x-a", field}, "those of `headers`")
    one(seen, "Access-Control-Max-Age", str(age), "seconds; without it each request costs two")
    methods = listed(preflight(probe, app, mine, "BREW"), "Access-Control-Allow-Methods")
    that(
        "brew" not in methods,
        "BREW is allowed: the layer sent the request's own word back",
        "those of `methods` only",
    )
    granted = values(preflight(probe, app, other, asked), "Access-Control-Allow-Origin")
    expect("values of Access-Control-Allow-Origin", granted, [], f"{other} is not one of `origins`")
    alone = [
        ("OPTIONS", [("Access-Control-Request-Method", asked)], "OPTIONS without Origin"),
        ("OPTIONS", [("Origin", mine)], "OPTIONS without Access-Control-Request-Method"),
    ]
    both = [("Origin", mine), ("Access-Control-Request-Method", asked)]
    alone += [(verb, both, f"{verb} with Access-Control-Request-Method") for verb in ("GET", "POST")]
    for verb, sent, said in alone:
        seen = probe.wsgi(app, verb, "/tasks", headers=sent)
        ended_well(seen)
        that(
            is_called(seen),
            f"{said} did not reach the application",
            "the application's response: this isn't a preflight",
        )
        expect("body", seen.body, b"options")
    preflights_are_alike(probe, rng)


@check(task=3, rule=MIDDLEWARE)
def test_task3_everything_else_passes_through(probe, rng):
    """Chunks, close, write, exc_info pass through cors"""

    def wrap(inner):
        return made("middleware:cors", inner, origins=[ORIGIN])

    passes_through(probe, rng, "cors", wrap, [("Origin", ORIGIN)])
    seen = probe.wsgi(wrap(wsgi_app(chunks=[b"a", b"b"], exc_info=True)), headers=[("Origin", ORIGIN)])
    why = "also in the response that replaced the first one: the page must be able to read the error"
    one(seen, "Access-Control-Allow-Origin", ORIGIN, why)


# --- task 4 -----------------------------------------------------------------------------------------


@check(task=4, rule='PEP 3333, "Buffering and Streaming"')
def test_task4_one_line_after_the_last_byte(probe, rng):
    """One line, after the last byte, with the real status and bytes"""
    chunks = [word(rng, rng.randrange(1, 40)).encode(), b"", f"{word(rng)}ë".encode()]
    size, own = sum(map(len, chunks)), f"{word(rng)}-1"
    code, path, query = rng.choice(["200 OK", "404 Not Found"]), f"/{word(rng)}", f"done={rng.randrange(9)}"
    said = [("Content-Type", "text/plain"), ("Content-Length", str(size + 7))]
    for late in (False, True):
        app = logging(chunks=chunks, status=code, headers=said, late_start=late)
        asked = {"path": path, "query": query, "headers": [("X-Request-ID", own)]}
        seen = probe.wsgi(app, **asked, REMOTE_ADDR="192.0.2.7")
        answered(seen, code, b"".join(chunks))
        line = the_line(seen, "at the end")
        last = max((number for number, event in enumerate(seen.names()) if event == "chunk"), default=-1)
        that(
            seen.names().index("noted") > last,
            got="the line was written before the last chunk was out",
            expected="the line after the last byte: before that, their number isn't known",
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
    wanted, why = str(len(b"".join(written)) + 1), "what went through write counts, too"
    expect("bytes in the line", line[5], wanted, why)
    wanted, why = ("-", "POST", "/v1/"), "- without an id; SCRIPT_NAME comes first"
    expect("id, method and target", line[1:4], wanted, why)
    cannot_be_forged(probe)
    default_log(probe)


@check(task=4, rule=DETAILS)
def test_task4_a_line_in_every_ending(probe, rng):
    """A line also when the client leaves or the application raises"""
    data = word(rng).encode()
    left = probe.wsgi(logging(chunks=[data, data, data]), take=1)
    ended_well(left)
    line = the_line(left, "when the client left after the first chunk")
    expect("status and bytes", line[4:6], ("200", str(len(data))), "the bytes that the server got by then")
    unread = probe.wsgi(logging(chunks=[data]), take=0)
    ended_well(unread)
    line = the_line(unread, "when the client left before the first chunk")
    expect("bytes in the line", line[5], "0", "the server got no byte by then")
    endings = [
        ("call", ("-", "0"), "no status: start_response was never called; the server chooses one"),
        ("iteration", ("200", str(len(data))), "the bytes that the server got before that"),
        ("close", ("200", str(2 * len(data))), "the whole body was out by then"),
    ]
    reasons = {"call": "it says why there is no status", "iteration": "a 200 with half a body was no success"}
    for when, wanted, why in endings:
        seen = probe.wsgi(logging(chunks=[data, data], raises=when))
        line = the_line(seen, f"when the application raised in {when}")
        expect(f"status and bytes, when the application raised in {when}", line[4:6], wanted, why)
        why = reasons.get(when, "what the application's close raised is in the line, too")
        expect("exception in the line", line[6], "RuntimeError", why)
    strict = made("strict_start_response:strict", logging(chunks=[data, data], exc_info=True))
    line = the_line(probe.wsgi(strict), "when the application changed its mind after the first chunk")
    why = "the client has the 200 already: the server raised exc_info again instead of taking the 500"
    expect("status in the line", line[4], "200", why, rule=START_RESPONSE)
    early = probe.wsgi(made("strict_start_response:strict", logging(chunks=[b"", data], exc_info=True)))
    line = the_line(early, "when the application changed its mind before the first byte")
    why = "nothing was sent yet: the second one counts"
    expect("status in the line", line[4], "500", why, rule=START_RESPONSE)


@check(task=4, rule=MIDDLEWARE)
def test_task4_everything_else_passes_through(probe, rng):
    """Chunks, close, write, exc_info pass through access_log"""

    def wrap(inner):
        return made("middleware:access_log", inner, note("log"))

    passes_through(probe, rng, "access_log", wrap)
    each_has_its_line(probe, rng)


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

    answered(probe.wsgi(made("middleware:stack", inner, [])), "200 OK", data + b"!")
    for layers, said, wanted in (([log, door], "outside", 1), ([door, log], "inside", 0)):
        seen = probe.wsgi(made("middleware:stack", inner, layers))
        ended_well(seen)
        names = "[access_log, basic_auth]" if wanted else "[basic_auth, access_log]"
        expect(f"status without a password, with {names}", code(seen), "401", "every layer is there")
        why = f"the log is {said}: the first layer of the list is the outermost"
        expect(f"lines of the log for that 401, with {names}", len(lines(seen)), wanted, why)
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
        said = "no exception, although the application raised"
        that(broken.raised, said, "the application's own exception")
        closed(broken, "the stack", "by the server's call of close, after the application had raised")
    stacked_once(probe)
    frameworks_run_unchanged(probe, [naming, log, ref("middleware:timing"), door], asked)


@check(task=5, rule='Fetch, "CORS-preflight fetch"')
def test_task5_the_order_is_right_for_browsers_and_the_log(front, stack, rng):
    """Through nginx: preflights need no password, and all is logged"""
    front.get("/tasks")
    mark = stack.ask("status", service="tasks")["mark"]
    for case in wire_cases(__file__):
        what, rule = f"requests/{case.name}.http", case.notes["rule"]
        answer, own = sent_with_id(front, case, f"{case.name}.{word(rng)}")
        because, shared = case.notes["because"], case.notes.get("shared")
        expect(f"status of {what}", answer.status, int(case.notes["status"]), because, rule=rule)
        field = "Access-Control-Allow-Origin"
        got, why = answer.get(field), "or the page can't read the response"
        expect(f"{field} of {what}", got, shared, why, rule='Fetch, "CORS protocol"')
        got, why = answer.get("X-Request-ID"), "every response has one, whichever layer wrote it"
        expect(f"X-Request-ID of {what}", got, own, why, rule="the lesson, task 5")
        logged_as_answered(stack, mark, own, answer, what)
    title = name(rng)
    fields = [basic("Ada", "lovelace"), ("Content-Type", "application/json")]
    answer = front.request("POST", "/tasks", fields, f'{{"title": "{title}"}}'.encode())
    expect(
        "status", answer.status, 201, "the tasks API is behind it, and its body is unread", rule=MIDDLEWARE
    )
    expect("title", object_of(answer).get("title"), title, rule=MIDDLEWARE)
    timed, why = answer.get("Server-Timing"), "timing in the stack, too"
    that(timed, "no Server-Timing in the response", why, rule="the lesson, task 5")
