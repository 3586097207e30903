"""Scenarios with the learner's test client."""

from typing import Any

from workshop.judge.checks import Probe, expect, fail, made, that

CLIENT = "testclient.py, with the framework behind it: no server and no nginx"


def call(probe: Probe, scenario: str, *args: Any) -> Any:
    """A scenario of apps/client_scenarios.py, with the learner's client."""
    seen = probe.steps(made(f"client_scenarios:{scenario}", *args))
    if seen.raised:
        fail(f"it raised {seen.trace[-1]}", "a call that returns", where=CLIENT)
    return seen.values[-1]


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
        "whether the mark of an earlier request is there",
        marks,
        [False, False],
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


def schemes_and_codes(probe: Probe) -> None:
    """What a scope says of its scheme, and what a close without a code means."""
    found = call(probe, "schemes")
    why = "scope['scheme'] is http for requests, ws for WebSockets; a close without a code is 1000"
    rule = 'ASGI www, "WebSocket Connection Scope", "Close - send event"'
    expect("two schemes, two codes", found, ["http", "ws", 1000, 1000], why, rule=rule, where=CLIENT)


def answers_are_whole(probe: Probe) -> None:
    """Streams, broken answers and accidents."""
    text = call(probe, "a_stream")
    why = "http.disconnect comes when the client leaves or the answer is complete, not before"
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
