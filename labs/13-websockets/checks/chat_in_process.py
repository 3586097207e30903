"""Calls the chat in its own process, to hold a `send` or a clock: see apps/room_in_process.py."""

from __future__ import annotations

from typing import Any

from workshop.judge.checks import Probe, fail, made, ref


def in_process(probe: Probe, what: str, who: str, then: str) -> Any:
    """What a function of room_in_process.py saw; `then` says in words what it did."""
    step = made(f"room_in_process:{what}", ref("app:app"), who)
    seen = probe.steps(step, sent=f"app(scope, receive, send) for /rooms/tea?name={who}; {then}", seconds=9)
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "no exception")
    return seen.values[-1]
