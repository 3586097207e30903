"""What every layer owes: what it is not about passes as it came."""

import random
import re
from typing import Any

from asgi_messages import (
    BODY,
    START,
    Answer,
    ended_well,
    inner_values,
    messages,
    piece,
    scope_with,
    start,
    word,
)
from gzip_answers import COOKIES, unpacked

from workshop.judge.checks import Probe, Transcript, asgi_app, body_event, expect, fail, made, ref, that
from workshop.judge.probe_client import returned

MESSAGE = "this lab, rule 1: a message that you change is a copy, its headers a new list"
OWN = (*COOKIES, (b"server-timing", b"db;dur=5"))
MIDDLEWARE = 'ASGI, "Middleware"'


def played(seen: Transcript, body: list[bytes]) -> None:
    """Fail unless the application's body came out as it was sent."""
    got = Answer(seen)
    expect("status", got.status, 201, "the application's own")
    expect("body messages", got.pieces, body, "one out for each one in: a stream stays a stream", rule=BODY)
    more = sorted({key for one in messages(seen, "http.response.body") for key in one})
    keys = [key for key in more if key not in ("type", "body", "more_body")]
    expect("further keys of the body messages", keys, [], "fields are added to the start, and only there")


def passes_through(probe: Probe, rng: random.Random, layer: str, app: Any) -> None:
    """Fail unless a layer, put around an application by `app(inner)`, leaves alone what it isn't about."""
    pieces = [word(rng).encode(), b"", word(rng).encode()]
    data = [word(rng).encode(), word(rng).encode()]
    request = [body_event(data[0], more=True), body_event(data[1])]
    steps = [["receive until", "http.request"], start((b"x-own", b"1"), *OWN, status=201)]
    steps += [piece(one, more=number < 2) for number, one in enumerate(pieces)]
    inner = asgi_app(*steps, scope=["headers"])
    parts = ((b"cookie", b"a=1"), (b"cookie", b"b=2"))
    seen = probe.asgi(app(inner), scope_with(*parts, method="POST"), receive=request)
    played(seen, pieces)
    expect("x-own", Answer(seen).all(b"x-own"), [b"1"], "the application's own header stays")
    why = "every field as it was: a dict of headers keeps one of each name"
    got = {name: Answer(seen).all(name) for name, _ in OWN}
    wanted = {b"set-cookie": [b"a=1", b"b=2"], b"server-timing": [b"db;dur=5"]}
    if layer == "timing":  # it adds its own, on a line of its own or as a member of the application's
        got[b"server-timing"] = [one for one in got[b"server-timing"] if one.startswith(b"db;dur=5")]
        got[b"server-timing"] = [one[:8] for one in got[b"server-timing"]]
    expect(f"{layer}: the application's own fields", got, wanted, why)
    found = inner_values(seen, b"cookie")
    expect(f"{layer}: cookie in the application's scope", found, [b"a=1", b"b=2"], why)
    got = [event["message"].get("body") for event in seen.all("inner received")]
    expect(f"{layer}: what the application received", got, data, "the request's body is its own to read")
    first = seen.names().index("inner called")
    that(
        "receive" not in seen.names()[:first],
        got=f"{layer} called receive before the application did",
        expected="the request's events left for the application",
        rule='ASGI www, "Request - receive event"',
    )
    bare = ["send", {"type": "http.response.start", "status": 201}]
    seen = probe.asgi(app(asgi_app(bare, piece(b"ok"))), scope_with())
    why = f"{layer}: an answer, to a start without the key `headers`, which is optional"
    ended_well(seen, why, rule=START)
    expect("status", Answer(seen).status, 201, why, rule=START)
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
    got = messages(seen, "http.response.trailers")
    why = "what a layer doesn't know passes, too, as it is"
    expect(f"{layer}: messages http.response.trailers", got, [trailers], why)
    # The Path Send extension: a file's name in the place of a body.
    file = {"type": "http.response.pathsend", "path": "/srv/tasks.csv"}
    asked = scope_with((b"accept-encoding", b"gzip"))
    seen = probe.asgi(app(asgi_app(start(status=201), ["send", file])), asked, settle=0.5)
    ended_well(seen)
    order = [one.get("type") for one in seen.sends if isinstance(one, dict)]
    wanted = ["http.response.start", "http.response.pathsend"]
    expect(f"{layer}: the messages, in order", order, wanted, "whatever comes second, the start goes first")


