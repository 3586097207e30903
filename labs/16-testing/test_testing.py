"""Checks of a test client, and of tests.

Tasks 1 to 4 ask the client by the probe: what it hands to an application, and what it makes of the answer.
The applications are scripts, or apps/apps_to_test.py. In task 5 the learner's tests run in the learner's
process (apps/run_learner_tests.py), on APIs that stand in another one (apps/faulty_tasks_apis.py): a test can
only ask. Each API gets a name that says nothing; right and broken ones come in a random order.
"""

from __future__ import annotations

import json

from workshop.judge.checks import (
    NOT_JSON,
    as_object,
    attribute,
    check,
    expect,
    fail,
    made,
    method,
    name,
    named,
    object_of,
    ref,
    that,
    wsgi_app,
)

ENVIRON = 'PEP 3333, "environ Variables" and "Unicode Issues"'
SCOPE = 'ASGI www, "HTTP Connection Scope"'
SERVERS_HALF = 'PEP 3333, "The Server/Gateway Side" and "The start_response() Callable"'
LIFESPAN = 'ASGI lifespan, "Scope", "Lifespan State" and "Startup Failed"'
DISCONNECT = 'ASGI www, "Response Body" and "Disconnect"'
WEBSOCKET = 'ASGI www, "WebSocket": connect, accept, receive, send, disconnect'
COOKIES = "RFC 6265 §5.3 and §5.4"
RAISED = (
    "this lab, as werkzeug's and Starlette's clients do: what the application raises, its test gets to see"
)
SUITE = "a test passes on every right implementation, and fails on a wrong one"

SHAPES = ("plain", "flask", "starlette")
PLAIN = [("Content-Type", "text/plain")]


# --- asking the client --------------------------------------------------------------------------------


def ask(probe, *steps, sent, seconds=5.0):
    """The values of the steps, by name; an exception of the client's fails the check."""
    seen = probe.steps(*steps, sent=sent, seconds=seconds)
    if seen.raised:
        fail(said(seen.raised), "no exception: the application did nothing wrong")
    names = [step[0] if isinstance(step, tuple) else "" for step in steps]
    return dict(zip(names, seen.values, strict=False)), seen


def said(error):
    return f"{error['type']}: {error['message']}".rstrip(": ")


def must_raise(seen, kind, why, **more):
    """The client raised an exception of this kind; a hole in the starter is none."""
    got = said(seen.raised) if seen.raised else "nothing was raised"
    bases = seen.raised["bases"] if seen.raised else []
    that(kind in bases and "NotImplementedError" not in bases, got=got, expected=f"{kind}: {why}", **more)
    return seen.raised


def entered(kind, app):
    """A client as "c", inside of its with block."""
    return ("client", made(kind, app)), ("c", method(named("client"), "__enter__"))


def left(thing="client"):
    return method(named(thing), "__exit__", None, None, None)


def asked(how, *args, of="c", **more):
    return method(named(of), how, *args, **more)


def text_of(value):
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else repr(value)


def seen_by_app(response, status=200):
    """What apps_to_test's /echo says that it got."""
    expect("status", response.status, status)
    try:
        value = json.loads(text_of(response.body))
    except NOT_JSON:
        value = None
    that(
        isinstance(value, dict),
        got=f"the body {response.body!r}",
        expected="the JSON that the application sent, as bytes",
    )
    return value


def pairs(value, what):
    """A list of pairs, as tuples."""
    whole = isinstance(value, list) and all(isinstance(one, tuple | list) and len(one) == 2 for one in value)
    that(whole, got=f"{what} = {value!r}", expected=f"{what} as a list of pairs")
    return [tuple(one) for one in value]


