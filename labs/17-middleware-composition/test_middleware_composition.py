"""Lab 17: layers and adapters, around any application, that change what they are for and nothing else."""

import json
import random
import re
import string
import threading
import time
import zlib
from collections.abc import Sequence
from typing import Any

from workshop.judge.checks import (
    NOT_JSON,
    Client,
    Closed,
    Deadline,
    NoAnswer,
    Probe,
    Response,
    Transcript,
    asgi_app,
    body_event,
    check,
    expect,
    fail,
    http_scope,
    made,
    name,
    object_of,
    ref,
    that,
    wire_cases,
    wsgi_app,
)

START = 'ASGI www, "Response Start - send event"'
BODY = 'ASGI www, "Response Body - send event"'
MIDDLEWARE = 'ASGI, "Middleware"'
OVERLAP = "two requests at the same time: what belongs to one of them lives in its own call"
PIECES = 2048  # of apps/adapted_apps.py
AHEAD = 100  # chunks: far more than any queue an adapter needs, far fewer than PIECES
PATIENCE = 4.0  # seconds

Pairs = Sequence[tuple[bytes, bytes]]


# --- what the checks share --------------------------------------------------------------------------


def word(rng: random.Random, size: int = 8) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=size))


def scope_with(*fields: tuple[bytes, bytes], method: str = "GET", **more: Any) -> dict[str, Any]:
    return http_scope(method, headers=[(b"host", b"localhost"), *fields], **more)


def socket_scope(*fields: tuple[bytes, bytes]) -> dict[str, Any]:
    """A WebSocket's scope (ASGI www, "WebSocket Connection Scope")."""
    scope = scope_with(*fields)
    del scope["method"]
    return {**scope, "type": "websocket", "scheme": "ws", "subprotocols": []}


LIFESPAN = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}


def start(*headers: tuple[bytes, bytes], status: int = 200) -> list[Any]:
    """A step of a scripted application."""
    message = {"type": "http.response.start", "status": status, "headers": [list(pair) for pair in headers]}
    return ["send", message]


def piece(data: bytes, more: bool = False) -> list[Any]:
    return ["send", {"type": "http.response.body", "body": data, "more_body": more}]


def ended_well(seen: Transcript, why: str = "an answer, and no exception") -> None:
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}".rstrip(": "), why)
    if "still running" in seen.names():
        sent = [message.get("type") for message in seen.sends if isinstance(message, dict)]
        fail(f"the call did not end; sent {sent}", why)


def messages(seen: Transcript, kind: str) -> list[dict[str, Any]]:
    return [one for one in seen.sends if isinstance(one, dict) and one.get("type") == kind]


class Answer:
    """The one response in a transcript; fails where the messages are not what ASGI asks for."""

    def __init__(self, seen: Transcript) -> None:
        ended_well(seen)
        types = [one.get("type") if isinstance(one, dict) else one for one in seen.sends]
        that(
            types[:1] == ["http.response.start"] and set(types[1:]) == {"http.response.body"},
            got=f"sent {types}",
            expected="sent one http.response.start, then http.response.body",
            rule=START,
        )
        self.status = seen.sends[0].get("status")
        pairs = seen.sends[0].get("headers", [])
        wrong = [pair for pair in pairs if not is_pair(pair)] if isinstance(pairs, list | tuple) else [pairs]
        that(
            not wrong,
            got=f"the header {wrong[:1]!r}",
            expected="(name, value), both of them bytes",
            rule=START,
        )
        self.headers: list[tuple[bytes, bytes]] = [(pair[0].lower(), pair[1]) for pair in pairs]
        self.pieces = [one.get("body", b"") for one in seen.sends[1:]]
        more = [bool(one.get("more_body", False)) for one in seen.sends[1:]]
        that(
            more == [True] * (len(more) - 1) + [False],
            got=f"more_body {more} in the body messages",
            expected="True in all of them but the last",
            rule=BODY,
        )
        self.body = b"".join(self.pieces)

    def all(self, field: bytes) -> list[bytes]:
        return [value for key, value in self.headers if key == field]

    def members(self, field: bytes) -> list[str]:
        """The members of a field that is a list, in lower case."""
        text = b",".join(self.all(field)).decode("latin-1").lower()
        return [part.strip() for part in text.split(",") if part.strip()]


def is_pair(pair: Any) -> bool:
    return isinstance(pair, tuple | list) and len(pair) == 2 and all(isinstance(part, bytes) for part in pair)


def is_called(seen: Transcript) -> bool:
    return seen.first("inner called") is not None


def inner_scope(seen: Transcript) -> dict[str, Any]:
    found = (seen.first("inner called") or {}).get("scope", {})
    return found if isinstance(found, dict) else {}


def inner_values(seen: Transcript, field: bytes) -> list[bytes]:
    """Every value of a field in the scope that the inner application got."""
    headers = inner_scope(seen).get("headers") or []
    return [pair[1] for pair in headers if is_pair(pair) and pair[0].lower() == field]


def played(seen: Transcript, body: list[bytes]) -> None:
    """Fail unless the application's body came out as it was sent."""
    got = Answer(seen)
    expect("status", got.status, 201, "the application's own")
    expect("body messages", got.pieces, body, "one out for each one in: a stream stays a stream", rule=BODY)


# --- what every layer owes --------------------------------------------------------------------------