def untouched_scope(probe: Probe, layer: str, made_layer: Any, scope: dict[str, Any]) -> None:
    changed = probe.call("layer_calls:keeps_scope", made_layer, scope)
    expect(
        f"{layer}: keys of the server's scope that it changed",
        changed,
        [],
        "a copy for the application, {**scope, …}: otherwise the change reaches the layers outside",
        rule=MIDDLEWARE,
    )
    kept = probe.call("layer_calls:headers_kept", made_layer, scope)
    expect(
        f"{layer}: the application's own list of headers, after two answers",
        [tuple(pair) for pair in kept],
        [(b"content-type", b"text/plain"), (b"content-length", b"900"), (b"etag", b'"1"')],
        "as it was: a new message, with a new list, else each answer has a field more than the one before",
        rule=MESSAGE,
    )


def first_layer_is_outermost(probe: Probe, text: bytes) -> None:
    """stack: no layer, two of which one has to see plain text, and the same list of two once more."""
    louder, pack = ref("layer_calls:louder"), ref("middleware:gzip")
    inner, asked = asgi_app(start(), piece(text)), scope_with((b"accept-encoding", b"gzip"))
    plain = Answer(probe.asgi(made("middleware:stack", inner, []), scope_with()))
    expect("the body, with no layer", plain.body, text)
    got = Answer(probe.asgi(made("middleware:stack", inner, [pack, louder]), asked))
    expect("content-encoding, with [gzip, louder]", got.all(b"content-encoding"), [b"gzip"])
    data = got.body
    if data[:2] != b"\x1f\x8b" or data == data.upper():
        fail(
            f"a body that begins {data[:12]!r}, with [gzip, louder]: louder changed compressed bytes",
            "stack(app, [a, b]) is a(b(app)): the first one outermost",
        )
    expect("the text, with [gzip, louder]", unpacked(data), text.upper(), "louder is inside")
    second = made("layer_calls:second_of", ref("middleware:stack"), inner, [pack, louder])
    got = Answer(probe.asgi(second, asked))
    that(
        got.body == data,
        got=f"a body that begins {got.body[:12]!r}, from the second of two stacks of one list [gzip, louder]",
        expected=f"{data[:12]!r}, as from the first: the list is its owner's, and stays as it was",
    )


def durations_of_two(probe: Probe) -> list[bytes]:
    """Server-Timing of two requests that overlap: each takes a second, and then both are answered."""
    layer = made("functools:partial", ref("middleware:timing"), clock=ref("manual_clock:clock"))
    sent = "two requests at the same time: the second comes a second after the first, and takes a second"
    call = made("layer_calls:overlapping", layer, [scope_with(), scope_with()], 1.0)
    pairs = [pair for one in returned(probe.steps(call, sent=sent)) for pair in one]
    found = [
        re.search(rb"dur\s*=\s*\"?([0-9]+)", value) for key, value in pairs if key.lower() == b"server-timing"
    ]
    return [one[1] for one in found if one]


def ids_of_two(probe: Probe, field: bytes, ids: list[bytes]) -> list[list[bytes]]:
    """The values of the field in the answers to requests with these ids, which overlap."""
    scopes = [scope_with((field, own)) for own in ids]
    sent = (
        f"two requests at the same time, with the ids {ids}" if any(ids) else "two requests at the same time"
    )
    both = returned(
        probe.steps(made("layer_calls:overlapping", ref("middleware:request_id"), scopes), sent=sent)
    )
    return [[pair[1] for pair in pairs if pair[0].lower() == field] for pairs in both]