def key_of(mapping, key, what, **more):
    that(
        isinstance(mapping, dict) and key in mapping,
        got=f"no {key!r} in {what}" if isinstance(mapping, dict) else f"{what} = {mapping!r}",
        expected=f"{what} with {key!r}",
        **more,
    )
    return mapping[key]


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=ENVIRON)
def test_task1_environ_is_what_a_server_would_give(probe, rng):
    """make_environ gives what a server would"""
    number, body = rng.randrange(1000), name(rng).encode()
    target = f"/caf%C3%A9/{number}%2F?x=a%26b&n={number}"
    kind = rng.choice(["application/json", "text/plain; charset=utf-8"])
    fields = [("X-Word", "one"), ("Content-Type", kind), ("Host", f"h{number}.test"), ("x-word", "two")]
    shown = f"make_environ('PUT', {target!r}, {fields!r}, {body!r})"
    steps = (
        ("environ", made("client:make_environ", "PUT", target, fields, body)),
        ("valid", made("wsgiref.validate:check_environ", named("environ"))),
        ("input", made("operator:getitem", named("environ"), "wsgi.input")),
        ("body", method(named("input"), "read", len(body) + 10)),
        ("rest", method(named("input"), "read")),
        ("next", made("client:make_environ", "GET", "/")),
        ("next valid", made("wsgiref.validate:check_environ", named("next"))),
    )
    seen = probe.steps(*steps, sent=shown)
    if seen.raised and seen.raised["type"] in ("AssertionError", "WSGIWarning"):
        fail(f"wsgiref.validate says: {seen.raised['message']}", "an environ that wsgiref.validate takes")
    values, _ = ask(probe, *steps, sent=shown)
    environ = values["environ"]
    wanted = {
        "REQUEST_METHOD": ("PUT", "the method"),
        "SCRIPT_NAME": ("", "nothing is mounted"),
        "PATH_INFO": (f"/caf\xc3\xa9/{number}/", "percent-decoded: the path's bytes, as latin-1"),
        "QUERY_STRING": (f"x=a%26b&n={number}", "not decoded"),
        "CONTENT_TYPE": (kind, "from Content-Type"),
        "CONTENT_LENGTH": (str(len(body)), "the body's bytes, as text"),
        "HTTP_HOST": (f"h{number}.test", "the Host that was given"),
    }
    for key, (value, why) in wanted.items():
        expect(key, key_of(environ, key, "the environ"), value, why)
    word = key_of(environ, "HTTP_X_WORD", "the environ")
    that(
        isinstance(word, str) and word.replace(" ", "") == "one,two",
        got=f"HTTP_X_WORD = {word!r}",
        expected="HTTP_X_WORD = 'one, two'     repeated fields are one list, joined by commas",
    )
    expect("wsgi.input.read()", values["body"], body, "the body")
    expect("wsgi.input.read() again", values["rest"], b"", "the body has an end")
    other = values["next"]
    empty = [other.get("CONTENT_LENGTH", ""), other.get("CONTENT_TYPE", "")]
    that(
        empty[0] in ("", "0") and "HTTP_X_WORD" not in other,
        got=f"the environ of a plain GET afterwards: { ({k: v for k, v in other.items() if k.isupper()})!r}",
        expected="nothing of the request before it",
        sent="make_environ('GET', '/')",
    )
    host = key_of(other, "HTTP_HOST", "the environ", sent="make_environ('GET', '/')")
    that(host, got=f"HTTP_HOST = {host!r}", expected="a Host: HTTP/1.1 has one in every request")