def passes_through(probe: Probe, rng: random.Random, layer: str, app: Any) -> None:
    """Fail unless a layer, put around an application by `app(inner)`, leaves alone what it isn't about."""
    pieces = [word(rng).encode(), b"", word(rng).encode()]
    data = [word(rng).encode(), word(rng).encode()]
    request = [body_event(data[0], more=True), body_event(data[1])]
    steps = [["receive until", "http.request"], start((b"x-own", b"1"), status=201)]
    steps += [piece(one, more=number < 2) for number, one in enumerate(pieces)]
    inner = asgi_app(*steps)
    seen = probe.asgi(app(inner), scope_with(method="POST"), receive=request)
    played(seen, pieces)
    expect("x-own", Answer(seen).all(b"x-own"), [b"1"], "the application's own header stays")
    got = [event["message"].get("body") for event in seen.all("inner received")]
    expect(f"{layer}: what the application received", got, data, "the request's body is its own to read")
    first = seen.names().index("inner called")
    that(
        "receive" not in seen.names()[:first],
        got=f"{layer} called receive before the application did",
        expected="the request's events left for the application",
        rule='ASGI www, "Request - receive event"',
    )
    who = word(rng)
    for sent in ([], [start()], [start(), piece(b"a", more=True)]):
        seen = probe.asgi(app(asgi_app(*sent, ["raise", who])), scope_with())
        error = seen.raised or {}
        expect(
            f"{layer}: the exception, when the application raised after {len(sent)} messages",
            error.get("message"),
            who,
            "the application's own goes on to the server, which alone knows what was sent",
            rule='ASGI, "Error Handling"',
        )
    trailers = {"type": "http.response.trailers", "headers": [[b"x-sum", b"1"]], "more_trailers": False}
    seen = probe.asgi(
        app(asgi_app(start(status=201), piece(b"ok"), ["send", trailers])), scope_with(), settle=0.5
    )
    ended_well(seen)
    count = len(messages(seen, "http.response.trailers"))
    expect(f"{layer}: messages http.response.trailers", count, 1, "what a layer doesn't know passes, too")


def untouched_scope(probe: Probe, layer: str, made_layer: Any, scope: dict[str, Any]) -> None:
    changed = probe.call("adapted_apps:keeps_scope", made_layer, scope)
    expect(
        f"{layer}: keys of the server's scope that it changed",
        changed,
        [],
        "a copy for the application, {**scope, …}: else the change leaks to whoever is outside",
        rule=MIDDLEWARE,
    )


# --- task 1 -----------------------------------------------------------------------------------------


def duration(got: Answer) -> float:
    """The app's milliseconds in Server-Timing, however it is spelled."""
    metrics = [part.strip() for part in got.members(b"server-timing")]
    mine = [metric for metric in metrics if metric.split(";")[0].strip() == "app"]
    found = re.search(r';\s*dur\s*=\s*"?([0-9]+(?:\.[0-9]+)?)', mine[0]) if mine else None
    if len(mine) != 1 or found is None:
        fail(
            f"values of server-timing = {got.all(b'server-timing')!r}",
            "one value: b'app;dur=12.5'",
            rule=TIMING,
        )
    return float(found[1])


TIMING = 'Server Timing, "The Server-Timing Header Field"'


@check(task=1, rule=TIMING)
def test_task1_timing_says_how_long_the_application_took(probe, rng):
    """timing says how long the application took"""
    for _ in range(2):
        took, outside = rng.randrange(100, 900) / 1000, rng.randrange(2, 9)
        layer = made("middleware:timing", made("adapted_apps:steady", took), clock=ref("manual_clock:clock"))
        got = Answer(probe.asgi(made("adapted_apps:delayed", layer, outside), scope_with()))
        expect("x-worker", got.all(b"x-worker"), [b"yes"], "the application's own header stays")
        dur = duration(got)
        wanted = round(took * 1000, 3)
        why = f"milliseconds: http.response.start came {took} s after the application was called"
        that(abs(dur - wanted) <= 1, f"dur = {dur}", f"dur = {wanted}     {why}")
    Answer(probe.asgi(made("middleware:timing", asgi_app(start(), piece(b"ok"))), scope_with()))


@check(task=1, rule=MIDDLEWARE)
def test_task1_request_id_is_the_same_everywhere(probe, rng):
    """request_id: one id, in the scope and in the answer"""
    field = b"x-request-id"
    app = made("middleware:request_id", asgi_app(start((field, b"7")), piece(b"ok"), scope=["headers"]))
    given = f"{word(rng)}-{rng.randrange(100)}.A_9".encode()
    got = Answer(seen := probe.asgi(app, scope_with((field, given))))
    inside = "x-request-id in the application's scope"
    expect(inside, inner_values(seen, field), [given], "the client's own")
    expect("x-request-id in the answer", got.all(field), [given], "the same, and once: not the application's")
    fresh: list[bytes] = []
    for bad in (b"", b"a b", b'x" 200 0', "é".encode() + word(rng).encode(), b"x" * 65, b"\nx-admin: 1"):
        got = Answer(seen := probe.asgi(app, scope_with(*([(field, bad)] if bad else []))))
        found = inner_values(seen, field)
        said = f"sent was {bad!r}" if bad else "the client sent none"
        that(
            len(found) == 1 and re.fullmatch(rb"[A-Za-z0-9._-]{1,64}", found[0]),
            got=f"{inside} = {found!r}",
            expected=f"one new id, of 1 to 64 of A-Z a-z 0-9 . _ -     {said}",
        )
        expect("x-request-id in the answer", got.all(field), found, "the one that the application saw")
        fresh += found
    expect("different ids for 6 requests without a usable one", len(set(fresh)), 6)
    ids = [word(rng).encode(), word(rng).encode()]
    both = probe.call(
        "adapted_apps:overlapping", ref("middleware:request_id"), [scope_with((field, own)) for own in ids]
    )
    answers = [[pair[1] for pair in pairs if pair[0].lower() == field] for pairs in both]
    expect("x-request-id of two answers", answers, [[own] for own in ids], OVERLAP)


@check(task=1, rule=MIDDLEWARE)
def test_task1_everything_else_passes_through(probe, rng):
    """timing and request_id change nothing else"""
    for layer in ("timing", "request_id"):
        passes_through(probe, rng, layer, lambda inner, layer=layer: made(f"middleware:{layer}", inner))
        untouched_scope(probe, layer, ref(f"middleware:{layer}"), scope_with())


# --- task 2 -----------------------------------------------------------------------------------------


def guarded(tokens: dict[str, str], inner: Any = None, **more: Any) -> Any:
    inner = asgi_app(start(), piece(b"secret"), scope=["user"]) if inner is None else inner
    return made("middleware:bearer", inner, tokens, **more)


