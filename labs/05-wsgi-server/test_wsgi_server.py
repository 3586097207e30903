"""Checks of a WSGI server: what an application is told, and what becomes of what it answers.

`behaviours` and `patient` serve services/apps/wsgi_behaviours.py, which does what a request tells it to do.
"""

from __future__ import annotations

import contextlib
import re
from urllib.parse import quote, urlencode

from workshop.checks import (
    Deadline,
    NoAnswer,
    NotHTTP,
    WireError,
    check,
    expect,
    fail,
    name,
    object_of,
    request_bytes,
    that,
    wire_cases,
)

ENVIRON = 'PEP 3333, "environ Variables"'
START = 'PEP 3333, "The start_response() Callable"'
STREAMING = 'PEP 3333, "Buffering and Streaming"'
ERRORS = 'PEP 3333, "Error Handling"'
DATE = "RFC 9110 §6.6.1"
THREADS = 4
IDLE = 12


# --- what the behaviours application says -------------------------------------------------------------


def told(response):
    """The environ that the application was called with, and the rest that it says about it."""
    value = answered(response)
    parts = [value.get("environ"), value.get("others", {})] if isinstance(value, dict) else [None]
    if not all(isinstance(part, dict) and all(isinstance(v, str) for v in part.values()) for part in parts):
        fail(f"{response.line} with {response.text[:200]!r}", "the environ as JSON, with 200 OK")
    return {"others": {}, **value}


def answered(response):
    """The JSON object of a 200."""
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}")
    return object_of(response)


def behave(what, /, **query):
    """The target that asks for a behaviour."""
    return f"/do/{what}?{urlencode(query, doseq=True, encoding='latin-1')}"


def notes(client, notebook):
    """What the application wrote into a notebook."""
    value = client.get(behave("notes", say=notebook)).json()
    return value if isinstance(value, list) else []


def notes_with(client, notebook, word):
    """The notes, as soon as `word` is among them, or when the server has nothing left to do."""
    seen = []
    try:
        seen = notes(client, notebook)
        while word not in seen:
            rests = client.rests()
            seen = notes(client, notebook)
            if rests:
                break
    except Deadline:
        pass
    return seen


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule='PEP 3333, "environ Variables" and "Unicode Issues"')
def test_task1_path_is_decoded_and_query_is_not(service, rng):
    """PATH_INFO is percent-decoded, QUERY_STRING is not"""
    client = service("behaviours")
    who = name(rng)
    query = f"name={quote(who)}&caf%C3%A9=a%2Bb+c&x"
    environ = told(client.get(f"/caf%C3%A9/{quote(who)}/a%2Bb+c?{query}"))["environ"]
    expect("REQUEST_METHOD", environ.get("REQUEST_METHOD"), "GET")
    why = "the path's bytes after percent-decoding, each as one latin-1 character"
    expect("PATH_INFO", environ.get("PATH_INFO"), f"/caf\xc3\xa9/{who}/a+b+c", why)
    expect("SCRIPT_NAME", environ.get("SCRIPT_NAME", ""), "", "the application is at the root")
    expect("QUERY_STRING", environ.get("QUERY_STRING"), query, "as sent: decoding it is the application's")

    environ = told(client.get(f"/what%3F/{quote(who)}%0A?a?b"))["environ"]
    expect("PATH_INFO", environ.get("PATH_INFO"), f"/what?/{who}\n", "split at the first ?, then decode")
    expect("QUERY_STRING", environ.get("QUERY_STRING"), "a?b", "everything after the first ?")
    environ = told(client.get("/100%/%zz"))["environ"]
    expect("PATH_INFO", environ.get("PATH_INFO"), "/100%/%zz", "a % without two hex digits is itself")
    expect("QUERY_STRING", environ.get("QUERY_STRING", ""), "", "there was no ?")