@check(task=1, rule=SCOPE)
def test_task1_scope_is_what_a_server_would_give(probe, rng):
    """make_scope gives what a server would"""
    number, body = rng.randrange(1000), name(rng).encode()
    target = f"/caf%C3%A9/{number}?x=a%26b&n={number}"
    fields = [("X-Word", "one"), ("Host", f"h{number}.test"), ("x-word", "two")]
    shown = f"make_scope('PUT', {target!r}, {fields!r}, {body!r})"
    values, _ = ask(
        probe,
        ("scope", made("client:make_scope", "PUT", target, fields, body)),
        ("next", made("client:make_scope", "GET", "/")),
        sent=shown,
    )
    scope = values["scope"]
    wanted = {
        "type": ("http", ""),
        "method": ("PUT", ""),
        "scheme": ("http", ""),
        "path": (f"/café/{number}", "percent-decoded, and then UTF-8: text"),
        "query_string": (f"x=a%26b&n={number}".encode(), "bytes, not decoded"),
        "root_path": ("", "nothing is mounted"),
    }
    for key, (value, why) in wanted.items():
        expect(key, key_of(scope, key, "the scope"), value, why)
    raw = scope.get("raw_path") or b""
    expect(
        "raw_path", raw or b"(absent)", target.partition("?")[0].encode() if raw else b"(absent)", "as sent"
    )
    versions = key_of(scope, "asgi", "the scope")
    expect("asgi['version']", key_of(versions, "version", "scope['asgi']"), "3.0")
    that(
        scope.get("http_version") in ("1.0", "1.1", "2"),
        got=f"http_version = {scope.get('http_version')!r}",
        expected="http_version = '1.1'",
    )
    for key in ("client", "server"):
        end = scope.get(key)
        well = end is None or (isinstance(end, tuple | list) and len(end) == 2 and isinstance(end[0], str))
        that(well, got=f"{key} = {end!r}", expected=f"{key} as a host and a port, or None")
    headers = pairs(key_of(scope, "headers", "the scope"), "headers")
    that(
        all(isinstance(n, bytes) and isinstance(v, bytes) and n == n.lower() for n, v in headers),
        got=f"headers = {headers!r}",
        expected="names in lower case, and bytes throughout",
    )
    expect("the x-word fields", [v for n, v in headers if n == b"x-word"], [b"one", b"two"], "in order")
    expect("the host fields", [v for n, v in headers if n == b"host"], [f"h{number}.test".encode()])
    lengths = [v for n, v in headers if n == b"content-length"]
    expect("the content-length fields", lengths, [str(len(body)).encode()], "the body's bytes")
    others = pairs(key_of(values["next"], "headers", "the scope of a plain GET"), "headers")
    that(
        any(n == b"host" and v for n, v in others) and not any(n == b"x-word" for n, _ in others),
        got=f"headers of a plain GET = {others!r}",
        expected="a host, and nothing of the request before it",
        sent="make_scope('GET', '/')",
    )


# --- task 2 -------------------------------------------------------------------------------------------


def check_cookies(probe, rng, begin, end):
    """What an application sets comes back with later requests, and what it takes back does not."""
    number = str(rng.randrange(10**6))
    values, _ = ask(
        probe,
        *begin,
        asked(
            "get", f"/cookies?session={number}%3B+Path=/&lang=is%3B+HttpOnly%3B+Max-Age=soon%3B+Expires=never"
        ),
        ("first", asked("get", "/echo")),
        asked("get", f"/cookies?lang=%3B+Max-Age=0&session={number}0%3B+Max-Age=60"),
        ("second", asked("get", "/echo")),
        *end,
        sent=f"a response with Set-Cookie: session={number}; Path=/ and Set-Cookie: lang=is; HttpOnly; "
        "Max-Age=soon; Expires=never; then GET /echo; then lang with Max-Age=0 and another session; then "
        "GET /echo",
    )

    def sent_back(response):
        fields = [
            v for n, v in pairs(key_of(seen_by_app(response), "headers", "it"), "headers") if n == "cookie"
        ]
        return sorted(part.strip() for field in fields for part in field.split(";") if part.strip())

    why = "what was set is sent back, in one Cookie field; what can't be read in a Set-Cookie is ignored"
    expect(
        "the cookies of the first GET /echo",
        sent_back(values["first"]),
        ["lang=is", f"session={number}"],
        why,
    )
    why = "Max-Age=0 takes a cookie back; a new value replaces the old one"
    expect(
        "the cookies of the second", sent_back(values["second"]), [f"session={number}0"], why, rule=COOKIES
    )