def authorization(text: str | bytes) -> tuple[bytes, bytes]:
    return b"authorization", text.encode() if isinstance(text, str) else text


@check(
    task=2, rule="RFC 6750 §3; RFC 9110 §15.5.2: a 401 has WWW-Authenticate. What a client sends never raises"
)
def test_task2_strangers_are_asked_for_a_token(probe, rng):
    """Strangers, and all that is malformed, get a 401 that says how to ask"""
    token, realm = f"{word(rng)}-{rng.randrange(1000)}", word(rng)
    app = guarded({token: "Ada"}, realm=realm)
    right = authorization(f"Bearer {token}")
    strangers: list[tuple[str, list[tuple[bytes, bytes]]]] = [
        ("no Authorization", []),
        ("another token", [authorization(f"Bearer {word(rng)}")]),
        ("the beginning of the token", [authorization(f"Bearer {token[:-1]}")]),
        ("the token and something more", [authorization(f"Bearer {token}x")]),
        ("the token without its scheme", [authorization(token)]),
        ("another scheme", [authorization(f"Basic {token}")]),
        ("a scheme and no token", [authorization("Bearer")]),
        ("a scheme and a space", [authorization("Bearer ")]),
        ("two tokens", [authorization(f"Bearer {token} {token}")]),
        ("a token that is not ASCII", [authorization("Bearer " + "é" * 4)]),
        ("bytes that are not UTF-8", [authorization(b"Bearer \xff\xfe")]),
        ("an empty Authorization", [authorization("")]),
        ("Authorization twice", [right, authorization(f"Bearer {word(rng)}")]),
    ]
    for said, fields in strangers:
        seen = probe.asgi(app, scope_with(*fields))
        that(not is_called(seen), f"the application was called: {said}", "a 401, and no call")
        got = Answer(seen)
        malformed = got.status == 400 and fields and said not in ("another token", "another scheme")
        that(
            got.status == 401 or malformed,
            got=f"status = {got.status}: {said}",
            expected="status = 401",
        )
        asked = b", ".join(got.all(b"www-authenticate")).decode("latin-1")
        that(
            re.match(rf'(?i)bearer\s+(?:.*,\s*)?realm="{realm}"', asked),
            got=f"www-authenticate = {asked!r}: {said}",
            expected=f"www-authenticate = 'Bearer realm=\"{realm}\"' (and more): it says how to ask again",
        )
        if said in ("no Authorization", "another token"):
            wanted = said == "another token"
            that(
                ("invalid_token" in asked) is wanted and ("error" in asked) is wanted,
                got=f"www-authenticate = {asked!r}: {said}",
                expected='error="invalid_token" to those who showed a token, and to nobody else',
                rule="RFC 6750 §3, §3.1",
            )
    that(
        is_called(probe.asgi(app, scope_with(right))), "the right token was refused", "the application called"
    )


@check(task=2, rule="RFC 6750 §2.1; RFC 9110 §11.1: a scheme's name has no case")
def test_task2_those_with_a_token_are_let_in(probe, rng):
    """With a token the application is called, and learns who it is"""
    ada, grace = name(rng), name(rng) + "!"
    tokens = {f"{word(rng)}+/~._-==": ada, word(rng): grace, word(rng): "Tim"}
    for token, user in list(tokens.items())[:2]:
        for scheme in ("Bearer", "bearer", "BEARER"):
            seen = probe.asgi(guarded(tokens), scope_with(authorization(f"{scheme} {token}")))
            got = Answer(seen)
            expect("status", got.status, 200, f"{scheme} {token}: the token is right")
            expect("body", got.body, b"secret", "the application's own")
            expect(
                'scope["user"]', inner_scope(seen).get("user"), user, "the application needs to know who asks"
            )
    token = next(iter(tokens))
    door = made("functools:partial", ref("middleware:bearer"), tokens=tokens)
    untouched_scope(probe, "bearer", door, scope_with(authorization(f"Bearer {token}")))
    # Put around by a layer that adds the token, so that the same questions can be asked of it.
    steps = [["receive until", "http.request"], start(status=201), piece(b"a", more=True), piece(b"b")]
    data = word(rng).encode()
    seen = probe.asgi(
        guarded(tokens, asgi_app(*steps)),
        scope_with(authorization(f"Bearer {token}"), method="POST"),
        receive=[body_event(data)],
    )
    played(seen, [b"a", b"b"])
    got_body = [event["message"].get("body") for event in seen.all("inner received")]
    expect("what the application received", got_body, [data], "the body is the application's to read")


@check(task=2, rule='Python, "hmac.compare_digest"')
def test_task2_tokens_are_compared_by_compare_digest(probe, rng):
    """hmac.compare_digest has the last word"""
    token = word(rng)
    app = made("adapted_apps:compared", guarded({token: "Ada", word(rng): "Grace"}))
    for shown, said in ((token, "the right token"), (word(rng), "a wrong token")):
        got = Answer(probe.asgi(app, scope_with(authorization(f"Bearer {shown}"))))
        asked = b"".join(got.all(b"x-compared"))
        that(
            asked not in (b"", b"0"),
            got=f"hmac.compare_digest was not asked, for {said}",
            expected="hmac.compare_digest asked: == and a dictionary stop at the first difference, and that "
            "can be measured from outside. (Calls are counted, not time)",
        )
        expect(
            f"whether compare_digest said yes to {said}", got.all(b"x-equal"), [str(shown == token).encode()]
        )
        expect("status", got.status, 200 if shown == token else 401, said)


# --- task 3 -----------------------------------------------------------------------------------------


ENCODING = "RFC 9110 §12.5.3, Accept-Encoding"