@check(task=1, rule='PEP 3333, "environ Variables"; RFC 9110 §5.3; RFC 3875 §4.1.18')
def test_task1_fields_and_variables_have_their_names(service, rng):
    """Every field and variable is there, under its name"""
    client = service("behaviours")
    who, first, second = name(rng), f"a{rng.randrange(1000)}", f"b{rng.randrange(1000)}"
    request = (
        f"POST /fields HTTP/1.1\r\nHost: localhost\r\nX-Name:{who}\r\nx-tag:  {first}\t \r\nX-City: \xe9\r\n"
        f"X-Tag: {second}\r\nX_Tag: evil\r\nX-Empty:\r\nContent-Type:text/plain; a=b\r\n"
        "Content-Length:3\r\nConnection: close\r\n\r\nabc"
    )
    said = told(client.send(request.encode("latin-1"), "POST"))
    environ = said["environ"]
    expect("HTTP_HOST", environ.get("HTTP_HOST"), "localhost")
    expect("HTTP_X_NAME", environ.get("HTTP_X_NAME"), who, "no white space is needed after the colon")
    expect("HTTP_X_CITY", environ.get("HTTP_X_CITY"), "\xe9", "a value's bytes are latin-1 characters")
    expect("HTTP_X_EMPTY", environ.get("HTTP_X_EMPTY"), "", "an empty field is a field")
    tags = environ.get("HTTP_X_TAG", "")
    that(
        "evil" not in tags, f"HTTP_X_TAG = {tags!r}", "X_Tag left out: it is not X-Tag, and could pass for it"
    )
    both = re.fullmatch(f"{first}, ?{second}", tags)
    that(both, f"HTTP_X_TAG = {tags!r}", f"HTTP_X_TAG = '{first},{second}': repeated fields in order, joined")
    expect("CONTENT_TYPE", environ.get("CONTENT_TYPE"), "text/plain; a=b")
    expect("CONTENT_LENGTH", environ.get("CONTENT_LENGTH"), "3")

    expect("SERVER_PROTOCOL", environ.get("SERVER_PROTOCOL"), "HTTP/1.1")
    expect("wsgi.url_scheme", environ.get("wsgi.url_scheme"), "http")
    others = said.get("others", {})
    for key, pattern, is_what, rule in (
        ("SERVER_NAME", ".+", "a name, as text, never empty", ENVIRON),
        ("SERVER_PORT", "[0-9]+", "a number, as text, never empty", ENVIRON),
        ("REMOTE_ADDR", "[0-9a-f.:]+", "the client's IP address, as text", "RFC 3875 §4.1.8"),
    ):
        shown = repr(environ[key]) if key in environ else others.get(key, "absent")
        good = re.fullmatch(pattern, environ.get(key, ""))
        that(good, f"{key} = {shown}", f"{key} = {is_what}", rule=rule)
    expect("wsgi.version", others.get("wsgi.version"), "(1, 0)", "the repr of a tuple")
    expect("what wsgiref.validate says of the environ", said.get("complaint"), "", "it has no objection")
    fresh = not told(client.get("/fields"))["used_before"]
    that(fresh, "an environ that the last request's application had written into", "a new dict each time")


@check(task=1, rule='PEP 3333, "Input and Error Streams"')
def test_task1_input_ends_where_the_body_ends(service, rng):
    """wsgi.input ends where the body ends"""
    client = service("behaviours")
    lines = [f"{name(rng)}\n" for _ in range(3)] + ["no line end"]
    body = "".join(lines)
    threes = [body[i : i + 3] for i in range(0, len(body), 3)]
    ways = {"all": [body], "sizes": threes, "line": lines, "lines": lines, "iteration": lines, "more": [body]}
    calls = {"all": "read()", "sizes": "read(3)", "line": "readline()", "lines": "readlines()"}
    for how, pieces in ways.items():
        told_by = calls.get(how, "a for loop" if how == "iteration" else "read(100000)")
        data = request_bytes("POST", behave("read", how=how), body=body.encode())
        with client.connect(seconds=3) as connection:
            connection.send_pieces([data[:-7], data[-7:] + b"GET /next HTTP/1.1\r\n"])
            try:
                value = answered(connection.response("POST"))
            except Deadline:
                fail(
                    f"{told_by} that never came back",
                    f"an end of file after {len(body)} bytes, Content-Length",
                )
        why = "the body's bytes; what follows on the connection is the next request"
        expect(f"what {told_by} gave", value.get("pieces"), pieces, why)
        expect(f"read(10) after {told_by}", value.get("then"), "", "the end of file, simulated")
    with client.connect(seconds=3) as connection:
        connection.send(request_bytes("GET", behave("read", how="all")))
        expect("read() without a body", answered(connection.response()).get("pieces"), [""], "no body: b''")
    _chunked_body(client, body)


