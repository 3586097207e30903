"""The checks of lab 2: the parser is asked by the probe, with no socket in between; the loop by raw bytes."""

import base64
import itertools
from email.utils import parsedate_to_datetime

import h11

from workshop.judge.checks import (
    Deadline,
    NoAnswer,
    Thing,
    check,
    expect,
    fail,
    made,
    method,
    name,
    named,
    request_bytes,
    show_bytes,
    that,
    wire_cases,
)

CRLF = b"\r\n"
CLOSES_SECONDS = 3.0
PARSE = "http_text:parse_request"


# --- asking, and reading what comes back -------------------------------------------------------------


def pairs(what, fields):
    """The learner's fields as (lower-case name, value) pairs."""
    fits = isinstance(fields, list | tuple) and all(
        isinstance(pair, list | tuple) and len(pair) == 2 and all(isinstance(text, str) for text in pair)
        for pair in fields
    )
    that(fits, f"{what} = {fields!r}"[:300], f"{what} as a list of (name, value) pairs of str")
    return [(key.lower(), value) for key, value in fields]


def request_of(value):
    """A value of the probe's that must be a Request."""
    that(isinstance(value, Thing) and value.type == "Request", f"{value!r}"[:300], "a Request")
    pairs("fields", value.fields)
    return value


def one_of(fields, wanted):
    return [value for key, value in fields if key == wanted.lower()]


def parse(probe, data):
    return request_of(probe.call(PARSE, data))


def refusal_of(raised, what, statuses, rule, sent):
    """What was raised must be Refused with one of the statuses."""
    wanted = f"Refused with status {' or '.join(map(str, statuses))}"
    said = f"{raised['type']}: {raised['message']}"[:300]
    that("Refused" in raised["bases"], f"{what}: it raised {said}", wanted, rule=rule, sent=sent)
    status = raised["attributes"].get("status")
    that(status in statuses, f"{what}: Refused with status {status!r} ({said})", wanted, rule=rule, sent=sent)


def refused(probe, data, what, statuses, rule, may_accept=False):
    """parse_request must refuse this; the Request when it was accepted and may be."""
    sent = show_bytes(data)
    seen = probe.steps(made(PARSE, data))
    if seen.raised:
        refusal_of(seen.raised, what, statuses, rule, sent)
        return None
    accepted = seen.values[-1]
    wanted = f"Refused with status {' or '.join(map(str, statuses))}"
    that(may_accept, f"{what}: it was accepted, as {accepted!r}"[:400], wanted, rule=rule, sent=sent)
    return request_of(accepted)


def statuses_of(case):
    """The statuses that a wire case allows, and whether it may be accepted, too."""
    words = case.notes["status"].split(" or ")
    return [int(word) for word in words if word.isdigit()], "accepted" in words


def numbered(data, rng):
    """A wire case's bytes with another number in its target."""
    return data.replace(b"/tasks/42", b"/tasks/%d" % rng.randrange(100, 999))


def expect_field(request, line, case):
    """A field that an accepted wire case must have; runs of spaces count as one."""
    key, _, value = line.partition(":")
    found = [" ".join(text.split()) for text in one_of(pairs("fields", request.fields), key)]
    expect(
        f"{case.notes['what']}: {key}",
        found,
        [value.strip()],
        rule=case.notes["rule"],
        sent=show_bytes(case.data),
    )


def refuse_all(probe, rng, pattern):
    """Each wire case of the pattern is refused with its status, or, where the RFC lets it, understood."""
    for case in wire_cases(__file__, pattern):
        statuses, may_accept = statuses_of(case)
        notes = case.notes
        request = refused(probe, numbered(case.data, rng), notes["what"], statuses, notes["rule"], may_accept)
        if request is not None:
            expect_understood(request, case)


def expect_understood(request, case):
    """An accepted wire case must be understood as its notes say."""
    more = {"rule": case.notes["rule"], "sent": show_bytes(case.data)}
    if "then" in case.notes:
        expect_field(request, case.notes["then"], case)
    if "body" in case.notes:
        expect(f"{case.notes['what']}: body", request.body, case.notes["body"].encode(), **more)
    if "never" in case.notes:
        never = one_of(pairs("fields", request.fields), case.notes["never"])
        expect(f"{case.notes['what']}: {case.notes['never']}", never, [], "such a line is dropped", **more)


