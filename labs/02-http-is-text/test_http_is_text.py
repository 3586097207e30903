"""The checks of lab 2: the parser is asked by the probe, with no socket in between; the loop by raw bytes."""

from built_responses import DATED, bad_fields, is_date, list_is_the_callers, response_of
from fetched_answers import (
    expect_request,
    expect_status_line,
    fetched,
    framings,
    half_answers,
    refuse_url,
    say,
    url_of,
)
from kept_connections import (
    CONNECTIONS,
    ends,
    expect_answer,
    faulty,
    last_responses_arrive,
    left,
    meanwhile,
    pipeline,
    two_requests,
)
from parsed_requests import (
    CRLF,
    PARSE,
    expect_field,
    numbered,
    one_of,
    pairs,
    parse,
    refuse_all,
    refused,
    request_of,
    statuses_of,
)
from request_streams import (
    BROKEN_CHUNKS,
    chunk,
    cut,
    expect_requests,
    inside_line_ends,
    refuse_stream,
    shown_pieces,
    stream,
)

from workshop.judge.checks import (
    check,
    expect,
    fail,
    made,
    name,
    request_bytes,
    show_bytes,
    that,
    wire_cases,
)

MAX_TARGET, MAX_FIELDS, MAX_BODY = 8_000, 100, 1_048_576


# --- task 1 ------------------------------------------------------------------------------------------


@check(task=1, rule="RFC 9112 §3, §5; RFC 9110 §5.3")
def test_task1_request_line_and_fields(probe, rng):
    """A request line is three words; fields keep their order"""
    target = f"/t%C3%A4sks/{rng.randrange(100, 999)}?owner={rng.choice('abc')}%20b&x=1?2"
    who = name(rng)
    lines = [
        (b"Host: localhost:8000", ("host", "localhost:8000")),
        (b"X-Note:%b" % who.encode(), ("x-note", who)),
        (b"Accept: text/html; q=0.9,\t*/*", ("accept", "text/html; q=0.9,\t*/*")),
        (b"x-note: \t second: with a colon \t", ("x-note", "second: with a colon")),
        (b"X-Name: Zo\xe9", ("x-name", "Zo\xe9")),
        (b"X-Word: voil\xc3\xa0", ("x-word", "voil\xc3\xa0")),
        (b"X-Note:", ("x-note", "")),
    ]
    rng.shuffle(lines)
    verb = rng.choice(["GET", "DELETE", "PATCH"])
    head = f"{verb} {target} HTTP/1.1".encode()
    request = parse(probe, CRLF.join([head, *(line for line, _ in lines)]) + CRLF + CRLF)
    expect("method", request.method, verb)
    expect("target", request.target, target, "as it was sent: decoding is the application's task")
    expect("version", request.version, "HTTP/1.1")
    expect(
        "fields",
        pairs("fields", request.fields),
        [pair for _, pair in lines],
        "in order, repeats kept; the spaces and tabs around a value are not part of it, other bytes are",
    )
    expect("body", request.body, b"")


@check(task=1, rule="RFC 9112 §6.2, §6.3; RFC 9110 §8.6")
def test_task1_body_is_what_content_length_counts(probe, rng):
    """The body is what Content-Length counts, whatever the bytes"""
    for length, body in (
        ("Content-Length", f"title={name(rng)} \u00e9t\u00e9".encode()),
        ("content-length", b"first part\r\n\r\nGET /tasks/7 HTTP/1.1\r\nHost: b\r\n\r\n"),
        ("CONTENT-LENGTH", rng.randbytes(40) + b"\r\n\x00\xff"),
        ("Content-length", b""),
    ):
        data = request_bytes("PUT", "/tasks/42", [(length, str(len(body))), ("X-After", "Ada")], body)
        request = parse(probe, data)
        expect(
            "body",
            request.body,
            body,
            f"the {len(body)} bytes after the first empty line",
            sent=show_bytes(data),
        )
        expect("X-After", one_of(pairs("fields", request.fields), "X-After"), ["Ada"], sent=show_bytes(data))


# --- task 2 ------------------------------------------------------------------------------------------