def _chunked_body(client, body):
    """A body in chunks is decoded; refusing it with 411 is allowed (RFC 9112 §6.3)."""
    chunks = "".join(f"{len(part):X};x=y\r\n{part}\r\n" for part in (body[:5], body[5:]))
    fields = [("Transfer-Encoding", "chunked")]
    data = request_bytes("POST", behave("read", how="all"), fields)
    with client.connect(seconds=3) as connection:
        connection.send(data + f"{chunks}0\r\n\r\n".encode())
        response = connection.response("POST")
    if response.status != 411:
        why = "chunks are the connection's affair: the application reads what is in them"
        expect("read() of a chunked body", answered(response).get("pieces"), [body], why)


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule='PEP 3333, "The write() Callable"')
def test_task2_write_sends_before_the_rest(service, rng):
    """write sends, and comes before what is iterated"""
    client = service("behaviours")
    texts = [f"{name(rng)};" for _ in range(rng.randrange(2, 5))]
    rest = name(rng)
    response = client.get(behave("write", text=texts, rest=rest))
    expect("status", response.status, 200, "write is a callable that takes bytes")
    expect("body", response.text, "".join([*texts, rest]), "what write took, then what the iterable gave")
    response = client.get(behave("write", text=["", texts[0]], rest=""))
    expect("status", response.status, 200, "write(b'') writes nothing, and is no error")
    expect("body", response.text, texts[0])


@check(task=2, rule=START)
def test_task2_start_response_again_only_with_exc_info(service, rng):
    """start_response: once, and again only with exc_info"""
    client = service("behaviours")
    who, book = name(rng), f"start {rng.random()}"
    response = client.get(behave("start", how="late", name=who))
    late = "a generator calls start_response while its first chunk is made"
    expect("body", response.text, f"late, {who}\n", late)

    response = client.get(behave("start", how="replace", name=who))
    why = "with exc_info, and nothing sent yet, the second call replaces the first"
    expect("status", response.status, 503, why)
    expect("X-Second", response.get("X-Second"), who, why)
    expect("body", response.text, f"sorry, {who}\n")
    why = "503: the head leaves with the first chunk that is not empty, so after b'' it can still be replaced"
    response = _broken(client, behave("start", how="empty", name=who), "no such text", why)
    got = response.line if response else "no whole answer"
    that(response and response.status == 503, f"{got}, after an empty chunk", why)

    too_late = (
        "the head was sent by write: raise the exception of exc_info, the very same, in the application"
    )
    _broken(client, behave("start", how="too_late", name=who, say=f"{book} late"), "went on", too_late)
    expect("what start_response raised", notes(client, f"{book} late"), ["the same"], too_late, rule=ERRORS)

    twice = "an exception in the application (AssertionError, say): only exc_info allows a second call"
    response = _broken(client, behave("start", how="twice", name=who, say=f"{book} twice"), "went on", twice)
    raised = notes(client, f"{book} twice")
    that(raised and raised != ["nothing"], "a second call without exc_info that raised nothing", twice)
    that(response is None or response.status == 500, f"{response and response.line}", "500, or no answer")
    never = "500, or no answer: the application never called start_response"
    response = _broken(client, behave("start", how="never"), "a body", never)
    that(response is None or response.status == 500, f"{response and response.line}", never)


def _broken(client, target, forbidden, expected):
    """The answer to a request that must fail; None when what came instead is no answer at all."""
    try:
        response = client.get(target)
    except (NoAnswer, NotHTTP):
        return None
    that(forbidden not in response.text, f"{response.line}, and a body with {forbidden!r}", expected)
    return response


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=STREAMING)
def test_task3_each_chunk_leaves_before_the_next_is_made(service, stack):
    """Each chunk leaves before the next one is made"""
    client = service("behaviours")
    for how in ("iterator", "write"):
        with client.connect(seconds=4) as connection:
            connection.send(request_bytes("GET", behave("gate", how=how, lines=3)))
            for index in range(3):
                pid, number = _line_of_gate(connection, index, how)
                if index < 2:
                    reply = stack.ask("signal", service="behaviours", number=number, pid=pid)
                    that(
                        "error" not in reply, f"{reply}", f"process {pid}, which runs the application, found"
                    )
            text = connection.response().text
        lines = text.splitlines()
        that(len(lines) == 3, f"the body {text!r}", "three lines, as the application made them")


