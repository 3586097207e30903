"""Checks of a WSGI server: what an application is told, and what becomes of what it answers.

`behaviours`, `patient` and `single` serve services/apps/wsgi_behaviours.py, which does what a request tells
it to do. What is waited for on one connection is in checks/raw_connections.py.
"""

from __future__ import annotations

import contextlib
import re
from urllib.parse import quote

from behaviours_client import (
    answered,
    behave,
    gate_line,
    must_fail,
    notes,
    notes_with,
    shown_request,
    told,
)
from broken_answers import exceptions_are_errors
from busy_threads import (
    answered_beside_idle_ones,
    asked_while_busy,
    ends_when_told,
    keep_their_own,
    leaving_holds_no_thread,
    meet,
    one_at_a_time,
)
from message_ends import (
    chunks_reach_flask,
    environ_is_new,
    framework_runs,
    framing_is_told,
    kept_over_http_1_0,
    length_is_the_applications,
    no_false_length,
    nothing_after_a_bad_chunk,
    rest_is_skipped,
)
from raw_connections import (
    body_left_unread,
    chunked_body_is_decoded,
    closing_ends_the_body,
    content_length_is_a_promise,
    continue_comes_first,
    continue_comes_late,
    end_in_stages,
    ends_when_nobody_asks_for_more,
    hop_by_hop_is_the_servers,
    malformed_is_refused,
    next_is,
    nothing_follows_other_heads,
    one_date,
    read_before_the_next,
    response_and_rest,
    silence_ends,
)

from workshop.judge.checks import (
    NoAnswer,
    check,
    expect,
    name,
    object_of,
    request_bytes,
    that,
    wire_cases,
)

START = 'PEP 3333, "The start_response() Callable"'
STREAMING = 'PEP 3333, "Buffering and Streaming"'
ERRORS = 'PEP 3333, "Error Handling"'
BYTES = 'PEP 3333, "A Note On String Types"'
THREADS = 4
IDLE = 12


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

    environ = told(client.get(f"/what%3F/%c3%a9/{quote(who)}%0A?a?b"))["environ"]
    expect(
        "PATH_INFO", environ.get("PATH_INFO"), f"/what?/\xc3\xa9/{who}\n", "split at the first ?, then decode"
    )
    expect("QUERY_STRING", environ.get("QUERY_STRING"), "a?b", "everything after the first ?")
    environ = told(client.get("/100%//%zz"))["environ"]
    expect(
        "PATH_INFO", environ.get("PATH_INFO"), "/100%//%zz", "a % without two hex digits is itself; // stays"
    )
    expect("QUERY_STRING", environ.get("QUERY_STRING", ""), "", "there was no ?")