def text_of(rng: random.Random, size: int) -> bytes:
    """Text of a size that is worth compressing."""
    words = [word(rng, 6) for _ in range(40)]
    return " ".join(rng.choice(words) for _ in range(size // 7 + 1)).encode()[:size]


def asking(text: str | None) -> list[tuple[bytes, bytes]]:
    return [] if text is None else [(b"accept-encoding", text.encode())]


def packed(probe: Probe, steps: list[Any], accept: str | None = "gzip", **more: Any) -> Answer:
    """The answer to one request through gzip, with its minimum."""
    app = made("middleware:gzip", asgi_app(*steps), minimum=500)
    return Answer(probe.asgi(app, scope_with(*asking(accept), **more)))


def unpacked(data: bytes) -> bytes:
    """What gzip's bytes say. Fails when they are none, or not all of them are there."""
    unpacker = zlib.decompressobj(31)
    try:
        text = unpacker.decompress(data)
    except zlib.error as error:
        fail(f"a body that does not unpack ({error}): {data[:40]!r}", "gzip's bytes", rule="RFC 1952")
    that(
        unpacker.eof and not unpacker.unused_data,
        got=f"gzip's bytes without their end, after {len(text)} bytes of text",
        expected="all of it, and gzip's trailer: zlib.Z_FINISH for the last message",
        rule="RFC 1952",
    )
    return text


@check(task=3, rule=ENCODING)
def test_task3_large_bodies_are_packed_for_those_who_ask(probe, rng):
    """A large body is packed for those who ask, and says so to caches"""
    text = text_of(rng, rng.randrange(2000, 9000))
    etag = word(rng).encode()
    steps = [
        start(
            (b"content-type", b"text/plain"),
            (b"content-length", str(len(text)).encode()),
            (b"etag", b'"%b"' % etag),
            (b"vary", b"Origin"),
        ),
        piece(text),
    ]
    cases = {
        "gzip": True,
        "deflate, gzip;q=0.8, br": True,
        "GZIP": True,
        "gzip; q=0.5": True,
        "*": True,
        "x-other;q=1, *;q=0.1": True,
        "": False,
        "identity": False,
        "br, gzip;q=0": False,
        "gzip;q=0.000, *;q=1": False,
        "notgzip": False,
        "*;q=0": False,
    }
    expect("status without Accept-Encoding", packed(probe, steps, None).status, 200)
    for accept, wanted in [*cases.items(), (None, False)]:
        got = packed(probe, steps, accept)
        sent = f"Accept-Encoding: {accept}" if accept is not None else "no Accept-Encoding"
        encodings = [b"gzip"] if wanted else []
        expect("content-encoding", got.all(b"content-encoding"), encodings, f"sent was {sent}")
        vary = got.members(b"vary")
        that(
            "accept-encoding" in vary and "origin" in vary,
            got=f"vary = {got.all(b'vary')!r}, for {sent}",
            expected="Origin and Accept-Encoding: a cache must not give the one's bytes to the other, "
            "so also where nothing is packed",
            rule="RFC 9110 §12.5.5, Vary",
        )
        expect(f"the text, for {sent}", unpacked(got.body) if wanted else got.body, text)
        lengths = got.all(b"content-length")
        that(
            lengths in ([], [str(len(got.body)).encode()]),
            got=f"content-length = {lengths!r} for {len(got.body)} bytes",
            expected="none (the server frames the body), or the one of these bytes",
            rule="RFC 9110 §8.6, Content-Length",
        )
        tag = (b'W/"%b"' if wanted else b'"%b"') % etag
        why = (
            "a strong one promises the same bytes, and these are others"
            if wanted
            else "the bytes are the same"
        )
        expect(f"etag, for {sent}", got.all(b"etag"), [tag], why, rule="RFC 9110 §8.8.1, Weak versus Strong")
    twice = packed(probe, [start((b"etag", b'W/"1"'), (b"vary", b"accept-encoding")), piece(text)])
    expect("etag that was weak", twice.all(b"etag"), [b'W/"1"'], "it stays as it is")


@check(task=3, rule="RFC 1951 §3.2.4; zlib's Z_SYNC_FLUSH")
def test_task3_streams_are_packed_piece_by_piece(probe, rng):
    """Each piece of a stream can be unpacked when it arrives"""
    pieces = [text_of(rng, rng.randrange(20, 3000)) for _ in range(4)]
    steps: list[Any] = [start((b"content-length", str(sum(map(len, pieces))).encode()))]
    for one in pieces:
        steps += [piece(one, more=True), ["receive"]]  # the application looks up between its pieces
    steps.append(piece(b""))
    app = made("middleware:gzip", asgi_app(*steps), minimum=500)
    scope = scope_with(*asking("gzip"))
    seen = probe.asgi(app, scope, receive=[body_event(b"", more=True)] * len(pieces))
    got = Answer(seen)
    expect("content-encoding", got.all(b"content-encoding"), [b"gzip"], "how long it will be, nobody knows")
    expect("content-length", got.all(b"content-length"), [], "it was the length of other bytes")
    unpacker, out, number = zlib.decompressobj(31), b"", 0
    for event in seen.events:
        if event["event"] == "send" and event["message"].get("type") == "http.response.body":
            out += unpacker.decompress(event["message"].get("body", b""))
        elif event["event"] == "inner received":
            number += 1
            expect(
                f"bytes of text that a client has when the application's send of piece {number} returned",
                len(out),
                sum(map(len, pieces[:number])),
                "all of it: what waits in the compressor may wait for minutes, or for ever",
            )
    expect("the text", unpacked(got.body), b"".join(pieces))
    plain = probe.asgi(app, scope_with(), receive=[body_event(b"", more=True)] * len(pieces))
    expect("the pieces for those who did not ask", Answer(plain).pieces, [*pieces, b""], "as they were")


@check(task=3, rule="RFC 9110 §8.4, Content-Encoding")
def test_task3_what_is_not_worth_it_stays_as_it_is(probe, rng):
    """Small, packed and absent bodies stay as they are"""
    text = text_of(rng, rng.randrange(1000, 3000))
    small = text[: rng.randrange(1, 500)]
    kinds: list[tuple[str, list[Any]]] = [
        ("a whole body under the minimum", [start((b"content-length", b"%d" % len(small))), piece(small)]),
        ("Content-Encoding: br", [start((b"content-encoding", b"br")), piece(text)]),
        ("Content-Type: image/png", [start((b"content-type", b"image/png")), piece(text)]),
        ("Content-Type: video/mp4", [start((b"content-type", b"Video/mp4")), piece(text, True), piece(b"")]),
        (
            "206 with Content-Range",
            [start((b"content-range", b"bytes 0-%d/9999" % (len(text) - 1)), status=206), piece(text)],
        ),
        ("304", [start((b"etag", b'"1"'), status=304), piece(b"", True), piece(b"")]),
        ("204", [start(status=204), piece(b"", True), piece(b"")]),
    ]
    for said, steps in kinds:
        got = packed(probe, steps)
        wanted = b"".join(step[1]["body"] for step in steps[1:])
        that(
            got.body == wanted,
            got=f"{len(got.body)} bytes {got.body[:20]!r} for {len(wanted)} of the application's: {said}",
            expected="the application's own bytes",
        )
        before = [value for key, value in steps[0][1]["headers"] if key == b"content-encoding"]
        expect(f"content-encoding: {said}", got.all(b"content-encoding"), before, "as it was")
        length = [value for key, value in steps[0][1]["headers"] if key == b"content-length"]
        if length:
            expect(f"content-length: {said}", got.all(b"content-length"), length, "as it was")
    head = packed(probe, [start((b"content-length", b"%d" % len(text))), piece(b"")], method="HEAD")
    expect("the body that answers HEAD", head.body, b"", "there is none, so there is nothing to pack")
    that(
        head.all(b"content-length") in ([], [b"%d" % len(text)]),
        got=f"content-length = {head.all(b'content-length')!r}, in the answer to HEAD",
        expected="the application's, or none: not the length of an empty body, packed",
        rule="RFC 9110 §8.6, Content-Length",
    )
    expect(
        "content-encoding of a large one",
        packed(probe, [start(), piece(text)]).all(b"content-encoding"),
        [b"gzip"],
    )
    passes_through(probe, rng, "gzip", lambda inner: made("middleware:gzip", inner))


# --- task 4 -----------------------------------------------------------------------------------------


def each_layer(tokens: dict[str, str]) -> dict[str, Any]:
    """Every layer, as a function of an application."""
    return {
        "timing": lambda inner: made("middleware:timing", inner),
        "request_id": lambda inner: made("middleware:request_id", inner),
        "gzip": lambda inner: made("middleware:gzip", inner),
        "bearer": lambda inner: made("middleware:bearer", inner, tokens),
    }


@check(task=4, rule='ASGI, "Connection Scope": a layer hands on the types that it is not about')
def test_task4_lifespan_and_websockets_pass_through_every_layer(probe, front, rng):
    """Lifespan and WebSockets pass through every layer"""
    token, text = word(rng), name(rng)
    complete = [{"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}]
    failed = {"type": "lifespan.startup.failed", "message": text}
    events = [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}]
    life = [["receive"], ["send", complete[0]], ["receive"], ["send", complete[1]]]
    talk = [
        {"type": "websocket.accept", "headers": [[b"x-own", b"1"]]},
        {"type": "websocket.send", "text": text},
        {"type": "websocket.send", "bytes": text.encode() * 200},
        {"type": "websocket.close", "code": 4000 + rng.randrange(99), "reason": "bye"},
    ]
    heard = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": text}]
    shown = socket_scope(authorization(f"Bearer {token}"), *asking("gzip"), (b"x-request-id", b"7f3a"))
    for layer, wrap in each_layer({token: "Ada"}).items():
        seen = probe.asgi(wrap(asgi_app(*life, scope=["state"])), LIFESPAN, receive=events)
        ended_well(seen, f"{layer}: lifespan's messages, and no exception")
        expect(f"{layer}: what lifespan sent", seen.sends, complete, "the application's own answers")
        state = inner_scope(seen).get("state")
        expect(f'{layer}: lifespan\'s scope["state"]', state, {}, "the server's own dict, to be filled")
        seen = probe.asgi(wrap(asgi_app(["receive"], ["send", failed])), LIFESPAN, receive=events[:1])
        expect(f"{layer}: what lifespan sent", seen.sends, [failed], "a failed startup must reach the server")

        steps = [["receive"], ["send", talk[0]], ["receive"], *[["send", one] for one in talk[1:]]]
        seen = probe.asgi(wrap(asgi_app(*steps)), shown, receive=heard)
        ended_well(seen, f"{layer}: a WebSocket's messages, and no exception")
        expect(
            f"{layer}: the messages of a WebSocket", seen.sends[1:], talk[1:], "as the application sent them"
        )
        accept = seen.sends[0] if seen.sends and isinstance(seen.sends[0], dict) else {}
        expect(f"{layer}: the first message", accept.get("type"), "websocket.accept")
        pairs = [tuple(pair) for pair in accept.get("headers", []) if is_pair(pair)]
        that((b"x-own", b"1") in pairs, f"{layer}: headers {pairs!r}", "the application's x-own among them")
        if layer == "request_id":
            that(
                (b"x-request-id", b"7f3a") in pairs,
                got=f"headers of websocket.accept = {pairs!r}",
                expected="(b'x-request-id', b'7f3a') among them: a WebSocket has an id, too",
                rule='ASGI www, "Accept - send event"',
            )
        events_in = [event["message"] for event in seen.all("inner received")]
        expect(f"{layer}: what the application received", events_in, heard)
    # Through all of them, in a real server and behind nginx.
    with front.websocket("/echo/", fields=[("Authorization", "Bearer lovelace-1843")]) as ada:
        if ada.refused is not None:
            fail(f"the status {ada.refused.status} instead of a WebSocket", "101: the token is right")
        expect("the first message", ada.receive(), "started", "what the lifespan left in the state")
        ada.send(text)
        expect("the echo", ada.receive(), f"Ada: {text}", "the application, and who asks")


@check(task=4, rule='ASGI www, "Close - send event": before accept, the client gets a 403')
def test_task4_websocket_without_a_token_is_refused_before_it_begins(probe, front, rng):
    """A WebSocket without a token is refused before it begins"""
    token = word(rng)
    app = guarded({token: "Ada"}, asgi_app(["receive"], ["send", {"type": "websocket.accept"}], ["receive"]))
    wrong = [[], [authorization(f"Bearer {word(rng)}")], [authorization(f"Basic {token}")]]
    for fields in wrong:
        seen = probe.asgi(app, socket_scope(*fields), receive=[{"type": "websocket.connect"}])
        that(not is_called(seen), "the application was called for a stranger's WebSocket", "no call")
        ended_well(seen, "websocket.close, and no exception")
        types = [one.get("type") if isinstance(one, dict) else one for one in seen.sends]
        expect(
            "messages to a stranger's WebSocket",
            types,
            ["websocket.close"],
            "accepted first and then closed, it has begun; http.response.start has no place here",
        )
    right = probe.asgi(
        app,
        socket_scope(authorization(f"Bearer {token}")),
        receive=[{"type": "websocket.connect"}, {"type": "websocket.disconnect", "code": 1000}],
    )
    that(is_called(right), "the right token was refused", "the application called")
    with front.websocket("/echo/") as stranger:
        if stranger.refused is None:
            said = stranger.receive()
            fail(
                f"a WebSocket, which then said {said if isinstance(said, Closed) else repr(said)}",
                "a refusal",
            )
        that(
            stranger.refused.status in (401, 403),
            got=f"status = {stranger.refused.status}",
            expected="status = 403: the handshake is answered with a refusal",
        )


# --- task 5 -----------------------------------------------------------------------------------------


@check(task=5, rule=MIDDLEWARE)
def test_task5_the_stack_has_an_order(probe, front, rng):
    """The first layer is outermost, and a 401 of the real stack has its id"""
    text = text_of(rng, 900)
    louder = ref("adapted_apps:louder")
    pack = ref("middleware:gzip")
    inner = asgi_app(start(), piece(text))
    plain = Answer(probe.asgi(made("middleware:stack", inner, []), scope_with()))
    expect("the body, with no layer", plain.body, text)
    got = Answer(probe.asgi(made("middleware:stack", inner, [pack, louder]), scope_with(*asking("gzip"))))
    expect("content-encoding, with [gzip, louder]", got.all(b"content-encoding"), [b"gzip"])
    data = got.body
    if data[:2] != b"\x1f\x8b" or data == data.upper():
        fail(
            f"a body that begins {data[:12]!r}, with [gzip, louder]: louder has made packed bytes upper case",
            "stack(app, [a, b]) is a(b(app)): the first one outermost",
        )
    expect("the text, with [gzip, louder]", unpacked(data), text.upper(), "louder is within")

    for case in wire_cases(__file__):
        own = f"{case.name}.{word(rng)}"
        head, _, body = case.data.partition(b"\r\n\r\n")
        answer = front.send(head + f"\r\nX-Request-ID: {own}\r\nConnection: close\r\n\r\n".encode() + body)
        expect(f"status of {case.name}.http", answer.status, int(case.notes["status"]), case.notes["because"])
        expect(f"X-Request-ID of {case.name}.http", answer.get("X-Request-ID"), own, "every answer has one")
        that(
            answer.get("Server-Timing"), f"no Server-Timing in the answer to {case.name}.http", "timing, too"
        )
    title = text_of(rng, 150).decode()
    for _ in range(6):
        created = front.request("POST", "/tasks", [*ADA, JSON], json.dumps({"title": title}).encode())
        expect(
            "status", created.status, 201, "the tasks API, which is WSGI, reads its body through your adapter"
        )
    answer = front.get("/tasks", [*ADA, ("Accept-Encoding", "gzip")])
    expect("Content-Encoding", answer.get("Content-Encoding"), "gzip", "gzip in the stack, too")
    try:
        titles = [task["title"] for task in json.loads(unpacked(answer.body))]
    except (*NOT_JSON, TypeError, KeyError):
        fail(f"the body {unpacked(answer.body)[:80]!r}", "tasks as JSON")
    that(titles[-6:] == [title] * 6, f"titles {titles[-6:]!r}", "the six that were sent")


ADA = [("Authorization", "Bearer lovelace-1843")]
JSON = ("Content-Type", "application/json")
WSGI_SIDE = 'PEP 3333, "The Application/Framework Side"'


def adapted(inner: Any, **more: Any) -> Any:
    return made("middleware:asgi_from_wsgi", inner, **more)


@check(task=5, rule='PEP 3333, "The Server/Gateway Side"')
def test_task5_wsgi_application_runs_on_an_event_loop(probe, rng):
    """asgi_from_wsgi is a WSGI server to the application"""
    chunks, written = [word(rng).encode() for _ in range(3)], word(rng).encode()
    data = [word(rng).encode() for _ in range(3)]
    parts = [body_event(one, more=number < 2) for number, one in enumerate(data)]
    keys = ["REQUEST_METHOD", "PATH_INFO", "QUERY_STRING", "HTTP_X_OWN", "CONTENT_TYPE"]
    for late in (False, True):
        inner = wsgi_app(
            status="201 Created",
            headers=[
                ["Content-Type", "text/plain"],
                ["X-Own", "1"],
                ["Set-Cookie", "a=1"],
                ["Set-Cookie", "b=2"],
            ],
            chunks=chunks,
            write=[] if late else [written],
            late_start=late,
            read=-1,
            environ=keys,
        )
        scope = scope_with(
            (b"x-own", b"7"), (b"content-type", b"text/x"), method="POST", path="/caf\xe9", query=b"a=%20"
        )
        scope["headers"].append([b"content-length", str(sum(map(len, data))).encode()])
        seen = probe.asgi(adapted(inner), {**scope, "raw_path": b"/caf%C3%A9"}, receive=parts)
        got = Answer(seen)
        expect("status", got.status, 201, "a number: the reason is for people")
        own = [pair for pair in got.headers if pair[0] in (b"x-own", b"set-cookie")]
        wanted = [(b"x-own", b"1"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")]
        expect("headers", own, wanted, "bytes, names in lower case, repeats kept")
        raw = [pair[0] for pair in seen.sends[0]["headers"]]
        expect("names in lower case", raw, [one.lower() for one in raw], rule=START)
        body = (b"" if late else written) + b"".join(chunks)
        expect("body", got.body, body, "what went through write comes first")
        read = (seen.first("inner read") or {}).get("data")
        expect("what the application read of wsgi.input", read, b"".join(data), "every piece, until the end")
        environ = (seen.first("inner called") or {}).get("environ", {})
        values = ["POST", "/caf\xc3\xa9", "a=%20", "7", "text/x"]
        expect(
            "the environ", environ, dict(zip(keys, values, strict=True)), "translations:environ_of makes it"
        )
        that(
            "inner closed" in seen.names(),
            got="the iterable was not closed after its last chunk",
            expected="close(), in every ending",
            rule='PEP 3333, "Specification Details"',
        )
    broken_wsgi_applications(probe, rng)
    for framework in ("greeting_flask", "greeting_django"):
        seen = probe.asgi(
            adapted(ref(f"{framework}:application")),
            scope_with((b"content-length", b"3"), method="POST", path="/upper"),
            receive=[body_event(b"ada")],
        )
        expect(f"what {framework} answers to POST /upper", Answer(seen).body, b"ADA")


def broken_wsgi_applications(probe: Probe, rng: random.Random) -> None:
    """Around applications that raise: the exception reaches the server, and what they held is let go of."""
    who = word(rng)
    for when in ("call", "iteration"):
        inner = wsgi_app(raises=when, name=who, chunks=[b"a", b"b"])
        seen = probe.asgi(adapted(inner), scope_with(), receive=[body_event()])
        error = seen.raised or {}
        that(
            who in error.get("message", ""),
            got=f"{error.get('type', 'no exception')}, where the application raised in {when}",
            expected="the application's own exception, out of the call: the server has to know",
            rule='PEP 3333, "Error Handling"',
        )
        ends = [one for one in messages(seen, "http.response.body") if not one.get("more_body")]
        expect(f"last body messages, when the application raised in {when}", ends, [], "it was not all")
        that(
            when == "call" or "inner closed" in seen.names(),
            got="the iterable was not closed, when it raised",
            expected="close(), in every ending",
            rule='PEP 3333, "Specification Details"',
        )
    inner = wsgi_app(chunks=[b"a", b"b"], exc_info=True)
    seen = probe.asgi(adapted(inner), scope_with(), receive=[body_event()])
    that(
        seen.raised is not None and len(messages(seen, "http.response.start")) == 1,
        got="a second start_response with exc_info after the first chunk was taken for a new start"
        if seen.raised is None
        else "two http.response.start",
        expected="the exception of exc_info: the header is on its way",
        rule='PEP 3333, "The start_response() Callable"',
    )


def harness(probe: Probe, function: str, *args: Any) -> dict[str, Any]:
    """What a harness of apps/adapted_apps.py saw; it has patience of its own."""
    seen = probe.steps(made(function, *args), seconds=7.0)
    ended_well(seen)
    return seen.values[-1] if seen.values and isinstance(seen.values[-1], dict) else {}


def all_at_once(client: Client, targets: list[str]) -> list[Response | str]:
    """The answers to as many requests on connections of their own; a word where there was none."""
    answers: list[Response | str] = ["no answer in time"] * len(targets)

    def ask(number: int) -> None:
        try:
            with client.connect(seconds=PATIENCE, target=targets[number]) as link:
                link.send(f"GET {targets[number]} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
                answers[number] = link.response()
        except (NoAnswer, Deadline) as error:
            answers[number] = str(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(len(targets))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


@check(task=5, rule='PEP 3333, "Buffering and Streaming"; ASGI, "Overview": the loop must not block')
def test_task5_threads_are_few_and_nobody_is_stuck(probe, service, rng):
    """Few threads for many requests; a chunk waits for its client; one that left frees its thread"""
    # A client that stops, and then leaves: in a harness, where it can be counted.
    taken = rng.randrange(2, 6)
    seen = harness(probe, "adapted_apps:stalled", ref("middleware:asgi_from_wsgi"), taken)
    sent = f"GET /flood; the client takes {taken} pieces, then none for a while, and leaves"
    that(
        taken <= seen["stalled_at"] + 1 and seen["stalled_at"] < taken + AHEAD,
        got=f"{seen['stalled_at']} chunks of {PIECES} were made while the client took {taken}",
        expected="a chunk is made when the one before it was taken: the thread waits for `send`",
        rule='PEP 3333, "Buffering and Streaming"',
        sent=sent,
    )
    that(
        seen["over"] and seen["closed"],
        got=f"the iterable was {'' if seen['closed'] else 'not '}closed, and the call "
        + ("ended" if seen["over"] else "did not end")
        + f" after the client had left ({seen['made']} chunks made)",
        expected="close() on the iterable, when receive says http.disconnect: until then it holds a thread",
        rule='PEP 3333, "Specification Details"',
        sent=sent,
    )
    that(
        seen["made"] < PIECES,
        got=f"all {PIECES} chunks were made, for a client that left after {taken}",
        expected="an end soon after http.disconnect: ask `receive` while the response is sent",
        rule='ASGI www, "Disconnect - receive event"',
        sent=sent,
    )
    client = service("over-asgi")
    place = word(rng)
    met = all_at_once(client, [f"/do/meet?of=3&place={place}"] * 3)
    for answer in met:
        that(
            isinstance(answer, Response) and answer.status == 200,
            got=f"{answer.status if isinstance(answer, Response) else answer}: the three did not meet",
            expected="three requests at the same time, each in a thread of the pool (threads=3)",
            sent="three times GET /do/meet?of=3, which waits for the others",
        )
    count = rng.randrange(10, 14)
    naps = all_at_once(client, ["/do/nap?seconds=0.2"] * count)
    lost = [answer for answer in naps if not isinstance(answer, Response) or answer.status != 200]
    sent = f"{count} times GET /do/nap at once, to a pool of three threads"
    that(
        not lost,
        got=f"{len(lost)} of {count} requests were not answered: {lost[0] if lost else ''}",
        expected="all of them: those for whom there is no thread wait their turn",
        sent=sent,
    )
    inside = [object_of(answer).get("at_once") for answer in naps if isinstance(answer, Response)]
    that(
        all(type(one) is int for one in inside),
        f"at_once = {inside!r}",
        "numbers, as the application sent them",
    )
    most = max(inside)
    that(
        most <= 3,
        got=f"{most} requests were inside at once",
        expected="at most three: a pool has a bound, or a crowd becomes a crowd of threads",
        sent=sent,
    )
    slow_reader_leaves(client, rng)


def slow_reader_leaves(client: Client, rng: random.Random) -> None:
    """Under a real server: three clients, as many as there are threads, begin a long answer and leave."""
    names = [word(rng) for _ in range(3)]
    for one in names:
        with client.connect(receive_buffer=4096, seconds=PATIENCE, target=f"/flood?say={one}") as link:
            link.send(f"GET /flood?say={one} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            link.read()
    end = time.monotonic() + PATIENCE
    for one in names:
        state: dict[str, Any] = {}
        while not state.get("closed") and time.monotonic() < end:
            answer = client.get(f"/made?say={one}")
            expect("status", answer.status, 200, "the threads of those who left are free again")
            state = answer.json()
            time.sleep(0.02)
        that(
            state.get("closed"),
            got=f"the iterable is still open, {PATIENCE:.0f} s after its client has left",
            expected="close() when the client is gone: its thread serves somebody else then",
            sent="three times GET /flood, each left after its first bytes",
        )


@check(task=5, rule=WSGI_SIDE)
def test_task5_asgi_application_runs_in_threads(probe, service, rng):
    """wsgi_from_asgi is an ASGI server to the application"""
    data, chunks = word(rng).encode(), [word(rng).encode() for _ in range(3)]
    steps = [["receive until", "http.request"], start((b"x-own", b"1"), (b"x-own", b"2"), status=201)]
    steps += [piece(one, more=number < 2) for number, one in enumerate(chunks)]
    app = made(
        "middleware:wsgi_from_asgi",
        asgi_app(*steps, scope=["type", "method", "path", "query_string", "headers"]),
    )
    seen = probe.wsgi(app, "POST", "/caf\xc3\xa9", "a=%20", headers=[("X-Request-ID", "7")], body=data)
    ended_well(seen)
    expect("status", seen.status[:3] if seen.status else None, "201")
    own = [pair for pair in seen.headers if str(pair[0]).lower() == "x-own"]
    expect("values of X-Own", [pair[1] for pair in own], ["1", "2"], "text, and repeats kept")
    expect("body", seen.body, b"".join(chunks))
    that(
        len([one for one in seen.chunks if one]) == len(chunks),
        got=f"{len(chunks)} messages came out as {seen.chunks!r}",
        expected="a chunk for each body message: a stream stays a stream",
    )
    got = inner_scope(seen)
    for key, wanted in (
        ("type", "http"),
        ("method", "POST"),
        ("path", "/caf\xe9"),
        ("query_string", b"a=%20"),
    ):
        expect(f'scope["{key}"]', got.get(key), wanted, "translations:scope_of makes it")
    expect("x-request-id in the scope", inner_values(seen, b"x-request-id"), [b"7"], "bytes, in lower case")
    body = b"".join(event["message"].get("body", b"") for event in seen.all("inner received"))
    expect("what the application received", body, data, "wsgi.input, in http.request events, to its end")

    who = word(rng)
    for sent in ([], [start(), piece(b"a", more=True)]):
        seen = probe.wsgi(made("middleware:wsgi_from_asgi", asgi_app(*sent, ["raise", who])))
        error = seen.raised or {}
        started = seen.status[:3] if seen.status else "no status"
        that(
            who in error.get("message", "") or (not sent and started == "500"),
            got=f"{started} and {error.get('type', 'no exception')}, where the application raised another",
            expected="the application's own exception, in the server's thread: the server has to know",
            rule='PEP 3333, "Error Handling"',
        )
    taken = rng.randrange(2, 6)
    left = harness(probe, "adapted_apps:left_half_way", ref("middleware:wsgi_from_asgi"), taken)
    sent_text = f"an application of {PIECES} body messages; the server takes {taken} chunks, and calls close"
    that(
        left["sent"] < taken + AHEAD,
        got=f"{left['sent']} messages were sent while the server took {taken} chunks",
        expected="`send` returns when the server asks for the next chunk: else memory fills",
        rule='PEP 3333, "Buffering and Streaming"',
        sent=sent_text,
    )
    that(
        left["ended"] and left["told"] != ["nothing"],
        got="the application waits in `send`, after the server's close"
        if not left["ended"]
        else "the application sent all the rest, to nobody",
        expected="OSError from `send`, so that it ends",
        rule='ASGI www, "Disconnected Client - send exception"',
        sent=sent_text,
    )
    count = rng.randrange(3, 6)
    crowd = harness(probe, "adapted_apps:crowd", ref("middleware:wsgi_from_asgi"), count)
    expect(
        "answered, and inside at once",
        crowd,
        {"answered": count, "at_once": count},
        f"{count} threads ask at once",
    )
    client = service("over-wsgi")
    title = name(rng)
    created = client.request("POST", "/tasks", [JSON], json.dumps({"title": title}).encode())
    expect("status", created.status, 201, "lab 10's tasks API, which is ASGI, under gunicorn")
    expect("title", object_of(created).get("title"), title)
    rows = client.get("/tasks.csv")
    that(title in rows.text, f"/tasks.csv = {rows.text!r}", f"a line with {title!r}")