def _line_of_gate(connection, index, how):
    """The gate's line number `index`, waited for; it names a process and a signal."""
    at_once = "at once: the application makes the next only when this one has arrived"
    expected = f"line {index} {at_once}"
    while True:
        gave_up = re.search(rb"gave up after line (\d+)", connection.received)
        if gave_up:
            line = f"line {int(gave_up[1])}"
            late = f"{line}, which the application had waited for in vain ({how})"
            fail(f"only at the end: {late}", f"{line} {at_once}")
        found = re.search(rb"^%d (\d+) (\d+)\n" % index, connection.received, re.MULTILINE)
        if found:
            return int(found[1]), int(found[2])
        try:
            ended = not connection.read()
        except Deadline:
            fail(f"nothing of line {index} while the application waits ({how})", expected)
        that(not ended, f"the end of the connection before line {index} ({how})", expected)


@check(task=3, rule='PEP 3333, "Handling the Content-Length Header"; RFC 9112 §6')
def test_task3_the_client_can_tell_where_the_body_ends(service, rng):
    """The client can tell where the body ends"""
    client = service("behaviours")
    chunks = [f"{name(rng)}\n" * rng.randrange(1, 4) for _ in range(3)]
    body = "".join(chunks)
    for kind in ("iterator", "list"):
        response = client.get(behave("answer", chunk=[chunks[0], "", *chunks[1:]], kind=kind))
        expect(f"body ({kind})", response.text, body, "an empty chunk does not end it")
    response = client.get(behave("answer", chunk=body, kind="list"))
    expect("body (one chunk)", response.text, body)
    response = client.get(behave("answer", kind="list"))
    expect("body (no chunk)", response.text, "")

    length = f"Content-Length:{len(body)}"
    response = client.get(behave("answer", chunk=chunks, header=length))
    expect("Content-Length", response.all("Content-Length"), [str(len(body))], "the application's, once")
    expect("body", response.text, body)

    raw = f"GET {behave('answer', chunk=chunks)} HTTP/1.0\r\nHost: localhost\r\n\r\n"
    response = client.send(raw.encode())
    codings = response.all("Transfer-Encoding")
    expect("Transfer-Encoding to an HTTP/1.0 client", codings, [], "it knows no chunks", rule="RFC 9112 §6.1")
    expect("body over HTTP/1.0", response.text, body)
    _wrong_lengths(client, chunks, body)


def _wrong_lengths(client, chunks, body):
    with client.connect(seconds=3) as connection:
        target = behave("answer", chunk=chunks, header=f"Content-Length:{len(body) - 5}")
        connection.send(request_bytes("GET", target, [("Connection", "close")]))
        try:
            status, text = _whole(connection)
        except NoAnswer:
            status, text = 0, ""
        rest = _rest(connection)
    if status == 200:
        expect("a body that is 5 bytes too long", text, body[:-5], "Content-Length is a promise")
        expect("what follows it", rest, b"", "bytes past Content-Length would be read as the next response")
    target = behave("answer", chunk=chunks, header=f"Content-Length:{len(body) + 5}")
    end = "the end of the connection, 5 bytes before Content-Length is reached"
    with client.connect(seconds=3) as connection:
        connection.send(request_bytes("GET", target) + request_bytes("GET", behave("ignore")))
        try:
            response = connection.response()
        except NoAnswer:
            return
    mixed = (
        "whose end are the first bytes of the next answer" if b"HTTP/" in response.body else "without an end"
    )
    that(response.status == 500, f"{response.line} and a body of {len(response.body)} bytes {mixed}", end)


def _whole(connection):
    response = connection.response()
    return response.status, response.text


def _rest(connection):
    """What comes on a connection until it ends; a reset is an end."""
    try:
        while connection.read():
            pass
    except NoAnswer:
        pass
    return connection.unread()


