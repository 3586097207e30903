"""Checks of a test client, and of tests.

Tasks 1 to 4 ask the client by the probe: what it hands to an application, and what it makes of the answer.
The applications are scripts, or apps/apps_to_test.py; checks/client_steps.py says how the client is asked. In
task 5 the learner's tests run in the learner's process (apps/run_learner_tests.py), on APIs that stand in
another one (apps/faulty_tasks_apis.py): a test can only ask. Each API gets a name that says nothing; right
and broken ones come in a random order (checks/learner_suite.py).
"""

from __future__ import annotations

from both_clients import cookies_come_back, requests_arrive
from client_steps import (
    APP,
    LOG,
    RAISED,
    ask,
    asked,
    key_of,
    left,
    must_raise,
    opened,
    pairs,
    said,
    seen_by_app,
    session,
    text_of,
)
from learner_suite import SHAPES, Suite, catches, must_pass
from lifespan_ends import (
    exceptions_reach_the_test,
    failed_startup_is_raised,
    lifespan_that_returns,
    no_lifespan_is_no_fault,
)
from session_ends import session_ends, websocket_scope
from unseen_apps import (
    request_and_lifespan,
    session_that_is_left,
    stream_that_is_left,
    stream_without_end,
)
from whole_streams import endless_streams_wait_and_end, stream_is_whole

from workshop.judge.checks import (
    attribute,
    check,
    expect,
    fail,
    made,
    method,
    name,
    named,
    ref,
    that,
    wsgi_app,
)

ENVIRON = 'PEP 3333, "environ Variables" and "Unicode Issues"'
SCOPE = 'ASGI www, "HTTP Connection Scope"'
SERVERS_HALF = 'PEP 3333, "The Server/Gateway Side" and "The start_response() Callable"'
CLOSE = 'PEP 3333, "Specification Details": close'
LIFESPAN = 'ASGI lifespan, "Scope", "Lifespan State" and "Startup Failed"'
STATE = 'ASGI lifespan, "Lifespan State"'
DISCONNECT = 'ASGI www, "Disconnect - receive event"'
BODY = 'ASGI www, "Response Body - send event"'
WEBSOCKET = 'ASGI www, "WebSocket": connect, accept, receive, send, disconnect'
SUITE = "a test passes on every right implementation, and fails on a wrong one"


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=ENVIRON)
def test_task1_environ_is_what_a_server_would_give(probe, rng):
    """make_environ builds what a server would"""
    number, body = rng.randrange(1000), name(rng).encode()
    target = f"/caf%C3%A9/a+b/{number}%2F?x=a%26b&n={number}&y=?"
    kind = rng.choice(["application/json", "text/plain; charset=utf-8"])
    fields = [("X-Word", "one"), ("Content-Type", kind), ("Host", f"h{number}.test"), ("x-word", "two")]
    fields += [("Accept", "one"), ("accept", "two"), ("Cookie", "a=1"), ("cookie", "b=2; c=3")]
    shown = f"make_environ('PUT', {target!r}, {fields!r}, {body!r})"
    own_length = [("content-length", str(len(body)))]
    steps = (
        ("environ", made("client:make_environ", "PUT", target, fields, body)),
        ("valid", made("wsgiref.validate:check_environ", named("environ"))),
        ("input", made("operator:getitem", named("environ"), "wsgi.input")),
        ("body", method(named("input"), "read", len(body) + 10)),
        ("rest", method(named("input"), "read")),
        ("next", made("client:make_environ", "GET", "/")),
        ("next valid", made("wsgiref.validate:check_environ", named("next"))),
        ("own length", made("client:make_environ", "POST", "/", own_length, body)),
    )
    seen = probe.steps(*steps, sent=shown)
    if seen.raised and seen.raised["type"] in ("AssertionError", "WSGIWarning"):
        fail(f"wsgiref.validate says: {seen.raised['message']}", "an environ that wsgiref.validate takes")
    values = ask(probe, *steps, sent=shown)
    environ = values["environ"]
    wanted = {
        "REQUEST_METHOD": ("PUT", "the method"),
        "SCRIPT_NAME": ("", "nothing is mounted"),
        "PATH_INFO": (f"/caf\xc3\xa9/a+b/{number}/", "percent-decoded: the path's bytes, as latin-1"),
        "wsgi.version": ((1, 0), "WSGI 1.0"),
        "QUERY_STRING": (f"x=a%26b&n={number}&y=?", "all after the first ?, not decoded"),
        "CONTENT_TYPE": (kind, "from Content-Type"),
        "CONTENT_LENGTH": (str(len(body)), "the body's bytes, as text"),
        "HTTP_HOST": (f"h{number}.test", "the Host that was given"),
    }
    for key, (value, why) in wanted.items():
        expect(key, key_of(environ, key, "the environ"), value, why)
    for key in ("HTTP_X_WORD", "HTTP_ACCEPT"):
        word = key_of(environ, key, "the environ")
        that(
            isinstance(word, str) and word.replace(" ", "") == "one,two",
            got=f"{key} = {word!r}",
            expected=f"{key} = 'one, two'     repeated fields are one list, joined by commas",
            rule="RFC 9110 §5.3",
        )
    cookie = key_of(environ, "HTTP_COOKIE", "the environ")
    that(
        isinstance(cookie, str) and cookie.replace(" ", "") == "a=1;b=2;c=3",
        got=f"HTTP_COOKIE = {cookie!r}",
        expected="HTTP_COOKIE = 'a=1; b=2; c=3'     cookies are joined by '; ': a comma may be in a value",
        rule="RFC 6265 §5.4",
    )
    expect("wsgi.input.read()", values["body"], body, "the body")
    expect("wsgi.input.read() again", values["rest"], b"", "the body has an end")
    other = values["next"]
    empty = [other.get("CONTENT_LENGTH", ""), other.get("QUERY_STRING", "")]
    that(
        empty[0] in ("", "0") and empty[1] == "" and "HTTP_X_WORD" not in other,
        got=f"the environ of a plain GET afterwards: { ({k: v for k, v in other.items() if k.isupper()})!r}",
        expected="nothing of the request before it",
        sent="make_environ('GET', '/')",
    )
    host = key_of(other, "HTTP_HOST", "the environ", sent="make_environ('GET', '/')")
    that(
        host,
        got=f"HTTP_HOST = {host!r}",
        expected="a Host: HTTP/1.1 has one in every request",
        rule="RFC 9112 §3.2",
        sent="make_environ('GET', '/')",
    )
    expect(
        "CONTENT_LENGTH",
        values["own length"].get("CONTENT_LENGTH"),
        str(len(body)),
        "the test has named it, in another case: it is not added again",
        sent=f"make_environ('POST', '/', {own_length!r}, {body!r})",
    )


