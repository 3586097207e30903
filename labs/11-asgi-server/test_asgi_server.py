"""Checks of an ASGI server: what an application is told, and what becomes of what it sends.

`behaviours` and `patient` serve apps/asgi_behaviours.py, which does what a request tells it to do.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
from urllib.parse import quote

from answer_framing import (
    IGNORED,
    breaks_off,
    ends,
    ends_within,
    head_has_no_content,
    head_leaves_with_an_empty_piece,
    is_framed,
    no_line_break_goes_out,
    nothing_follows,
    old_client,
    raises_after_the_end,
    raises_for_what_can_not_be_sent,
    raises_out_of_order,
    whole_body,
    with_other_headers,
    with_other_statuses,
)
from behaviours_client import (
    answered,
    ask,
    behave,
    comes,
    ignored,
    is_address,
    mark_at_rest,
    prints,
    prints_once,
    read_in_two_pieces,
    released,
    scope_for,
    scope_of,
    sent_on,
    told,
)
from idle_connections import (
    answered_or_closed,
    continued,
    no_continue_within_a_response,
    only_idle_ones_end,
)
from leaving_clients import (
    in_the_middle_of_an_answer,
    in_the_middle_of_an_upload,
    not_after_the_answer,
    stays_meanwhile,
    while_send_waits,
)
from paused_transfers import BOUND, FLOOD, HELD, MIB, goes_beyond, push_all, push_until_full, read_on, taken
from refused_requests import all_refused, broken_bodies, is_told, two_framings
from request_pipelines import (
    PIPELINED,
    ends_as_said,
    ends_no_connection,
    flood,
    fresh_contexts,
    kept_as_said,
    nothing_after_the_last,
    slow_first,
    unread_body,
    unread_upload,
)

from workshop.judge.checks import (
    Deadline,
    NoAnswer,
    check,
    expect,
    fail,
    name,
    request_bytes,
    that,
    wire_cases,
)
from workshop.judge.concurrent_checks import SideBySide
from workshop.judge.started_services import Services, front

SCOPE = 'ASGI, HTTP & WebSocket, "HTTP Connection Scope"'
REQUEST = 'ASGI, HTTP & WebSocket, "Request" and "Disconnect"'
RESPONSE = 'ASGI, HTTP & WebSocket, "Response Start" and "Response Body"'
KEPT = "RFC 9112 §9.3"
RULE_8 = "this lab's rule 8"
CROWD = 16
IDLE = 30

together = SideBySide(service=Services, front=front)


# --- task 1 -------------------------------------------------------------------------------------------


@check(task=1, rule=SCOPE)
def test_task1_path_is_decoded_and_raw_path_is_not(service, stack, rng):
    """path is decoded text; raw_path and query_string are bytes as sent"""
    client = service("behaviours")
    who = name(rng)
    query = f"name={quote(who)}&caf%C3%A9=a%2Bb+c&x"
    raw = f"/caf%C3%A9/{quote(who)}/a%2Bb+c"
    scope = scope_for(stack, client, f"{raw}?{query}")
    expect("method", scope.get("method"), "GET")
    why = "percent-decoded, and then from UTF-8: text, unlike WSGI's latin-1"
    expect("path", scope.get("path"), f"/café/{who}/a+b+c", why)
    expect("raw_path", scope.get("raw_path"), raw.encode(), "the bytes as they came, without the query")
    expect("query_string", scope.get("query_string"), query.encode(), "bytes, as they came")

    scope = scope_for(stack, client, f"/what%3F/{quote(who)}%2F?a?b")
    expect("path", scope.get("path"), f"/what?/{who}/", "split at the first ?, then decode")
    expect("query_string", scope.get("query_string"), b"a?b", "everything after the first ?")
    scope = scope_for(stack, client, f"//{quote(who)};x/%2541?a")
    expect("path", scope.get("path"), f"//{who};x/%41", "decoded once; // and ; are part of a path")
    scope = scope_for(stack, client, "/100%/%zz")
    expect("path", scope.get("path"), "/100%/%zz", "a % without two hex digits is itself")
    expect("query_string", scope.get("query_string"), b"", "there was no ?, and it is bytes anyway")
    path = scope_of(stack, client, request_bytes("GET", "/%ff"), may_refuse=True).get("path", "")
    that(isinstance(path, str), f"path = {path!r}", "text (U+FFFD for bytes that aren't valid UTF-8), or 400")


@check(task=1, rule=SCOPE)
def test_task1_scope_is_what_the_specification_says(service, stack, rng):
    """Headers, addresses, versions are as the specification has them"""
    client = service("behaviours")
    who, first, second = name(rng), f"a{rng.randrange(1000)}", f"b{rng.randrange(1000)}"
    request = (
        f"POST /fields HTTP/1.1\r\nHost: localhost\r\nX-Name:{who}\r\nx-tag:  {first}\r\nX-City: \xe9  b\r\n"
        f"X-Tag: {second}\r\nX-Empty:\r\nX-Tag: {first}\r\nContent-Length:3\r\nConnection: close\r\n\r\nabc"
    )
    scope = scope_of(stack, client, request.encode("latin-1"))
    expect("type", scope.get("type"), "http")
    expect("method", scope.get("method"), "POST")
    expect("http_version", scope.get("http_version"), "1.1")
    expect("scheme", scope.get("scheme", "http"), "http")
    expect("root_path", scope.get("root_path", ""), "", "the application is at the root")
    version = scope.get("asgi", {}).get("version") if isinstance(scope.get("asgi"), dict) else None
    expect("asgi version", version, "3.0")
    headers = scope.get("headers")
    that(isinstance(headers, list), f"headers = {headers!r}", "a list of [name, value], both bytes")
    values = (who.encode(), first.encode(), b"\xe9  b", second.encode(), b"", first.encode())
    right = list(zip((b"x-name", b"x-tag", b"x-city", b"x-tag", b"x-empty", b"x-tag"), values, strict=True))
    wanted = [one for one, _ in right]
    shown = [tuple(pair) for pair in headers if pair[0].lower() in (*wanted, *(n.decode() for n in wanted))]
    expect("headers", shown, right, "bytes, names in lower case, in order of arrival, repeats kept")
    named = [pair[0] for pair in headers]
    every = b"host" in named and b"content-length" in named
    that(every, f"the names {named!r}", "every field, Host among them")
    theirs, ours = scope.get("client"), scope.get("server")
    good = theirs is None or is_address(theirs)
    that(good, f"client = {theirs!r}", "(address as text, port as a number), the client's end; or None")
    good = ours is None or is_address(ours, client.address.port) or (is_address(ours) and ours != theirs)
    that(good, f"server = {ours!r}", "(host as text, port as a number), your own end; or None")
    other = scope_for(stack, client, "/fields")
    expect("server of another connection", other.get("server"), ours, "your own end, which stays")
    that(not other.get("used"), "a scope that the last call had written into", "a new dict for each request")
    old = scope_of(stack, client, b"GET /old HTTP/1.0\r\nHost: localhost\r\n\r\n")
    expect("http_version", old.get("http_version"), "1.0", "the client's, without HTTP/")


# --- task 2 -------------------------------------------------------------------------------------------


@check(task=2, rule=REQUEST)
@together.on("behaviours")
def test_task2_body_comes_through_receive(service, rng):
    """receive gives the body, and then says that it was all"""
    client = service("behaviours")
    parts = [name(rng) * rng.randrange(1, 5) for _ in range(3)]
    whole = "".join(parts)
    chunks = "".join(f"{len(part):X};x=y\r\n{part}\r\n" for part in parts) + "0\r\nX-Sum: 1\r\n\r\n"
    length = [("Content-Length", str(len(whole)))]
    chunked = [("Transfer-Encoding", "chunked")]
    for framing, fields, sent in (("Content-Length", length, whole), ("chunked", chunked, chunks)):
        book, data = f"read {rng.random()}", sent.encode()
        cut = rng.randrange(12, len(data) - 3)
        never = f"receive never said more_body False ({framing})", f"the end after {len(whole)} bytes"
        value, shown = read_in_two_pieces(client, book, fields, (data[:cut], data[cut:]), never)
        whole_body(value, whole, framing, shown)
    with client.connect(seconds=4) as connection:
        ask(connection, "read")
        value = told(connection.response())
    why = "a request without a body has one event: an empty body, more_body False"
    expect("events of a GET", value.get("events"), [["http.request", 0, False]], why)


@check(task=2, rule=RESPONSE)
@together.on("behaviours")
def test_task2_events_out_of_order_raise(service, rng):
    """An event out of order raises in the application, and says why"""
    client = service("behaviours")
    raises_out_of_order(client, rng)
    raises_for_what_can_not_be_sent(client, rng)
    raises_after_the_end(client, rng)


@check(task=2, rule="RFC 9112 §6.3, §7.1; RFC 9110 §9.3.2, §15.3.5, §15.4.5")
@together.on("patient")
def test_task2_client_can_tell_where_the_body_ends(service, rng):
    """The client can tell where the body ends"""
    client = service("patient")
    chunks = [f"{name(rng)}\n" * rng.randrange(1, 4) for _ in range(3)]
    body = "".join(chunks)
    length = f"Content-Length:{len(body)}"
    cases = [
        ("GET", {"chunk": [chunks[0], "", *chunks[1:]]}, body, "an empty body event does not end it"),
        ("GET", {"chunk": chunks, "header": ["x-tag:a", length, "x-tag:b"]}, body, "the length is given"),
        ("GET", {"chunk": chunks, "header": ["Transfer-Encoding:chunked", "x-tag:a"]}, body, IGNORED),
        *with_other_headers(body, chunks),
        *with_other_statuses(chunks, length),
        ("GET", {}, "", "one empty event: an empty body"),
        ("HEAD", {"chunk": chunks}, "", "RFC 9110 §9.3.2: a HEAD's answer has no content"),
        ("HEAD", {"chunk": body, "whole": "yes"}, "", "RFC 9110 §9.3.2: a HEAD's answer has no content"),
        ("GET", {"chunk": [""], "status": 204}, "", "RFC 9110 §15.3.5: 204 has no content"),
        ("GET", {"chunk": [""], "status": 304}, "", "RFC 9110 §15.4.5: 304 has no content"),
    ]
    with contextlib.ExitStack() as opened:
        asked = [(opened.enter_context(client.connect(seconds=6)), *case) for case in cases]
        for connection, method, query, expected, why in asked:
            ask(connection, "answer", method, **query)
            is_framed(connection, method, query, expected, why)
        after = "the answer to a {} with status {}"
        nothing_follows(
            client,
            [(one, after.format(what, query.get("status", 200)), why) for one, what, query, _, why in asked],
        )
    for wrong, much in ((len(body) + 5, "shorter"), (len(body) - 5, "longer"), (len(body) - 1, "longer")):
        target = behave("answer", chunk=chunks, header=f"Content-Length:{wrong}")
        with client.connect(seconds=4) as connection:
            connection.send(request_bytes("GET", target))
            ends_within(connection, wrong, much)
    client.rests(1)  # what the application's exceptions print now is of these
    old_client(client, chunks)
    no_line_break_goes_out(client)


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=RESPONSE)
@together.on("behaviours")
def test_task3_each_piece_leaves_when_it_is_sent(service, rng):
    """A piece of the body leaves when it is sent, not at the end"""
    client = service("behaviours")
    place = f"gate {rng.random()}"
    with client.connect(seconds=5) as connection:
        ask(connection, "lines", "GET", [("Connection", "close")], place=place)
        try:
            comes(connection, b"first\n", "the first line, at once")
        except Deadline:
            got = "nothing of the first line, while the application waits for this client to open the gate"
            fail(got, "each body event on its way before the application goes on")
        client.get(behave("open", place=place))
        text = connection.response().text
        why = "the second line is made when the first has arrived"
        expect("body", text, "first\nsecond\n", why, sent=sent_on(connection))
    head_leaves_with_an_empty_piece(client, rng)


@check(task=3, rule=f"{RESPONSE}: send waits while the client does not read")
@together.on("behaviours")
def test_task3_send_waits_for_a_slow_reader(service, rng):
    """A response of 200 MiB waits for a client that stops reading"""
    client = service("behaviours")
    book = f"flood {rng.random()}"
    with client.connect(receive_buffer=65536) as connection:
        ask(connection, "flood", say=book, pieces=FLOOD)
        sent = f"{sent_on(connection)}, and then nothing of the answer is read"
        while b"\r\n\r\n" not in connection.received:
            that(connection.read(1000), "the end of the connection", "the beginning of a response")
        stuck = taken(client, book)
        got = f"{stuck} MiB taken from the application, while its client had read a few bytes"
        less = f"less than {BOUND} MiB: send does not return while too much is waiting"
        that(stuck <= BOUND, got, less, sent=sent)
        read = read_on(connection, 2 * BOUND * MIB // 3)
        goes_on = f"the application stayed at {stuck} MiB, although the client read {read // MIB} MiB more"
        that(goes_beyond(client, book, stuck), goes_on, "send goes on when the client does", sent=sent)
        connection.reset()
    with client.connect(receive_buffer=65536) as connection:
        ask(connection, "flood", "GET", [("Connection", "close")], say=f"small {rng.random()}", pieces=3)
        response = connection.response()
    expect("bytes of body", len(response.body), 3 * MIB, "all of it, however slowly it was read")


@check(task=3, rule=f"{REQUEST}: a server need not read what the application does not take")
@together.on("behaviours")
def test_task3_upload_waits_for_the_application(service, rng):
    """An upload waits for an application that does not read"""
    client = service("behaviours")
    place, piece = f"hold {rng.random()}", rng.randbytes(65536)
    with client.connect(seconds=18) as connection:
        connection.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        fields = [("Content-Length", str(HELD * MIB)), ("Connection", "close")]
        ask(connection, "hold", "POST", fields, place=place)
        shown = sent_on(connection)
        sent = push_until_full(client, connection, piece, "the body")
        got = f"{sent // MIB} MiB of body taken from the client, while the application had read nothing"
        less = f"less than {BOUND} MiB: the server stops reading when the application does not"
        that(sent < BOUND * MIB, got, less, sent=shown)
        answered(client.get(behave("open", place=place)))
        data = piece * (HELD * MIB // len(piece))
        push_all(connection, data[sent:], shown)
        value = told(connection.response("POST"))
    expect("opened", value.get("opened"), True, "the application waits for the second request", sent=shown)
    expect("bytes that the application read", value.get("bytes"), HELD * MIB, "every byte", sent=shown)
    digest = hashlib.sha256(data).hexdigest()
    expect("their SHA-256", value.get("sha256"), digest, "in order, and nothing twice", sent=shown)


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule=KEPT)
@together.on("patient")
def test_task4_connections_are_kept(service, rng):
    """Connections are kept; pipelined requests stay in order"""
    client = service("patient")
    names = [f"{name(rng)} {index}" for index in range(4)]
    with client.connect(seconds=5) as connection:
        for who in names[:2]:
            ask(connection, "ignore", name=who)
            kept_as_said(connection, who)
        for method, status, body in (("GET", 200, "".join(names)), ("HEAD", 200, ""), ("GET", 204, "")):
            ask(connection, "answer", method, status=status, chunk=names if status == 200 else [])
            expect("body", connection.response(method).text, body)
            ask(connection, "ignore", name=names[2])
            ignored(connection, names[2], "the next response begins behind the end of this one")
        ends_no_connection(connection, names[3])
    with client.connect(seconds=5) as connection:
        targets = [behave("ignore", name=who) for who in names]
        connection.send(b"".join(request_bytes("GET", target) for target in targets))
        for who in names:
            ignored(connection, who, "pipelined requests are answered in order", rule=PIPELINED)
        ask(connection, "ignore", "GET", [("Connection", "Close")], name=names[0])
        ignored(connection, names[0], "the last request")
        ends(connection, "a connection that stayed open after the client's Connection: close")
    nothing_after_the_last(client, names[0])
    ends_as_said(client, names)
    unread_body(client, rng)
    unread_upload(client, rng)
    slow_first(client, rng)
    flood(client, rng)
    fresh_contexts(client, rng)


@check(task=4, rule="RFC 9110 §10.1.1")
@together.on("behaviours")
def test_task4_expect_is_answered_when_the_body_is_wanted(service, rng):
    """The server sends 100 Continue when the application asks for the body"""
    client = service("behaviours")
    body = name(rng)
    data = body.encode()
    fields = [("Expect", "100-continue"), ("Content-Length", str(len(data)))]
    chunks = b"%x\r\n%b\r\n" % (len(data), data), b"0\r\n\r\n"
    continued(client, rng, body, fields, (data[:1], data[1:]))
    continued(client, rng, "A", [fields[0], ("Content-Length", "1")], (b"A", b""))
    continued(client, rng, body, [fields[0], ("Transfer-Encoding", "chunked")], chunks)
    response = client.request("POST", behave("read"), body=body.encode())
    expect("informational responses without Expect", response.interim, [], "the client waits for none")
    with client.connect(seconds=4) as connection:
        ask(connection, "ignore", "POST", fields, name=body)
        why = "the application never asks for the body: it responds anyway"
        interim = ignored(connection, body, why).interim
        expect(
            "informational responses",
            interim,
            [],
            "the application did not ask for the body",
            rule="this lab's rule 7",
        )
    no_continue_within_a_response(client, rng)


@check(task=4, rule=REQUEST)
@together.on("leaves", apart="behaviours")
def test_task4_client_that_leaves_is_a_disconnect(service, stack, rng):
    """receive returns http.disconnect when the client has left"""
    client = service("behaviours")
    with stays_meanwhile(client, stack, rng):
        in_the_middle_of_an_answer(client, stack, rng)
        in_the_middle_of_an_upload(client, rng)
        not_after_the_answer(client, rng)
        while_send_waits(client, rng)


@check(task=4, rule="RFC 9112 §3, §5.1, §6.3, §9.5")
@together.on("idle", apart="idle,fastapi,patient")
def test_task4_malformed_and_idle_clients_are_let_go(service, stack, rng):
    """The server refuses malformed requests and closes idle connections"""
    client = service("idle")
    who = name(rng)
    with only_idle_ones_end(stack, service, rng, who):
        all_refused(stack, client, wire_cases(__file__, "bad-*.http"))
        two_framings(client, wire_cases(__file__, "both-framings.http"))
        broken_bodies(client, wire_cases(__file__, "broken-chunk.http"))
        is_told(client, rng)
    expect("the next client's answer", answered(client.get(behave("ignore", name=who))), {"ignored": who})


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule='ASGI, "Applications": one call for each connection, at the same time')
@together.on("patient")
def test_task5_requests_run_side_by_side(service, rng):
    """Requests run concurrently, beside idle connections"""
    client, place = service("patient"), name(rng)
    with contextlib.ExitStack() as open_ones:
        idle = [open_ones.enter_context(client.connect(seconds=12)) for _ in range(IDLE)]
        for index, connection in enumerate(idle):
            ask(connection, "ignore", name=index)
            ignored(connection, str(index), f"{index} other connections are idle")
        busy = [open_ones.enter_context(client.connect(seconds=12)) for _ in range(CROWD)]
        for connection in busy:
            connection.send(request_bytes("GET", behave("meet", of=CROWD, place=place)))
        for connection in busy:
            response = connection.response()
            got = f"{response.line}: a request waited in the application for {CROWD - 1} others, in vain"
            that(response.status == 200, got, f"{CROWD} requests in the application at the same time")
            expect("the answer", response.json(), {"met": True, "place": place})
        answered_or_closed(idle)


@check(task=5, rule='ASGI, "Applications" and "Error Handling"; RFC 9112 §8')
@together.on("patient")
def test_task5_exception_harms_none_but_its_own(service, stack, rng):
    """An application that raises ends only its own request"""
    client = service("patient")
    mark = mark_at_rest(stack, client)
    who, place = name(rng), f"beside {rng.random()}"
    with client.connect(seconds=8) as beside:
        ask(beside, "lines", place=place)
        comes(beside, b"first\n", "the first line")
        response = client.get(behave("answer", chunk=[who, who]))
        expect("body without an exception", response.text, who + who)
        response = client.get(behave("answer", chunk=[who, who], raise_at=-1))
        expect("status after an exception before the start", response.status, 500)
        that(who not in response.text, f"the body {response.text!r}", "the server's own words")
        right = "the application's traceback there: nothing else shows what went wrong"
        said = prints_once(stack, client, mark, "RuntimeError: this application raises at once")
        that(said, "500, and no traceback on standard error", right, rule=RULE_8)
        head_has_no_content(client)
        for header in ([], [f"Content-Length:{2 * len(who.encode())}"]):
            breaks_off(client, behave("answer", chunk=[who, who], header=header, raise_at=1), "raised")
        breaks_off(client, behave("answer", chunk=[who], end="no"), "returned without its last event")
        breaks_off(client, behave("order", how="nothing", say=who), "returned without an answer")
        breaks_off(client, behave("order", how="cancelled", say=who), "raised asyncio.CancelledError")
        said = prints(stack, client, mark, "this application raises here")
        that(said, "a response that breaks off, and no traceback on standard error", right, rule=RULE_8)
        at_last = client.get(behave("answer", chunk=[who], raise_at=1))
        expect("body before an exception", at_last.text, who, "it was whole before the application raised")
        said = prints(stack, client, mark, "this application raises at last")
        that(
            said, "a whole response, and no traceback of what the application raised then", right, rule=RULE_8
        )
        client.get(behave("open", place=place))
        try:
            text = beside.response().text
        except NoAnswer as error:
            got = f"{error.got}: another request's exception ended it"
            fail(got, "the other connections go on", sent=sent_on(beside))
        why = "the other connections go on"
        expect("the answer beside them", text, "first\nsecond\n", why, sent=sent_on(beside))


@check(task=5, rule='ASGI, "Overview": any application, any server')
@together.on("frameworks")
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
        released(client, book, site)
