"""Checks of an ASGI server: what an application is told, and what becomes of what it sends.

`behaviours` and `patient` serve services/apps/asgi_behaviours.py, which does what a request tells it to do.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import socket
import time
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

SCOPE = 'ASGI, HTTP & WebSocket, "HTTP Connection Scope"'
REQUEST = 'ASGI, HTTP & WebSocket, "Request" and "Disconnect"'
RESPONSE = 'ASGI, HTTP & WebSocket, "Response Start" and "Response Body"'
MIB = 1 << 20
FLOOD = 200  # pieces of 1 MiB
HELD = 40  # MiB of an upload
BOUND = 24  # MiB that may wait in buffers: the kernel's are several MiB, the server's should be small
CROWD = 16
IDLE = 30
TRIES = 150  # questions until something that is on its way has happened
PATIENCE = 4.0  # seconds until what must be noted is said not to have been


# --- what the behaviours application says -------------------------------------------------------------


def behave(what, /, **query):
    """The target that asks for a behaviour."""
    return f"/do/{what}?{urlencode(query, doseq=True)}"


def answered(response):
    """The JSON of a 200."""
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}")
    return response.json()


def told(response):
    """The JSON object of a 200."""
    expect("status", response.status, 200, f"the body was {response.text[:200]!r}")
    return object_of(response)


def scope_of(response):
    """The scope that the application was called with, with its types."""
    value = answered(response)
    if not isinstance(value, dict) or not isinstance(value.get("scope"), dict):
        fail(f"{response.line} with {response.text[:200]!r}", "the scope as JSON")
    return {key: literal(text) for key, text in value["scope"].items()}


def literal(text):
    """A repr as the value it shows; what is no plain value stays a text."""
    try:
        return ast.literal_eval(text)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        return text


def notes(client, notebook):
    """What the application wrote into a notebook."""
    value = answered(client.get(behave("notes", say=notebook)))
    return value if isinstance(value, list) else []


def notes_with(client, notebook, word):
    """The notes, as soon as one of them has `word` in it; asked for again and again, but not for ever."""
    seen, deadline = [], time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        seen = notes(client, notebook)
        if any(word in note for note in seen):
            break
    return seen


def ignored(connection, who, why, **more):
    """The next answer on the connection must be the one to /do/ignore?name=WHO."""
    try:
        response = connection.response()
    except (NoAnswer, Deadline) as error:
        fail(f"{error.got}, where an answer was due", f"an answer: {why}", **more)
    expect("status", response.status, 200, why, **more)
    expect("the answer", response.json(), {"ignored": who}, why, **more)


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=SCOPE)
def test_task1_path_is_decoded_and_raw_path_is_not(service, rng):
    """path is decoded text; raw_path and query_string are bytes as sent"""
    client = service("behaviours")
    who = name(rng)
    query = f"name={quote(who)}&caf%C3%A9=a%2Bb+c&x"
    raw = f"/caf%C3%A9/{quote(who)}/a%2Bb+c"
    scope = scope_of(client.get(f"{raw}?{query}"))
    expect("method", scope.get("method"), "GET")
    why = "percent-decoded, and then from UTF-8: text, unlike WSGI's latin-1"
    expect("path", scope.get("path"), f"/café/{who}/a+b+c", why)
    expect("raw_path", scope.get("raw_path"), raw.encode(), "the bytes as they came, without the query")
    expect("query_string", scope.get("query_string"), query.encode(), "bytes, as they came")

    scope = scope_of(client.get(f"/what%3F/{quote(who)}%2F?a?b"))
    expect("path", scope.get("path"), f"/what?/{who}/", "split at the first ?, then decode")
    expect("query_string", scope.get("query_string"), b"a?b", "everything after the first ?")
    scope = scope_of(client.get("/100%/%zz"))
    expect("path", scope.get("path"), "/100%/%zz", "a % without two hex digits is itself")
    expect("query_string", scope.get("query_string"), b"", "there was no ?, and it is bytes anyway")


@check(task=1, rule=SCOPE)
def test_task1_scope_is_what_the_specification_says(service, rng):
    """Headers, addresses, versions are as the specification has them"""
    client = service("behaviours")
    who, first, second = name(rng), f"a{rng.randrange(1000)}", f"b{rng.randrange(1000)}"
    request = (
        f"POST /fields HTTP/1.1\r\nHost: localhost\r\nX-Name:{who}\r\nx-tag:  {first}\r\nX-City: \xe9\r\n"
        f"X-Tag: {second}\r\nX-Empty:\r\nContent-Length:3\r\nConnection: close\r\n\r\nabc"
    )
    with client.connect() as connection:
        connection.send(request.encode("latin-1"))
        scope = scope_of(connection.response("POST"))
    expect("type", scope.get("type"), "http")
    expect("method", scope.get("method"), "POST")
    expect("http_version", scope.get("http_version"), "1.1")
    expect("scheme", scope.get("scheme", "http"), "http")
    expect("root_path", scope.get("root_path", ""), "", "the application is at the root")
    version = scope.get("asgi", {}).get("version") if isinstance(scope.get("asgi"), dict) else None
    expect("asgi version", version, "3.0")
    headers = scope.get("headers")
    that(isinstance(headers, list), f"headers = {headers!r}", "a list of [name, value], both bytes")
    wanted = [b"x-name", b"x-tag", b"x-city", b"x-empty"]
    shown = [tuple(pair) for pair in headers if pair[0].lower() in (*wanted, *(n.decode() for n in wanted))]
    right = [
        (b"x-name", who.encode()),
        (b"x-tag", first.encode()),
        (b"x-city", b"\xe9"),
        (b"x-tag", second.encode()),
        (b"x-empty", b""),
    ]
    expect("headers", shown, right, "bytes, names in lower case, in order of arrival, repeats kept")
    named = [pair[0] for pair in headers]
    that(
        b"host" in named and b"content-length" in named,
        f"the names {named!r}",
        "every field, Host among them",
    )
    theirs = scope.get("client")
    good = isinstance(theirs, tuple | list) and [type(part) for part in theirs] == [str, int]
    that(good, f"client = {theirs!r}", "(address as text, port as a number), the client's end")
    ours = scope.get("server")
    good = isinstance(ours, tuple | list) and [type(part) for part in ours] == [str, int]
    right_port = good and (ours[1] == client.address.port or ours != theirs)
    that(right_port, f"server = {ours!r}", "(host as text, port as a number), your own end")
    fresh = not told(client.get("/fields")).get("used")
    that(fresh, "a scope that the last request's application had written into", "a new dict for each request")
    old = client.send(b"GET /old HTTP/1.0\r\nHost: localhost\r\n\r\n")
    expect("http_version", scope_of(old).get("http_version"), "1.0", "the client's, without HTTP/")


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule=REQUEST)
def test_task2_body_comes_through_receive(service, rng):
    """receive gives the body, and then says that it was all"""
    client = service("behaviours")
    parts = [name(rng) * rng.randrange(1, 5) for _ in range(3)]
    whole = "".join(parts)
    chunks = "".join(f"{len(part):X};x=y\r\n{part}\r\n" for part in parts) + "0\r\nX-Sum: 1\r\n\r\n"
    length = [("Content-Length", str(len(whole)))]
    chunked = [("Transfer-Encoding", "chunked")]
    for framing, fields, sent in (("Content-Length", length, whole), ("chunked", chunked, chunks)):
        data = request_bytes("POST", behave("read"), fields) + sent.encode()
        cut = len(data) - rng.randrange(3, len(sent))
        with client.connect(seconds=4) as connection:
            connection.send_pieces([data[:cut], data[cut:] + b"GET /next HTTP/1.1\r\n"])
            try:
                value = told(connection.response("POST"))
            except Deadline:
                fail(f"receive never said more_body False ({framing})", f"the end after {len(whole)} bytes")
        _whole_body(value, whole, framing)
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("GET", behave("read")))
        value = told(connection.response())
    why = "a request without a body has one event: an empty body, more_body False"
    expect("events of a GET", value.get("events"), [["http.request", 0, False]], why)


def _whole_body(value, whole, framing):
    events = value.get("events", [])
    events = events if isinstance(events, list) else []
    types = {str(event[0]) for event in events if isinstance(event, list) and event}
    that(types == {"http.request"}, f"events of type {sorted(types)}", "http.request, until the body ended")
    why = f"the body's bytes, without its framing ({framing}), and not one of the next request"
    expect("the body that receive gave", value.get("body"), whole, why)


@check(task=2, rule=RESPONSE)
def test_task2_events_out_of_order_raise(service, rng):
    """An event out of order raises in the application, and says why"""
    client = service("behaviours")
    expected = {
        "body_first": "an exception that says http.response.start has to come first",
        "start_twice": "an exception that says http.response.start came already",
        "unknown": "an exception that names the events that there are",
    }
    for how, rule in expected.items():
        book = f"{how} {rng.random()}"
        response = _broken(client, behave("order", how=how, say=book))
        raised = notes_with(client, book, "")
        that(raised and raised != ["nothing was raised"], f"send raised nothing ({how})", rule)
        says = "http.response" in raised[0]
        that(says, f"send raised {raised[0]!r} ({how})", f"{rule}: name the event in its text")
        got = f"{response and response.line} ({how})"
        that(response is None or response.status == 500, got, "500, or an answer that breaks off")
    for how in ("nothing", "text"):
        response = _broken(client, behave("order", how=how, say=f"{how} {rng.random()}"))
        rule = "returned without an answer" if how == "nothing" else "a body of text, not of bytes"
        got = f"{response and response.line} (the application {rule})"
        that(response is None or response.status == 500, got, "500, or an answer that breaks off")

    with client.connect(seconds=4) as connection:
        target = behave("order", how="after_the_end", say=f"late {rng.random()}")
        connection.send(request_bytes("GET", target))
        expect("body", connection.response().text, "in time", "what comes after the last event is no body")
        connection.send(request_bytes("GET", behave("ignore", name="next"), [("Connection", "close")]))
        with contextlib.suppress(NoAnswer):
            response = connection.response()
            expect(
                "the next answer", response.text, '{"ignored": "next"}', "it begins where the last one ended"
            )


def _broken(client, target):
    """The answer to a request that must fail; None when what came instead is no answer at all."""
    try:
        return client.get(target)
    except (NoAnswer, NotHTTP):
        return None


@check(task=2, rule="RFC 9112 §6.3, §7.1; RFC 9110 §9.3.2, §15.3.5, §15.4.5")
def test_task2_client_can_tell_where_the_body_ends(service, rng):
    """The client can tell where the body ends"""
    client = service("patient")
    chunks = [f"{name(rng)}\n" * rng.randrange(1, 4) for _ in range(3)]
    body = "".join(chunks)
    length = f"Content-Length:{len(body)}"
    with client.connect(seconds=6) as connection:
        cases = [
            ("GET", {"chunk": [chunks[0], "", *chunks[1:]]}, body, "an empty body event does not end it"),
            ("GET", {"chunk": chunks, "header": length}, body, "Content-Length is the application's"),
            ("GET", {}, "", "one empty event: an empty body"),
            ("HEAD", {"chunk": chunks}, "", "a HEAD's answer has no content"),
            ("GET", {"chunk": [""], "status": 204}, "", "204 has no content, and no Transfer-Encoding"),
            ("GET", {"chunk": [""], "status": 304}, "", "304 has no content"),
        ]
        before = "nothing"
        for method, query, expected, why in cases:
            connection.send(request_bytes(method, behave("answer", **query)))
            try:
                response = connection.response(method)
            except WireError as error:
                fail(f"{error.got}, after {before}", f"the whole answer to a {method}: {why}")
            before = f"the answer to a {method} with status {response.status}"
            expect("status", response.status, int(query.get("status", 200)))
            expect("body", response.text, expected, why)
            if response.status == 204:
                expect("Transfer-Encoding of a 204", response.all("Transfer-Encoding"), [], "RFC 9112 §6.1")
            if "header" in query:
                expect("Content-Length", response.all("Content-Length"), [str(len(body))], "once")
                expect("Transfer-Encoding", response.all("Transfer-Encoding"), [], "there is a length")
    for wrong, much in ((len(body) + 5, "shorter"), (len(body) - 5, "longer")):
        target = behave("answer", chunk=chunks, header=f"Content-Length:{wrong}")
        with client.connect(seconds=4) as connection:
            connection.send(request_bytes("GET", target))
            _ends_within(connection, wrong, much)
    response = _broken(client, behave("answer", chunk=body, header="X-Tag:a\r\nX-Evil: yes"))
    evil = response is not None and response.get("X-Evil")
    that(not evil, "X-Evil: yes, smuggled in by a line break", "500, or no answer", rule="RFC 9110 §5.5")


def _ends_within(connection, promised, much):
    """A body unlike its Content-Length: no byte after it, and no wait for bytes that never come."""
    expected = f"at most {promised} bytes of body, and the end of the connection, or a 500"
    try:
        raw = connection.read_all()
    except Deadline:
        fail(f"a connection that stays open: the body was {much} than its Content-Length", expected)
    except NoAnswer:
        raw = bytes(connection.received)
    head, _, sent = raw.partition(b"\r\n\r\n")
    if b" 500 " not in head[:20]:
        that(len(sent) <= promised, f"{len(sent)} bytes of body: it was {much} than promised", expected)


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=RESPONSE)
def test_task3_each_piece_leaves_when_it_is_sent(service, rng):
    """A piece of the body leaves when it is sent, not at the end"""
    client = service("behaviours")
    place = f"gate {rng.random()}"
    with client.connect(seconds=5) as connection:
        connection.send(request_bytes("GET", behave("lines", place=place), [("Connection", "close")]))
        try:
            while b"first\n" not in connection.received:
                that(connection.read(), "the end of the connection", "the first line, at once")
        except Deadline:
            fail(
                "nothing of the first line, while the application waits for this client to open the gate",
                "each body event on its way before the application goes on",
            )
        client.get(behave("open", place=place))
        text = connection.response().text
    expect("body", text, "first\nsecond\n", "the second line is made when the first has arrived")


@check(task=3, rule=f"{RESPONSE}: send waits while the client does not read")
def test_task3_send_waits_for_a_slow_reader(service, rng):
    """A response of 200 MiB waits for a client that stops reading"""
    client = service("behaviours")
    book = f"flood {rng.random()}"
    with client.connect(receive_buffer=65536) as connection:
        connection.send(request_bytes("GET", behave("flood", say=book, pieces=FLOOD)))
        while b"\r\n\r\n" not in connection.received:
            that(connection.read(1000), "the end of the connection", "the beginning of a response")
        stuck = _settled(client, book)
        got = f"{stuck} MiB taken from the application, while its client had read a few bytes"
        that(stuck <= BOUND, got, f"less than {BOUND} MiB: send does not return while too much is waiting")
        read = 0
        connection.socket.settimeout(4)
        with contextlib.suppress(OSError):  # nothing more comes: what the application did tells why
            while read < 2 * BOUND * MIB // 3 and (data := connection.socket.recv(MIB)):
                read += len(data)
        goes_on = f"the application stayed at {stuck} MiB, although the client read {read // MIB} MiB more"
        that(_beyond(client, book, stuck), goes_on, "send goes on when the client does")
        connection.reset()
    small = behave("flood", say=f"small {rng.random()}", pieces=3)
    with client.connect(receive_buffer=65536) as connection:
        connection.send(request_bytes("GET", small, [("Connection", "close")]))
        response = connection.response()
    expect("bytes of body", len(response.body), 3 * MIB, "all of it, however slowly it was read")


def _settled(client, book):
    """How many MiB the application has sent when it sends no more, or more than BOUND."""
    seen, same = -1, 0
    while same < 8:
        number = _count(notes_with(client, book, ""))
        same = same + 1 if number == seen else 0
        seen = number
        if seen > BOUND:
            return seen
    return seen


def _count(noted):
    word = noted[0] if noted else "0"
    return FLOOD if word == "all" else int(word)


def _beyond(client, book, before):
    """Whether the application gets further."""
    return any(_count(notes(client, book)) > before for _ in range(TRIES))


@check(task=3, rule=f"{REQUEST}: nothing obliges a server to read what nobody takes")
def test_task3_upload_waits_for_the_application(service, rng):
    """An upload waits for an application that does not read"""
    client = service("behaviours")
    place, piece = f"hold {rng.random()}", rng.randbytes(65536)
    fields = [("Content-Length", str(HELD * MIB)), ("Connection", "close")]
    with client.connect(seconds=18) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        connection.send(request_bytes("POST", behave("hold", place=place), fields))
        sent = 0
        for _ in range(3):
            sent += _push(connection, piece, HELD * MIB - sent)
            answered(client.get(behave("ignore", name="Ada")))
        got = f"{sent // MIB} MiB of body taken from the client, while the application had read nothing"
        that(sent < BOUND * MIB, got, f"less than {BOUND} MiB: the server stops reading when nobody takes it")
        answered(client.get(behave("open", place=place)))
        data = piece * (HELD * MIB // len(piece))
        view = memoryview(data)[sent:]
        while view:
            connection.socket.settimeout(6)
            try:
                view = view[connection.socket.send(view[:MIB]) :]
            except OSError:
                fail("the server did not go on reading", "the rest, when the application reads")
        value = told(connection.response("POST"))
    expect("opened", value.get("opened"), True, "the application waits for the second request")
    expect("bytes that the application read", value.get("bytes"), HELD * MIB, "every byte, once it reads")
    digest = hashlib.sha256(data).hexdigest()
    expect("their SHA-256", value.get("sha256"), digest, "in order, and nothing twice")


def _push(connection, piece, most):
    """How many bytes the other side takes before it takes no more for a moment."""
    sent = 0
    connection.socket.settimeout(0.3)
    try:
        while sent < most:
            sent += connection.socket.send(piece[sent % len(piece) :])
    except TimeoutError:
        pass
    except OSError as error:
        fail(f"{error.strerror} after {sent} bytes of the body", "an upload that waits")
    return sent


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule="RFC 9112 §9.3")
def test_task4_connections_are_kept(service, rng):
    """Connections are kept; pipelined requests stay in order"""
    client = service("patient")
    names = [f"{name(rng)} {index}" for index in range(4)]
    with client.connect(seconds=5) as connection:
        for who in names[:2]:
            connection.send(request_bytes("GET", behave("ignore", name=who)))
            ignored(connection, who, "the next request on the same connection")
        connection.send(request_bytes("GET", behave("answer", chunk=names)))
        expect("body", connection.response().text, "".join(names))
        connection.send(request_bytes("GET", behave("ignore", name=names[2])))
        ignored(connection, names[2], "a body without Content-Length has an end, too")
    with client.connect(seconds=5) as connection:
        targets = [behave("ignore", name=who) for who in names]
        connection.send(b"".join(request_bytes("GET", target) for target in targets))
        for who in names:
            ignored(connection, who, "pipelined requests are answered in order", rule="RFC 9112 §9.3.2")
        fields = [("Connection", "Close")]
        connection.send(request_bytes("GET", behave("ignore", name=names[0]), fields))
        ignored(connection, names[0], "the last request")
        that(connection.closed_within(3), "a connection that stayed open after close", "its end (§9.6)")
    with client.connect(seconds=4) as connection:
        connection.send(f"GET {behave('ignore', name='old')} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        ignored(connection, "old", "HTTP/1.0")
        stayed = "an HTTP/1.0 connection that stayed open"
        that(connection.closed_within(3), stayed, "its end: nobody asked for more")
    _unread_body(client, rng)
    _slow_first(client, rng)
    _fresh_contexts(client, rng)


def _unread_body(client, rng):
    """A body that the application does not read is never taken for the next request."""
    smuggled = request_bytes("GET", behave("ignore", name="smuggled"))
    first, second = name(rng), f"{name(rng)} 2"
    data = request_bytes("POST", behave("ignore", name=first), body=smuggled)
    with client.connect(seconds=4) as connection:
        connection.send(data + request_bytes("GET", behave("ignore", name=second)))
        ignored(connection, first, "a POST whose body the application leaves unread")
        try:
            response = connection.response()
        except NoAnswer:
            return
    why = "the unread body is skipped, or the connection ends: it is not the next request"
    expect("the next answer", response.text, f'{{"ignored": "{second}"}}', why)


def _slow_first(client, rng):
    """The first of two pipelined requests takes longer than the second would."""
    place, who = f"pipeline {rng.random()}", name(rng)
    with client.connect(seconds=6) as connection:
        slow = request_bytes("GET", behave("lines", place=place))
        connection.send(slow + request_bytes("GET", behave("ignore", name=who)))
        while b"first\n" not in connection.received:
            that(connection.read(), "the end of the connection", "the first answer")
        client.get(behave("open", place=place))
        why = "answers come in the order of the requests, also when the first one is slow"
        try:
            text = connection.response().text
        except WireError as error:
            fail(f"{error.got}: the second answer is in the first one", why, rule="RFC 9112 §9.3.2")
        expect("the first answer", text, "first\nsecond\n", why, rule="RFC 9112 §9.3.2")
        ignored(connection, who, why, rule="RFC 9112 §9.3.2")


def _fresh_contexts(client, rng):
    """What one request's application puts into a ContextVar, the next one's does not find there."""
    names = [name(rng) for _ in range(3)]
    targets = [behave("remember", name=who) for who in names]
    upload = request_bytes("POST", targets[0], body=rng.randbytes(300_000))
    ways = {
        "one after the other": [request_bytes("GET", target) for target in targets],
        "pipelined": [b"".join(request_bytes("GET", target) for target in targets)],
        "after an upload": [upload + b"".join(request_bytes("GET", target) for target in targets[1:])],
    }
    for way, pieces in ways.items():
        with client.connect(seconds=6) as connection:
            for index, who in enumerate(names):
                if index < len(pieces):
                    connection.send(pieces[index])
                value = told(connection.response())
                before = value.get("before")
                got = f"a ContextVar that says {before!r}: the request before it, on this connection, set it"
                expected = "'': each request begins in a context of its own (create_task has context=)"
                that(before == "", f"{got} ({way})", expected, rule="PEP 567, contextvars.Context")
                expect("what it set itself", value.get("now"), who)


@check(task=4, rule="RFC 9110 §10.1.1")
def test_task4_expect_is_answered_when_the_body_is_wanted(service, rng):
    """100 Continue comes when the application asks for the body"""
    client = service("behaviours")
    body = name(rng)
    fields = [("Expect", "100-continue"), ("Content-Length", str(len(body)))]
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("POST", behave("read"), fields))
        try:
            while b"\r\n\r\n" not in connection.received:
                that(connection.read(), "the end of the connection", "100 Continue")
        except Deadline:
            fail("nothing, while the client waits before it sends the body", "HTTP/1.1 100 Continue")
        connection.send(body.encode())
        response = connection.response("POST")
    expect("interim answers", response.interim, [100], "one 100, then the answer")
    expect("the body that the application read", told(response).get("body"), body)
    response = client.request("POST", behave("read"), body=body.encode())
    expect("interim answers without Expect", response.interim, [], "nobody waits for one")
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("POST", behave("ignore", name=body), fields))
        ignored(connection, body, "the application never asks for the body: there is an answer anyway")


@check(task=4, rule=REQUEST)
def test_task4_client_that_leaves_is_a_disconnect(service, rng):
    """receive says http.disconnect when the client has left"""
    client = service("behaviours")
    book = f"listen {rng.random()}"
    with client.connect(seconds=5) as connection:
        connection.send(request_bytes("GET", behave("listen", say=book)))
        while b"listening" not in connection.received:
            that(connection.read(), "the end of the connection", "the beginning of an answer")
    expected = "http.disconnect: its client closed the connection in the middle of an answer"
    seen = notes_with(client, book, "http.disconnect")
    that("http.disconnect" in seen, f"receive gave {seen}", expected)

    book = f"upload {rng.random()}"
    with client.connect(seconds=5) as connection:
        fields = [("Content-Length", "100")]
        connection.send(request_bytes("POST", behave("upload", say=book), fields) + b"half")
        notes_with(client, book, "called")
    seen = notes_with(client, book, "last")
    events = ["http.disconnect last"] if seen and "http.disconnect" in seen[-1] else seen[-1:]
    why = "a body cut short is not a shorter body: no more_body False"
    expect("the last event of half an upload", events, ["http.disconnect last"], why)

    book = f"after {rng.random()}"
    expect("the answer", answered(client.get(behave("after", say=book))), {"answered": True})
    seen = notes_with(client, book, "")
    expect("receive after the whole answer", seen, ["http.disconnect"], "there is nothing more to come")


@check(task=4, rule="RFC 9112 §3, §5.1, §6.3, §9.5")
def test_task4_malformed_and_idle_clients_are_let_go(service, rng):
    """Malformed and idle clients are let go"""
    client = service("behaviours")
    who = name(rng)
    good = request_bytes("GET", behave("ignore", name=who), [("X-Long", "x" * 4000)])
    with client.connect(seconds=5) as connection:
        connection.send_pieces([*(good[i : i + 1] for i in range(60)), good[60:3000], good[3000:]])
        ignored(connection, who, "a request is a request in whatever pieces it comes")
    for case in wire_cases(__file__, "bad-*.http"):
        _refused(client, case.data, case.notes.get("why", case.name))
    _two_framings(client)
    with client.connect(seconds=8) as connection:
        connection.send(request_bytes("GET", behave("ignore", name=who)))
        ignored(connection, who, "an idle connection was busy once")
        idle = "a connection that is still open, long after --keep-alive 1"
        that(connection.closed_within(5), idle, "its end, when nothing came for a second")
    expect("the next client's answer", answered(client.get(behave("ignore", name=who))), {"ignored": who})


def _refused(client, data, why):
    """400 or its like, or the end of the connection: no application's answer."""
    with client.connect(seconds=4) as connection:
        with contextlib.suppress(NoAnswer):
            connection.send(data)
        try:
            response = connection.response()
        except Deadline:
            fail(f"neither an answer nor an end ({why})", "400 Bad Request or its like", sent=_shown(data))
        except NoAnswer:
            return
        except WireError as error:
            fail(f"{error.got} ({why})", "400 Bad Request or its like", sent=_shown(data))
    refused = 400 <= response.status < 600 and response.status != 500
    that(refused, f"{response.line} ({why})", "400 Bad Request or its like", sent=_shown(data))


