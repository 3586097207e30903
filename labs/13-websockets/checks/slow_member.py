"""A room with a member that reads nothing: the others talk on, and it reads at last why it was let go."""

from __future__ import annotations

import json
from typing import Any

from chat_guests import PATIENCE, Guest, Party, message

from workshop.judge.checks import NOT_JSON, Closed, Deadline, NoAnswer, expect, fail, that

MOST_UNREAD = 24 * 1024 * 1024  # bytes that one member may leave unread and still be there
AT_ONCE = 8  # messages of a burst
OF_ITS_OWN = (1008, *range(3000, 5000))  # codes that name no other cause: RFC 6455 §7.4.1, §7.4.2


def heard_until_gone(made: Party, host: Guest, slow: str, filler: str) -> Any:
    """Talk until the slow member has left the room; the code with which it left.

    Fails when the host is held up, and when the slow one is still there after MOST_UNREAD bytes.
    """
    sent = heard = 0
    while heard * len(filler) < MOST_UNREAD:
        for _ in range(AT_ONCE):
            sent += 1
            speak(host, f"{sent} {filler}", heard, slow)
        gone, code = False, None
        while heard < sent:
            event = hears_beside(host, slow, heard)
            if event.get("type") == "left":
                expect("who left", event.get("name"), slow, "the one who does not read")
                code = event.get("code")
                that(
                    code not in (None, 1000),
                    f"{slow} left with the code {code!r}",
                    "1013, or another one that you close it with: a normal end it is not",
                )
                gone = True
                continue
            heard += 1
            expect("the message", count_in(event), str(heard), "each once, in order")
        if gone:
            return code
    if slow not in (made.members(host.room) or []):
        fail(
            f"{slow} is no longer in the room, as /stats has it, and {host.who} was not told so",
            f'{{"type": "left", "name": {json.dumps(slow)}, "code": 1013}} to those who stay',
            rule="this lab's contract, in app.py: class Room",
        )
    fail(
        f"{slow} has read nothing of {heard * len(filler) / 1e6:.0f} MB, and is still a member",
        "its outbox has a limit; when it is full, the member has left the room (OUTBOX_LIMIT)",
    )


def count_in(event: dict[str, Any]) -> str:
    """The first word of what was said: messages are counted there."""
    return str(event.get("text")).partition(" ")[0]


def speak(host: Guest, text: str, heard: int, slow: str) -> None:
    """Say it. Fails when the service takes nothing any more."""
    try:
        host.socket.send_json({"text": text}, True)
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
    fail(
        got,
        f"{host.who} hears everything at once, while {slow} reads nothing: no other member waits for {slow}",
    )


def last_words(dawdler: Guest, code: object) -> None:
    """Fail unless who begins to read again finds messages in order, and then a close with this code."""
    number = 0
    while True:
        got = message(dawdler.socket, dawdler.who, "close 1013: it read too slowly")
        if isinstance(got, Closed):
            break
        event = event_in(got)
        if event.get("type") == "said":
            number += 1
            expect("the message", count_in(event), str(number), "what the slow member did get is in order")
    sent = (
        f"{dawdler.socket.asked}; then {dawdler.who} read nothing until it had left the room, and now reads"
    )
    told = got.code == 1013 or (got.code in OF_ITS_OWN and got.reason)
    that(
        told,
        got=f"{dawdler.who}, reading again, finds {number} messages and then {got}",
        expected="close 1013 (try again later), or 1008 or a code of your own with a reason, within FAREWELL "
        "seconds",
        sent=sent,
    )
    that(
        got.code == code,
        got=f'the others were told {{"type": "left", "code": {code!r}}}, and {dawdler.who} finds {got}',
        expected="one code for both: that of the close frame",
        rule="this lab's contract, in app.py: class Room",
        sent=sent,
    )
