"""Answers through the gzip layer, and what their bytes say."""

import random
import zlib
from collections.abc import Iterator
from typing import Any

from asgi_messages import Answer, ended_well, messages, piece, scope_with, start, word

from workshop.judge.checks import Probe, Transcript, asgi_app, expect, fail, made, ref, that
from workshop.judge.probe_client import returned

MOST = 1 << 20  # bytes
COOKIES = ((b"set-cookie", b"a=1"), (b"set-cookie", b"b=2"))


def text_of(rng: random.Random, size: int) -> bytes:
    """Text of a size that is worth compressing."""
    words = [word(rng, 6) for _ in range(40)]
    return " ".join(rng.choice(words) for _ in range(size // 7 + 1)).encode()[:size]


def accepted(rng: random.Random) -> dict[str, bool]:
    """Values of Accept-Encoding, and whether each allows gzip; weights and other codings are drawn."""
    weight, other = f"0.{rng.randrange(1, 1000):03}", f"x-{word(rng, 5)}"
    some_case = "".join(rng.choice([one, one.upper()]) for one in "gzip")
    return {
        "gzip": True,
        f"deflate, gzip;q={weight}, br": True,
        some_case: True,
        f"gzip; q={weight}": True,
        f"{other};q={weight},gzip , {other}2": True,
        "*": True,
        f"{other};q=1, *;q={weight}": True,
        "": False,
        "identity": False,
        other: False,
        "br, gzip;q=0": False,
        f"gzip;q=0, {other};q={weight}": False,
        "gzip;q=0.000, *;q=1": False,
        f"{word(rng, 3)}gzip": False,
        f"gzip{word(rng, 2)}": False,
        "*;q=0": False,
        f"{other}, *;q=0.0": False,
    }


def asking(text: str | None) -> list[tuple[bytes, bytes]]:
    return [] if text is None else [(b"accept-encoding", text.encode())]


def packed(probe: Probe, steps: list[Any], accept: str | None = "gzip", **more: Any) -> Answer:
    """The answer to one request through gzip, with its minimum."""
    app = made("middleware:gzip", asgi_app(*steps), minimum=500)
    return Answer(probe.asgi(app, scope_with(*asking(accept), **more)))


def unpacked_so_far(unpacker: Any, data: bytes) -> bytes:
    """What more bytes say, to a limit: a few of them can unpack to gigabytes."""
    try:
        text: bytes = unpacker.decompress(data, MOST)
    except zlib.error as error:
        fail(f"a body that does not unpack ({error}): {data[:40]!r}", "gzip's bytes", rule="RFC 1952")
    if unpacker.unconsumed_tail:
        fail(f"{len(data)} bytes that unpack to more than {MOST} bytes of text", "the application's own text")
    return text


def unpacked(data: bytes) -> bytes:
    """What gzip's bytes say. Fails when they are none, or not all of them are there."""
    unpacker = zlib.decompressobj(31)
    text = unpacked_so_far(unpacker, data)
    that(
        unpacker.eof and not unpacker.unused_data,
        got=f"gzip's bytes without their end, after {len(text)} bytes of text",
        expected="all of it, and gzip's trailer: zlib.Z_FINISH for the last message",
        rule="RFC 1952",
    )
    return text


def on_two_lines(probe: Probe, steps: list[Any]) -> None:
    """Accept-Encoding in two fields is one list."""
    for first, second, wanted in (
        ("x-ada", "gzip", [b"gzip"]),
        ("gzip", "x-ada", [b"gzip"]),
        ("*", "gzip;q=0", []),
    ):
        app = made("middleware:gzip", asgi_app(*steps), minimum=500)
        got = Answer(probe.asgi(app, scope_with(*asking(first), *asking(second))))
        sent = f"Accept-Encoding in two fields, {first} and {second}, which is {first}, {second}"
        rule = "RFC 9110 §5.3, Field Order"
        expect("content-encoding", got.all(b"content-encoding"), wanted, sent, rule=rule)


def says_what_it_is(got: Answer, sent: str, wanted: bool, text: bytes, etag: bytes) -> None:
    """Fail unless an answer's fields fit its bytes, packed (`wanted`) or plain."""
    encodings = [b"gzip"] if wanted else []
    expect("content-encoding", got.all(b"content-encoding"), encodings, f"sent was {sent}")
    vary = got.members(b"vary")
    that(
        "accept-encoding" in vary and "origin" in vary,
        got=f"vary = {got.all(b'vary')!r}, for {sent}",
        expected="Origin and Accept-Encoding: a cache must not give compressed bytes to a client without "
        "gzip, so on uncompressed responses, too",
        rule="RFC 9110 §12.5.5, Vary",
    )
    expect(f"the text, for {sent}", unpacked(got.body) if wanted else got.body, text)
    lengths = got.all(b"content-length")
    that(
        lengths in ([], [str(len(got.body)).encode()]),
        got=f"content-length = {lengths!r} for {len(got.body)} bytes",
        expected="none (the server frames the body), or the length of these bytes",
        rule="RFC 9110 §8.6, Content-Length",
    )
    cookies = [value for _, value in COOKIES]
    expect(
        f"set-cookie, for {sent}", got.all(b"set-cookie"), cookies, "a dict of headers keeps one of each name"
    )
    expect(f"content-type, for {sent}", got.all(b"content-type"), [b"text/plain"], "it is what it was")
    tag = (b'W/"%b"' if wanted else b'"%b"') % etag
    why = (
        "a strong ETag promises the same bytes, and these are compressed"
        if wanted
        else "the bytes are the same"
    )
    expect(f"etag, for {sent}", got.all(b"etag"), [tag], why, rule="RFC 9110 §8.8.1, Weak versus Strong")


def not_worth_it(text: bytes, small: bytes) -> list[tuple[str, list[Any]]]:
    """What stays as it is: why, and the application's steps."""
    return [
        ("a whole body under the minimum", [start((b"content-length", b"%d" % len(small))), piece(small)]),
        ("Content-Encoding: br", [start((b"content-encoding", b"br")), piece(text)]),
        ("Content-Encoding: identity", [start((b"content-encoding", b"identity")), piece(text)]),
        ("Content-Type: image/png", [start((b"content-type", b"image/png")), piece(text)]),
        ("Content-Type: video/mp4", [start((b"content-type", b"Video/mp4")), piece(text, True), piece(b"")]),
        (
            "206 with Content-Range",
            [start((b"content-range", b"bytes 0-%d/9999" % (len(text) - 1)), status=206), piece(text)],
        ),
        ("304", [start((b"etag", b'"1"'), status=304), piece(b"", True), piece(b"")]),
        ("204", [start(status=204), piece(b"", True), piece(b"")]),
    ]


def head_stays_empty(probe: Probe, text: bytes) -> None:
    """An answer to HEAD has nothing to pack."""
    head = packed(probe, [start((b"content-length", b"%d" % len(text))), piece(b"")], method="HEAD")
    expect("the body that answers HEAD", head.body, b"", "there is none, so there is nothing to compress")
    that(
        head.all(b"content-length") in ([], [b"%d" % len(text)]),
        got=f"content-length = {head.all(b'content-length')!r}, in the response to HEAD",
        expected="the application's, or none: not the length of an empty body, compressed",
        rule="RFC 9110 §8.6, Content-Length",
    )


def minimum_counts(probe: Probe, other: int) -> None:
    """A whole body is packed from `minimum` bytes on: 500 when nobody names another number."""
    for minimum, more in ((500, {}), (other, {"minimum": other})):
        for size, wanted in ((minimum - 1, []), (minimum, [b"gzip"])):
            app = made("middleware:gzip", asgi_app(start(), piece(b"." * size)), **more)
            got = Answer(probe.asgi(app, scope_with(*asking("gzip"))))
            why = f"a whole body under `minimum`, {minimum} here, stays"
            expect(f"content-encoding of {size} bytes", got.all(b"content-encoding"), wanted, why)


def level_counts(probe: Probe, text: bytes) -> None:
    stored = made("middleware:gzip", asgi_app(start(), piece(text)), level=0)
    sizes = [len(Answer(probe.asgi(stored, scope_with(*asking("gzip")))).body), len(text)]
    that(
        sizes[0] >= sizes[1],
        got=f"{sizes[0]} bytes, for {sizes[1]} of text, with level=0",
        expected="no less than the text: zlib's level 0 does not compress",
        rule="gzip(app, minimum, level): zlib.compressobj(level, zlib.DEFLATED, 31)",
    )


def trailers_follow(probe: Probe, text: bytes) -> None:
    """Trailers after a compressed body come out as they are."""
    trailers = {"type": "http.response.trailers", "headers": [[b"x-sum", b"1"]], "more_trailers": False}
    app = made("middleware:gzip", asgi_app(start(), piece(text), ["send", trailers]))
    seen = probe.asgi(app, scope_with(*asking("gzip")), settle=0.5)
    ended_well(seen, "a compressed body, its trailers, and no exception")
    why = "as the application sent them: they are not compressed"
    expect("the trailers after a compressed body", messages(seen, trailers["type"]), [trailers], why)


def streams_beside_each_other(probe: Probe) -> None:
    """Two streams at the same time: each client gets its own bytes, and the end of them."""
    scopes = [scope_with(*asking("gzip"), path=path) for path in ("/Ada", "/Grace")]
    sent = "GET /Ada and GET /Grace at the same time; the application sends a piece to one, then to the other"
    call = made("layer_calls:streams", ref("middleware:gzip"), scopes)
    for path, data in zip((b"/Ada", b"/Grace"), returned(probe.steps(call, sent=sent)), strict=True):
        why = "two requests at the same time: a compressor, and a start that is kept, belong to one of them"
        that(unpacked(data) == path * 150, f"GET {path.decode()}: another text", why, sent=sent)


def text_after_each_piece(seen: Transcript) -> Iterator[bytes]:
    """What a client can unpack of a stream by each receive of its application, which comes after a piece."""
    unpacker, text = zlib.decompressobj(31), b""
    for event in seen.events:
        if event["event"] == "send" and event["message"].get("type") == "http.response.body":
            text += unpacked_so_far(unpacker, event["message"].get("body", b""))
        elif event["event"] == "inner received":
            yield text