def _two_framings(client):
    """RFC 9112 §6.3: refused, or Transfer-Encoding alone counts; Content-Length never does."""
    for case in wire_cases(__file__, "both-framings.http"):
        try:
            response = client.send(case.data, "POST")
        except NoAnswer:
            continue
        if response.status == 200:
            why = "with Transfer-Encoding there, Content-Length says nothing: 400 is best"
            expect("the body", object_of(response).get("body"), "", why, rule="RFC 9112 §6.3")
        else:
            that(400 <= response.status < 500, response.line, "400 Bad Request", sent=_shown(case.data))


def _shown(data):
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text if len(text) < 300 else f"{text[:150]} … and {len(data)} bytes in all"


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule='ASGI, "Applications": one call for each connection, at the same time')
def test_task5_requests_run_side_by_side(service, rng):
    """Requests run side by side, beside idle connections"""
    client = service("patient")
    place = name(rng)
    with contextlib.ExitStack() as open_ones:
        idle = [open_ones.enter_context(client.connect(seconds=12)) for _ in range(IDLE)]
        for index, connection in enumerate(idle):
            connection.send(request_bytes("GET", behave("ignore", name=index)))
            ignored(connection, str(index), f"{index} other connections are idle")
        busy = [open_ones.enter_context(client.connect(seconds=12)) for _ in range(CROWD)]
        for connection in busy:
            connection.send(request_bytes("GET", behave("meet", of=CROWD, place=place)))
        for connection in busy:
            response = connection.response()
            got = f"{response.line}: a request waited in the application for {CROWD - 1} others, in vain"
            that(response.status == 200, got, f"{CROWD} requests in the application at the same time")
            expect("the answer", response.json(), {"met": True, "place": place})
        for index, connection in enumerate(idle):
            # RFC 9112 §9.5: a server may close an idle connection when it wants to.
            with contextlib.suppress(NoAnswer):
                connection.send(request_bytes("GET", behave("ignore", name=index)))
                expect("the answer", connection.response().json(), {"ignored": str(index)})