@check(task=2, rule="RFC 9112 §2.2, §3, §5")
def test_task2_malformed_text_is_refused(probe, rng):
    """Malformed text gets a 400, and unusual text does not"""
    refuse_all(probe, rng, wire_cases(__file__, "text-*.http"))
    refused(probe, b"", "no bytes at all", [400], "RFC 9112 §8")
    for case in wire_cases(__file__, "good-*.http"):
        data, notes = numbered(case.data, rng), case.notes
        seen = probe.steps(made(PARSE, data))
        if seen.raised:
            said = f"{seen.raised['type']}: {seen.raised['message']}"[:300]
            fail(f"{notes['what']}: it raised {said}", "a Request", rule=notes["rule"], sent=show_bytes(data))
        request = request_of(seen.values[-1])
        verb, target = data.decode("latin-1").split(" ")[:2]
        expect("method", request.method, verb, notes["what"], rule=notes["rule"])
        if request.target != target.removeprefix(notes.get("may lose", target)):
            expect("target", request.target, target, notes["what"], rule=notes["rule"])
        expect("body", request.body, notes.get("body", "").encode(), notes["what"], rule=notes["rule"])
        if "then" in notes:
            expect_field(request, notes["then"], case)


@check(task=2, rule="RFC 9112 §6.1, §6.3")
def test_task2_a_length_that_lies_is_refused(probe, rng):
    """A body whose length can't be known is refused"""
    refuse_all(probe, rng, wire_cases(__file__, "length-*.http"))
    body = name(rng).encode()
    expect(
        "body", parse(probe, request_bytes("POST", "/", (), body)).body, body, "a length that tells the truth"
    )


@check(task=2, rule="RFC 9110 §15.5.14, §15.5.15, §15.6.6; RFC 6585 §5")
def test_task2_limits_have_a_status_each(probe, rng):
    """Too much is 413, 414 or 431; another version is 505"""
    rule = "RFC 9110 §15.5.15"
    fits = f"/{rng.randrange(10**6)}".ljust(MAX_TARGET, "a")
    refused(probe, request_bytes("GET", fits + "a"), f"a target of {MAX_TARGET + 1:,} bytes", [414], rule)
    expect(
        "target",
        parse(probe, request_bytes("GET", fits), f"a target of {MAX_TARGET:,} bytes").target,
        fits,
        "up to 8,000 bytes",
        rule=rule,
    )

    rule = "RFC 6585 §5"
    many = [(f"X-{number}", "Ada") for number in range(MAX_FIELDS)]  # and Host
    refused(probe, request_bytes("GET", "/", many), f"{MAX_FIELDS + 1} fields", [431], rule)
    fields = pairs("fields", parse(probe, request_bytes("GET", "/", many[1:]), f"{MAX_FIELDS} fields").fields)
    expect("how many fields of 100 arrived", len(fields), MAX_FIELDS, "up to MAX_FIELDS", rule=rule)
    large = [(f"X-{number}", "a" * 8_000) for number in range(4)]
    four = parse(probe, request_bytes("GET", "/", large), "fields of 32,000 bytes").fields
    expect("fields of 32,000 bytes", len(four), 5, rule=rule)
    large[0] = ("X-0", "a" * 9_000)
    refused(probe, request_bytes("GET", "/", large), "fields of more than 33,000 bytes", [431], rule)

    rule = "RFC 9110 §15.5.14"
    head = request_bytes("POST", "/", [("Content-Length", str(MAX_BODY + 1))])
    refused(probe, head, f"a Content-Length of {MAX_BODY + 1:,}, one above MAX_BODY", [413], rule)
    body = rng.randbytes(1_024) * 1_024
    request = parse(probe, request_bytes("POST", "/", (), body), f"a body of {MAX_BODY:,} bytes")
    expect("the body arrived", request.body == body, True, f"{MAX_BODY:,} bytes fit", rule=rule)

    for version in ("HTTP/2.0", "HTTP/3.0", "HTTP/0.9"):
        data = f"GET / {version}\r\nHost: localhost\r\n\r\n".encode()
        refused(probe, data, f"the version {version}", [505], "RFC 9110 §15.6.6")


# --- task 3 ------------------------------------------------------------------------------------------


