"""What is read from one connection: the next response, the end, a refusal."""

from __future__ import annotations

import contextlib
import select
from collections.abc import Iterable, Iterator
from typing import Any

from behaviours_client import answered, behave, shown_request

from workshop.judge.checks import (
    Client,
    Deadline,
    Failed,
    NoAnswer,
    NotHTTP,
    Response,
    Wire,
    WireCase,
    WireError,
    expect,
    fail,
    request_bytes,
    that,
)
from workshop.judge.processor_time import ProcessorTime
from workshop.judge.stack import Stack

HOP_BY_HOP = (
    *("Keep-Alive", "keep-alive", "Connection", "Transfer-Encoding", "Upgrade", "TE"),
    *("Proxy-Authenticate", "Proxy-Authorization"),
)


LOOKS = 0.5  # seconds between a server's looks at who is idle, or less
IN_PIECES = "a request is a request in whatever pieces it comes"


def next_is(connection: Any, who: str, why: str, **more: str) -> Response:
    """The next response on the connection must be the one to /do/ignore?name=WHO."""
    try:
        response: Response = connection.response()
    except (NoAnswer, Deadline) as error:
        fail(f"{error.got}, where a response was due", f"a response: {why}", **more)
    expect("status", response.status, 200, why, **more)
    expect("the body", response.json(), {"ignored": who}, why, **more)
    return response


def something_came(connection: Any) -> bool:
    """Whether bytes, or the end, are there to be read now."""
    readable, _, _ = select.select([connection.socket], [], [], 0)
    return bool(readable)


def rest_of(connection: Any) -> bytes:
    """What comes on a connection until it ends; a reset is an end."""
    with contextlib.suppress(NoAnswer):
        while connection.read():
            pass
    rest: bytes = connection.unread()
    return rest


def is_refused(client: Client, data: bytes, why: str, must_answer: bool = False) -> None:
    """400 or its like, or (unless RFC 9112 says MUST) the end of the connection: no application's answer."""
    sent, refusal = shown(data), "400 Bad Request or its like"
    with client.connect(seconds=3) as connection:
        with contextlib.suppress(NoAnswer):
            connection.send_pieces([data[:10], data[10:]])
        try:
            response = connection.response()
        except Deadline:
            fail(f"neither a response nor a close ({why})", refusal, sent=sent)
        except NoAnswer as error:
            that(
                not must_answer,
                f"{error.got} ({why})",
                "400 Bad Request, and then a closed connection",
                sent=sent,
            )
            return
        except WireError as error:
            fail(f"{error.got} ({why})", refusal, sent=sent)
        refused = 400 <= response.status < 600 and response.status != 500
        that(refused, f"{response.line} ({why})", refusal, sent=sent)
        got = f"{response.line}, and a connection that stays open ({why})"
        closed = "a closed connection: nobody knows where the next request would begin"
        that(connection.closed_within(3), got, closed, sent=sent)


def broken_chunks_are_refused(client: Client, cases: list[WireCase]) -> None:
    """Chunked bodies that are none: an application that reads one raises, and its server prints that."""

    def refuse(case: WireCase) -> None:
        is_refused(client, case.data, case.notes.get("why", case.name), must_answer="status" in case.notes)

    try:
        for case in cases:
            refuse(case)
    except Failed:
        for case in cases:  # what is printed meanwhile must be of the request that is shown
            client.rests(1)
            refuse(case)
        raise
    client.rests(1)


def shown(data: bytes) -> str:
    text = data.decode("latin-1").encode("unicode_escape").decode()
    return text if len(text) < 300 else f"{text[:150]} … and {len(data)} bytes in all"