@check(task=5, rule='ASGI, "Applications" and "Error Handling"; RFC 9112 §8')
def test_task5_exception_harms_none_but_its_own(service, rng):
    """An application that raises harms none but its own request"""
    client = service("patient")
    who, place = name(rng), f"beside {rng.random()}"
    with client.connect(seconds=8) as beside:
        beside.send(request_bytes("GET", behave("lines", place=place)))
        while b"first\n" not in beside.received:
            that(beside.read(), "the end of the connection", "the first line")
        response = client.get(behave("answer", chunk=[who, who]))
        expect("body without an exception", response.text, who + who)
        response = client.get(behave("answer", chunk=[who, who], raise_at=-1))
        expect("status after an exception before the start", response.status, 500)
        that(who not in response.text, f"the body {response.text!r}", "the server's own words")
        for header in ([], [f"Content-Length:{2 * len(who.encode())}"]):
            _breaks_off(client, behave("answer", chunk=[who, who], header=header, raise_at=1), "raised")
        _breaks_off(client, behave("answer", chunk=[who], end="no"), "returned without its last event")
        client.get(behave("open", place=place))
        try:
            text = beside.response().text
        except NoAnswer as error:
            fail(f"{error.got}: another request's exception ended it", "the other connections go on")
        expect("the answer beside them", text, "first\nsecond\n", "the other connections go on")