@check(task=1, rule=SCOPE)
def test_task1_scope_is_what_a_server_would_give(probe, rng):
    """make_scope builds what a server would"""
    number, body = rng.randrange(1000), name(rng).encode()
    target = f"/caf%C3%A9/a+b/{number}?x=a%26b&n={number}&y=?"
    fields = [("X-Word", "one"), ("host", f"h{number}.test"), ("x-word", "two")]
    own_length = [("Content-Length", str(len(body)))]
    values = ask(
        probe,
        ("scope", made("client:make_scope", "PUT", target, fields, body)),
        ("next", made("client:make_scope", "GET", "/")),
        ("own length", made("client:make_scope", "POST", "/", own_length, body)),
        sent=f"make_scope('PUT', {target!r}, {fields!r}, {body!r})",
    )
    scope = values["scope"]
    wanted = {
        "type": ("http", ""),
        "method": ("PUT", ""),
        "path": (f"/café/a+b/{number}", "percent-decoded, and then UTF-8: text"),
        "query_string": (f"x=a%26b&n={number}&y=?".encode(), "bytes: all after the first ?, not decoded"),
    }
    for key, (value, why) in wanted.items():
        expect(key, key_of(scope, key, "the scope"), value, why)
    # "Optional; if missing defaults to …": http, and the empty string.
    expect("scheme", scope.get("scheme", "http"), "http")
    expect("root_path", scope.get("root_path", ""), "", "nothing is mounted")
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
    port = (scope.get("server") or (None, None))[1]
    that(
        port in (80, None), f"port of the server = {port!r}", "80: that of http://, where Host names no other"
    )
    headers = pairs(key_of(scope, "headers", "the scope"), "headers")
    that(
        all(isinstance(n, bytes) and isinstance(v, bytes) and n == n.lower() for n, v in headers),
        got=f"headers = {headers!r}",
        expected="names in lower case, and bytes throughout",
    )
    length = str(len(body)).encode()
    expect("the x-word fields", [v for n, v in headers if n == b"x-word"], [b"one", b"two"], "in order")
    expect("the host fields", [v for n, v in headers if n == b"host"], [f"h{number}.test".encode()])
    lengths = [v for n, v in headers if n == b"content-length"]
    expect("the content-length fields", lengths, [length], "the body's bytes")
    others = pairs(key_of(values["next"], "headers", "the scope of a plain GET"), "headers")
    that(
        any(n == b"host" and v for n, v in others) and not any(n == b"x-word" for n, _ in others),
        got=f"headers of a plain GET = {others!r}",
        expected="a host, and nothing of the request before it",
        sent="make_scope('GET', '/')",
    )
    expect("query_string", values["next"].get("query_string", b""), b"", sent="make_scope('GET', '/')")
    named_one = pairs(key_of(values["own length"], "headers", "the scope"), "headers")
    expect(
        "the content-length fields",
        [v for n, v in named_one if n == b"content-length"],
        [length],
        "the test has named it: it is not added again",
        sent=f"make_scope('POST', '/', {own_length!r}, {body!r})",
    )


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule=SERVERS_HALF)
def test_task2_wsgi_client_keeps_the_servers_half(probe, rng):
    """WSGIClient does a server's part of WSGI"""
    word = name(rng).encode()
    fields = [("X-One", "1"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2"), ("x-two", "2")]
    script = {"status": "201 Made Up", "headers": fields, "chunks": [word, b"", b"."], "write": [b"first "]}
    seen = probe.steps(
        ("c", made("client:WSGIClient", wsgi_app(**script))),
        asked("request", "GET", "/"),
        sent=f"an application that starts with 201 and {fields!r}, writes b'first ', "
        f"and returns {word!r}, b'', b'.'",
    )
    if seen.raised:
        fail(said(seen.raised), "no exception: the application did nothing wrong")
    response = seen.values[-1]
    expect("status", response.status, 201, "a number")
    expect("headers", pairs(response.headers, "headers"), fields, "in order, repeats kept")
    expect("body", response.body, b"first " + word + b".", "what is written comes before what is returned")
    expect("calls of close()", len(seen.all("inner closed")), 1, "once, after the last chunk", rule=CLOSE)
    values = ask(
        probe,
        ("c", made("client:WSGIClient", wsgi_app(late_start=True, chunks=[word], status="404 Not Found"))),
        ("r", asked("get", "/")),
        sent="an application that calls start_response when its first chunk is asked for",
    )
    expect("status", values["r"].status, 404, "start_response may come as late as with the first chunk")
    check_wsgi_endings(probe)
    begin = (("c", made("client:WSGIClient", ref("apps_to_test:wsgi"))),)
    requests_arrive(probe, rng, begin, ())
    cookies_come_back(probe, rng, begin, ())
    values = ask(
        probe,
        ("f", made("client:WSGIClient", ref("greeting_flask:application"))),
        ("r", asked("get", "/?name=Zo%C3%AB", of="f")),
        sent="greeting_flask: GET /?name=Zo%C3%AB",
    )
    expect("Flask's answer", text_of(values["r"].body), "Hello, Zoë!\n")


def check_wsgi_endings(probe):
    """The application raises, or never starts: the test gets an exception, and close is called."""
    for when, words in (("iteration", "while it is iterated"), ("call", "when called")):
        seen = probe.steps(
            ("c", made("client:WSGIClient", wsgi_app(raises=when, chunks=[b"a", b"b"]))),
            asked("get", "/"),
            sent=f"an application that raises {'after its first chunk' if when == 'iteration' else words}",
        )
        why = "the application's own, in the test that caused it"
        must_raise(seen, "RuntimeError", why, holding=words, rule=RAISED)
        closed = len(seen.all("inner closed"))
        why = "however the call ends, also when iterating raised"
        expect("calls of close()", closed, 1 if when == "iteration" else 0, why, rule=CLOSE)
    seen = probe.steps(
        ("c", made("client:WSGIClient", ref("apps_to_test:starts_again"))),
        asked("get", "/"),
        sent="an application that calls start_response('200 OK', …), catches a LookupError of its own, and "
        "calls start_response('500 Sorry', …, sys.exc_info())",
    )
    if not seen.raised or "LookupError" not in seen.raised["bases"]:
        status = said(seen.raised) if seen.raised else getattr(seen.values[-1], "status", None)
        why = "nothing was sent yet, so exc_info begins the response again (or raise that LookupError)"
        expect("status", status, 500, why, rule='PEP 3333, "The start_response() Callable"')
    seen = probe.steps(
        ("c", made("client:WSGIClient", ref("apps_to_test:never_starts"))),
        asked("get", "/"),
        sent="an application that returns [b'a body, and no status'], and never calls start_response",
    )
    must_raise(seen, "Exception", "there is no status to give to the test")


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=LIFESPAN)
def test_task3_asgi_client_lives_through_a_lifespan(probe, rng):
    """ASGIClient: a lifespan around requests, on one event loop"""
    requests_arrive(probe, rng, APP, (left(),))
    word = f"Ada{rng.randrange(1000)}"
    check_one_loop_and_its_state(probe, word)
    no_lifespan_is_no_fault(probe)
    failed_startup_is_raised(probe)
    lifespan_that_returns(probe)
    cookies_come_back(probe, rng, APP, (left(),))
    exceptions_reach_the_test(probe, word)
    request_and_lifespan(probe, rng)


def check_one_loop_and_its_state(probe, word):
    """Startup, requests and shutdown are on one event loop; each request has a copy of the state."""
    shown = f"with ASGIClient(apps_to_test.asgi) as client: client.get('/mail?{word}')"
    values = ask(
        probe,
        *APP,
        ("log", ref("apps_to_test:LOG")),
        ("r", asked("get", f"/mail?{word}")),
        ("state", asked("get", "/echo")),
        ("again", asked("get", "/echo")),
        left(),
        ("end", ref("apps_to_test:LOG")),
        sent=shown,
    )
    expect("when the block begins, what startup noted", values["log"], ["startup"], "startup is complete")
    why = "from a task that startup began: one event loop for the lifespan and every request"
    expect("the answer", text_of(values["r"].body), f"carried to {word}", why)
    for number, step in enumerate(("state", "again"), 1):
        expect(
            f"the keys of scope['state'], in request {number} of GET /echo",
            key_of(seen_by_app(values[step]), "state", "it"),
            ["letters"],
            "each request has a copy of the lifespan's state: what one puts there, the next does not see",
            rule=STATE,
            sent="client.get('/echo') twice: each time the application adds a key to its scope['state']",
        )
    expect("when the block has ended", values["end"], ["startup", "shutdown"], "shutdown is complete")


@check(task=3, rule=DISCONNECT)
def test_task3_streams_are_read_as_they_come_and_left(probe, rng):
    """A stream is read piece by piece, and leaving it is a disconnect"""
    values = ask(
        probe,
        *APP,
        *opened("stream", asked("stream", "GET", "/news")),
        ("status", attribute(named("in stream"), "status")),
        ("headers", attribute(named("in stream"), "headers")),
        ("chunk", made("builtins:next", named("in stream"))),
        ("other", asked("get", "/echo")),
        ("before", LOG),
        left("stream"),
        ("after", LOG),
        left(),
        sent="with client.stream('GET', '/news') as s: next(s)\n(one chunk; then it awaits http.disconnect)",
    )
    expect("status", values["status"], 200)
    expect("headers", pairs(values["headers"], "headers"), [("content-type", "text/plain")])
    why = "the chunk that was sent, while the response goes on"
    expect("next(s)", values["chunk"], b"first", why, rule=BODY)
    expect("inside the block, what it heard", values["before"], ["startup"], "the test has not left yet")
    expect("status of client.get('/echo') inside the block", values["other"].status, 200)
    why = "to leave the block is to leave: the application hears it, and has ended when the test goes on"
    expect("after the block, what it heard", values["after"], ["startup", "http.disconnect"], why)
    endless_streams_wait_and_end(probe, rng)
    stream_is_whole(probe, rng)
    word = f"Ada{rng.randrange(10**6)}"
    seen = probe.steps(
        *APP,
        *opened("stream", asked("stream", "GET", f"/leaves-badly?{word}")),
        made("builtins:next", named("in stream")),
        left("stream"),
        sent=f"with client.stream('GET', '/leaves-badly?{word}') as s: next(s)\n"
        "(the application raises LookupError when it hears http.disconnect)",
    )
    must_raise(seen, "LookupError", "the application's own, when the block is left", word, rule=RAISED)
    stream_that_is_left(probe, rng)
    stream_without_end(probe, rng)


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule=WEBSOCKET)
def test_task4_session_is_the_browsers_end(probe, rng):
    """A session is the browser's end of a WebSocket"""
    word, number = name(rng), rng.randrange(1000)
    offered = [f"chat.v{number}", f"chat.v{number + 1}"]
    values = ask(
        probe,
        *APP,
        *session("/echo", subprotocols=offered),
        *session("/echo", of="other"),
        asked("send", word, of="in session"),
        asked("send", b"\xff\x00" + word.encode(), of="in session"),
        asked("send", "", of="in session"),
        asked("send", b"", of="in session"),
        asked("send", "from the other", of="in other"),
        ("heard", asked("receive", of="in other")),
        ("text", asked("receive", of="in session")),
        ("bytes", asked("receive", of="in session")),
        ("empty text", asked("receive", of="in session")),
        ("empty bytes", asked("receive", of="in session")),
        ("chosen", attribute(named("in session"), "subprotocol")),
        ("none", attribute(named("in other"), "subprotocol")),
        left("session"),
        ("log", LOG),
        left("other"),
        left(),
        sent=f"with client.websocket('/echo', subprotocols={offered!r}) as s, and another: "
        f"s.send({word!r}), s.send(b'…'), s.send(''), s.send(b''), s.receive() four times",
    )
    expect("the text that came back", values["text"], word, "text is a str")
    expect("the bytes that came back", values["bytes"], b"\xff\x00" + word.encode(), "binary is bytes")
    empty = [values["empty text"], values["empty bytes"]]
    expect("the empty messages that came back", empty, ["", b""], "a message may be empty: text, then binary")
    expect("what the other session heard", values["heard"], "from the other", "two sessions are apart")
    chosen = [values["chosen"], values["none"]]
    expect("subprotocol", chosen, [offered[1], None], "what the application chose")
    log = values["log"]
    that(
        log[:1] == ["startup"] and log[1:] in (["disconnect 1000"], ["disconnect 1001"], ["disconnect 1005"]),
        got=f"after the block the application had lived through {log!r}",
        expected="['startup', 'disconnect 1000']: to leave the block is to leave, and it has ended",
    )
    websocket_scope(probe, rng)
    session_ends(probe, rng)
    session_that_is_left(probe, rng)


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule=SUITE)
def test_task5_right_apis_pass(probe, service, rng):
    """Your tests pass on every API that keeps the contract"""
    suite = Suite(probe, service)
    for shape in rng.sample(SHAPES, k=3):
        must_pass(suite.run(shape), f"a right API (of the {shape} kind)")
    must_pass(suite.run(rng.choice(SHAPES), client="client:WSGIClient"), "a right API, with your own client")