@check(task=3, rule="RFC 9110 §9.3.2, §15.3.5, §15.4.5")
def test_task3_some_answers_have_no_body(service, rng):
    """Answers to HEAD, 204 and 304 end with their head"""
    client = service("behaviours")
    text = name(rng)
    length = f"Content-Length:{len(text)}"
    cases = [
        ("GET", "200 OK", [length, "X-Case:a"]),
        ("HEAD", "200 OK", [length, "X-Case:a"]),
        ("HEAD", "200 OK", ["X-Case:b"]),
        ("GET", "204 No Content", ["X-Case:c"]),
        ("GET", "304 Not Modified", ["X-Case:d", 'ETag:"1"']),
        ("GET", "200 OK", [length, "X-Case:e", "Date:Mon, 05 Jan 2026 10:00:00 GMT"]),
    ]
    for method, status, headers in cases:
        target = behave("answer", status=status, header=headers, chunk=[text[:3], text[3:]])
        with client.connect(seconds=3) as connection:
            connection.send(request_bytes(method, target, [("Connection", "close")]))
            response = connection.response(method)
            rest = _rest(connection)
        expect("status", response.status, int(status[:3]))
        case = next(header for header in headers if header.startswith("X-Case:"))[7:]
        expect("X-Case", response.get("X-Case"), case, "the application's headers are sent all the same")
        dates = response.all("Date")
        why = "one: the server's, or the application's where it gave one"
        that(len(dates) == 1, f"{len(dates)} Date fields", why, rule=DATE)
        if method == "GET" and status == "200 OK":
            expect("body", response.text, text)
            continue
        expect(f"what follows the head ({method}, {status[:3]})", rest, b"", "no content, no chunk")
        if length in headers:
            expect("Content-Length for HEAD", response.get("Content-Length"), str(len(text)), "as for GET")
        if status.startswith("204"):
            coding = response.get("Transfer-Encoding")
            expect("Transfer-Encoding of a 204", coding, None, "there is nothing", rule="RFC 9112 §6.1")


@check(task=3, rule=ERRORS)
def test_task3_bad_headers_and_errors_become_500_or_an_end(service, rng):
    """Errors become a 500 or a cut; no header splits the answer"""
    client = service("behaviours")
    who, evil = name(rng), f"X-Evil{rng.randrange(1000)}"
    two = ["Set-Cookie:a=1", "Set-Cookie:b=2", f"X-City:\xe9 {who}"]
    response = client.get(behave("answer", header=two, chunk=who))
    expect("Set-Cookie", response.all("Set-Cookie"), ["a=1", "b=2"], "two headers stay two")
    expect("X-City", response.get("X-City"), f"\xe9 {who}", "latin-1, as the application gave it")

    splitting = [
        {"header": f"X-A:b\r\n{evil}: yes"},
        {"header": f"X-A:b\n{evil}: yes"},
        {"header": f"X-A: b\r\n{evil}:yes"},
        {"status": f"200 OK\r\n{evil}: yes"},
    ]
    for query in splitting:
        expected = "500 (or no answer): a line break in a header or a status is refused"
        response = _broken(client, behave("answer", chunk=who, **query), "no such text", expected)
        got = f"{response and response.line} with a header {evil} that {next(iter(query))} smuggled in"
        leaked = response is not None and (response.get(evil) or response.status < 500)
        that(not leaked, got, expected, rule="RFC 9110 §5.5; PEP 3333, start_response()")
    hop = client.get(behave("answer", header=["Keep-Alive:timeout=99", f"X-A:{who}"], chunk=who))
    got = f"Keep-Alive: {hop.get('Keep-Alive')} sent on for the application"
    refused = hop.status == 500 or hop.get("Keep-Alive") != "timeout=99"
    that(
        refused,
        got,
        "500, or the header left out: it is the server's",
        rule='PEP 3333, "Other HTTP Features"',
    )

    expected = "500 or an end: a body is made of bytes; which ones a text stands for, no server knows"
    text = _broken(client, behave("answer", chunk=who, kind="text"), who, expected)
    that(text is None or text.status == 500, f"{text and text.line}", expected, rule=STREAMING)
    for at in (-1, 0):
        response = client.get(behave("answer", chunk=[who, who], raise_at=at))
        expect("status after an exception before the first chunk", response.status, 500)
        that(who not in response.text, f"the body {response.text!r}", "the server's own words")
    for header in ([], [f"Content-Length:{2 * len(who)}"]):
        response = client.get(behave("answer", chunk=[who, who], header=header))
        expect("body without an exception", response.text, who + who)
        try:
            response = client.get(behave("answer", chunk=[who, who], header=header, raise_at=1))
        except NoAnswer:
            continue
        got = f"{response.line} and a body that looks whole: {response.text!r}"
        that(response.status >= 500, got, "a connection that ends before the body does: no last chunk")


