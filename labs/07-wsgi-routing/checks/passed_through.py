"""What an application answers passes through a router as it is."""

from __future__ import annotations

import random
from typing import Any

from router_calls import app, reached, route, router, word

from workshop.judge.checks import expect, that


def comes_back_unchanged(probe: Any, rng: random.Random) -> None:
    """Status, headers, chunks one by one, write, exc_info and close all pass through a router."""
    pushed, one, two = (word(rng).encode() for _ in range(3))
    headers = [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    script = {"status": "201 Made", "headers": headers, "write": [pushed], "chunks": [one, two]}
    seen = probe.wsgi(router(route("/", called="home", app=app("home", **script))))
    reached(seen, "home")
    expect("status", seen.status, "201 Made", "the application's own")
    expect("headers", seen.headers, headers, "the application's own, in order, repeats kept")
    expect(
        "chunks", [chunk for chunk in seen.chunks if chunk], [pushed, one, two], "write first, then the rest"
    )
    numbers = [
        event for event in seen.events if event["event"] in ("inner chunk", "chunk") and event.get("data", 1)
    ]
    early = [event["event"] for event in numbers][:2] == ["inner chunk", "inner chunk"]
    that(
        not early,
        "the router took the second chunk before it passed on the first",
        "each chunk passed on before the next: return what the application returns",
        rule='PEP 3333, "Middleware Handling of Block Boundaries"',
    )
    that(
        "inner closed" in seen.names(),
        "close of what the application returned was not called",
        "return what the application returns, so that the server finds its close",
        rule='PEP 3333, "Specification Details"',
    )
    seen = probe.wsgi(router(route("/", called="home", app=app("home", chunks=[one, two], exc_info=True))))
    reached(seen, "home")
    last = seen.all("start_response")[-1]
    why = "the application failed after its first chunk: the server needs exc_info"
    expect("exc_info", last["exc_info"], "ValueError", why, rule='PEP 3333, "Error Handling"')