@check(task=1, rule='PEP 3333, "environ Variables"; RFC 9110 §5.3')
def test_task1_fields_and_variables_have_their_names(service, rng):
    """Every field and variable is there, under its name"""
    client = service("behaviours")
    who, first, second = name(rng), f"a{rng.randrange(1000)}", f"b{rng.randrange(1000)}"
    request = (
        f"POST /fields HTTP/1.1\r\nHost: localhost\r\nX-Name:{who}\r\nx-tag:  {first}\t \r\n"
        f"X-City: \xe9  b\r\nX-Tag: {second}\r\nX_Tag: evil\r\nX-Tag: {first}\r\nX-Empty:\r\n"
        "Content-Type:text/plain; a=b\r\nContent_Type:evil\r\nAccept: text/a\r\nContent-Length:3\r\n"
        "Connection: close\r\naccept: text/b\r\n\r\nabc"
    )
    said = told(client.send(request.encode("latin-1"), "POST"))
    environ = said["environ"]
    expect("HTTP_HOST", environ.get("HTTP_HOST"), "localhost")
    expect("HTTP_X_NAME", environ.get("HTTP_X_NAME"), who, "no white space is needed after the colon")
    expect(
        "HTTP_X_CITY", environ.get("HTTP_X_CITY"), "\xe9  b", "a value's bytes, each as one latin-1 character"
    )
    expect("HTTP_X_EMPTY", environ.get("HTTP_X_EMPTY"), "", "an empty field is a field")
    tags = environ.get("HTTP_X_TAG", "")
    dropped = "without the field X_Tag: drop it, for X_Tag is not X-Tag, and its variable is the same"
    that("evil" not in tags, f"HTTP_X_TAG = {tags!r}", dropped, rule="RFC 3875 §4.1.18; lesson, task 1")
    three = f"'{first},{second},{first}'"
    joined = re.fullmatch(f"{first}, ?{second}, ?{first}", tags)
    that(joined, f"HTTP_X_TAG = {tags!r}", f"HTTP_X_TAG = {three}: repeated fields, all of them, in order")
    accepts = environ.get("HTTP_ACCEPT", "")
    joined = re.fullmatch("text/a, ?text/b", accepts)
    that(joined, f"HTTP_ACCEPT = {accepts!r}", "HTTP_ACCEPT = 'text/a,text/b': joined, as any repeated field")
    expect("CONTENT_TYPE", environ.get("CONTENT_TYPE"), "text/plain; a=b", "Content_Type is dropped, too")
    expect("CONTENT_LENGTH", environ.get("CONTENT_LENGTH"), "3")

    expect("SERVER_PROTOCOL", environ.get("SERVER_PROTOCOL"), "HTTP/1.1")
    old = told(client.send(b"GET /fields HTTP/1.0\r\nHost: localhost\r\n\r\n"))["environ"]
    expect("SERVER_PROTOCOL", old.get("SERVER_PROTOCOL"), "HTTP/1.0", "the version that the client speaks")
    expect("wsgi.url_scheme", environ.get("wsgi.url_scheme"), "http")
    others = said.get("others", {})
    for key, pattern, is_what, rule in (
        ("SERVER_NAME", ".+", "a name, as text, never empty", ""),
        ("SERVER_PORT", "[0-9]+", "a number, as text, never empty", ""),
        ("REMOTE_ADDR", "[0-9a-f.:]+", "the client's IP address, as text", "RFC 3875 §4.1.8"),
    ):
        shown = repr(environ[key]) if key in environ else others.get(key, "absent")
        right = re.fullmatch(pattern, environ.get(key, ""))
        that(right, f"{key} = {shown}", f"{key} = {is_what}", rule=rule)
    expect("wsgi.version", others.get("wsgi.version"), "(1, 0)", "the repr of a tuple")
    expect("wsgi.run_once", others.get("wsgi.run_once"), "False", "it is called again and again")
    expect("what wsgiref.validate says of the environ", said.get("complaint"), "", "it has no objection")
    framing_is_told(client)
    port, why = environ.get("SERVER_PORT"), "the server's port, and not the client's"
    expect("SERVER_PORT, on another connection", old.get("SERVER_PORT"), port, why, rule="RFC 3875 §4.1.15")
    environ_is_new(client, who)


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
        value = read_before_the_next(client, how, body, told_by)
        why = "the body's bytes; what follows on the connection is the next request"
        expect(f"what {told_by} gave", value.get("pieces"), pieces, why)
        expect(f"read(10) after {told_by}", value.get("then"), "", "the end of file, simulated")
    with client.connect(seconds=3) as connection:
        connection.send(request_bytes("GET", behave("read", how="all")))
        expect("read() without a body", answered(connection.response()).get("pieces"), [""], "no body: b''")
    shortest = answered(client.request("POST", behave("read", how="all"), body=b"A"))
    expect("read() of a body of one byte", shortest.get("pieces"), ["A"], "Content-Length is 1")
    chunked_body_is_decoded(client, body)


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
    expect("status", response.status, 200, "write(b'') writes nothing, and isn't an error")
    expect("body", response.text, texts[0])
    text = behave("write", text=texts, rest="", kind="text")
    must_fail(
        client, text, texts[0], "500, or no response: a body is made of bytes, and this is text", rule=BYTES
    )


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
    expect("X-First, of the first call", response.get("X-First"), None, why)
    expect("body", response.text, f"sorry, {who}\n")

    too_late = (
        "the head was sent by write: raise the exception of exc_info, the very same, in the application"
    )
    target = behave("start", how="too_late", name=who, say=f"{book} late")
    with contextlib.suppress(NoAnswer):
        that("went on" not in client.get(target).text, "a body with 'went on'", too_late, rule=ERRORS)
    seen, asked = notes(client, f"{book} late"), shown_request(target)
    expect("what start_response raised", seen, ["the same"], too_late, rule=ERRORS, sent=asked)

    twice = "an exception in the application (AssertionError, say): only exc_info allows a second call"
    target = behave("start", how="twice", name=who, say=f"{book} twice")
    must_fail(client, target, "went on", f"500, or no response, and {twice}")
    raised, asked = notes(client, f"{book} twice"), shown_request(target)
    silent = "a second call without exc_info that raised nothing"
    that(raised and raised != ["nothing"], silent, twice, sent=asked)
    never = "500, or no response: the application never called start_response"
    for how in ("never", "empty"):
        must_fail(client, behave("start", how=how), "200 OK", never)