@check(task=3, rule="RFC 9112 §4, §6.2; RFC 9110 §6.6.1, §8.6, §15")
def test_task3_response_is_framed(probe, rng):
    """A response is framed; HEAD, 204 and 304 have no content"""
    body = f"{name(rng)} \u2713\n".encode() * rng.randrange(1, 5)
    cases = [
        (200, "GET"),
        (404, "DELETE"),
        (200, "HEAD"),
        (304, "GET"),
        (204, "GET"),
        (299, "POST"),
        *((status, "GET") for status in (203, 301, 302, 303, 305, 307, 308)),
        (103, "GET"),
    ]
    for status, verb in cases:
        given = [("Set-Cookie", f"a={rng.randrange(99)}"), ("X-Note", "Zo\xe9"), ("Set-Cookie", "b=2")]
        if status in DATED:
            given.append((DATED[status], "Sun, 06 Nov 1994 08:49:37 GMT"))
        data = probe.call("http_text:build_response", status, [*given], body, verb)
        sent = f"build_response({status}, {given!r}, {body!r}, {verb!r})"
        found, fields, got = response_of(data, verb, sent)
        expect("status", found, status, sent=sent)
        kept = [pair for pair in fields if pair[0] in ("set-cookie", "x-note")]
        wanted = [(key.lower(), value) for key, value in given[:3]]
        why = "all of them, in order, repeats kept, in latin-1: a byte for each character"
        expect("its fields", kept, wanted, why, sent=sent)
        lengths, why = one_of(fields, "Content-Length"), "RFC 9110 §8.6"
        if status in (103, 204):
            expect("Content-Length", lengths, [], f"a {status} has none", rule=why, sent=sent)
        elif status != 304 and verb != "HEAD":
            expect("Content-Length", lengths, [str(len(body))], "bytes, counted", rule=why, sent=sent)
        else:
            allowed = lengths in ([], [str(len(body))])
            other = f"none, or that of a 200 to GET: {len(body)}"
            that(allowed, f"Content-Length = {lengths}", other, rule=why, sent=sent)
        no_content = verb == "HEAD" or status in (103, 204, 304)
        expect("content", got, b"" if no_content else body, f"of a {status} to {verb}", sent=sent)
        dates = one_of(fields, "Date")
        right = status == 103 or (len(dates) == 1 and is_date(dates[0]))
        that(right, f"Date = {dates}", "one Date, as in RFC 9110 §5.6.7", rule="RFC 9110 §6.6.1", sent=sent)
    list_is_the_callers(probe)


@check(task=3, rule="RFC 9110 §5.5, §16.3.2.2")
def test_task3_fields_cannot_split_the_response(probe, rng):
    """A field that would split the response raises ValueError"""
    who = name(rng)
    for pair in bad_fields(who):
        given = [("Content-Type", "text/plain"), pair]
        sent = f"build_response(200, {given!r}, b'Ada')"
        raised = probe.raises("http_text:build_response", 200, given, b"Ada")
        if raised is None:
            fail("it was built", "ValueError", sent=sent)
        said = f"it raised {raised['type']}: {raised['message']}"[:300]
        that("ValueError" in raised["bases"], said, "ValueError", sent=sent)
    for value in (who, "Zo\xe9", 'a\tb; c="d"', ""):
        data = probe.call("http_text:build_response", 200, [("X-Name", value)], b"Ada")
        fields = response_of(data, "GET", "")[1]
        expect("X-Name", one_of(fields, "X-Name"), [value], "a value that is allowed")


# --- task 4 ------------------------------------------------------------------------------------------


@check(task=4, rule="RFC 9112 §2.2, §9.3.2")
def test_task4_messages_come_in_any_pieces(probe, rng):
    """Requests are found in a stream that comes in any pieces"""
    body = f"{name(rng)}\r\n\r\n{name(rng)}".encode()
    numbers = [rng.randrange(100, 999) for _ in range(3)]
    wanted = [
        (f"/tasks/{number}", content) for number, content in zip(numbers, (body, b"", b"x"), strict=True)
    ]
    messages = [request_bytes("POST" if content else "GET", to, (), content) for to, content in wanted]
    whole = b"".join(messages)

    expect_requests(probe, [whole], wanted)
    expect_requests(probe, cut(whole, inside_line_ends(whole)), wanted)
    for size in (2, 3, rng.randrange(4, 9)):
        expect_requests(probe, cut(whole, range(0, len(whole), size)), wanted)
    for _ in range(4):
        places = rng.sample(range(len(whole)), 5)
        expect_requests(probe, cut(whole, places), wanted)

    one = messages[0]
    found = expect_requests(probe, cut(one, range(len(one))), wanted[:1])
    early = [place + 1 for place, request in enumerate(found[: len(one) - 1]) if request is not None]
    that(not early, f"a request after {early[:1]} of {len(one)} bytes", "None until the last byte has come")


