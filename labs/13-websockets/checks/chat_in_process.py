"""Calls the chat in its own process, to hold a `send` or a clock: see apps/room_in_process.py."""

from __future__ import annotations

from typing import Any

from workshop.judge.checks import Probe, fail, made, ref, that


def in_process(probe: Probe, what: str, who: str, then: str) -> Any:
    """What a function of room_in_process.py saw; `then` says in words what it did."""
    step = made(f"room_in_process:{what}", ref("app:app"), who)
    seen = probe.steps(step, sent=f"app(scope, receive, send) for /rooms/tea?name={who}; {then}", seconds=9)
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "no exception")
    return seen.values[-1]


def failed_send_means_left(probe: Probe) -> None:
    """`send` may be the first to know that a member has left: it raises OSError."""
    seen = in_process(probe, "send_is_first_to_know", "Ada", "Grace speaks; Ada's `send` raises OSError")
    is_code = len(seen["codes"]) == 1 and type(seen["codes"][0]) is int and seen["codes"] != [1000]
    that(
        seen["members"] == ["Grace"] and seen["said"] == 1 and is_code,
        got=f"/stats has {seen['members']!r}; Grace heard {seen['said']} of her own words, and that somebody"
        f" left with the codes {seen['codes']!r}",
        expected="['Grace'], 1, and [1006]: there was no close frame, so 1000 would be wrong",
        rule='ASGI www, "WebSocket": Disconnected Client; RFC 6455 §7.1.5',
    )
