"""Where one request ends and the next begins: bodies that nobody reads, lengths and chunks of every kind."""

from __future__ import annotations

import contextlib
from typing import Any
from urllib.parse import quote

from behaviours_client import behave, told

from workshop.judge.checks import (
    Client,
    Deadline,
    NoAnswer,
    Response,
    WireError,
    expect,
    fail,
    request_bytes,
    that,
)

CHUNKED = [("Transfer-Encoding", "chunked")]
CLOSE = ("Connection", "close")
LATE = "that comes when the application has answered"


def framing_is_told(client: Client) -> None:
    """What an environ says of a chunked body, and of a Content-Length that comes twice."""
    chunked = client.send(request_bytes("POST", "/fields", [*CHUNKED, CLOSE]) + b"3\r\nabc\r\n0\r\n\r\n")
    if chunked.status != 411:
        why = "it has no objection to the environ of a chunked request"
        said = told(chunked)
        expect("what wsgiref.validate says of the environ", said.get("complaint"), "", why)
        flag = said.get("others", {}).get("wsgi.input_terminated")
        ends = "True: the stream ends with the body; who finds False there, and no length, reads nothing"
        rule = "your server.py, build_environ"
        that(flag != "False", f"wsgi.input_terminated = {flag}, with a chunked body", ends, rule=rule)
    twice = client.request("POST", "/fields", [("Content-Length", "3")] * 2, b"abc")
    if twice.status != 400:
        why = "two equal ones are one (or 400): the text '3,3' can't be read as a number"
        length = told(twice)["environ"].get("CONTENT_LENGTH")
        expect("CONTENT_LENGTH", length, "3", why, rule="RFC 9112 §6.3")


def environ_is_new(client: Client, who: str) -> None:
    """No variable of a request, and nothing that its application wrote, is in the environ of the next one."""
    with client.connect(seconds=4) as connection:
        fields = [("X-First", who), ("Content-Type", "text/first")]
        connection.send(request_bytes("GET", "/fields", fields))
        response = connection.response()
        told(response)
        again = None
        if (response.get("Connection") or "").lower() != "close":
            with contextlib.suppress(NoAnswer):  # a server may close it all the same (RFC 9112 §9.5)
                connection.send(request_bytes("GET", "/fields", [CLOSE]))
                again = connection.response()
    said = told(again if again is not None else client.get("/fields"))
    got = "an environ that the last request's application had written into"
    that(not said["used_before"], got, "a new dict each time")
    for key in ("HTTP_X_FIRST", "CONTENT_TYPE"):
        value = said["environ"].get(key, "")
        that(
            value not in (who, "text/first"),
            f"{key} = {value!r}, of the request before",
            "a new dict each time",
        )


def no_false_length(response: Response, case: str, text: str) -> None:
    """Without a length from the application: none, or that of the body which a GET would have brought."""
    length = response.get("Content-Length")
    if response.status == 204:
        expect(f"Content-Length ({case})", length, None, "a 204 has none", rule="RFC 9110 §8.6")
    elif length is not None:
        why = f"the length of the body that a 200 to GET has, or no Content-Length ({case})"
        expect("Content-Length", length, str(len(text)), why, rule="RFC 9110 §8.6")


def _large_body_arrives(client: Client) -> None:
    """A body that does not fit into the system's buffers, and a client that reads late."""
    size = 128 * 65536
    right = f"{size} bytes: what the socket does not take at once is sent later"
    with client.connect(seconds=6) as connection:
        connection.send(request_bytes("GET", behave("endless", chunks=128), [CLOSE]))
        client.rests(1)
        try:
            response = connection.response()
        except WireError as error:
            fail(f"{error.got[:100]}, of a body of {size} bytes", right)
    that(response.body == b"." * size, f"a body of {len(response.body)} bytes", right)


def chunks_reach_flask(client: Client, who: str) -> None:
    """Flask reads a chunked body as any other, where the server says that the stream ends by itself."""
    body = who.encode()
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    response = client.send(request_bytes("POST", "/upper", [*CHUNKED, CLOSE]) + chunks, "POST")
    if response.status != 411:
        why = "Werkzeug takes a chunked body for empty without wsgi.input_terminated"
        expect(
            "POST /upper in chunks, to Flask",
            response.text,
            who.upper(),
            why,
            rule="your server.py, build_environ",
        )


def length_is_the_applications(client: Client, chunks: list[str], body: str) -> None:
    """An application's Content-Length is sent, once, and no other framing beside it."""
    for field in ("Content-Length", "content-length"):
        response = client.get(behave("answer", chunk=chunks, header=f"{field}:{len(body)}"))
        once = f"the application's, once: it said {field}"
        expect("Content-Length", response.all("Content-Length"), [str(len(body))], once)
        coding = response.get("Transfer-Encoding")
        both = f"the application said {field}"
        expect("Transfer-Encoding beside Content-Length", coding, None, both, rule="RFC 9112 §6.2")
        expect("body", response.text, body)
    _large_body_arrives(client)