def stream(probe, pieces, more=0, end=False):
    """Feed a Reader these pieces; what next_request gave after each, and what it raised at last."""
    steps = [("r", made("http_text:Reader"))]
    next_one = ("next", method(named("r"), "next_request"))
    for piece in [*pieces, b""] if end else pieces:
        steps += [("fed", method(named("r"), "feed", piece)), next_one]
    seen = probe.steps(*steps, *[next_one] * more, sent=shown_pieces([*pieces, b""] if end else pieces))
    after_each = seen.values[2::2][: len(pieces) + end]
    return after_each + seen.values[1 + 2 * (len(pieces) + end) :], seen.raised


def shown_pieces(pieces):
    return (
        "feed "
        + " ‖ ".join(show_bytes(piece, 120) for piece in pieces[:12])
        + (" ‖ …" if pieces[12:] else "")
    )


def cut(data, places):
    """The data in pieces, cut at these places."""
    edges = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


def chunk(data, rng, note=b""):
    """A chunk, its size in hexadecimal digits of either case, with an extension after it."""
    size = rng.choice([b"%x", b"%X", b"00%x"]) % len(data)
    return size + note + CRLF + data + CRLF


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
        (b"X-Note:", ("x-note", "")),
    ]
    rng.shuffle(lines)
    verb = rng.choice(["GET", "DELETE", "PATCH"])
    head = f"{verb} {target} HTTP/1.1".encode()
    request = parse(probe, CRLF.join([head, *(line for line, _ in lines)]) + CRLF + CRLF)
    expect("method", request.method, verb)
    expect("target", request.target, target, "as it was sent: decoding is the application's business")
    expect("version", request.version, "HTTP/1.1")
    expect(
        "fields",
        pairs("fields", request.fields),
        [pair for _, pair in lines],
        "in order, repeats kept, trimmed",
    )
    expect("body", request.body, b"")


@check(task=1, rule="RFC 9112 §6.2, §6.3; RFC 9110 §8.6")
def test_task1_body_is_what_content_length_counts(probe, rng):
    """The body is what Content-Length counts, whatever the bytes"""
    for body in (
        f"title={name(rng)} \u00e9t\u00e9".encode(),
        b"first part\r\n\r\nGET /tasks/7 HTTP/1.1\r\nHost: b\r\n\r\n",
        rng.randbytes(40) + b"\r\n\x00\xff",
        b"",
    ):
        length = rng.choice(["Content-Length", "content-length", "CONTENT-LENGTH"])
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
    refuse_all(probe, rng, "text-*.http")
    for case in wire_cases(__file__, "good-*.http"):
        data, notes = numbered(case.data, rng), case.notes
        seen = probe.steps(made(PARSE, data))
        if seen.raised:
            said = f"{seen.raised['type']}: {seen.raised['message']}"[:300]
            fail(f"{notes['what']}: it raised {said}", "a Request", rule=notes["rule"], sent=show_bytes(data))
        request = request_of(seen.values[-1])
        verb, target = data.decode("latin-1").split(" ")[:2]
        expect("method", request.method, verb, notes["what"], rule=notes["rule"])
        expect("target", request.target, target, notes["what"], rule=notes["rule"])
        expect("body", request.body, notes.get("body", "").encode(), notes["what"], rule=notes["rule"])
        if "then" in notes:
            expect_field(request, notes["then"], case)


@check(task=2, rule="RFC 9112 §6.1, §6.3")
def test_task2_a_length_that_lies_is_refused(probe, rng):
    """A body whose length can't be known is refused"""
    refuse_all(probe, rng, "length-*.http")
    body = name(rng).encode()
    expect(
        "body", parse(probe, request_bytes("POST", "/", (), body)).body, body, "a length that tells the truth"
    )


