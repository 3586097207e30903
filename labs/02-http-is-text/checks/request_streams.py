"""Lab 2's checks feed a Reader: a stream in pieces, and which requests came out after each of them."""

import itertools

from parsed_requests import CRLF, refusal_of, request_of

from workshop.judge.checks import expect, fail, made, method, named, show_bytes

BROKEN_CHUNKS = (
    ("a chunk size that isn't a number", b"three\r\nAda\r\n"),
    ("a chunk size with 0x", b"0x3\r\nAda\r\n"),
    ("a chunk size with a sign", b"+3\r\nAda\r\n"),
    ("a negative chunk size", b"-3\r\nAda\r\n"),
    ("a chunk size as only Python writes it", b"0_3\r\nAda\r\n"),
    ("no chunk size", b"\r\nAda\r\n"),
    ("a chunk longer than its size", b"3\r\nAda Lovelace\r\n"),
    ("a chunk with two other bytes for its line end", b"3\r\nAda..0\r\n\r\n"),
    ("a trailer that isn't a field", b"3\r\nAda\r\n0\r\nno field\r\n\r\n"),
)


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


def inside_line_ends(data):
    """The places between CR and LF."""
    return [place + 1 for place in range(len(data)) if data[place : place + 2] == CRLF]


def chunk(data, size=b"%x", extension=b""):
    """A chunk; `size` says how its size is written, in hexadecimal digits."""
    return size % len(data) + extension + CRLF + data + CRLF


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
