"""Applications that stand in no file, in the adapters: what becomes of them is noted where they are told.

They are scripts (workshop/run/scripted_apps.py). What the harnesses of apps/adapter_calls.py count stands in
variables of an adapter's own process.
"""

import random
from typing import Any

from adapter_runs import AHEAD
from asgi_messages import ended_well, piece, start, word

from workshop.judge.checks import Probe, Transcript, asgi_app, expect, made, note, ref, that, wsgi_app

CHUNKS = 400
BUFFERING = 'PEP 3333, "Buffering and Streaming"'
LEAVES = "leaves"


def called(probe: Probe, harness: str, adapter: str, inner: Any, taken: int, sent: str) -> Transcript:
    """A harness's call of an adapter; it notes when the client, or the server, leaves."""
    call = made(f"adapter_calls:{harness}", ref(f"middleware:{adapter}"), inner, taken, note(LEAVES))
    seen = probe.steps(call, seconds=7.0, sent=sent)
    ended_well(seen)
    return seen


def before_leaving(seen: Transcript, event: str) -> int:
    """How many events of a kind there were by then."""
    names = [one["event"] for one in seen.events]
    end = names.index("noted") if "noted" in names else len(names)
    return names[:end].count(event)


def server_that_leaves(probe: Probe, rng: random.Random) -> None:
    """wsgi_from_asgi: the server takes some chunks of many, and calls close."""
    taken = rng.randrange(2, 6)
    pieces = [word(rng).encode() for _ in range(CHUNKS)]
    inner = asgi_app(start(), *[piece(one, more=True) for one in pieces], sends=True)
    sent = f"an application of {CHUNKS} body messages; the server takes {taken} chunks, and calls close"
    seen = called(probe, "taken_and_closed", "wsgi_from_asgi", inner, taken, sent)
    expect("the chunks", seen.values[-1], pieces[:taken], "the application's own", sent=sent)
    sends = before_leaving(seen, "inner sent")
    that(
        sends < taken + AHEAD,
        got=f"{sends} messages were sent while the server took {taken} chunks",
        expected="`send` returns when the server asks for the next chunk: otherwise chunks pile up in memory",
        rule=BUFFERING,
        sent=sent,
    )
    all_sent = len(seen.all("inner sent"))
    that(
        seen.all("inner ended") and all_sent < CHUNKS,
        got=f"after close the application {'ended' if seen.all('inner ended') else 'goes on'}, "
        f"and has sent {all_sent} messages",
        expected="an end soon: OSError from `send`, or a cancelled task",
        rule='ASGI www, "Disconnected Client - send exception"',
        sent=sent,
    )


def client_that_leaves(probe: Probe, rng: random.Random) -> None:
    """asgi_from_wsgi: the client takes some chunks of many, then none for a while, and leaves."""
    taken = rng.randrange(2, 6)
    chunks = [word(rng).encode() for _ in range(CHUNKS)]
    sent = f"an application of {CHUNKS} chunks; the client takes {taken}, then none for a while, and leaves"
    seen = called(probe, "left_by_client", "asgi_from_wsgi", wsgi_app(chunks=chunks), taken, sent)
    expect("the pieces", seen.values[-1], chunks[:taken], "the application's own", sent=sent)
    asked = before_leaving(seen, "inner chunk")
    that(
        asked < taken + AHEAD,
        got=f"{asked} chunks were made while the client took {taken}",
        expected="a chunk is made when the one before it was taken: the thread waits for `send`",
        rule=BUFFERING,
        sent=sent,
    )
    in_all, closed = len(seen.all("inner chunk")), seen.all("inner closed")
    that(
        closed and in_all < CHUNKS,
        got=f"the iterable was {'' if closed else 'not '}closed, after {in_all} chunks",
        expected="close() soon after http.disconnect: until then it holds a thread",
        rule='PEP 3333, "Specification Details"',
        sent=sent,
    )