@check(task=4, rule="RFC 9112 §7.1")
def test_task4_chunked_bodies_and_trailers(probe, rng):
    """Chunks are put together; trailers stay apart; no lies"""
    first, second, total = rng.randbytes(43), rng.randbytes(27), name(rng)
    for coding, note, size in (
        (b"Transfer-Encoding: chunked", b";note=ada", 10_000),
        (b"transfer-encoding:Chunked", b';a="b c"', 3),
        (b"TRANSFER-ENCODING: CHUNKED", b";note", 1),
    ):
        head = b"POST /tasks/42 HTTP/1.1\r\nHost: localhost\r\n%b\r\n\r\n" % coding
        chunks = chunk(first, b"%x", note) + chunk(b"\r\n0\r\n\r\n", b"00%x") + chunk(second, b"%X")
        chunks += b"0" + note + CRLF + f"X-Total: {total}\r\n\r\n".encode()
        data = head + chunks + request_bytes("GET", "/tasks/43")
        wanted = [("/tasks/42", first + b"\r\n0\r\n\r\n" + second), ("/tasks/43", b"")]
        pieces = cut(data, range(0, len(data), size))
        found = expect_requests(probe, pieces, wanted)
        request, sent = next(one for one in found if one is not None), shown_pieces(pieces)
        expect("trailers", pairs("trailers", request.trailers), [("x-total", total)], sent=sent)
        apart = one_of(pairs("fields", request.fields), "X-Total")
        expect("X-Total in fields", apart, [], "trailers stay apart", rule="RFC 9110 §6.5", sent=sent)

    for what, broken in BROKEN_CHUNKS:
        refuse_stream(probe, what, [head, broken + b"0\r\n\r\n"], [400], "RFC 9112 §7.1")
    rule = "RFC 9110 §15.5.14"
    large = [head, b"100001\r\n" + b"a" * 0x100001 + CRLF, b"0\r\n\r\n"]
    refuse_stream(probe, "a chunked body above MAX_BODY", large, [413], rule)
    growing = [head, b"ffffff\r\n" + b"a" * (MAX_BODY + 1)]
    refuse_stream(probe, "a chunk above MAX_BODY that still comes", growing, [413], rule)
    sum_of_chunks = [head, chunk(b"a" * 0x40000) * 4 + chunk(b"a") + b"0\r\n\r\n"]
    refuse_stream(probe, "chunks whose sum is one above MAX_BODY", sum_of_chunks, [413], rule)
    sum_of_chunks = [head + chunk(b"a" * 0x40000) * 4 + b"0\r\n\r\n"]
    found, raised = stream(probe, sum_of_chunks)
    fits = not raised and found[0] is not None and found[0].body == b"a" * MAX_BODY
    got = f"it raised {raised['message']}" if raised else "another body, or none"
    that(fits, got, f"the body: {MAX_BODY:,} bytes fit", rule=rule, sent=shown_pieces(sum_of_chunks))