# --- task 3 -------------------------------------------------------------------------------------------


@check(task=3, rule=STREAMING)
def test_task3_each_chunk_leaves_before_the_next_is_made(service, stack):
    """Each chunk leaves before the next one is made"""
    client = service("behaviours")
    for how in ("iterator", "write"):
        with client.connect(seconds=4) as connection:
            connection.send(request_bytes("GET", behave("gate", how=how, lines=3)))
            for index in range(3):
                pid, number = gate_line(connection, index, how)
                if index < 2:
                    reply = stack.ask("signal", service="behaviours", number=number, pid=pid)
                    found = f"process {pid}, which runs the application, found"
                    that("error" not in reply, f"{reply}", found)
            text = connection.response().text
        that(len(text.splitlines()) == 3, f"the body {text!r}", "three lines, as the application made them")


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
    response = client.get(behave("answer", chunk=chunks[:2], kind="list"))
    expect("body (a list of two chunks)", response.text, "".join(chunks[:2]), "both of them")
    response = client.get(behave("answer", kind="list"))
    expect("body (no chunk)", response.text, "")

    length_is_the_applications(client, chunks, body)
    asked = f"GET {behave('answer', chunk=chunks, header=['X-Tag:a', 'Content-Type:text/plain'])} HTTP/1.0"
    one_date(closing_ends_the_body(client, asked, body), "date_line() makes it")
    closing_ends_the_body(service("patient"), asked, body, "Connection: keep-alive\r\n")
    for header in ("Date", "date"):
        date = f"{header}:Sun, 06 Nov 1994 08:49:37 GMT"
        response = client.get(behave("answer", chunk=body, header=date))
        one_date(response, "the application's own, or the server's in its place")
    content_length_is_a_promise(client, chunks, body)


@check(task=3, rule="RFC 9110 §9.3.2, §15.3.5, §15.4.5")
def test_task3_some_answers_have_no_body(service, rng):
    """Responses to HEAD, 204 and 304 end after their headers"""
    client = service("behaviours")
    text = name(rng)
    length = f"Content-Length:{len(text)}"
    cases = [
        ("GET", "200 OK", [length, "X-Case:a"]),
        ("HEAD", "200 OK", [length, "X-Case:a"]),
        ("HEAD", "200 OK", ["X-Case:b"]),
        ("GET", "204 Nothing", ["X-Case:c"]),
        ("GET", "204 No Content", ["Content-Length:0", "X-Case:e"]),
        ("GET", "304 Not Modified", ["X-Case:d", 'ETag:"1"']),
    ]
    for method, status, headers in cases:
        target = behave("answer", status=status, header=headers, chunk=[text[:3], text[3:]])
        response, rest = response_and_rest(client, method, target)
        expect("status", response.status, int(status[:3]))
        case = next(header for header in headers if header.startswith("X-Case:"))[7:]
        expect("X-Case", response.get("X-Case"), case, "the application's headers are sent all the same")
        if method == "GET" and status == "200 OK":
            expect("body", response.text, text)
            continue
        expect(f"what follows the head ({method}, {status[:3]})", rest, b"", "no content, no chunk")
        if length in headers:
            expect("Content-Length for HEAD", response.get("Content-Length"), str(len(text)), "as for GET")
        elif "Content-Length:0" not in headers:
            no_false_length(response, f"{method}, {status[:3]}", text)
        if status.startswith("204"):
            coding = response.get("Transfer-Encoding")
            expect("Transfer-Encoding of a 204", coding, None, "there is nothing", rule="RFC 9112 §6.1")
    nothing_follows_other_heads(client, service("patient"), text)


