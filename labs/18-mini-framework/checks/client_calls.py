"""Scenarios with the learner's test client."""

import random
from typing import Any

from http_answers import title

from workshop.judge.checks import Probe, Transcript, asgi_app, expect, fail, made, that

CLIENT = "testclient.py, with the framework behind it: no server and no nginx"


def call(probe: Probe, scenario: str, *args: Any) -> Any:
    """A scenario of apps/client_scenarios.py, with the learner's client."""
    return call_seen(probe, scenario, *args)[0]


def call_seen(probe: Probe, scenario: str, *args: Any, **more: Any) -> tuple[Any, Transcript]:
    """The same, and all that happened meanwhile."""
    seen = probe.steps(made(f"client_scenarios:{scenario}", *args), **more)
    if seen.raised:
        fail(f"it raised {seen.trace[-1]}", "a call that returns", where=CLIENT)
    return seen.values[-1], seen


# Applications that stand in no file, as scripts: what a client says of them, it knows from calling them.
# Who has read framework_features knows what that one answers, and could say it himself.

LIFE = [
    ["receive"],
    ["send", {"type": "lifespan.startup.complete"}],
    ["receive"],
    ["send", {"type": "lifespan.shutdown.complete"}],
]


def unseen(**apps: Any) -> Any:
    """An application of these scripts, one for each type of scope, and of a lifespan."""
    scripts = {kind: asgi_app(*steps, name=kind) for kind, steps in {"lifespan": LIFE, **apps}.items()}
    return made("apps_by_kind:by_kind", **scripts)


def received(seen: Transcript, who: str) -> list[dict[str, Any]]:
    found = [one["message"] for one in seen.all("inner received") if one["name"] == who]
    return [one if isinstance(one, dict) else {"type": one} for one in found]


def lived(seen: Transcript) -> None:
    """Fail unless startup came before all else, and shutdown after it."""
    called = [one["name"] for one in seen.all("inner called")]
    types = [one.get("type") for one in received(seen, "lifespan")]
    expect("the first call of the application", called[:1], ["lifespan"], "entering sends the startup")
    wanted = ["lifespan.startup", "lifespan.shutdown"]
    expect("what the lifespan received", types, wanted, "leaving sends the shutdown", where=CLIENT)


def unseen_request(probe: Probe, rng: random.Random) -> None:
    """A request to an application that is in no file."""
    sent, text, word, code = title(rng), title(rng), f"w{rng.randrange(999)}", rng.choice([202, 404, 503])
    start = {"type": "http.response.start", "status": code, "headers": [[b"x-word", word.encode()]]}
    body = {"type": "http.response.body", "body": text.encode()}
    app = unseen(http=[["receive until", "http.request"], ["send", start], ["send", body]])
    said = (
        f"client.post('/', content={sent.encode()!r}) to an application that sends {code}, x-word, {text!r}"
    )
    got, seen = call_seen(probe, "a_request", app, sent, sent=said)
    expect("status, x-word, text", got, [code, word, text], "what the application has sent", where=CLIENT)
    bodies = [one.get("body", b"") for one in received(seen, "http")]
    what = "the body that the application received"
    expect(what, b"".join(one for one in bodies if isinstance(one, bytes)), sent.encode(), where=CLIENT)
    lived(seen)


def unseen_talk(probe: Probe, rng: random.Random) -> None:
    """A conversation with one."""
    sent, text = title(rng), title(rng)
    accept = ["send", {"type": "websocket.accept"}]
    answer = ["send", {"type": "websocket.send", "text": text}]
    end = ["receive until", "websocket.disconnect"]
    app = unseen(websocket=[["receive"], accept, ["receive"], answer, end])
    said = f"socket.send_text({sent!r}), socket.receive_text(); the application sends {text!r}"
    got, seen = call_seen(probe, "a_talk", app, sent, sent=said)
    expect("receive_text()", got, text, "what the application has sent", where=CLIENT)
    heard = [(one.get("type"), one.get("text")) for one in received(seen, "websocket")]
    wanted = [("websocket.connect", None), ("websocket.receive", sent), ("websocket.disconnect", None)]
    expect("what the application received", heard, wanted, "leaving `with` is a disconnect", where=CLIENT)
    lived(seen)


STATE = 'ASGI lifespan, "Lifespan State"'
DISCONNECT = 'ASGI www, "Disconnect - receive event"'


