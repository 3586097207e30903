"""Lab 2's checks read what `build_response` built, by h11."""

from email.utils import parsedate_to_datetime

import h11

from workshop.judge.checks import fail, show_bytes, that


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