def _breaks_off(client, target, what):
    try:
        response = client.get(target)
    except NoAnswer:
        return
    except Deadline:
        fail(f"no end of an answer whose application {what}", "a connection that ends before the body does")
    got = f"{response.line} and a body that looks whole, though the application {what}: {response.text!r}"
    that(response.status >= 500, got, "a connection that ends before the body does: no last chunk")


@check(task=5, rule='ASGI, "Overview": any application, any server')
def test_task5_starlette_fastapi_and_django_run_unchanged(front, service, rng):
    """Starlette, FastAPI and Django run unchanged behind nginx"""
    who = name(rng)
    sent = (who * rng.randrange(8_000, 12_000)).encode()
    for prefix in ("/starlette/", "/fastapi/", "/django/"):
        expect(f"GET {prefix}", front.get(f"{prefix}?name={quote(who)}").text, f"Hello, {who}!\n")
        response = front.request("POST", f"{prefix}upper", body=sent)
        same = response.body == sent.upper()
        that(
            same, f"{response.line}, {len(response.body)} bytes", f"{len(sent)} bytes: the body in upper case"
        )
        letters = front.get(f"{prefix}letters?name={quote(who)}")
        expect(f"GET {prefix}letters", letters.text, who, "an event for each letter")
        expect(f"GET {prefix}nothing", front.get(f"{prefix}nothing").status, 404)
    for site in ("starlette", "django"):
        client, book = service(site), f"left {rng.random()}"
        with client.connect(receive_buffer=65536) as connection:
            connection.send(request_bytes("GET", f"/endless?say={quote(book)}"))
            connection.read(1000)
            connection.reset()
        _released(client, book, site)


def _released(client, book, site):
    seen = []
    for _ in range(TRIES):
        seen = seen or answered(client.get(f"/notes?say={quote(book)}"))
    why = "its client left: the generator of the stream is ended, and lets go of what it holds"
    expect(f"what {site} noted", seen, ["released"], why)