@check(task=3, rule='PEP 3333, "Specification Details": close()')
def test_task3_close_is_always_called(service, rng):
    """close() is called once, in every ending"""
    client = service("behaviours")
    chunks = [f"{name(rng)}\n", f"{name(rng)}\n"]
    endings = {
        "the last chunk": ("GET", {}),
        "an exception before the first chunk": ("GET", {"raise_at": 0}),
        "an exception in the middle": ("GET", {"raise_at": 1}),
        "HEAD": ("HEAD", {}),
        "a 304": ("GET", {"status": "304 Not Modified"}),
    }
    for ending, (method, query) in endings.items():
        book = f"{ending} {rng.random()}"
        try:
            client.request(method, behave("answer", chunk=chunks, say=book, **query))
        except NoAnswer:
            that("exception" in ending, f"no answer ({ending})", "an answer")
        seen = notes_with(client, book, "closed")
        count = seen.count("closed")
        expect(f"calls of close() after {ending}", count, 1, "once, whatever happened")
    book = f"gone {rng.random()}"
    with client.connect(receive_buffer=4096) as connection:
        connection.send(request_bytes("GET", behave("endless", say=book)))
        connection.read(100)
        connection.reset()
    expect("calls of close() after the client left", notes_with(client, book, "closed"), ["closed"])


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule="RFC 9112 §9.3")
def test_task4_connections_are_kept(service, rng):
    """Connections are kept; pipelined requests stay in order"""
    client = service("patient")
    names = [f"{name(rng)} {index}" for index in range(4)]
    with client.connect(seconds=5) as connection:
        for who in names[:2]:
            connection.send(request_bytes("GET", behave("ignore", name=who)))
            _ignored(connection, who, "the next request on the same connection")
        connection.send(request_bytes("GET", behave("answer", chunk=names)))
        response = connection.response()
        expect("body", response.text, "".join(names))
        if (response.get("Connection") or "").lower() != "close":
            connection.send(request_bytes("GET", behave("ignore", name=names[2])))
            _ignored(connection, names[2], "a body without Content-Length has an end, too")
    with client.connect(seconds=5) as connection:
        targets = [behave("ignore", name=who) for who in names]
        connection.send(b"".join(request_bytes("GET", target) for target in targets))
        for who in names:
            _ignored(connection, who, "pipelined requests are answered in order", rule="RFC 9112 §9.3.2")
        fields = [("Connection", "Close")]
        connection.send(request_bytes("GET", behave("ignore", name=names[0]), fields))
        _ignored(connection, names[0], "the last request")
        that(connection.closed_within(2), "a connection that stayed open after close", "its end (§9.6)")
    with client.connect(seconds=3) as connection:
        connection.send(f"GET {behave('ignore', name='old')} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        _ignored(connection, "old", "HTTP/1.0")
        that(
            connection.closed_within(2),
            "an HTTP/1.0 connection that stayed open",
            "its end: nobody asked for more",
        )
    _unread_body(client, rng)


def _ignored(connection, who, why, **more):
    """The next answer on the connection must be the one to /do/ignore?name=WHO."""
    try:
        response = connection.response()
    except (NoAnswer, Deadline) as error:
        fail(f"{error.got}, where an answer was due", f"an answer: {why}", **more)
    expect("status", response.status, 200, why, **more)
    expect("the answer", response.json(), {"ignored": who}, why, **more)


def _unread_body(client, rng):
    """A body that the application does not read is never taken for the next request."""
    smuggled = request_bytes("GET", behave("ignore", name="smuggled"))
    first, second = name(rng), f"{name(rng)} 2"
    data = request_bytes("POST", behave("ignore", name=first), body=smuggled)
    with client.connect(seconds=3) as connection:
        connection.send(data + request_bytes("GET", behave("ignore", name=second)))
        _ignored(connection, first, "a POST whose body the application leaves unread")
        try:
            response = connection.response()
        except NoAnswer:
            return
    why = "the unread body is skipped, or the connection ends: it is not the next request"
    expect("the next answer", response.text, f'{{"ignored": "{second}"}}', why)


@check(task=4, rule='RFC 9110 §10.1.1; PEP 3333, "HTTP 1.1 Expect/Continue"')
def test_task4_expect_is_answered_before_the_body(service, rng):
    """100 Continue comes before the body is sent"""
    client = service("behaviours")
    body = name(rng)
    fields = [("Expect", "100-continue"), ("Content-Length", str(len(body)))]
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("POST", behave("read", how="all"), fields))
        try:
            while b"\r\n\r\n" not in connection.received:
                that(connection.read(), "the end of the connection", "100 Continue")
        except Deadline:
            fail("nothing, while the client waits before it sends the body", "HTTP/1.1 100 Continue")
        connection.send(body.encode())
        response = connection.response("POST")
    expect("interim answers", response.interim, [100], "one 100, then the answer")
    expect("the body that the application read", answered(response).get("pieces"), [body])

    response = client.request("POST", behave("read", how="all"), body=body.encode())
    expect("interim answers without Expect", response.interim, [], "nobody waits for one")
    raw = request_bytes("POST", behave("read", how="all"), fields, body.encode())
    response = client.send(raw.replace(b"HTTP/1.1", b"HTTP/1.0"), "POST")
    expect("interim answers to HTTP/1.0", response.interim, [], "it does not know them")
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("POST", behave("ignore", name=body), fields))
        connection.read()
        if connection.received.startswith(b"HTTP/1.1 100"):
            connection.send(body.encode())
        _ignored(connection, body, "the application never looks at the body: there is an answer anyway")