@check(task=3, rule=ERRORS)
def test_task3_bad_headers_and_errors_become_500_or_an_end(service, stack, rng):
    """Errors become a 500 or a close; no header splits the response"""
    client = service("behaviours")
    who, evil = name(rng), f"X-Evil{rng.randrange(1000)}"
    two = ["Set-Cookie:a=1", "Set-Cookie:b=2", f"X-City:\xe9 {who}"]
    response = client.get(behave("answer", header=two, chunk=who))
    expect("Set-Cookie", response.all("Set-Cookie"), ["a=1", "b=2"], "two headers stay two")
    expect("X-City", response.get("X-City"), f"\xe9 {who}", "latin-1, as the application gave it")

    expected = "500 (or no response): a line break in a header or a status is refused"
    rule = "RFC 9110 §5.5; PEP 3333, start_response()"
    for split in ("X-A:b\r\n{}: y", "X-A:b\n{}: y", "X-A: b\r\n{}:y", "X-A: b\r{}:y", "X-A\r\n{}: y"):
        must_fail(client, behave("answer", chunk=who, header=split.format(evil)), evil, expected, rule)
    for end in ("\r\n", "\n", "\r"):
        target = behave("answer", chunk=who, status=f"200 OK{end}{evil}: yes")
        must_fail(client, target, evil, expected, rule)
    must_fail(client, behave("start", how="replace", name=f"b\r\n{evil}: y"), evil, expected, rule)
    hop_by_hop_is_the_servers(client, evil)
    exceptions_are_errors(client, stack, who)


@check(task=3, rule='PEP 3333, "Specification Details": close()')
def test_task3_close_is_always_called(service, rng):
    """close() is called once, also after an exception"""
    client = service("behaviours")
    chunks = [f"{name(rng)}\n", f"{name(rng)}\n"]
    endings = {
        "the last chunk": ("GET", {}),
        "an exception before the first chunk": ("GET", {"raise_at": 0}),
        "an exception in the middle": ("GET", {"raise_at": 1}),
        "HEAD": ("HEAD", {}),
        "a 304": ("GET", {"status": "304 Not Modified"}),
        "a body longer than its Content-Length": ("GET", {"header": "Content-Length:3"}),
    }
    for ending, (method, query) in endings.items():
        book = f"{ending} {rng.random()}"
        target = behave("answer", chunk=chunks, say=book, **query)
        try:
            client.request(method, target)
        except NoAnswer as error:
            cut_short = "exception" in ending or "longer" in ending
            that(cut_short, f"{error.got} ({ending})", "a response")
        count = notes_with(client, book, "closed").count("closed")
        asked = shown_request(target, method)
        expect(f"calls of close() after {ending}", count, 1, "once, whatever happened", sent=asked)
    book = f"gone {rng.random()}"
    target = behave("endless", say=book)
    with client.connect(receive_buffer=4096) as connection:
        connection.send(request_bytes("GET", target))
        connection.read(100)
        connection.reset()
    seen, asked = notes_with(client, book, "closed"), shown_request(target)
    expect("calls of close() after the client left", seen, ["closed"], "once", sent=asked)


# --- task 4 -------------------------------------------------------------------------------------------


@check(task=4, rule="RFC 9112 §9.3")
def test_task4_connections_are_kept(service, stack, rng):
    """Connections are kept; pipelined requests stay in order"""
    client = service("patient")
    names = [f"{name(rng)} {index}" for index in range(4)]
    with client.connect(seconds=5) as connection:
        said = []
        for who in names[:2]:
            connection.send(request_bytes("GET", behave("ignore", name=who)))
            response = next_is(connection, who, "the next request on the same connection")
            said.append((response.get("Connection") or "").lower())
        got = "Connection: close in the first response, and a second one on the same connection"
        that("close" not in said[0], got, "'close' in the last response alone", rule="RFC 9112 §9.6")
        connection.send(request_bytes("GET", behave("answer", chunk=names)))
        response = connection.response()
        expect("body", response.text, "".join(names))
        if (response.get("Connection") or "").lower() != "close":
            connection.send(request_bytes("GET", behave("ignore", name=names[2])))
            next_is(connection, names[2], "the client must see where a body without Content-Length ends")
    with client.connect(seconds=5) as connection:
        targets = [behave("ignore", name=who) for who in names]
        connection.send(b"".join(request_bytes("GET", target) for target in targets))
        for who in names:
            next_is(connection, who, "responses to pipelined requests come in order", rule="RFC 9112 §9.3.2")
    asked_while_busy(client, stack, names[3])
    kept_over_http_1_0(client, names[1])
    ends_when_nobody_asks_for_more(client, names[0])
    body_left_unread(client, [name(rng), f"{name(rng)} 2"])
    nothing_after_a_bad_chunk(service("behaviours"), name(rng))
    end_in_stages(client, name(rng))
    rest_is_skipped(client, name(rng))  # last: an exception may be printed late