def body_left_unread(client: Client, names: Iterable[str]) -> None:
    """A body that the application does not read is never taken for the next request."""
    first, second = names
    smuggled = request_bytes("GET", behave("ignore", name="smuggled"))
    data = request_bytes("POST", behave("ignore", name=first), body=smuggled)
    with client.connect(seconds=3) as connection:
        connection.send(data + request_bytes("GET", behave("ignore", name=second)))
        next_is(connection, first, "a POST whose body the application leaves unread")
        try:
            response = connection.response()
        except NoAnswer:
            return
    why = "the unread body is skipped, or the connection closed: it is not the next request"
    expect("the next response", response.text, f'{{"ignored": "{second}"}}', why)


def end_in_stages(client: Client, who: str) -> None:
    """The last response is followed by a half-close: what the client still sends does not reset it away."""
    fields = [("Connection", "close"), ("Content-Length", "2000")]
    rule = "RFC 9112 §9.6; rule 9 of the lesson"
    expected = "shutdown(SHUT_WR), then reading until the client closes: a reset can destroy a response"
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("POST", behave("ignore", name=who), fields))
        next_is(connection, who, "the application never looks at the body")
        try:
            # What comes before the server closes is read by any server, so each piece waits for it to rest.
            for _ in range(2):
                client.rests(1)
                connection.send(b"x" * 1000)
            that(not connection.read(), "bytes after the last response", "a closed connection", rule=rule)
        except NoAnswer:
            fail("a reset, while the client was still sending its body", expected, rule=rule)
        except Deadline:
            fail("a connection that stays open after the response to Connection: close", expected, rule=rule)
    _failures_end_in_stages(client, who)


def _failures_end_in_stages(client: Client, who: str) -> None:
    """So does a 500, and the refusal of a malformed head, on which the client goes on sending."""
    fields = [("Connection", "close"), ("Content-Length", "2000")]
    target = behave("answer", raise_at=-1, name=who)
    failing = {
        "a 500": request_bytes("POST", target, fields),
        "a refusal": request_bytes("POST", target, [("Transfer-Encoding ", "chunked"), *fields]),
    }
    expected = "shutdown(SHUT_WR), then reading until the client closes: a reset can destroy it"
    for what, data in failing.items():
        with client.connect(seconds=4) as connection:
            connection.send(data)
            try:
                connection.response()
            except NoAnswer:
                continue  # nothing that a reset could destroy
            try:
                for _ in range(2):
                    client.rests(1)
                    connection.send(b"x" * 1000)
                connection.read()
            except NoAnswer:
                got = f"a reset after {what}, while the client was still sending its body"
                fail(got, expected, rule="RFC 9112 §9.6; rule 9 of the lesson")


def continue_comes_first(client: Client, target: str, fields: list[tuple[str, str]], body: bytes) -> Response:
    """The response to a request whose client sends its body only after 100 Continue."""
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("POST", target, fields))
        try:
            while b"\r\n\r\n" not in connection.received:
                that(connection.read(), "a closed connection", "100 Continue")
        except Deadline:
            fail("nothing, while the client waits before it sends the body", "HTTP/1.1 100 Continue")
        connection.send(body)
        response: Response = connection.response("POST")
        return response


def continue_comes_late(client: Client, target: str, fields: list[tuple[str, str]], body: bytes) -> bytes:
    """What comes after the final response, when the client sends its body in spite of it."""
    with client.connect(seconds=4) as connection:
        connection.send(request_bytes("POST", target, fields))
        connection.read()
        if connection.received.startswith(b"HTTP/1.1 100"):
            connection.send(body)
        response = connection.response("POST")
        expect(
            "status",
            response.status,
            200,
            "the application never looks at the body: it sends its response anyway",
        )
        if not response.interim:
            with contextlib.suppress(NoAnswer):
                connection.send(body)
        connection.half_close()
        return rest_of(connection)