@check(task=4, rule="RFC 9112 §2.2, §3, §5, §6.3, §9.5; RFC 6585 §5")
def test_task4_limits_and_silence(service, rng):
    """Malformed, endless and idle clients are let go"""
    client = service("behaviours")
    who = name(rng)
    good = request_bytes("GET", behave("ignore", name=who), [("X-Long", "x" * 4000)])
    with client.connect(seconds=4) as connection:
        connection.send_pieces([*(good[i : i + 1] for i in range(60)), good[60:3000], good[3000:]])
        _ignored(connection, who, "a request is a request in whatever pieces it comes")
    for case in wire_cases(__file__, "bad-*.http"):
        _refused(client, case.data, case.notes.get("why", case.name), must_answer="status" in case.notes)
    _refused(client, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: y\r\n" * 200_000, "a head without end")

    # A client that leaves in the middle of its body takes nobody with it.
    with client.connect(seconds=3) as connection:
        data = request_bytes("POST", behave("read", how="all"), [("Content-Length", "100")])
        connection.send(data + b"half")
        connection.reset()
    with client.connect(seconds=8) as connection:
        connection.send(request_bytes("GET", behave("ignore", name=who)))
        _ignored(connection, who, "an idle connection was busy once")
        idle = "a connection that is still open, long after --keep-alive 1"
        that(connection.closed_within(5), idle, "its end, when nothing came for a second")
    expect("the next client's answer", answered(client.get(behave("ignore", name=who))), {"ignored": who})


def _refused(client, data, why, must_answer=False):
    """400 or its like, or (unless RFC 9112 says MUST) the end of the connection: no application's answer."""
    with client.connect(seconds=3) as connection:
        with contextlib.suppress(NoAnswer):
            connection.send(data)
        try:
            response = connection.response()
        except Deadline:
            fail(f"neither an answer nor an end ({why})", "400 Bad Request or its like", sent=_shown(data))
        except NoAnswer as error:
            that(
                not must_answer,
                f"{error.got} ({why})",
                "400 Bad Request, and then the end",
                sent=_shown(data),
            )
            return
        except WireError as error:
            fail(f"{error.got} ({why})", "400 Bad Request or its like", sent=_shown(data))
    refused = 400 <= response.status < 600 and response.status != 500
    that(refused, f"{response.line} ({why})", "400 Bad Request or its like", sent=_shown(data))


def _shown(data):
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text if len(text) < 300 else f"{text[:150]} … and {len(data)} bytes in all"


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule='PEP 3333, "Thread Support"')
def test_task5_threads_run_side_by_side_and_idle_clients_hold_none(service, rng):
    """Threads run side by side, and idle clients hold none"""
    client = service("patient")
    others = told(client.get("/"))["others"]
    expect("wsgi.multithread", others.get("wsgi.multithread"), "True", "the application must be told")
    with contextlib.ExitStack() as open_ones:
        idle = [open_ones.enter_context(client.connect(seconds=8)) for _ in range(IDLE)]
        for index, connection in enumerate(idle):
            _answered_beside_idle_ones(connection, index)
        _meet(client, name(rng))
        for index, connection in enumerate(idle):
            # RFC 9112 §9.5: a server may close an idle connection when it wants to.
            with contextlib.suppress(NoAnswer):
                connection.send(request_bytes("GET", behave("ignore", name=index)))
                expect("the answer", connection.response().json(), {"ignored": str(index)})