def check_requests(probe, rng, begin, end):
    """A body, fields and a query reach the application as they were given."""
    word, number = name(rng), rng.randrange(1000)
    values, _ = ask(
        probe,
        *begin,
        ("json", asked("post", f"/echo?n={number}", json={"title": word}, headers=[("X-Word", word)])),
        ("bytes", asked("request", "PUT", "/echo", body=b"\xff\x00" + word.encode(), headers=PLAIN)),
        ("plain", asked("get", "/echo")),
        *end,
        sent=f"post('/echo?n={number}', json={{'title': {word!r}}}, headers=[('X-Word', {word!r})])",
    )
    seen = seen_by_app(values["json"])
    fields = dict(pairs(key_of(seen, "headers", "it"), "headers"))
    expect("method and query", [seen["method"], seen["query"]], ["POST", f"n={number}"])
    expect("x-word", fields.get("x-word"), word)
    expect("content-type", fields.get("content-type"), "application/json", "what json= sends")
    that(
        seen["body"].replace(" ", "") == json.dumps({"title": word}).replace(" ", ""),
        got=f"the application read the body {seen['body']!r}",
        expected=json.dumps({"title": word}),
    )
    seen = seen_by_app(values["bytes"])
    expect("the body read", seen["body"], "\xff\x00" + word, "bytes are sent as they are")
    seen = seen_by_app(values["plain"])
    expect("the next request's body", seen["body"], "", "a request has nothing of the one before it")


