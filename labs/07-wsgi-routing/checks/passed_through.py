"""What an application answers passes through a router as it is."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import urlsplit

from router_calls import allowed, app, calls, mount, reached, route, router, word

from workshop.judge.checks import attribute, expect, fail, made, named, ref, that


def comes_back_unchanged(probe: Any, rng: random.Random, mounted: bool = False) -> None:
    """Status, headers, chunks one by one, write, exc_info and close all pass through a router."""
    pushed, one, two = (word(rng).encode() for _ in range(3))
    headers = [("Content-Type", "text/plain"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    script = {"status": "201 Made", "headers": headers, "write": [pushed], "chunks": [one, two]}
    seen = probe.wsgi(_leads_to(app("home", **script), mounted), path="/x/")
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
    seen = probe.wsgi(_leads_to(app("home", chunks=[one, two], exc_info=True), mounted), path="/x/")
    reached(seen, "home")
    last = seen.all("start_response")[-1]
    why = "the application failed after its first chunk: the server needs exc_info"
    expect("exc_info", last["exc_info"], "ValueError", why, rule='PEP 3333, "Error Handling"')
    _errors_are_not_404(probe, mounted)


def _leads_to(inner: Any, mounted: bool) -> Any:
    """A router that leads from /x/ to an application, by a mount or by a route."""
    return router(mount("/x", inner) if mounted else route("/x/", called="home", app=inner))


def _errors_are_not_404(probe: Any, mounted: bool) -> None:
    """Fail when a router takes an exception of the application's for one about its own tables."""
    seen = probe.wsgi(_leads_to(ref("where_called:broken"), mounted), path="/x/")
    got = f"{seen.status}, where the application had raised KeyError"
    right = (
        "the application's exception, or a 5xx: try only your own look-up, and call the application outside"
    )
    that(seen.raised or str(seen.status).startswith("5"), got, right, rule="RFC 9110 §15.6")


def keeps_nothing(probe: Any, rng: random.Random) -> None:
    """Fail unless one router answers each of several requests as if it were the first."""
    path, other = f"/{word(rng)}", f"/{word(rng)}s"
    site = router(
        route(path, called="show"),
        route(path, ["POST"], called="create"),
        route(other, ["PUT"], called="put"),
    )
    server = {"SERVER_NAME": "localhost", "SERVER_PORT": "80", "SERVER_PROTOCOL": "HTTP/1.1"}
    server |= {"wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.multithread": True}
    server |= {"wsgi.multiprocess": False, "wsgi.run_once": False, "QUERY_STRING": ""}
    server |= {"wsgi.input": made("io:BytesIO", b""), "wsgi.errors": made("io:StringIO")}
    asked = [(verb, path) for verb in ("GET", "POST", "DELETE", "GET")] + [("DELETE", other), ("GET", "/z/z")]
    environs = [{"REQUEST_METHOD": verb, "SCRIPT_NAME": "", "PATH_INFO": at, **server} for verb, at in asked]
    visits = [made("where_called:answered", named("router"), environ) for environ in environs]
    sent = f"one Router, called six times: {', '.join(f'{verb} {at}' for verb, at in asked)}"
    seen = probe.steps(("router", site), *visits, sent=sent)
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}", "six responses, and no exception", sent=sent)
    why = "the routes for GET, POST, GET; none for DELETE: the method chooses each time"
    expect("applications called", calls(seen), ["show", "create", "show"], why, sent=sent)
    *_, refused, unknown = seen.values
    allow = refused["headers"].get("allow")
    got = f"Allow = {allow!r} for DELETE {other}, after DELETE {path}"
    right = "Allow = 'PUT'     OPTIONS besides, if you like; the other path's methods are none of this one"
    that(allowed(allow) - {"OPTIONS"} == {"PUT"}, got, right, rule="RFC 9110 §15.5.6", sent=sent)
    why = "no pattern is this path: the 405 before it was another request's"
    expect("status of GET /z/z", unknown["status"][:3], "404", why, rule="RFC 9110 §15.5.5", sent=sent)


def under_two_prefixes(probe: Any, rng: random.Random) -> None:
    """Fail when a router keeps the SCRIPT_NAME of one request for the URLs of the next."""
    site = router(route("/tasks/<int:id>", called="task", name="task"), route("/list/", called="list"))
    first, second = f"/{word(rng)}", f"/{word(rng)}2"
    server = {"REQUEST_METHOD": "GET", "SERVER_NAME": "localhost", "SERVER_PORT": "80", "QUERY_STRING": ""}
    server |= {"wsgi.url_scheme": "http", "wsgi.input": made("io:BytesIO", b"")}
    server |= {"wsgi.errors": made("io:StringIO")}
    steps: list[Any] = []
    for prefix in (first, second, first):
        environ = {**server, "SCRIPT_NAME": prefix, "PATH_INFO": "/list"}
        task = {**environ, "PATH_INFO": "/tasks/1"}
        steps.append(made(attribute(named("router"), "url_for"), environ, "task", id=42))
        steps.append(made("where_called:answered", named("router"), task))
        steps.append(made("where_called:answered", named("router"), environ))
    sent = f"one Router under {first}, then under {second}, then under {first} again: "
    sent += "url_for(environ, 'task', id=42), GET /tasks/1, GET /list"
    seen = probe.steps(("router", site), *steps, sent=sent)
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}", "responses and URLs, and no exception", sent=sent)
    urls = [value for value in seen.values if isinstance(value, str)]
    right = [f"{prefix}/tasks/42" for prefix in (first, second, first)]
    why = "SCRIPT_NAME of the environ that url_for gets; the router keeps no request's"
    expect("the three URLs", urls, right, why, sent=sent)
    redirects = seen.values[3::3]
    paths = [urlsplit(one["headers"].get("location", "")).path for one in redirects]
    right = [f"{prefix}/list/" for prefix in (first, second, first)]
    why = "SCRIPT_NAME of the request that is redirected; the router keeps no request's"
    expect("the paths of the three Locations", paths, right, why, sent=sent)