@check(task=5, rule=SUITE)
def test_task5_deletion_that_is_forgotten(probe, service, rng):
    """Your tests catch an API that forgets to delete, or deletes too much"""
    catches(probe, service, rng, "forgets a deletion", "deletes every task")


@check(task=5, rule=SUITE)
def test_task5_change_that_resets_the_rest(probe, service, rng):
    """Your tests catch a change that resets other fields, or reaches other tasks"""
    catches(probe, service, rng, "a change resets what it does not name", "changes every task")


@check(task=5, rule=SUITE)
def test_task5_task_that_is_not_there(probe, service, rng):
    """Your tests ask for tasks that are not there"""
    catches(probe, service, rng, "finds a task that is not there")


@check(task=5, rule=SUITE)
def test_task5_title_that_says_nothing(probe, service, rng):
    """Your tests send requests that must be refused, and must change nothing"""
    catches(probe, service, rng, "takes a title that says nothing", "keeps what it refuses")


@check(task=5, rule=SUITE)
def test_task5_method_that_is_not_known(probe, service, rng):
    """Your tests use a method that is not supported"""
    catches(probe, service, rng, "a wrong method is told nothing")


@check(task=5, rule=SUITE)
def test_task5_text_that_is_spoilt(probe, service, rng):
    """Your tests write titles beyond ASCII"""
    catches(probe, service, rng, "spoils text")


@check(task=5, rule=SUITE)
def test_task5_id_that_is_given_again(probe, service, rng):
    """Your tests look at ids after a deletion"""
    catches(probe, service, rng, "gives an id again")


@check(task=5, rule=SUITE)
def test_task5_location_that_leads_elsewhere(probe, service, rng):
    """Your tests follow Location"""
    catches(probe, service, rng, "points elsewhere")