@check(task=2, rule="RFC 9110 §15.5.14, §15.5.15, §15.6.6; RFC 6585 §5")
def test_task2_limits_have_a_status_each(probe, rng):
    """Too much is 413, 414 or 431; another version is 505"""
    some = rng.randrange(50, 500)
    long = "/" + "a" * (9_000 + some)
    refused(probe, request_bytes("GET", long), f"a target of {len(long)} bytes", [414], "RFC 9110 §15.5.15")
    fits = "/" + "a" * (7_000 + some)
    expect("target", parse(probe, request_bytes("GET", fits)).target, fits, "up to 8,000 bytes")

    many = [(f"X-{number}", "Ada") for number in range(101 + some % 50)]
    refused(probe, request_bytes("GET", "/", many), f"{len(many)} fields", [431], "RFC 6585 §5")
    large = [(f"X-{number}", "a" * (800 + some)) for number in range(45)]
    refused(probe, request_bytes("GET", "/", large), "fields of more than 36,000 bytes", [431], "RFC 6585 §5")
    fields = pairs("fields", parse(probe, request_bytes("GET", "/", many[:80])).fields)
    expect("how many fields of 81 arrived", len(fields), 81)

    length = [("Content-Length", str(1_048_577 + some))]
    data = request_bytes("POST", "/", length)
    refused(probe, data, "a Content-Length above MAX_BODY", [413], "RFC 9110 §15.5.14")
    body = rng.randbytes(1_000) * 60
    expect("body", parse(probe, request_bytes("POST", "/", (), body)).body == body, True, "60,000 bytes fit")

    for version in (f"HTTP/{rng.randrange(2, 10)}.0", "HTTP/0.9"):
        data = f"GET / {version}\r\nHost: localhost\r\n\r\n".encode()
        refused(probe, data, f"the version {version}", [505], "RFC 9110 §15.6.6")


# --- task 3 ------------------------------------------------------------------------------------------