@check(task=4, rule="RFC 9112 §8, §2.2; RFC 6585 §5")
def test_task4_streams_that_end_early_or_never(probe, rng):
    """A request cut short is refused, and so is one that never ends"""
    post = request_bytes("POST", f"/tasks/{rng.randrange(100, 999)}", (), name(rng).encode())
    chunks = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n"
    )
    for what, data, keep in (
        ("half a request line", post, rng.randrange(1, 12)),
        ("header fields without the empty line", post, rng.randrange(30, 40)),
        ("half a body", post, len(post) - rng.randrange(1, 5)),
        ("half a chunk", chunks, len(chunks) - 9),
        ("chunks without the last one", chunks, len(chunks) - 5),
        ("a last chunk without the empty line", chunks, len(chunks) - 2),
    ):
        refuse_stream(probe, f"{what}, then the end", [data[:keep]], [400], "RFC 9112 §8", end=True)
    for data in (post, chunks):
        found, raised = stream(probe, [data], end=True)
        sent = shown_pieces([data, b""])
        that(
            raised is None,
            f"it raised {raised and raised['message']}",
            "the whole request, then None",
            sent=sent,
        )
        that(
            found[0] is not None and found[-1] is None, f"{found!r}"[:300], "a request, then None", sent=sent
        )

    start = b"GET / HTTP/1.1\r\nHost: localhost\r\n"
    rule = "RFC 6585 §5"
    refuse_stream(
        probe, "a field that never ends", [start + b"X-Note: ", b"a" * 20_000, b"a" * 20_000], [431], rule
    )
    fields = b"".join(b"X-Note: %d\r\n" % number for number in range(2_800))
    refuse_stream(probe, "fields that never end", [start, fields], [431], rule)
    refuse_stream(
        probe, "a target that never ends", [b"GET /", b"a" * 40_000], [414, 431], "RFC 9110 §15.5.15"
    )
    coded = b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    too_much = [400, 413, 431]
    for what, pieces in (
        ("a chunk size that never ends", [coded + b"5", b"0" * 40_000]),
        ("a chunk extension that never ends", [coded + b"5;note=", b"a" * 40_000]),
        ("a trailer that never ends", [coded + b"0\r\nX-Note: ", b"a" * 40_000]),
        ("trailers that never end", [coded + b"0\r\n", fields]),
    ):
        refuse_stream(probe, what, pieces, too_much, rule)
    head = request_bytes("POST", "/", [("Content-Length", "9000000")])
    refuse_stream(probe, "a body above MAX_BODY, before it comes", [head], [413], "RFC 9110 §15.5.14")


# --- task 5: the server ------------------------------------------------------------------------------


@check(task=5, rule="RFC 9112 §9.3, §9.6")
def test_task5_connections_are_kept_or_closed(service, rng):
    """Connections are kept or closed; pipelined responses in order"""
    client = service("main")
    expect_answer(client.get("/alone"), "/alone", "a request alone")
    with client.connect() as waiting:
        waiting.send(b"GET /waiting HTTP/1.1\r\nHost: localhost\r\n")
        meanwhile(client)
        for version, lines, kept in CONNECTIONS:
            two_requests(client, version, lines, kept, rng)
        pipeline(client, rng)
        waiting.send(CRLF)
        expect_answer(waiting.response(), "/waiting", "the connection that waited meanwhile")
    with service("closing").connect() as connection:
        connection.send(request_bytes("GET", "/1") + request_bytes("GET", "/2"))
        expect_answer(connection.response(), "/1", "a handler that sends Connection: close")
        ends(connection, "the handler's fields said Connection: close", rule="RFC 9112 §9.6")


@check(task=5, rule="RFC 9112 §6.3, §9.6")
def test_task5_nothing_is_answered_after_a_refusal(service, rng):
    """A refusal arrives, and no response follows it"""
    client = service("main")
    hidden = request_bytes("GET", "/hidden")
    cases = {case.name: case for case in wire_cases(__file__)}
    for wanted in (
        "text-space-before-colon",
        "text-two-hosts",
        "length-two-different",
        "length-coding-unknown",
    ):
        case = cases[wanted]
        with client.connect() as connection:
            connection.send(numbered(case.data, rng) + hidden)
            answer = connection.response()
            status = statuses_of(case)[0][0]
            expect(f"{case.notes['what']}: status", answer.status, status, rule=case.notes["rule"])
            ends(
                connection,
                f"after a {status}",
                "a close: the server can't know where the next request begins",
            )
    for wanted in ("smuggled-second-request", "length-chunked-in-1.0"):
        faulty(client, cases[wanted], hidden)
    last_responses_arrive(client)
    for what, data, answers in (
        ("half a request, then the client's half-close", b"GET /half HTTP/1.1\r\nHo", 0),
        ("a request, then the client's half-close", request_bytes("GET", "/whole"), 1),
    ):
        left(client, what, data, answers)
    with client.connect() as connection:
        connection.send(b"GET /gone HTTP/1.1\r\nHo")
        connection.reset()
    expect_answer(client.get("/tasks/42"), "/tasks/42", "a good request after all of these")


