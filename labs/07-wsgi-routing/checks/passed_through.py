"""What an application answers passes through a router as it is."""

from __future__ import annotations

import random
from typing import Any

from router_calls import app, calls, reached, route, router, word

from workshop.judge.checks import expect, fail, made, named, note, that


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


def keeps_nothing(probe: Any, rng: random.Random) -> None:
    """Fail unless one router answers each of several requests as if it were the first."""
    path = f"/{word(rng)}"
    site = router(route(path, called="show"), route(path, ["POST"], called="create"))
    server = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1"}
    server |= {"wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True}
    server |= {"wsgi.multiprocess": False, "wsgi.run_once": False, "QUERY_STRING": ""}
    server |= {"wsgi.input": made("io:BytesIO", b""), "wsgi.errors": made("io:StringIO")}
    asked = ["GET", "POST", "DELETE", "GET"]
    environs = [{"REQUEST_METHOD": verb, "SCRIPT_NAME": "", "PATH_INFO": path, **server} for verb in asked]
    visits = [made(named("router"), environ, note("start_response")) for environ in environs]
    sent = f"one Router, called four times: {', '.join(f'{verb} {path}' for verb in asked)}"
    seen = probe.steps(("router", site), *visits, sent=sent)
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}", "four responses, and no exception", sent=sent)
    why = "the routes for GET, POST, GET; none for DELETE: the method chooses each time"
    expect("applications called", calls(seen), ["show", "create", "show"], why, sent=sent)