def _answered_beside_idle_ones(connection, index):
    connection.send(request_bytes("GET", behave("ignore", name=index)))
    try:
        response = connection.response()
    except Deadline:
        fail(
            f"no answer to client {index + 1}: {index} others hold an idle connection each",
            f"an answer: {THREADS} threads are enough for any number of idle connections",
        )
    expect("the answer", response.json(), {"ignored": str(index)})


def _meet(client, place):
    """As many requests as there are threads wait for each other inside the application."""
    with contextlib.ExitStack() as open_ones:
        busy = [open_ones.enter_context(client.connect(seconds=6)) for _ in range(THREADS)]
        target = behave("meet", of=THREADS, place=place)
        for connection in busy:
            connection.send(request_bytes("GET", target, [("Connection", "close")]))
        for connection in busy:
            response = connection.response()
            got = f"{response.line}: a request waited in the application for {THREADS - 1} others, in vain"
            that(response.status == 200, got, f"{THREADS} requests in the application at the same time")
            expect("the answer", response.json(), {"met": True, "place": place})


@check(task=5, rule='PEP 3333, "Rationale and Goals"')
def test_task5_tasks_flask_and_django_run_unchanged(front, rng):
    """The tasks API, Flask and Django run unchanged behind nginx"""
    title = f"Read PEP {rng.randrange(100, 4000)}, \u201ccaf\u00e9\u201d"
    body = f'{{"title": "{title}"}}'.encode()
    response = front.request("POST", "/tasks", [("Content-Type", "application/json")], body, seconds=4)
    expect("POST /tasks", response.status, 201)
    task = object_of(response)
    expect("title", task.get("title"), title)
    target = f"/tasks/{task.get('id')}"
    change = [("Content-Type", "application/json")]
    response = front.request("PATCH", target, change, b'{"done": true}')
    expect(f"PATCH {target}", answered(response).get("done"), True)
    expect("GET /tasks.csv", f'"{title}",true' in front.get("/tasks.csv").text, True, "a streamed body")
    expect(f"DELETE {target}", front.request("DELETE", target).status, 204)
    response = front.request("PUT", "/tasks")
    expect("PUT /tasks", response.status, 405)
    expect("Allow", response.get("Allow"), "GET, HEAD, POST", "an error's headers arrive as well")
    # HEAD is the last that each is asked: what follows a body that should not be there is nginx's to decide.
    size = str(len(front.get("/tasks").body))
    expect("Content-Length of a HEAD", front.request("HEAD", "/tasks").get("Content-Length"), size)

    who = name(rng)
    for prefix in ("/flask/", "/django/"):
        expect(f"GET {prefix}", front.get(f"{prefix}?name={quote(who)}").text, f"Hello, {who}!\n")
        sent = (who * rng.randrange(1, 2000)).encode()
        response = front.request("POST", f"{prefix}upper", body=sent)
        expect(f"POST {prefix}upper", response.text, sent.decode().upper(), "the body, and nothing else")
        letters = front.get(f"{prefix}letters?name={quote(who)}")
        expect(f"GET {prefix}letters", letters.text, who, "a chunk for each letter")
        expect(f"GET {prefix}nothing", front.get(f"{prefix}nothing").status, 404)
        expect(f"HEAD {prefix}", front.request("HEAD", prefix).body, b"")