@check(task=5, rule="RFC 9112 §9.3, §9.4")
def test_task5_nginx_keeps_its_connections(front, rng):
    """nginx reuses the connections that you keep"""
    seen = []
    for _ in range(6):
        target, body = f"/tasks/{rng.randrange(100, 999)}", name(rng).encode()
        answer = front.request("PUT", target, (), body)
        expect_answer(answer, target, "through nginx")
        expect("the body that nginx passed on", answer.body.partition(CRLF + CRLF)[2], body)
        seen.append((answer.get("X-Connection"), answer.get("X-Nth")))
    connections = {connection for connection, _ in seen}
    got = f"6 requests came on {len(connections)} connections"
    that(len(connections) < 6, got, "fewer connections than requests: nginx keeps those that you keep")
    expect(
        "different pairs of (connection, nth)", len(set(seen)), 6, "two requests have never the same place"
    )
    closing = [front.get("/closing/") for _ in range(3)]
    got = [(answer.status, answer.get("X-Connection")) for answer in closing]
    that(len(set(got)) == 3, f"(status, connection) = {got}", "three connections: each response said close")


# --- task 5: the client ------------------------------------------------------------------------------


@check(task=5, rule="RFC 9112 §3.2, §6.3")
def test_task5_fetch_reads_every_framing(probe, service, rng):
    """fetch sends a valid request, and reads content however it is framed"""
    parrot = service("parrot")
    number = rng.randrange(100, 999)
    for verb, path, target in (
        ("GET", f"/heard/{number}?a=b%20c#part", f"/heard/{number}?a=b%20c"),
        ("DELETE", "", "/"),
        ("POST", "?q=1", "/?q=1"),
    ):
        sent = f"fetch({url_of(parrot) + path!r}, {verb!r})"
        heard = fetched(probe, url_of(parrot) + path, sent, verb)
        expect_request(heard.body, verb, target, f"127.0.0.1:{parrot.address.port}", sent)

    body = f"{name(rng)} \u2713\n".encode()
    for what, data, verb, hold, wanted in framings(body):
        sent = f"fetch of a server that says ({what}) {show_bytes(data)} and {'stays' if hold else 'closes'}"
        answer = fetched(probe, say(parrot, data, 2 if what == "chunks" else 11, hold), sent, verb)
        expect(f"{what}: (status, body)", (answer.status, answer.body), wanted, sent=sent)
        expect_status_line(answer, data, what, sent)
        if b"X-Note" in data:
            fields = one_of(pairs("fields", answer.fields), "X-Note")
            expect(f"{what}: X-Note", fields, ["voil\xc3\xa0", "b"], "in order, repeats kept", sent=sent)
        if what == "chunks":
            expect("trailers", pairs("trailers", answer.trailers), [("x-total", "2")], sent=sent)


@check(task=5, rule="RFC 9112 §6.3, §8")
def test_task5_fetch_refuses_half_an_answer(probe, service, rng):
    """fetch refuses half a response, and odd URLs"""
    parrot = service("parrot")
    body = f"{name(rng)} {name(rng)}".encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for what, data in half_answers(whole, body):
        sent = f"fetch of a server that says ({what}) {show_bytes(data)} and closes"
        seen = probe.steps(made("http_text:fetch", say(parrot, data)), sent=sent)
        if seen.raised is None:
            fail(f"{what}: {seen.values[-1]!r}"[:400], "BadAnswer", sent=sent)
        said = f"{what}: it raised {seen.raised['type']}: {seen.raised['message']}"[:300]
        that("BadAnswer" in seen.raised["bases"], said, "BadAnswer", sent=sent)
    answer = fetched(probe, say(parrot, whole), f"the same, whole: {show_bytes(whole)}")
    expect("body", answer.body, body, "the same response, whole")
    for url in ("https://localhost/", "ftp://localhost/", "tasks/42", "http:///tasks"):
        refuse_url(probe, url, "not http://host", "RFC 9110 §4.2.1")
    for path in ("/a b", "/a\nb", "/a\rb", "/a HTTP/1.1\r\nX-Admin: 1"):
        why = "with this URL, a user could write request lines of their own"
        refuse_url(probe, url_of(parrot) + path, why, "RFC 9112 §3.2")