def rest_is_skipped(client: Client, who: str) -> None:
    """However much of a body is left unread, the next response is the next request's, or there is none."""
    hidden = request_bytes("GET", behave("ignore", name="smuggled"))
    filled = b"x" * 20_000 + b"\r\n\r\n" + hidden
    ignore = behave("ignore", name=who)
    ways = {
        LATE: request_bytes("POST", ignore, body=hidden),
        "of a GET": request_bytes("GET", ignore, body=hidden),
        "of 200,000 bytes": request_bytes("POST", ignore, body=b"x" * 200_000 + hidden),
        "for which the application puts another wsgi.input into its environ": request_bytes(
            "POST", behave("ignore", name=who, instead=1), body=hidden
        ),
        "of which the application reads 13 bytes": request_bytes(
            "POST", behave("read", how="more", size=3), body=filled
        ),
        "whose application raises before it reads": request_bytes(
            "POST", behave("answer", raise_at=-1, name=who), body=hidden
        ),
        "in chunks, which the application leaves unread": request_bytes("POST", ignore, CHUNKED)
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden),
    }
    for body, data in ways.items():
        last = request_bytes("GET", behave("ignore", name=f"{who} 2"), [CLOSE])
        with client.connect(seconds=3) as connection:
            if body == LATE:
                connection.send(data[: -len(hidden)])
                client.rests(1)
                data = hidden
            text = _second_text(connection, data + last, body)
        if text is not None:
            why = "the rest of the body is skipped, or the connection closed: it is not the next request"
            expect(f"the next response, after a body {body}", text, f'{{"ignored": "{who} 2"}}', why)


def _second_text(connection: Any, data: bytes, body: str) -> str | None:
    """The second response's text; None when the connection ends with the first one."""
    closes = False
    try:
        connection.send(data)
        first = connection.response("POST")
        closes = "close" in (first.get("Connection") or "").lower()
        text: str = connection.response().text
    except NoAnswer:
        return None
    except Deadline as error:
        right = "a response to the next request, or the end of the connection"
        that(closes, f"{error.got}, after a body {body}", right)
        return None
    return text


def nothing_after_a_bad_chunk(client: Client, who: str) -> None:
    """Where a chunk was no chunk, nobody knows where the next request begins, whatever was caught."""
    bad = request_bytes("POST", behave("stubborn", name=who), CHUNKED) + b"3\r\nabcdef\r\n0\r\n\r\n"
    with client.connect(seconds=4) as connection:
        connection.send(bad + request_bytes("GET", behave("ignore", name="behind it")))
        with contextlib.suppress(NoAnswer, Deadline):
            connection.read_all()
    got = "a response to what came behind a chunk that goes on after its three bytes"
    right = "the end of the connection: nobody knows where the next request would begin"
    that(b'"behind it"' not in connection.received, got, right, rule="RFC 9112 §7.1; rule 9 of the lesson")


def kept_over_http_1_0(client: Client, who: str) -> None:
    """An HTTP/1.0 client that asks to be kept is told so, or sees the connection end."""
    asked = f"GET {behave('ignore', name=who)} HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n\r\n"
    with client.connect(seconds=4) as connection:
        connection.send(asked.encode())
        try:
            response = connection.response()
        except Deadline as error:
            fail(f"{error.got}, where a response was due", "a response to HTTP/1.0 with keep-alive")
        expect("the body", response.json(), {"ignored": who}, "HTTP/1.0 with Connection: keep-alive")
        told_so = "keep-alive" in (response.get("Connection") or "").lower()
        got = "a connection that stays open after HTTP/1.0, and no Connection: keep-alive in the response"
        right = "that header, or a closed connection: an HTTP/1.0 client waits for one of the two"
        that(
            told_so or connection.closed_within(2),
            got,
            right,
            rule="RFC 9112 §9.3; your server.py, serve_connection",
        )


def framework_runs(front: Client, prefix: str, who: str, sent: bytes) -> None:
    """What services/apps/greeting_flask.py and greeting_django.py answer behind nginx."""
    expect(f"GET {prefix}", front.get(f"{prefix}?name={quote(who)}").text, f"Hello, {who}!\n")
    response = front.request("POST", f"{prefix}upper", body=sent)
    expect(f"POST {prefix}upper", response.text, sent.decode().upper(), "the body, and nothing else")
    letters = front.get(f"{prefix}letters?name={quote(who)}")
    expect(f"GET {prefix}letters", letters.text, who, "a chunk for each letter")
    expect(f"GET {prefix}nothing", front.get(f"{prefix}nothing").status, 404)
    expect(f"HEAD {prefix}", front.request("HEAD", prefix).body, b"")
