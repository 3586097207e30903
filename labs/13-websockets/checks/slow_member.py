"""A room with a member that reads nothing: the others talk on, and it reads at last why it was let go."""

from __future__ import annotations

import json
from typing import Any

from chat_guests import PATIENCE, Guest, message

from workshop.judge.checks import NOT_JSON, Closed, Deadline, NoAnswer, expect, fail, that


def speak(host: Guest, text: str, heard: int, slow: str) -> None:
    """Say it. Fails when the service takes nothing any more."""
    try:
        host.say(text, quiet=True)
    except (Deadline, NoAnswer) as error:
        held_up(host, f"{error.got} after {heard} messages", slow)


def hears_beside(host: Guest, slow: str, heard: int) -> dict[str, Any]:
    """The next event, while somebody else does not read."""
    try:
        got = host.socket.receive(PATIENCE)
    except Deadline:
        held_up(host, f"nothing more came to {host.who} within {PATIENCE:g} s, after {heard} messages", slow)
        raise
    if not isinstance(got, str):
        held_up(host, f"{host.who}'s connection ended ({got!s:.60}) after {heard} messages", slow)
    return event_in(got)


def event_in(got: object) -> dict[str, Any]:
    """A message's JSON object; an empty one where it is something else."""
    try:
        event = json.loads(got) if isinstance(got, str | bytes) else None
    except NOT_JSON:
        event = None
    return event if isinstance(event, dict) else {}


def held_up(host: Guest, got: str, slow: str) -> None:
    fail(got, f"{host.who} hears everything at once, while {slow} reads nothing: nobody waits for {slow}")


def last_words(dawdler: Guest) -> None:
    """Fail unless who begins to read again finds messages in order, and then why it was let go."""
    number = 0
    while True:
        got = message(dawdler.socket, dawdler.who, "close 1013: it read too slowly")
        if isinstance(got, Closed):
            break
        event = event_in(got)
        if event.get("type") == "said":
            number += 1
            expect("the number", event.get("number"), number, "what the slow member did get is in order")
    told = got.code == 1013 or (got.code not in (1000, 1005, 1006) and got.reason)
    that(
        told,
        got=f"{dawdler.who}, reading again, finds {number} messages and then {got}",
        expected="close 1013 (try again later), or another code with a reason",
    )