@check(task=4, rule='RFC 9110 §10.1.1; PEP 3333, "HTTP 1.1 Expect/Continue"')
def test_task4_expect_is_answered_before_the_body(service, rng):
    """100 Continue comes before the body is sent"""
    client = service("behaviours")
    body = name(rng)
    fields = [("Expect", "100-continue"), ("Content-Length", str(len(body)))]
    response = continue_comes_first(client, behave("read", how="all"), fields, body.encode())
    expect("informational responses", response.interim, [100], "one 100, then the final response")
    expect("the body that the application read", answered(response).get("pieces"), [body])

    response = client.request("POST", behave("read", how="all"), body=body.encode())
    expect("informational responses without Expect", response.interim, [], "the client expects none")
    raw = request_bytes("POST", behave("read", how="all"), fields, body.encode())
    response = client.send(raw.replace(b"HTTP/1.1", b"HTTP/1.0"), "POST")
    expect("informational responses to HTTP/1.0", response.interim, [], "HTTP/1.0 has none")
    rest = continue_comes_late(client, behave("ignore", name=body), fields, body.encode())
    late = b"100 Continue" in rest
    that(not late, "100 Continue after the final response", "100 before it, or never")


@check(task=4, rule="RFC 9112 §2.2, §3, §5, §6.3, §9.5; RFC 6585 §5")
def test_task4_limits_and_silence(service, stack, rng):
    """Malformed, endless and idle requests end in a closed connection"""
    client = service("behaviours")
    who = name(rng)
    with silence_ends(stack, client, service("patient"), who):
        malformed_is_refused(client, wire_cases(__file__, "bad-*.http"), who)
    expect(
        "the response to the next client", answered(client.get(behave("ignore", name=who))), {"ignored": who}
    )


# --- task 5 -------------------------------------------------------------------------------------------


@check(task=5, rule='PEP 3333, "Thread Support"')
def test_task5_threads_run_side_by_side_and_idle_clients_hold_none(service, stack, rng):
    """Threads run side by side, and idle clients hold none"""
    client = service("patient")
    others = told(client.get("/"))["others"]
    why = "PEP 3333 requires it: other threads call the application, too"
    expect("wsgi.multithread", others.get("wsgi.multithread"), "True", why)
    expect("wsgi.multiprocess", others.get("wsgi.multiprocess"), "False", "no other process calls it")
    with contextlib.ExitStack() as open_ones:
        idle = [open_ones.enter_context(client.connect(seconds=8)) for _ in range(IDLE)]
        for index, connection in enumerate(idle):
            answered_beside_idle_ones(connection, index, THREADS)
        meet(client, THREADS, name(rng))
        keep_their_own(client, THREADS, f"{name(rng)} early")
        for index, connection in enumerate(idle):
            # RFC 9112 §9.5: a server may close an idle connection when it wants to.
            with contextlib.suppress(NoAnswer):
                connection.send(request_bytes("GET", behave("ignore", name=index)))
                expect("the response", connection.response().json(), {"ignored": str(index)})
    one_at_a_time(service("single"), stack, name(rng))
    leaving_holds_no_thread(service("single"), name(rng))
    ends_when_told(service("single"), stack, name(rng))


@check(task=5, rule='PEP 3333, "Rationale and Goals"')
def test_task5_tasks_flask_and_django_run_unchanged(front, service, rng):
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
        framework_runs(front, prefix, who, (who * rng.randrange(1, 2000)).encode())
    chunks_reach_flask(service("flask"), who)