def lifespan_is_lived_through(probe: Probe) -> None:
    """One `with` is one lifespan: its state, its end, and what it raises."""
    visits = call(probe, "a_lifespan")
    wanted = [["blue", 1], ["blue", 2]] * 2
    expect("state of four requests", visits, wanted, "one `with` is one lifespan; the next begins anew")
    marks = call(probe, "a_mark")
    why = "each scope has a copy of the state: what one request puts there, the next does not see"
    expect(
        "whether an earlier one's mark is there, for a WebSocket and two requests",
        marks,
        [False, False, False],
        why,
        rule=STATE,
        where=CLIENT,
    )
    ended = call(probe, "a_shutdown")
    lived = ["opened", "closed", "RuntimeError: the ink is dry"]
    why = "leaving is the shutdown: it waits for it, and raises what it raises"
    expect("what the lifespan did, and what leaving raised", ended, lived, why, where=CLIENT)
    raised = call(probe, "a_failed_startup")
    why = "what the lifespan raised"
    that("there is no ink" in str(raised), f"with TestClient(broken): {raised}", why, where=CLIENT)


def a_shutdown_fails(probe: Probe, scope: dict[str, Any]) -> None:
    """What the lifespan raises at its end: the startup was complete, the shutdown is not."""
    events = [{"type": "lifespan.startup"}, {"type": "pause", "until": 1}, {"type": "lifespan.shutdown"}]
    seen = probe.asgi("framework_features:dry", scope, events)
    types = [one.get("type") for one in seen.sends if isinstance(one, dict)]
    failed = types == ["lifespan.startup.complete", "lifespan.shutdown.failed"]
    that(
        failed or (types == ["lifespan.startup.complete"] and seen.raised),
        f"sent {types}, raised {seen.raised and seen.raised['type']}",
        "lifespan.startup.complete, then lifespan.shutdown.failed: the lifespan raised after its yield",
        rule='ASGI, "Shutdown Failed"',
    )


def schemes_and_codes(probe: Probe) -> None:
    """What a scope says of its scheme, and what a close without a code means."""
    found = call(probe, "schemes")
    why = "scope['scheme'] is http for requests, ws for WebSockets; a close without a code is 1000"
    rule = 'ASGI www, "WebSocket Connection Scope", "Close - send event"'
    expect("two schemes, two codes", found, ["http", "ws", 1000, 1000], why, rule=rule, where=CLIENT)


def talks_end(probe: Probe, text: str) -> None:
    """A conversation that the application ends, and one that it refuses."""
    answer, codes = call(probe, "a_close", text)
    expect("the answer", answer, f"{text.upper()}! in blue")
    that(
        isinstance(codes, list) and len(codes) == 2 and codes[0] == 4001 and codes[1] not in (0, None),
        f"codes of WebSocketDisconnect = {codes!r} (0: it was not raised)",
        "4001 where the application closed, and one where it refused",
    )


def requests_say_what_was_meant(probe: Probe, word: str) -> None:
    """A field of the test's own, an empty JSON, an encoded query, and the server's port."""
    hosts, empty, tags, servers, codes = call(probe, "odd_requests", word)
    why = "the test's own Host takes the place of the client's: a request has one"
    expect("each Host", hosts, [word], why, rule="RFC 9112 §3.2", where=CLIENT)
    expect("what json={} sent", empty, ["{}", ["application/json"]], "{} is JSON as well", where=CLIENT)
    expect("?tag=a%26b", tags, ["a&b"], "query_string is as it was in the target, encoded", where=CLIENT)
    host, server = servers
    port = int(host.rpartition(":")[2]) if ":" in str(host) else 80
    that(
        server is None or server[1] == port,
        f"scope['server'] = {server}, Host: {host}",
        f"port {port}: a Host without a port means 80",
        rule="RFC 9110 §4.2.1, §7.2",
        where=CLIENT,
    )
    that(
        codes and all(code in (1000, 1005) for code in codes),
        f"codes that the application got at socket.close() and after it: {codes}",
        "1000, a normal close, or 1005, none",
        rule="RFC 6455 §7.4.1",
        where=CLIENT,
    )


def answers_are_whole(probe: Probe) -> None:
    """Streams, broken answers and accidents."""
    requests_say_what_was_meant(probe, "ada.example")
    text = call(probe, "a_stream")
    why = "all its pieces: http.disconnect comes when the client leaves or the answer is complete, not before"
    expect("client.get('/ticks?number=3').text", text, "0\n1\n2\n", why, rule=DISCONNECT, where=CLIENT)
    raised = call(probe, "a_broken_answer")
    that(
        str(raised).partition(":")[0].endswith("Error"),
        got=f"client.get('/') of an application with two http.response.start: {raised}",
        expected="an exception: one answer has one start",
        rule='ASGI www, "Response Start - send event"',
        where=CLIENT,
    )
    raised = call(probe, "an_accident")
    that(
        "nobody handles this" in str(raised),
        f"client.get('/accident'): {raised}",
        "the application's exception",
    )
