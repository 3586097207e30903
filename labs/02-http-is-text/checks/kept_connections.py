"""Lab 2's checks hold a connection to the server: what is answered on it, and when it ends."""

import time

from parsed_requests import CRLF
from request_streams import chunk

from workshop.judge.checks import Deadline, NoAnswer, expect, fail, name, request_bytes, show_bytes, that

CLOSES_SECONDS = 3.0
# HTTP's minor version, lines of the request, and whether its connection is kept; None: as the server likes.
CONNECTIONS = (
    ("1.1", [], True),
    ("1.1", ["Connection: keep-alive"], True),
    ("1.1", ["Connection: x-close, closed"], True),
    ("1.1", ["Connection: close"], False),
    ("1.1", ["Connection: x-note, Close"], False),
    ("1.1", ["connection: x-note", "Connection: CLOSE"], False),
    ("1.1", ["Connection: close, keep-alive"], False),
    ("1.0", [], False),
    ("1.0", ["Connection: x-keep-alive"], False),
    ("1.0", ["Connection: Keep-Alive"], None),
)


def ends(connection, what, expected="the connection closed by the server", rule=""):
    """The server must end the connection now, sending nothing more."""
    if connection.unread() or not connection.closed_within(CLOSES_SECONDS):
        more = connection.unread()
        then = f"then {show_bytes(more, 200)}" if more else "the connection stays open"
        fail(f"{what}: {then}", expected, rule=rule)


def expect_answer(answer, target, what):
    """The mirror's answer to a request for that target."""
    expect(f"{what}: status", answer.status, 200)
    first = answer.body.split(b" ")[1:2]
    that(first == [target.encode()], f"{what}: {show_bytes(answer.body, 200)}", f"the response to {target}")


def left(client, what, data, answers):
    """The client sends this and ends its half: the server answers, notices, and ends too.

    Half a request may get a 400 first.
    """
    with client.connect() as connection:
        connection.send(data)
        for _ in range(answers):
            connection.response()
        connection.half_close()
        connection.deadline = time.monotonic() + CLOSES_SECONDS
        try:
            while connection.read():
                pass
        except NoAnswer:
            return
        except Deadline:
            fail(
                f"{what}: the connection stays open",
                'a close: `recv` returned b"", and will for ever; a loop that calls it again spins',
                rule="RFC 9112 §8",
            )
        more = connection.unread()
    refused = answers == 0 and more.startswith(b"HTTP/1.1 400 ")
    that(
        refused or not more, f"{what}: then {show_bytes(more, 200)}", "a close, or a 400", rule="RFC 9112 §8"
    )


def meanwhile(client):
    """A connection that is silent holds up no other."""
    try:
        answer = client.request("GET", "/meanwhile", seconds=CLOSES_SECONDS)
    except Deadline:
        fail(
            "no response while another connection was silent",
            "a response: a silent client must not make other clients wait",
        )
    got = f"{answer.line}, while another connection had sent half of a head"
    that(answer.status == 200, got, "200: what one connection sent is nothing to another one")
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
        if kept is False or (kept is None and "close" in options):
            ends(connection, what)
            return
        that(
            "close" not in options,
            f"{what}: Connection = {options!r} in the response",
            "no close: the connection is kept",
        )
        try:
            connection.send(request_bytes("GET", second))
            again = connection.response()
        except NoAnswer:
            if kept is None and "keep-alive" not in options:
                return  # RFC 9112 §9.3: a server may end a 1.0 connection
            raise
        expect_answer(again, second, f"{what}, the second request")
        place = [(one.get("X-Connection"), one.get("X-Nth")) for one in (answer, again)]
        same = place[0][0] == place[1][0] and [nth for _, nth in place] == ["1", "2"]
        that(same, f"{what}: (connection, nth) = {place}", "one number for both, and nth 1, then 2")


def pipeline(client, rng):
    """Several requests in one go, with bodies of each kind, are answered in order."""
    body = name(rng).encode()
    chunked = b"POST /3 HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunked += chunk(body) + b"0\r\n\r\n"
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
                    f"{number - 1} of 4 responses to requests sent in one go, then silence",
                    "four, in order: keep the bytes that arrive together with a request",
                )
            if verb == "HEAD":
                expect("status of the response to HEAD", answer.status, 200)
                continue
            expect_answer(answer, f"/{number}", f"pipelined request {number}")
            got = answer.body.partition(CRLF + CRLF)[2]
            expect(f"the body that request {number} brought", got, sent)
        ends(connection, "after Connection: close", "no response to the fifth request", "RFC 9112 §9.6")


def faulty(client, case, hidden):
    """Framing that may be refused or answered: then the connection ends, whatever its client wants."""
    data = case.data.replace(b"\r\nHost", b"\r\nConnection: keep-alive\r\nHost", 1)
    with client.connect() as connection:
        connection.send(data + hidden)
        answer, rule = connection.response(), case.notes["rule"]
        that(answer.status in (200, 400), answer.line, "400, or 200 and then a close", rule=rule)
        ends(connection, case.notes["what"], "a closed connection", rule)


def last_responses_arrive(client):
    """A 413, and the response to Connection: close, arrive at a client that goes on sending."""
    with client.connect() as connection:
        connection.send(request_bytes("POST", "/", [("Content-Length", "9000000")]) + b"a" * 20_000)
        expect("status", connection.response().status, 413, "before the body has come")
        _arrives(connection, "a 413")
    with client.connect() as connection:
        connection.send(request_bytes("GET", "/last", [("Connection", "close")]))
        expect_answer(connection.response(), "/last", "a request with Connection: close")
        client.rests(1)
        _arrives(connection, "the response to Connection: close")


def _arrives(connection, what):
    """The server reads on after its last answer, so that no reset destroys it on its way."""
    try:
        for _ in range(4):
            connection.send(b"a" * 5_000)
        connection.half_close()
        more = connection.read()
    except NoAnswer as error:
        fail(
            f"{what}, and a reset while the client was still sending: {error.got}",
            f"{what}, then shutdown(SHUT_WR), then reading and discarding what still comes (for 2 s at most)",
            rule="RFC 9112 §9.6",
        )
    that(not more, f"after {what}: {show_bytes(more, 200)}", "nothing more, and a close")
