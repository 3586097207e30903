"""How a stream ends: what /stats counts when clients leave, and what is raised (apps/stream_ends.py)."""

from __future__ import annotations

import contextlib
import random
from typing import Any

from event_stream_client import Listener
from tasks_client import PATIENCE, becomes, create

from workshop.judge.checks import Client, Probe, expect, fail, made, name, ref, that


def streams_end(client: Client, where: str, rng: random.Random) -> None:
    """Open several streams, leave all but one, then that one; /stats counts them."""
    expect(
        "streams",
        becomes(client, "streams", 0),
        0,
        "every client has left: at http.disconnect a stream ends",
        where=where,
    )
    head = client.request("HEAD", "/events")
    expect(
        "streams",
        becomes(client, "streams", 0),
        0,
        "a HEAD has no stream, or one that ends when its client has left",
        where=where,
        sent=f"HEAD /events, which was answered {head.status} and closed; then GET /stats",
    )
    with contextlib.ExitStack() as opened:
        listeners = [
            opened.enter_context(Listener(client, seconds=3 * PATIENCE)) for _ in range(rng.randint(3, 5))
        ]
        many = len(listeners)
        alive = becomes(client, "streams", many)
        that(
            alive == many,
            got=f"/stats says {alive} streams while {many} clients are connected",
            expected=f"{many}: a stream goes on until http.disconnect, and /stats counts those alive",
            where=where,
            sent=f"{many} times GET /events, on as many connections",
        )
        for turn, listener in enumerate(listeners[1:]):
            (listener.link.reset if turn % 2 else listener.link.close)()
        left = becomes(client, "streams", 1)
        that(
            left == 1,
            got=f"/stats says {left} streams, {PATIENCE:.0f} s after {many - 1} of {many} left",
            expected="1: await `receive` beside the work, and cancel the work at http.disconnect",
            where=where,
            sent=f"{many} times GET /events, then closed {many - 1} of the connections",
        )
        listeners[0].until(create(client, name(rng)))
        listeners[0].link.close()
        expect("streams", becomes(client, "streams", 0), 0, "the last one left", where=where)


def what_is_left_and_raised(probe: Probe, rng: random.Random) -> None:
    """When the call has returned no stream is left; what went wrong meanwhile has been raised."""
    left = in_process(
        probe, "streams_left", [], "it waits for http.disconnect, which receive gives after a piece"
    )
    that(
        left == 0,
        got=f"app returned after http.disconnect, and /stats says {left!r} streams at once after it"
        if isinstance(left, int)
        else f"{left}, 2 s after http.disconnect",
        expected="0: cancel the work, and await its end before you return",
    )
    words = f"disk {rng.randrange(1000)} is full"
    raised = in_process(
        probe, "what_is_raised", [words], f"send raises RuntimeError({words!r}) at the first piece"
    )
    that(
        words in str(raised),
        got=f"app raised {raised}",
        expected=f"what the work raised, RuntimeError: {words}: the server has to log it",
        rule='ASGI, "Error Handling"; asyncio: an exception that is never retrieved is silent',
    )
    full = in_process(
        probe, "full_disk", [words], f"the store raises OSError({words!r}) while it is read", "/tasks.csv"
    )
    that(
        words in str(full),
        got=f"app raised {full}",
        expected=f"OSError: {words}: an OSError that `send` did not raise says nothing about the client",
        rule='ASGI, "Error Handling"',
    )


def in_process(probe: Probe, what: str, more: list[str], then: str, path: str = "/events") -> Any:
    """Call a stream in the application's own process, without a server: see apps/stream_ends.py."""
    seen = probe.steps(
        made(f"stream_ends:{what}", ref("app:app"), *more),
        sent=f"app(scope, receive, send) for GET {path}; {then}",
    )
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "a stream that ends")
    return seen.values[-1]