def response_of(data, verb, sent):
    """The response in these bytes, by h11; they must be exactly one."""
    that(isinstance(data, bytes), f"{data!r}"[:300], "bytes")
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=verb, target="/", headers=[("Host", "localhost")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    try:
        head, body = reader.next_event(), b""
        if not isinstance(head, h11.Response):
            fail(show_bytes(data), "a whole head: status line, fields, an empty line", sent=sent)
        while isinstance(event := reader.next_event(), h11.Data):
            body += bytes(event.data)
    except h11.RemoteProtocolError as error:
        fail(
            f"{show_bytes(data)}     which is no HTTP: {error}",
            "a response that a client understands",
            sent=sent,
        )
    left = reader.trailing_data[0]
    that(not left, f"{show_bytes(left)} after the response", "nothing after the response", sent=sent)
    fields = [
        (key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in head.headers.raw_items()
    ]
    return head.status_code, fields, body


@check(task=3, rule="RFC 9112 §4, §6.2; RFC 9110 §6.6.1, §8.6, §15")
def test_task3_response_is_framed(probe, rng):
    """A response is framed; HEAD, 204 and 304 have no content"""
    body = f"{name(rng)} \u2713\n".encode() * rng.randrange(1, 5)
    cases = [(200, "GET"), (404, "DELETE"), (200, "HEAD"), (304, "GET"), (204, "GET"), (299, "POST")]
    for status, verb in cases:
        given = [("Set-Cookie", f"a={rng.randrange(99)}"), ("X-Note", "Zo\xe9"), ("Set-Cookie", "b=2")]
        content = b"" if status in (204, 304) else body
        data = probe.call("http_text:build_response", status, [*given], content, verb)
        sent = f"build_response({status}, {given!r}, {content!r}, {verb!r})"
        found, fields, got = response_of(data, verb, sent)
        expect("status", found, status, sent=sent)
        named_here = [(key.lower(), value) for key, value in given]
        kept = [pair for pair in fields if pair in named_here]
        expect("its fields", kept, named_here, "all of them, in order, repeats kept", sent=sent)
        lengths, why = one_of(fields, "Content-Length"), "RFC 9110 §8.6"
        if status == 204:
            expect("Content-Length", lengths, [], "a 204 has none", rule=why, sent=sent)
        elif status != 304 and verb != "HEAD":
            expect("Content-Length", lengths, [str(len(body))], "bytes, counted", rule=why, sent=sent)
        elif verb == "HEAD":
            allowed = lengths in ([], [str(len(body))])
            that(allowed, f"Content-Length = {lengths}", f"that of GET: {len(body)}", rule=why, sent=sent)
        no_content = verb == "HEAD" or status in (204, 304)
        expect("content", got, b"" if no_content else body, f"of a {status} to {verb}", sent=sent)
        dates = one_of(fields, "Date")
        that(
            len(dates) == 1 and is_date(dates[0]),
            f"Date = {dates}",
            "one Date, as in RFC 9110 §5.6.7",
            sent=sent,
        )


def is_date(text):
    """Whether it is an IMF-fixdate (RFC 9110 §5.6.7)."""
    try:
        return parsedate_to_datetime(text).utcoffset() is not None and text.endswith("GMT")
    except ValueError:
        return False


@check(task=3, rule="RFC 9110 §5.5, §16.3.2.2")
def test_task3_fields_cannot_split_the_response(probe, rng):
    """A field that would split the response raises ValueError"""
    who = name(rng)
    bad = [
        ("X-Name", f"{who}\r\nSet-Cookie: admin=1"),
        ("X-Name", f"{who}\nSet-Cookie: admin=1"),
        ("X-Name", f"{who}\r"),
        ("X-Name", f"{who}\x00"),
        ("X-Name: 1\r\nSet-Cookie", who),
        ("X Name", who),
        ("", who),
        ("X-Name", f"{who} \u0416"),
        ("Content-Length", "3"),
        ("Transfer-Encoding", "chunked"),
    ]
    for pair in bad:
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


def expect_requests(probe, pieces, wanted):
    """The stream in these pieces has these requests (target, body), in order."""
    sent = shown_pieces(pieces)
    found, raised = stream(probe, pieces, more=len(wanted) + 1)
    got = [(one.target, one.body) for one in found if one is not None and request_of(one)]
    if raised:
        said = f"after {len(got)} of {len(wanted)} requests it raised {raised['type']}: {raised['message']}"
        fail(said[:400], f"{len(wanted)} requests", sent=sent)
    expect("the requests", got, wanted, "(target, body) in order", sent=sent)
    return found


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
    ends = [place + 1 for place in range(len(whole)) if whole[place : place + 2] == CRLF]
    expect_requests(probe, cut(whole, ends), wanted)
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
    first, second = name(rng).encode() * 3, rng.randbytes(27)
    note, total = rng.choice([b";note=ada", b';a="b c"']), name(rng)
    head = b"POST /tasks/42 HTTP/1.1\r\nHost: localhost\r\n%b: %b\r\n\r\n" % (
        rng.choice([b"Transfer-Encoding", b"transfer-encoding"]),
        rng.choice([b"chunked", b"Chunked"]),
    )
    chunks = chunk(first, rng, note) + chunk(b"\r\n0\r\n\r\n", rng) + chunk(second, rng) + b"0" + note + CRLF
    data = head + chunks + f"X-Total: {total}\r\n\r\n".encode() + request_bytes("GET", "/tasks/43")
    wanted = [("/tasks/42", first + b"\r\n0\r\n\r\n" + second), ("/tasks/43", b"")]
    for pieces in ([data], cut(data, range(0, len(data), 3)), cut(data, rng.sample(range(len(data)), 8))):
        found = expect_requests(probe, pieces, wanted)
        request = next(one for one in found if one is not None)
        sent = shown_pieces(pieces)
        expect("trailers", pairs("trailers", request.trailers), [("x-total", total)], sent=sent)
        expect(
            "X-Total in fields",
            one_of(pairs("fields", request.fields), "X-Total"),
            [],
            "RFC 9110 §6.5",
            sent=sent,
        )

    for what, broken in (
        ("a chunk size that is no number", b"three\r\nAda\r\n"),
        ("a chunk size with 0x", b"0x3\r\nAda\r\n"),
        ("a chunk size with a sign", b"+3\r\nAda\r\n"),
        ("a chunk size below nothing", b"-3\r\nAda\r\n"),
        ("a chunk size as only Python writes it", b"0_3\r\nAda\r\n"),
        ("no chunk size", b"\r\nAda\r\n"),
        ("a chunk longer than its size", b"3\r\nAda Lovelace\r\n"),
        ("a chunk with two other bytes for its line end", b"3\r\nAda..0\r\n\r\n"),
    ):
        refuse_stream(probe, what, [head, broken + b"0\r\n\r\n"], [400], "RFC 9112 §7.1")
    large = [head, b"100001\r\n" + b"a" * 0x100001 + CRLF, b"0\r\n\r\n"]
    refuse_stream(probe, "a chunked body above MAX_BODY", large, [413], "RFC 9110 §15.5.14")


def refuse_stream(probe, what, pieces, statuses, rule, end=False):
    """Reading this stream must end in Refused."""
    sent = shown_pieces([*pieces, b""] if end else pieces)
    found, raised = stream(probe, pieces, more=1, end=end)
    wanted = f"Refused with status {' or '.join(map(str, statuses))}"
    requests = [one for one in found if one is not None]
    if raised is None or requests:
        got = (
            f"{what}: the request {requests[-1]!r}"[:400]
            if requests
            else f"{what}: None, as if more could come"
        )
        fail(got, wanted, rule=rule, sent=sent)
    refusal_of(raised, what, statuses, rule, sent)


@check(task=4, rule="RFC 9112 §8, §2.2; RFC 6585 §5")
def test_task4_streams_that_end_early_or_never(probe, rng):
    """A request cut short is none; one that never ends is refused"""
    post = request_bytes("POST", f"/tasks/{rng.randrange(100, 999)}", (), name(rng).encode())
    chunks = (
        b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nHello\r\n0\r\n\r\n"
    )
    for what, data, keep in (
        ("half a request line", post, rng.randrange(1, 12)),
        ("fields without their end", post, rng.randrange(30, 40)),
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
    head = request_bytes("POST", "/", [("Content-Length", "9000000")])
    refuse_stream(probe, "a body above MAX_BODY, before it comes", [head], [413], "RFC 9110 §15.5.14")


# --- task 5: the server ------------------------------------------------------------------------------


def ends(connection, what, expected="the end of the connection", rule=""):
    """The server must end the connection now, sending nothing more."""
    if connection.unread() or not connection.closed_within(CLOSES_SECONDS):
        more = connection.unread()
        then = f"then {show_bytes(more, 200)}" if more else "the connection stays open"
        fail(f"{what}: {then}", expected, rule=rule)


def expect_answer(answer, target, what):
    """The mirror's answer to a request for that target."""
    expect(f"{what}: status", answer.status, 200)
    first = answer.body.split(b" ")[1:2]
    that(first == [target.encode()], f"{what}: {show_bytes(answer.body, 200)}", f"the answer to {target}")


@check(task=5, rule="RFC 9112 §9.3, §9.6")
def test_task5_connections_are_kept_or_closed(service, rng):
    """Connections are kept or closed; pipelined answers in order"""
    client = service("main")
    expect_answer(client.get("/alone"), "/alone", "a request alone")
    with client.connect() as waiting:
        waiting.send(b"GET /waiting HTTP/1.1\r\nHost: localhost\r\n")
        meanwhile(client)
        for version, lines, kept in (
            ("1.1", [], True),
            ("1.1", ["Connection: keep-alive"], True),
            ("1.1", ["Connection: close"], False),
            ("1.1", ["Connection: x-note, Close"], False),
            ("1.1", ["connection: x-note", "Connection: CLOSE"], False),
            ("1.0", [], False),
            ("1.0", ["Connection: Keep-Alive"], None),
        ):
            two_requests(client, version, lines, kept, rng)
        pipeline(client, rng)
        waiting.send(CRLF)
        expect_answer(waiting.response(), "/waiting", "the connection that waited meanwhile")
    with service("closing").connect() as connection:
        connection.send(request_bytes("GET", "/1") + request_bytes("GET", "/2"))
        expect_answer(connection.response(), "/1", "a handler that answers with Connection: close")
        ends(connection, "the handler's fields said Connection: close", rule="RFC 9112 §9.6")


def meanwhile(client):
    """A connection that is silent holds up no other."""
    try:
        answer = client.request("GET", "/meanwhile", seconds=CLOSES_SECONDS)
    except Deadline:
        fail(
            "no answer while another connection was silent",
            "an answer: nobody waits for somebody else's silence",
        )
    expect_answer(answer, "/meanwhile", "while another connection was silent")


def two_requests(client, version, lines, kept, rng):
    """Two requests on one connection: the second is answered when it is kept, and only then."""
    what = f"HTTP/{version} with {', '.join(lines) or 'no Connection'}"
    first, second = (f"/tasks/{rng.randrange(100, 999)}" for _ in range(2))
    head = CRLF.join(
        [f"GET {first} HTTP/{version}".encode(), b"Host: localhost", *(x.encode() for x in lines)]
    )
    with client.connect() as connection:
        connection.send(head + CRLF + CRLF)
        answer = connection.response()
        expect_answer(answer, first, what)
        options = (answer.get("Connection") or "").lower()
        if kept is None:  # a server may end a 1.0 connection; one that keeps it says so
            kept = "keep-alive" in options
        if not kept:
            ends(connection, what)
            return
        that(
            "close" not in options, f"{what}: Connection = {options!r} in the answer", "no close: it is kept"
        )
        connection.send(request_bytes("GET", second))
        again = connection.response()
        expect_answer(again, second, f"{what}, the second request")
        place = [(one.get("X-Connection"), one.get("X-Nth")) for one in (answer, again)]
        same = place[0][0] == place[1][0] and [nth for _, nth in place] == ["1", "2"]
        that(same, f"{what}: (connection, nth) = {place}", "one number for both, and nth 1, then 2")


def pipeline(client, rng):
    """Several requests in one go, with bodies of each kind, are answered in order."""
    body = name(rng).encode()
    chunked = b"POST /3 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += chunk(body, rng) + b"0\r\n\r\n"
    asked = [
        ("HEAD", request_bytes("HEAD", "/1"), b""),
        ("POST", request_bytes("POST", "/2", (), body), body),
        ("POST", chunked, body),
        ("GET", request_bytes("GET", "/4", [("Connection", "close")]), b""),
        ("GET", request_bytes("GET", "/5"), b""),
    ]
    with client.connect() as connection:
        connection.send(b"".join(data for _, data, _ in asked))
        for number, (verb, _, sent) in enumerate(asked[:4], 1):
            try:
                answer = connection.response(verb)
            except Deadline:
                fail(
                    f"{number - 1} of 4 answers to requests sent in one go, then silence",
                    "four, in order: what came with a request is kept",
                )
            if verb == "HEAD":
                expect("status of the answer to HEAD", answer.status, 200)
                continue
            expect_answer(answer, f"/{number}", f"pipelined request {number}")
            got = answer.body.partition(CRLF + CRLF)[2]
            expect(f"the body that request {number} brought", got, sent)
        ends(connection, "after Connection: close", "no answer to the fifth request", "RFC 9112 §9.6")


@check(task=5, rule="RFC 9112 §6.3, §9.6")
def test_task5_nothing_is_answered_after_a_refusal(service, rng):
    """A refusal arrives, and nothing after it is answered"""
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
            ends(connection, f"after a {status}", "the end: nobody knows where the next request begins")
    with client.connect() as connection:
        case = cases["smuggled-second-request"]
        connection.send(case.data + hidden)
        answer = connection.response()
        that(answer.status in (200, 400), answer.line, "400, or 200 and the end", rule=case.notes["rule"])
        ends(connection, case.notes["what"], "the end of the connection", case.notes["rule"])
    with client.connect() as connection:
        connection.send(request_bytes("POST", "/", [("Content-Length", "9000000")]) + b"a" * 20_000)
        expect("status", connection.response().status, 413, "before the body has come")
        arrives(connection)
    with client.connect() as connection:
        connection.send(b"GET /gone HTTP/1.1\r\nHo")
        connection.reset()
    expect_answer(client.get("/tasks/42"), "/tasks/42", "a good request after all of these")


def arrives(connection):
    """The server reads on after its last answer, so that no reset destroys it on its way."""
    try:
        for _ in range(4):
            connection.send(b"a" * 5_000)
        connection.half_close()
        more = connection.read()
    except NoAnswer as error:
        fail(
            f"a 413, and a reset while the client was still sending: {error.got}",
            "a 413, the end of the server's half, and what still comes read and dropped (for 2 s at most)",
            rule="RFC 9112 §9.6",
        )
    that(not more, f"after a 413: {show_bytes(more, 200)}", "the end")


@check(task=5, rule="RFC 9112 §9.3, §9.4")
def test_task5_nginx_keeps_its_connections(front, rng):
    """nginx asks again on the connections that you keep"""
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
    that(len(set(got)) == 3, f"(status, connection) = {got}", "three connections: each answer said close")


# --- task 5: the client ------------------------------------------------------------------------------


def say(client, data, piece=0, hold=False):
    """The URL that makes the parrot say these bytes."""
    text = base64.urlsafe_b64encode(data).decode("ascii")
    return f"{url_of(client)}/say/{text}?piece={piece}&hold={int(hold)}"


def url_of(client):
    """The service's URL for the learner's process, which is beside it in both modes."""
    return f"http://127.0.0.1:{client.address.port}"


def fetched(probe, url, sent, verb="GET"):
    """What fetch returned for the URL; `sent` says which bytes are there."""
    seen = probe.steps(made("http_text:fetch", url, verb), sent=sent)
    if seen.raised:
        said = f"it raised {seen.raised['type']}: {seen.raised['message']}"[:300]
        fail(said, "a Response", sent=sent)
    value = seen.values[-1]
    that(isinstance(value, Thing) and value.type == "Response", f"{value!r}"[:300], "a Response", sent=sent)
    return value


@check(task=5, rule="RFC 9112 §3.2, §6.3")
def test_task5_fetch_reads_every_framing(probe, service, rng):
    """fetch asks properly, and reads content however it is framed"""
    parrot = service("parrot")
    number = rng.randrange(100, 999)
    for path, target in (
        (f"/heard/{number}?a=b%20c#part", f"/heard/{number}?a=b%20c"),
        ("", "/"),
        ("?q=1", "/?q=1"),
    ):
        sent = f"fetch({url_of(parrot) + path!r})"
        heard = fetched(probe, url_of(parrot) + path, sent)
        expect_request(heard.body, target, f"127.0.0.1:{parrot.address.port}", sent)

    body = f"{name(rng)} \u2713\n".encode()
    chunks = chunk(body, rng) + chunk(body, rng, b";x") + b"0\r\nX-Total: 2\r\n\r\n"
    ok = b"HTTP/1.1 200 OK\r\nX-Note: Zo\xe9\r\nx-note: b\r\n"
    length = b"Content-Length: %d\r\n\r\n" % len(body)
    coded = b"Transfer-Encoding: Chunked\r\n\r\n"
    for what, data, verb, hold, wanted in (
        ("Content-Length", ok + length + body, "GET", True, (200, body)),
        ("Content-Length: 0", ok + b"content-length:0\r\n\r\n", "GET", True, (200, b"")),
        ("chunks", ok + coded + chunks, "GET", True, (200, body * 2)),
        (
            "chunks and Content-Length",
            ok + b"Content-Length: 3\r\n" + coded + chunks,
            "GET",
            True,
            (200, body * 2),
        ),
        ("neither: up to the end", ok + CRLF + body * 2, "GET", False, (200, body * 2)),
        ("HEAD", ok + length, "HEAD", True, (200, b"")),
        ("204", b"HTTP/1.1 204 No Content\r\n\r\n", "GET", True, (204, b"")),
        ("304", b"HTTP/1.1 304 Not Modified\r\n" + length, "GET", True, (304, b"")),
        (
            "1xx first",
            b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + length + body,
            "GET",
            True,
            (200, body),
        ),
        ("no reason", b"HTTP/1.1 404 \r\n" + length + body, "GET", True, (404, body)),
    ):
        sent = f"fetch of a server that says ({what}) {show_bytes(data)} and {'stays' if hold else 'closes'}"
        answer = fetched(probe, say(parrot, data, rng.choice([0, 2, 7]), hold), sent, verb)
        expect(f"{what}: (status, body)", (answer.status, answer.body), wanted, sent=sent)
        if data.startswith(ok):
            fields = one_of(pairs("fields", answer.fields), "X-Note")
            expect(f"{what}: X-Note", fields, ["Zo\xe9", "b"], "in order, repeats kept", sent=sent)
        if what == "chunks":
            expect("trailers", pairs("trailers", answer.trailers), [("x-total", "2")], sent=sent)


def expect_request(heard, target, host, sent):
    """The bytes that a server heard must be one whole request."""
    that(isinstance(heard, bytes), f"body = {heard!r}"[:200], "bytes", sent=sent)
    reader = h11.Connection(h11.SERVER)
    reader.receive_data(heard)
    try:
        request = reader.next_event()
    except h11.RemoteProtocolError as error:
        fail(f"the server heard {show_bytes(heard)}     {error}", "a request", sent=sent)
    that(isinstance(request, h11.Request), f"the server heard {show_bytes(heard)}", "a whole head", sent=sent)
    expect("the target that the server heard", request.target.decode(), target, sent=sent)
    hosts = [value.decode() for key, value in request.headers if key == b"host"]
    expect("Host", hosts, [host], "with the port, when it is not 80", rule="RFC 9110 §7.2", sent=sent)


@check(task=5, rule="RFC 9112 §6.3, §8")
def test_task5_fetch_refuses_half_an_answer(probe, service, rng):
    """fetch takes no half answer, and no odd URL"""
    parrot = service("parrot")
    body = f"{name(rng)} {name(rng)}".encode()
    whole = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    coded = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for what, data in (
        ("a body cut short", whole[: -rng.randrange(1, len(body))]),
        ("no body at all", whole[: -len(body)]),
        ("a head cut short", whole[:30]),
        ("nothing", b""),
        ("a chunk cut short", coded + chunk(body, rng)[:-5]),
        ("no last chunk", coded + chunk(body, rng)),
        ("no chunk size", coded + b"zz\r\n" + body + CRLF + b"0\r\n\r\n"),
        ("no HTTP", b"Hello, " + body + b"\r\n\r\n"),
        ("two lengths", b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nAda"),
    ):
        sent = f"fetch of a server that says ({what}) {show_bytes(data)} and closes"
        seen = probe.steps(made("http_text:fetch", say(parrot, data)), sent=sent)
        if seen.raised is None:
            fail(f"{what}: {seen.values[-1]!r}"[:400], "BadAnswer", sent=sent)
        said = f"{what}: it raised {seen.raised['type']}: {seen.raised['message']}"[:300]
        that("BadAnswer" in seen.raised["bases"], said, "BadAnswer", sent=sent)
    answer = fetched(probe, say(parrot, whole), f"the same, whole: {show_bytes(whole)}")
    expect("body", answer.body, body, "the same answer, whole")
    for url in ("https://localhost/", "ftp://localhost/", "tasks/42", "http:///tasks"):
        refuse_url(probe, url, "not http://host")
    refuse_url(probe, f"{url_of(parrot)}/a HTTP/1.1\r\nX-Admin: 1", "a request of somebody else's making")


def refuse_url(probe, url, why):
    raised = probe.raises("http_text:fetch", url)
    sent = f"fetch({url!r})"
    if raised is None:
        fail("it was fetched", f"ValueError: {why}", sent=sent)
    said = f"it raised {raised['type']}: {raised['message']}"[:300]
    that("ValueError" in raised["bases"], said, f"ValueError: {why}", sent=sent)
