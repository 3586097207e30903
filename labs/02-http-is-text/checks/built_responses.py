"""Lab 2's checks read what `build_response` built, by h11."""

from email.utils import parsedate_to_datetime

import h11

from workshop.judge.checks import expect, fail, made, named, show_bytes, that

DATED = {404: "Date", 299: "date"}  # responses whose caller has a Date of its own: names have no case


def bad_fields(who):
    """Fields that could split a response, that are none, or that are about its framing."""
    return [
        ("X-Name", f"{who}\r\nSet-Cookie: admin=1"),
        ("X-Name", f"{who}\nSet-Cookie: admin=1"),
        ("X-Name", f"{who}\r"),
        ("X-Name", f"{who}\x00"),
        ("X-Name: 1\r\nSet-Cookie", who),
        ("X Name", who),
        ("", who),
        ("X-Name", f"{who} \u0416"),
        ("Content-Length", "3"),
        ("content-length", "3"),
        ("Transfer-Encoding", "chunked"),
        ("transfer-encoding", "chunked"),
    ]


def list_is_the_callers(probe):
    """The list of fields is the caller's: build_response leaves it as it is."""
    given = ("given", made("builtins:list", [("X-Note", "Ada")]))
    built = made("http_text:build_response", 200, named("given"), b"Ada")
    sent = "given = [('X-Note', 'Ada')]; build_response(200, given, b'Ada'); list(given)"
    seen = probe.steps(given, built, made("builtins:list", named("given")), sent=sent)
    that(not seen.raised, f"it raised {seen.raised}"[:300], "bytes", sent=sent)
    left = [tuple(pair) for pair in seen.values[-1]]
    expect(
        "the list of fields afterwards", left, [("X-Note", "Ada")], "as it was: it is the caller's", sent=sent
    )


def response_of(data, verb, sent):
    """The response in these bytes, by h11; they must be exactly one."""
    that(isinstance(data, bytes), f"{data!r}"[:300], "bytes")
    reader = h11.Connection(h11.CLIENT)
    reader.send(h11.Request(method=verb, target="/", headers=[("Host", "localhost")]))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    try:
        head, body = reader.next_event(), b""
        if isinstance(head, h11.InformationalResponse):
            left = reader.trailing_data[0]
            that(not left, f"{show_bytes(left)} after the response", "nothing after a 1xx", sent=sent)
        elif not isinstance(head, h11.Response):
            fail(show_bytes(data), "a whole head: status line, fields, an empty line", sent=sent)
        while isinstance(event := reader.next_event(), h11.Data):
            body += bytes(event.data)
    except h11.RemoteProtocolError as error:
        fail(
            f"{show_bytes(data)}     which isn't valid HTTP: {error}",
            "a response that a client understands",
            sent=sent,
        )
    left = reader.trailing_data[0]
    that(not left, f"{show_bytes(left)} after the response", "nothing after the response", sent=sent)
    fields = [
        (key.decode("latin-1").lower(), value.decode("latin-1")) for key, value in head.headers.raw_items()
    ]
    return head.status_code, fields, body


def is_date(text):
    """Whether it is an IMF-fixdate (RFC 9110 §5.6.7)."""
    try:
        return parsedate_to_datetime(text).utcoffset() is not None and text.endswith("GMT")
    except ValueError:
        return False
