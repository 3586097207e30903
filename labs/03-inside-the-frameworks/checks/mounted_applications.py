"""Lab 3's checks look at applications under prefixes: which one was called, and where it is."""

from typing import Any

from recorded_events import ended_well

from workshop.judge.checks import asgi_app, body_event, expect, http_scope, made, note, that

APPLICATIONS = 'ASGI, "Applications"'


def nowhere_in_wsgi(probe: Any, mounts: Any, short: str, further: str) -> None:
    for path in (f"{short}ette", further, "/", ""):
        seen = probe.wsgi(mounts, path=path)
        ended_well(seen)
        why = "a prefix ends where a segment ends" if path.startswith(short) else "nothing is mounted there"
        expect(f"status of {path!r}", str(seen.status)[:3], "404", why)
    for method in ("GET", "POST"):
        seen = probe.wsgi(mounts, method, "/")
        ended_well(seen)
        pairs = [pair for pair in seen.headers if len(pair) == 2]
        lengths = [value for key, value in pairs if str(key).lower() == "content-length"]
        that(
            lengths in ([], [str(len(seen.body))]),
            got=f"the 404 to {method}: Content-Length {lengths}, then {len(seen.body)} bytes",
            expected="as many bytes as it says: a client waits for the others",
            rule="RFC 9110 §8.6",
        )


def nowhere_in_asgi(probe: Any, mounts: Any, short: str) -> None:
    """Nothing fits; the last one is mounted already where its path ends."""
    for path, root in ((f"{short}ette", ""), ("/", ""), (short, short)):
        seen = probe.asgi(mounts, http_scope(path=path, root_path=root), receive=[body_event()])
        ended_well(seen)
        start = seen.sends[0] if seen.sends and isinstance(seen.sends[0], dict) else {}
        why = "a prefix ends where a segment ends" if path.startswith(short) else "nothing is mounted there"
        if root:
            why = "root_path has all of the path already: no prefix is left to be found in it"
        expect(
            f"status of {path!r}{f' with root_path {root!r}' if root else ''}", start.get("status"), 404, why
        )


def other_scopes(probe: Any, apps: dict[str, Any], short: str) -> None:
    """Lifespan goes to one application, a WebSocket where its path leads."""
    startup, complete = {"type": "lifespan.startup"}, {"type": "lifespan.startup.complete"}
    scope = {"type": "lifespan", "asgi": {"version": "3.0"}}
    app = asgi_app(["receive"], ["send", complete], name="lifespan")
    seen = probe.asgi(made("mounts:asgi_mounts", apps, lifespan=app), scope, receive=[startup])
    ended_well(seen)
    rule = 'ASGI, "Lifespan Scope"'
    expect(
        "lifespan: messages sent", seen.sends, [complete], "those of the application `lifespan`", rule=rule
    )
    mounts = made("mounts:asgi_mounts", apps)
    seen = probe.asgi(mounts, scope, receive=[startup])
    that(
        seen.raised,
        got=f"lifespan, and no application for it: it returned, after sending {seen.sends!r}",
        expected="an exception: the server takes it for `not supported`, and goes on",
        rule=APPLICATIONS,
    )
    kind = f"{short[1:]}s"
    unknown = {**http_scope(path=f"{short}/x"), "type": kind}
    seen = probe.asgi(mounts, unknown)
    raised = "an exception: it tells the server that this type isn't supported"
    that(seen.raised, f"a scope of type {kind!r} was taken for one that is known", raised, rule=APPLICATIONS)
    socket = {**http_scope(path=f"{short}ette"), "type": "websocket", "subprotocols": []}
    seen = probe.asgi(mounts, socket, receive=[{"type": "websocket.connect"}])
    ended_well(seen)
    types = [message.get("type") if isinstance(message, dict) else message for message in seen.sends]
    expect("a WebSocket to nowhere: messages sent", types, ["websocket.close"], rule='ASGI www, "Close"')
    socket = {**socket, "path": f"{short}/chat"}
    called = probe.asgi(mounts, socket, receive=[{"type": "websocket.connect"}]).first("inner called") or {}
    expect("a WebSocket's application", called.get("name"), short, "mounted as for http")


# What a framework reads to find its path, where it is mounted.
MOUNTED = {
    "wsgi": ("SCRIPT_NAME and PATH_INFO", 'PEP 3333, "environ Variables"'),
    "asgi": ("path, less root_path at its beginning", 'ASGI www, "HTTP Connection Scope"'),
}


def found(answer: Any, served_by: str, framework: str, number: int) -> None:
    """Fail unless a framework saw itself mounted."""
    who, prefix = f"{framework}, mounted by {served_by}_mounts", f"/{framework}"
    reads, rule = MOUNTED[served_by]
    that(
        answer.status == 200,
        got=f"{who}: status {answer.status}, with {answer.text.strip()[:80]!r}",
        expected=f"{who}: status 200     {framework} finds its path by {reads}",
        rule=rule,
    )
    try:
        seen = answer.json()
    except ValueError:
        seen = {}
    that(isinstance(seen, dict) and seen, f"{who}: {answer.body[:80]!r}", "the JSON of its task")
    expect(f"{who}: framework", seen.get("framework"), framework)
    expect(f"{who}: prefix", seen.get("prefix"), prefix, "SCRIPT_NAME, or root_path: where it is mounted")
    expect(f"{who}: path", seen.get("path"), f"/tasks/{number}", "the path within it")
    expect(
        f"{who}: link", seen.get("link"), f"{prefix}/tasks/{number}", "a link without its prefix leads away"
    )
    if framework == "fastapi":
        why = "its lifespan has begun: its state is in the scope of each request"
        expect(f"{who}: started", seen.get("started"), "yes", why, rule='ASGI, "Lifespan Scope"')


def scope_stays(probe: Any, mounts: Any, prefix: str) -> None:
    """The scope is the server's: what a mounted application sees is a copy."""
    scope = {"type": "http", "method": "GET", "path": f"{prefix}/x", "headers": []}
    sent = f"a request for {prefix}/x; then the server looks at its scope"
    seen = probe.steps(made("asgi_calls:once", mounts, scope), sent=sent)
    ended_well(seen)
    why = "the server's own, as it was: the mounted application gets a copy"
    expect("the scope afterwards", seen.values[-1], scope, why, rule='ASGI, "Middleware"')


def script_name_may_be_missing(probe: Any, mounts: Any, prefix: str) -> None:
    """A server may leave SCRIPT_NAME out where it would be empty."""
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": f"{prefix}/x"}
    sent = f"an environ with PATH_INFO = '{prefix}/x' and without SCRIPT_NAME"
    seen = probe.steps(made(mounts, environ, note("start_response")), sent=sent)
    ended_well(seen)
    inner = (seen.first("inner called") or {}).get("environ", {})
    got = (inner.get("SCRIPT_NAME"), inner.get("PATH_INFO"))
    expect("SCRIPT_NAME, PATH_INFO", got, (prefix, "/x"), "a SCRIPT_NAME that is missing is empty")