@check(task=2, rule=SERVERS_HALF)
def test_task2_wsgi_client_keeps_the_servers_half(probe, rng):
    """WSGIClient does what a server owes an application"""
    word = name(rng).encode()
    fields = [("X-One", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-two", "2")]
    script = {"status": "201 Made Up", "headers": fields, "chunks": [word, b"", b"."], "write": [b"first "]}
    values, seen = ask(
        probe,
        ("c", made("client:WSGIClient", wsgi_app(**script))),
        ("r", asked("request", "GET", "/")),
        sent=f"an application that starts with 201 and {fields!r}, writes b'first ', "
        f"and returns {word!r}, b'', b'.'",
    )
    response = values["r"]
    expect("status", response.status, 201, "a number")
    got = pairs(response.headers, "headers")
    expect("headers", got, fields, "in order, repeats kept")
    expect("body", response.body, b"first " + word + b".", "what is written comes before what is returned")
    closed = len(seen.all("inner closed"))
    expect("calls of close()", closed, 1, "called once, after the last chunk")
    late = {"late_start": True, "chunks": [word], "status": "404 Not Found"}
    values, _ = ask(
        probe,
        ("c", made("client:WSGIClient", wsgi_app(**late))),
        ("r", asked("get", "/")),
        sent="an application that calls start_response when its first chunk is asked for",
    )
    expect("status", values["r"].status, 404, "start_response may come as late as with the first chunk")
    seen = probe.steps(
        ("c", made("client:WSGIClient", wsgi_app(raises="iteration", chunks=[b"a", b"b"]))),
        ("r", asked("get", "/")),
        sent="an application that raises after its first chunk",
    )
    error = must_raise(seen, "RuntimeError", "the application's own, in the test that caused it", rule=RAISED)
    that("while it is iterated" in error["message"], got=said(error), expected="the application's exception")
    expect(
        "calls of close()", len(seen.all("inner closed")), 1, "in every ending, also when iterating raised"
    )
    begin = (("c", made("client:WSGIClient", ref("apps_to_test:wsgi"))),)
    check_requests(probe, rng, begin, ())
    check_cookies(probe, rng, begin, ())
    values, _ = ask(
        probe,
        ("f", made("client:WSGIClient", ref("greeting_flask:application"))),
        ("r", asked("get", "/?name=Zo%C3%AB", of="f")),
        sent="greeting_flask: GET /?name=Zo%C3%AB",
    )
    expect("Flask's answer", text_of(values["r"].body), "Hello, Zoë!\n")


# --- task 3 -------------------------------------------------------------------------------------------

ASGI = "client:ASGIClient"
SPECIMEN = entered(ASGI, ref("apps_to_test:asgi"))


@check(task=3, rule=LIFESPAN)
def test_task3_asgi_client_lives_through_a_lifespan(probe, rng):
    """ASGIClient: a lifespan around requests, on one event loop"""
    check_requests(probe, rng, SPECIMEN, (left(),))
    word = f"Ada{rng.randrange(1000)}"
    values, _ = ask(
        probe,
        *SPECIMEN,
        ("log", ref("apps_to_test:LOG")),
        ("r", asked("get", f"/mail?{word}")),
        ("state", asked("get", "/echo")),
        left(),
        ("end", ref("apps_to_test:LOG")),
        sent=f"with ASGIClient(apps_to_test.asgi) as client: client.get('/mail?{word}')",
    )
    expect("when the block begins, what startup noted", values["log"], ["startup"], "startup is complete")
    why = "from a task that startup began: one event loop for the lifespan and every request"
    expect("the answer", text_of(values["r"].body), f"carried to {word}", why)
    state = key_of(seen_by_app(values["state"]), "state", "it")
    expect(
        "the keys of scope['state']", state, ["letters"], "each request has a copy of the lifespan's state"
    )
    expect("when the block has ended", values["end"], ["startup", "shutdown"], "shutdown is complete")
    values, _ = ask(
        probe,
        *entered(ASGI, ref("apps_to_test:http_only")),
        ("r", asked("get", "/echo")),
        left(),
        sent="with ASGIClient(apps_to_test.http_only) as client: an application that raises for a lifespan",
    )
    expect("status", values["r"].status, 200, "who knows no lifespan raises, and is served without")
    shown = (
        "with ASGIClient(apps_to_test.no_disk): an application that sends lifespan.startup.failed: 'no disk'"
    )
    seen = probe.steps(*entered(ASGI, ref("apps_to_test:no_disk")), sent=shown)
    must_raise(seen, "Exception", "a test of an application that did not start must not go on")
    check_cookies(probe, rng, SPECIMEN, (left(),))
    check_raising(probe, word)


def check_raising(probe, word):
    """The application's exceptions reach the test; so does an answer that never came."""
    for path in ("/raise", "/raise-late"):
        seen = probe.steps(*SPECIMEN, asked("get", f"{path}?{word}"), sent=f"client.get('{path}?{word}')")
        must_raise(seen, "LookupError", "the application's own, in the test that caused it", rule=RAISED)
    seen = probe.steps(
        *SPECIMEN, asked("get", "/silent"), sent="client.get('/silent'): it returns, and sends nothing"
    )
    must_raise(seen, "Exception", "there is no response to give to the test", rule=RAISED)


@check(task=3, rule=DISCONNECT)
def test_task3_streams_are_read_as_they_come_and_left(probe, rng):
    """Streams are read as they come, and leaving one is a disconnect"""
    values, _ = ask(
        probe,
        *SPECIMEN,
        ("stream", asked("stream", "GET", "/news")),
        ("s", method(named("stream"), "__enter__")),
        ("status", attribute(named("s"), "status")),
        ("headers", attribute(named("s"), "headers")),
        ("chunk", made("builtins:next", named("s"))),
        ("before", made("builtins:list", ref("apps_to_test:LOG"))),
        left("stream"),
        ("after", made("builtins:list", ref("apps_to_test:LOG"))),
        left(),
        sent="with client.stream('GET', '/news') as s: next(s)\n(one chunk; then it awaits http.disconnect)",
    )
    expect("status", values["status"], 200)
    expect("headers", pairs(values["headers"], "headers"), [("content-type", "text/plain")])
    expect("next(s)", values["chunk"], b"first", "the chunk that was sent, while the response goes on")
    expect("inside of the block, what it heard", values["before"], ["startup"], "nobody has left yet")
    why = "to leave the block is to leave: the application hears it, and has ended when the test goes on"
    expect("after the block, what it heard", values["after"], ["startup", "http.disconnect"], why)
    check_ticks(probe, rng)
    word = f"Ada{rng.randrange(10**6)}"
    values, _ = ask(
        probe,
        *SPECIMEN,
        ("stream", asked("stream", "GET", f"/letters?{word}")),
        ("s", method(named("stream"), "__enter__")),
        ("chunks", made("builtins:list", named("s"))),
        left("stream"),
        ("r", asked("get", f"/letters?{word}")),
        ("log", made("builtins:list", ref("apps_to_test:LOG"))),
        left(),
        sent=f"with client.stream('GET', '/letters?{word}') as s: list(s)\nthen client.get of the same",
    )
    chunks = values["chunks"]
    whole = isinstance(chunks, list) and all(isinstance(one, bytes) for one in chunks)
    that(
        whole and b"".join(chunks) == word.encode(),
        got=f"list(s) = {chunks!r}",
        expected=f"{word!r} in pieces",
    )
    expect("the body of get", values["r"].body, word.encode(), "all the chunks of a response")
    ended = ["startup"] + ["after all letters: http.disconnect"] * 2
    expect(
        "what it heard after its last chunk", values["log"], ended, "http.disconnect ends a complete one, too"
    )


def check_ticks(probe, rng):
    """An application that never looks whether anybody is there must end, all the same."""
    count = rng.randrange(3, 7)
    values, _ = ask(
        probe,
        *SPECIMEN,
        ("stream", asked("stream", "GET", "/ticks")),
        ("s", method(named("stream"), "__enter__")),
        *[(f"chunk {number}", made("builtins:next", named("s"))) for number in range(count)],
        left("stream"),
        ("log", made("builtins:list", ref("apps_to_test:LOG"))),
        left(),
        sent=f"with client.stream('GET', '/ticks') as s: next(s), {count} times\n(it sends without end)",
    )
    chunks = [values[f"chunk {number}"] for number in range(count)]
    whole = all(isinstance(one, bytes) for one in chunks)
    wanted = "".join(map(str, range(100))).encode()
    well = whole and wanted.startswith(b"".join(chunks)) and all(chunks)
    that(
        well,
        got=f"the chunks {chunks!r}",
        expected="b'0', b'1', b'2' …, in order, none of them twice or empty",
    )
    why = "nothing of a request goes on behind the next test's back"
    expect("after the block, its log", values["log"], ["startup", "ticks ended"], why)


# --- task 4 -------------------------------------------------------------------------------------------


def session(path, of="session", **more):
    """A session as "s", inside of its with block."""
    return (of, asked("websocket", path, **more)), (f"in {of}", method(named(of), "__enter__"))


def caught(how, *args, of="in session"):
    return made("apps_to_test:caught", attribute(named(of), how), *args)


@check(task=4, rule=WEBSOCKET)
def test_task4_session_is_the_browsers_end(probe, rng):
    """A session is the browser's end of a WebSocket"""
    word, number = name(rng), rng.randrange(1000)
    offered = [f"chat.v{number}", f"chat.v{number + 1}"]
    values, _ = ask(
        probe,
        *SPECIMEN,
        *session("/echo", subprotocols=offered),
        *session("/echo", of="other"),
        asked("send", word, of="in session"),
        asked("send", b"\xff\x00" + word.encode(), of="in session"),
        asked("send", "from the other", of="in other"),
        ("heard", asked("receive", of="in other")),
        ("text", asked("receive", of="in session")),
        ("bytes", asked("receive", of="in session")),
        ("chosen", attribute(named("in session"), "subprotocol")),
        ("none", attribute(named("in other"), "subprotocol")),
        left("session"),
        ("log", made("builtins:list", ref("apps_to_test:LOG"))),
        left("other"),
        left(),
        sent=f"with client.websocket('/echo', subprotocols={offered!r}) as s, and another: "
        f"s.send({word!r}), s.send(b'…'), s.receive() twice",
    )
    expect("the text that came back", values["text"], word, "text is a str")
    expect("the bytes that came back", values["bytes"], b"\xff\x00" + word.encode(), "binary is bytes")
    expect("what the other session heard", values["heard"], "from the other", "two sessions are apart")
    expect(
        "subprotocol", [values["chosen"], values["none"]], [offered[1], None], "what the application chose"
    )
    log = values["log"]
    that(
        log[:1] == ["startup"] and log[1:] in (["disconnect 1000"], ["disconnect 1001"], ["disconnect 1005"]),
        got=f"after the block the application had lived through {log!r}",
        expected="['startup', 'disconnect 1000']: to leave the block is to leave, and it has ended",
    )
    check_websocket_scope(probe, rng)
    check_ends(probe, rng)


def check_websocket_scope(probe, rng):
    number = rng.randrange(1000)
    values, _ = ask(
        probe,
        *SPECIMEN,
        *session(f"/scope?n={number}", subprotocols=["a", "b"], headers=[("X-Word", f"w{number}")]),
        ("text", asked("receive", of="in session")),
        left("session"),
        left(),
        sent=f"client.websocket('/scope?n={number}', subprotocols=['a', 'b'], "
        f"headers=[('X-Word', 'w{number}')])",
    )
    scope = as_object(values["text"] if isinstance(values["text"], str) else "", f"text {values['text']!r}")
    wanted = {"type": "websocket", "scheme": "ws", "path": "/scope", "query": f"n={number}"}
    wanted |= {"subprotocols": ["a", "b"], "state": ["letters"]}
    for key, value in wanted.items():
        expect(f"scope {key}", scope.get(key), value, "")
    expect("method in the scope", "method" in scope, False, "a WebSocket's scope has none")
    fields = dict(map(tuple, scope.get("headers", [])))
    expect("its x-word field", fields.get("x-word"), f"w{number}")


def check_ends(probe, rng):
    """The application closes, refuses, raises; the browser closes with a code of its own."""
    code = rng.randrange(4000, 4400)
    values, _ = ask(
        probe,
        *SPECIMEN,
        *session("/echo"),
        asked("send", f"close {code}", of="in session"),
        ("closed", caught("receive")),
        ("again", caught("receive")),
        ("late", caught("send", "too late")),
        left("session"),
        ("refused", made("apps_to_test:caught", attribute(asked("websocket", "/closed"), "__enter__"))),
        *session("/echo", of="third"),
        asked("close", code + 400, of="in third"),
        ("log", made("builtins:list", ref("apps_to_test:LOG"))),
        left("third"),
        *session("/echo", of="fourth"),
        asked("send", "raise", of="in fourth"),
        ("raised", caught("receive", of="in fourth")),
        ("or here", caught("__exit__", None, None, None, of="fourth")),
        left(),
        sent=f"s.send('close {code}'): the application closes with {code}; another refuses with 4403; then "
        f"s.close({code + 400}) from this end; and one that raises LookupError",
    )
    ends = [values["closed"].get("code"), values["closed"].get("reason")]
    expect("code and reason of what receive() raised", ends, [code, "as asked"], "the application closed")
    for step in ("again", "late"):
        that(
            "type" in values[step],
            got=f"{'receive' if step == 'again' else 'send'}() after that: {values[step]!r}",
            expected="an exception: the session is over",
        )
    refused = [values["refused"].get("code"), values["refused"].get("reason")]
    expect("code and reason of what the refused block raised", refused, [4403, "members only"], "")
    that(
        values["log"][-1:] == [f"disconnect {code + 400}"],
        got=f"the application lived through {values['log']!r}",
        expected=f"'disconnect {code + 400}' at the end: close({code + 400}) is told, and waited for",
    )
    kinds = [values[step].get("type") for step in ("raised", "or here")]
    that(
        "LookupError" in kinds,
        got=f"receive() gave {values['raised']!r}, and the end of the block {values['or here']!r}",
        expected="LookupError, the application's own, from one of the two",
    )


# --- task 5 -------------------------------------------------------------------------------------------

HINTS = {
    "forgets a deletion": "an API that answers DELETE, and forgets to delete,",
    "a change resets what it does not name": "an API whose PATCH loses what the body does not name",
    "finds a task that is not there": "an API that answers 200 for a task that is not there",
    "takes a title that says nothing": "an API that takes a blank title",
    "a wrong method is told nothing": "an API whose 405 has no Allow",
    "spoils text": "an API that spoils what is not ASCII",
    "gives an id again": "an API that gives a deleted task's id to the next one",
    "points elsewhere": "an API whose Location leads elsewhere",
}


class Suite:
    """The learner's tests, run on APIs of the line-up."""

    def __init__(self, probe, service):
        self.probe, self.lineup = probe, service("lineup")

    def run(self, shape, fault="", client=""):
        """What became of each test, on an API that was opened for this run."""
        wanted = json.dumps({"shape": shape, "fault": fault}).encode()
        opened = self.lineup.request("POST", "/open", [("Content-Type", "application/json")], wanted)
        expect("status of the line-up", opened.status, 201)
        port = self.lineup.address.port
        call = made("run_learner_tests:run", ref("test_tasks"), port, object_of(opened).get("name"), client)
        seen = self.probe.steps(call, seconds=12.0, sent="your tests, on an API whose name says nothing")
        if seen.raised:
            fail(said(seen.raised), "tests that can be run")
        return seen.values[-1]


def wrong(outcomes):
    return [one for one in outcomes if one["outcome"] in ("failed", "error")]


def in_words(one):
    """A failed test, its line, and the last thing that it heard."""
    message = one["message"] if one["message"] != "AssertionError" else one["code"]
    heard = f"; before that {one['last']}" if one["last"] else ""
    return f"{one['name']}, line {one['line']}: {message}{heard}"


def must_pass(outcomes, what):
    """Every test passes, and there is one."""
    failed = wrong(outcomes)
    passed = [one for one in outcomes if one["outcome"] == "passed"]
    that(passed or failed, "test_tasks.py has no test that was run to its end", f"tests that pass on {what}")
    if failed:
        more = f"; and {len(failed) - 1} more" if len(failed) > 1 else ""
        fail(
            f"{in_words(failed[0])}{more}",
            f"every test passes on {what}: it keeps the contract, to the letter",
        )


@check(task=5, rule=SUITE)
def test_task5_right_apis_pass(probe, service, rng):
    """Your tests pass on every API that keeps the contract"""
    suite = Suite(probe, service)
    for shape in rng.sample(SHAPES, k=3):
        must_pass(suite.run(shape), f"a right API (of the {shape} kind)")
    must_pass(suite.run(rng.choice(SHAPES), client="client:WSGIClient"), "a right API, with your own client")


def catches(probe, service, rng, fault):
    """The tests fail on an API with this fault, in two shapes, and pass on right ones of the same shapes."""
    suite = Suite(probe, service)
    runs = [(one, shape) for shape in rng.sample(SHAPES, k=2) for one in ("", fault)]
    rng.shuffle(runs)
    outcomes = [(one, suite.run(shape, one)) for one, shape in runs]
    for one, results in outcomes:
        if not one:
            must_pass(results, "a right API")
    for one, results in outcomes:
        that(
            not one or wrong(results),
            got=f"{HINTS[fault]} passed all {len(results)} of your tests",
            expected="a test that fails on it, and passes on the right ones",
        )


@check(task=5, rule=SUITE)
def test_task5_deletion_that_is_forgotten(probe, service, rng):
    """Your tests miss no deletion that is forgotten"""
    catches(probe, service, rng, "forgets a deletion")


@check(task=5, rule=SUITE)
def test_task5_change_that_resets_the_rest(probe, service, rng):
    """Your tests see a change that resets the rest"""
    catches(probe, service, rng, "a change resets what it does not name")


@check(task=5, rule=SUITE)
def test_task5_task_that_is_not_there(probe, service, rng):
    """Your tests know what is not there"""
    catches(probe, service, rng, "finds a task that is not there")


@check(task=5, rule=SUITE)
def test_task5_title_that_says_nothing(probe, service, rng):
    """Your tests offer what must be refused"""
    catches(probe, service, rng, "takes a title that says nothing")


@check(task=5, rule=SUITE)
def test_task5_method_that_is_not_known(probe, service, rng):
    """Your tests use a method that is not known"""
    catches(probe, service, rng, "a wrong method is told nothing")


@check(task=5, rule=SUITE)
def test_task5_text_that_is_spoilt(probe, service, rng):
    """Your tests write in more than ASCII"""
    catches(probe, service, rng, "spoils text")


@check(task=5, rule=SUITE)
def test_task5_id_that_is_given_again(probe, service, rng):
    """Your tests look at ids after a deletion"""
    catches(probe, service, rng, "gives an id again")


@check(task=5, rule=SUITE)
def test_task5_location_that_leads_elsewhere(probe, service, rng):
    """Your tests go where Location leads"""
    catches(probe, service, rng, "points elsewhere")
