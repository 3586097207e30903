"""Where one request ends and the next begins: bodies that nobody reads, lengths and chunks of every kind."""

from __future__ import annotations

import contextlib
from typing import Any

from behaviours_client import behave, told

from workshop.judge.checks import Client, Deadline, NoAnswer, expect, fail, request_bytes, that

CHUNKED = [("Transfer-Encoding", "chunked")]
CLOSE = ("Connection", "close")


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


def rest_is_skipped(client: Client, who: str) -> None:
    """However much of a body is left unread, the next response is the next request's, or there is none."""
    hidden = request_bytes("GET", behave("ignore", name="smuggled"))
    filled = b"x" * 20_000 + b"\r\n\r\n" + hidden
    ways = {
        "of which the application reads 13 bytes": request_bytes(
            "POST", behave("read", how="more", size=3), body=filled
        ),
        "whose application raises before it reads": request_bytes(
            "POST", behave("answer", raise_at=-1, name=who), body=hidden
        ),
        "in chunks, which the application leaves unread": request_bytes(
            "POST", behave("ignore", name=who), CHUNKED
        )
        + b"%x\r\n%b\r\n0\r\n\r\n" % (len(hidden), hidden),
    }
    for body, data in ways.items():
        with client.connect(seconds=3) as connection:
            connection.send(data + request_bytes("GET", behave("ignore", name=f"{who} 2"), [CLOSE]))
            text = _second_text(connection, body)
        if text is not None:
            why = "the rest of the body is skipped, or the connection closed: it is not the next request"
            expect(f"the next response, after a body {body}", text, f'{{"ignored": "{who} 2"}}', why)


def _second_text(connection: Any, body: str) -> str | None:
    """The second response's text; None when the connection ends with the first one."""
    closes = False
    try:
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