def chunked_body_is_decoded(client: Client, body: str) -> None:
    """A body in chunks is decoded; refusing it with 411 is allowed (RFC 9112 §6.3)."""
    longer = f"5\r\n{body[:5]}XX0\r\n\r\n".encode()  # no CRLF after the five bytes
    chunks = "".join(f"{len(part):X};x=y\r\n{part}\r\n" for part in (body[:5], body[5:]))
    fields = [("Transfer-Encoding", "chunked")]
    data = request_bytes("POST", behave("read", how="all"), fields)
    with client.connect(seconds=3) as connection:
        connection.send(data + f"{chunks}0\r\n\r\n".encode())
        response = connection.response("POST")
    if response.status != 411:
        why = "the server removes the chunk framing: the application reads what is in them"
        expect("read() of a chunked body", answered(response).get("pieces"), [body], why)
        large = body * (200_000 // len(body))
        with client.connect(seconds=4) as connection:
            response = connection.ask(data + f"{len(large):x}\r\n{large}\r\n0\r\n\r\n".encode(), "POST")
        same = response.status == 200 and answered(response).get("pieces") == [large]
        got = f"{response.line}, {response.text[:60]!r}, for one chunk of {len(large)} bytes"
        that(same, got, "its bytes, in however many pieces they come")
        trailers_are_read(client)
    with client.connect(seconds=3) as connection:
        connection.send(data + longer)
        with contextlib.suppress(NoAnswer):
            got = connection.response("POST")
            right = "no 200: a chunk ends with CRLF, and this one goes on after its five bytes"
            that(got.status >= 400, f"{got.line} with {got.text[:100]!r}", right, rule="RFC 9112 §7.1")


def trailers_are_read(client: Client) -> None:
    """A chunked body with trailers: WSGI has no place for them."""
    fields = [("Transfer-Encoding", "chunked"), ("Connection", "close")]
    chunks = b"3\r\nabc\r\n0\r\nX-Sum: 1\r\nX-Empty:\r\n\r\n"
    response = client.send(request_bytes("POST", behave("read", how="all"), fields) + chunks, "POST")
    right = "200: trailers are read and left out"
    that(response.status == 200, f"{response.line}, to a chunked body with trailers", right)
    expect("read() of a body with trailers", answered(response).get("pieces"), ["abc"])


def closing_ends_the_body(client: Client, asked: str, body: str, field: str = "") -> Response:
    """Over HTTP/1.0 there are no chunks: where no length is told, the end of the connection ends the body."""
    right = "a closed connection: neither Content-Length nor chunks say where this body ends"
    with client.connect(seconds=4) as connection:
        connection.send(f"{asked}\r\nHost: localhost\r\n{field}\r\n".encode())
        try:
            response = connection.response()
        except Deadline:
            fail(f"a connection that stays open after {body[-10:]!r}", right, rule="RFC 9112 §6.3")
    why = "HTTP/1.0 has no chunks"
    codings = response.all("Transfer-Encoding")
    expect("Transfer-Encoding to an HTTP/1.0 client", codings, [], why, rule="RFC 9112 §6.1")
    expect("body over HTTP/1.0", response.text, body)
    return response


def content_length_is_a_promise(client: Client, chunks: list[str], body: str) -> None:
    """A body of 5 bytes more, or 5 less, than its Content-Length: the client must be able to tell."""
    for what, length in {"is 5 bytes": len(body) - 5, "is two chunks": len(chunks[0])}.items():
        with client.connect(seconds=3) as connection:
            target = behave("answer", chunk=chunks, header=f"Content-Length:{length}")
            connection.send(request_bytes("GET", target, [("Connection", "close")]))
            status, text = 0, ""
            with contextlib.suppress(NoAnswer):
                response = connection.response()
                status, text = response.status, response.text
            rest = rest_of(connection)
        if status == 200:
            expect(f"a body that {what} too long", text, body[:length], "Content-Length is a promise")
            why = "bytes past Content-Length would be read as the next response"
            expect(f"what follows a body that {what} too long", rest, b"", why)
    right = "a closed connection, 5 bytes before Content-Length is reached"
    rule = 'PEP 3333, "Handling the Content-Length Header"; RFC 9110 §8.6: MUST NOT, known to be incorrect'
    with client.connect(seconds=3) as connection:
        target = behave("answer", chunk=chunks, header=f"Content-Length:{len(body) + 5}")
        connection.send(request_bytes("GET", target) + request_bytes("GET", behave("ignore", name="next")))
        try:
            response = connection.response()
        except NoAnswer:
            return
        except Deadline as error:
            fail(f"{error.got}: the client waits for 5 bytes that never come", right, rule=rule)
    got = f"{response.line} and a body that ends with {response.body[-5:]!r}: it looks complete to the client"
    that(response.status == 500, got, right, rule=rule)


def malformed_is_refused(client: Client, cases: list[WireCase], who: str) -> None:
    """In whatever pieces it comes, a request is answered; what is malformed or endless is not passed on."""
    good = request_bytes("GET", behave("ignore", name=who), [("X-Long", "x" * 4000)])
    with client.connect(seconds=4) as connection:
        with contextlib.suppress(NoAnswer):
            connection.send_pieces([*(good[i : i + 1] for i in range(60)), good[60:3000], good[3000:]])
        next_is(connection, who, IN_PIECES)
    chunked = [case for case in cases if b"chunked" in case.data]
    for case in cases:
        if case not in chunked:
            why = case.notes.get("why", case.name)
            is_refused(client, case.data, why, must_answer="status" in case.notes)
    broken_chunks_are_refused(client, chunked)
    is_refused(
        client, b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-A: y\r\n" * 200_000, "a head that never ends"
    )

    # A client that leaves in the middle of its body takes nobody with it.
    with client.connect(seconds=3) as connection:
        data = request_bytes("POST", behave("read", how="all"), [("Content-Length", "100")])
        connection.send(data + b"half")
        connection.reset()


def ends_when_nobody_asks_for_more(client: Client, who: str) -> None:
    """After Connection: close, in any case, and after a request of HTTP/1.0."""
    target = behave("ignore", name=who)
    asked = {
        "close": request_bytes("GET", target, [("Connection", "Close")]),
        "an HTTP/1.0 request": f"GET {target} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode(),
    }
    for what, data in asked.items():
        with client.connect(seconds=4) as connection:
            connection.send(data)
            response = next_is(connection, who, "the last request")
            still = f"a connection that stayed open after {what}"
            that(connection.closed_within(2), still, "a closed connection", rule="RFC 9112 §9.6")
        if what == "close":
            said = (response.get("Connection") or "").lower()
            last = "the last response says so: your server.py, serve_connection"
            expect(
                "Connection, in the response to Connection: Close", said, "close", last, rule="RFC 9112 §9.6"
            )
    with client.connect(seconds=4) as connection:
        connection.send(asked["close"] + request_bytes("GET", behave("ignore", name="one more")))
        with contextlib.suppress(NoAnswer, Deadline):
            connection.read_all()
        got = "a response to the request behind one with Connection: close"
        expected = "nothing: the server MUST NOT process any further requests"
        that(b'"one more"' not in connection.received, got, expected, rule="RFC 9112 §9.6")


def hop_by_hop_is_the_servers(client: Client, value: str) -> None:
    """RFC 9110 §7.6.1: these speak of one connection, and the connection is the server's."""
    right, rule = "500, or the header left out: it is the server's", 'PEP 3333, "Other HTTP Features"'
    for field in HOP_BY_HOP:
        try:
            hop = client.get(behave("answer", header=f"{field}:{value}", chunk="Ada"))
        except NoAnswer:
            continue
        except NotHTTP as error:
            fail(f"{field}: {value} sent on ({error.got})", right, rule=rule)
        that(value not in (hop.get(field) or ""), f"{field}: {value} sent on", right, rule=rule)


@contextlib.contextmanager
def silence_ends(stack: Stack, client: Client, patient: Client, who: str) -> Iterator[None]:
    """Connections on which nothing comes while the block runs.

    With --keep-alive 1 the one that is idle is closed; the patient server's are answered when that is over,
    and until then it waits.
    """
    target = behave("ignore", name=who)
    whole = request_bytes("GET", target)
    with patient.connect(seconds=14) as used:
        used.send(whole)
        next_is(used, who, "the first request")
        with patient.connect(seconds=14) as slow, client.connect(seconds=14) as idle:
            slow.send(whole[:30])
            idle.send(whole)
            next_is(idle, who, "a request in one piece")
            spent = ProcessorTime(stack, patient.service)
            yield
            asked = f"{shown_request(target)}, and nothing after its response"
            still = "a connection that is still open, long after --keep-alive 1"
            closed = "a closed connection, when no byte arrived for a second"
            that(idle.closed_within(5), still, closed, sent=asked)
            spent.expect_idle("your server", sent=asked)
            kept(used, whole, who)
            with contextlib.suppress(NoAnswer):
                slow.send(whole[30:])
            next_is(slow, who, IN_PIECES)


def kept(used: Wire, whole: bytes, who: str) -> None:
    """A connection to the patient server, on which nothing came for a second, is answered."""
    got = "the end of a connection on which no byte arrived for a second"
    that(not used.closed_within(LOOKS), got, "it is kept: --keep-alive is 60 here", rule="RFC 9112 §9.3")
    with contextlib.suppress(NoAnswer):
        used.send(whole)
    next_is(used, who, "a connection that is idle for a moment is kept: --keep-alive is 60 here")


def response_and_rest(client: Client, method: str, target: str) -> tuple[Response, bytes]:
    """The response to a request with Connection: close, and what comes after it until the end."""
    with client.connect(seconds=3) as connection:
        connection.send(request_bytes(method, target, [("Connection", "close")]))
        response = connection.response(method)
        return response, rest_of(connection)


def nothing_follows_other_heads(client: Client, patient: Client, text: str) -> None:
    """Neither write sends content for HEAD, nor a 500 after an exception; and a 205 says that it has none."""
    reset_content_has_an_end(patient)
    _, rest = response_and_rest(client, "HEAD", behave("write", text=[text], rest=text))
    expect("what follows the head (HEAD, and write)", rest, b"", "no content, no chunk")
    try:
        _, rest = response_and_rest(client, "HEAD", behave("answer", raise_at=-1))
    except NoAnswer:
        return  # a server may close, in place of a 500
    why = "no content, nor in the server's own words: connection.refuse takes the request's method"
    expect("what follows the head of the 500 to a HEAD", rest, b"", why, rule="RFC 9110 §9.3.2, a MUST")


def reset_content_has_an_end(client: Client) -> None:
    """A 205 has no content, but unlike a 204 it has to say so: its client looks for the end of a body."""
    with client.connect(seconds=3) as connection:
        connection.send(request_bytes("GET", behave("answer", status="205 Reset Content")))
        try:
            expect("body of a 205", connection.response().body, b"")
        except Deadline:
            fail(
                "a 205 without Content-Length or chunks, on a connection that stays open",
                "Content-Length: 0, the last chunk, or a close: of 1xx, 204 and 304 alone the head is all",
                rule="RFC 9112 §6.3; RFC 9110 §15.3.6",
            )


def read_before_the_next(client: Client, how: str, body: str, told_by: str) -> dict[str, Any]:
    """What an application says it read; its body comes in two pieces, the next request behind the second."""
    data = request_bytes("POST", behave("read", how=how), body=body.encode())
    with client.connect(seconds=3) as connection:
        connection.send_pieces([data[:-7], data[-7:] + b"GET /next HTTP/1.1\r\n"])
        try:
            return answered(connection.response("POST"))
        except Deadline:
            fail(f"{told_by} that never came back", f"an end of file after {len(body)} bytes, Content-Length")


def one_date(response: Response, whose: str) -> None:
    """Fail unless a response has one Date."""
    dates = response.all("Date")
    that(len(dates) == 1, f"Date = {dates}", f"one Date: {whose}", rule="RFC 9110 §6.6.1, a MUST")
