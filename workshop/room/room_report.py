"""What a learner's watch tells a room: one JSON object, signed with the class's token.

The token itself never crosses the network: who listens there learns what is reported, and can report nothing.
`number` grows with each report of a learner's, so that one that was recorded can't be sent again.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import secrets
import unicodedata
from dataclasses import asdict, dataclass, fields
from typing import Any

from workshop.judge.verdict import Verdict
from workshop.labs import Lab, all_labs

MOST_BYTES = 1024
NAME_LENGTH = 40
MOST_NUMBER = 2**53 - 1  # what every reader of JSON takes for a whole number
MOST_MINUTES = 100_000
MOST_TASKS = 99
HINT_LEVELS = 3
ID = re.compile(r"[0-9a-f]{32}")
CHECK = re.compile(r"test_[a-z0-9_]{1,120}")
SIGNATURE = "room-signature"
SCHEME = "sha256="
# Neither of 0 and o, nor of 1, i and l: the token is read from a wall.
LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
TOKEN = re.compile(f"[{LETTERS}]{{12}}")


class NoReport(ValueError):
    """A body that is no report; its text says why, in one line."""


@dataclass(frozen=True)
class RoomReport:
    """Where a learner is. `task` is the first that does not pass, None when the whole lab does.

    `check` and `verdict` are those of the first check that does not pass; None before the first verdict.
    `hint` is how many levels of hints they have opened for the task, `minutes` how long they watch.
    """

    id: str
    number: int
    name: str
    lab: int
    task: int | None
    check: str | None
    verdict: str | None
    hint: int
    minutes: int

    def as_bytes(self) -> bytes:
        """The very bytes that are sent."""
        return json.dumps(asdict(self), ensure_ascii=False).encode()


NAMES = {one.name for one in fields(RoomReport)}


def parsed(body: bytes) -> RoomReport:
    """The report that a body is. Raises NoReport that names the field which is wrong."""
    try:
        data: Any = json.loads(body)
    except (ValueError, RecursionError):
        raise NoReport("This is not JSON.") from None
    if not isinstance(data, dict) or data.keys() != NAMES:
        raise NoReport(f"A report has these fields and no others: {', '.join(sorted(NAMES))}.")
    data["name"] = clean_name(data["name"]) if isinstance(data["name"], str) else None
    wrong = [name for name, holds in _rules(data).items() if not holds]
    if wrong:
        raise NoReport(f"These fields can't be used: {', '.join(wrong)}.")
    return RoomReport(**data)


def _rules(data: dict[str, Any]) -> dict[str, bool]:
    """Each field, and whether its value may stand there."""
    task, check, verdict = data["task"], data["check"], data["verdict"]
    passed = verdict == Verdict.PASS
    return {
        "id": _is_text(data["id"], ID),
        "number": _is_whole(data["number"], 0, MOST_NUMBER),
        "name": bool(data["name"]),
        "lab": _is_whole(data["lab"], 1, 99) and lab_of(data["lab"]) is not None,
        "task": task is None if passed else _is_whole(task, 1, MOST_TASKS),
        # Another version of the course may have checks that are not known here.
        "check": check is None or (not passed and _is_text(check, CHECK)),
        "verdict": verdict is None or (isinstance(verdict, str) and verdict in set(Verdict)),
        "hint": _is_whole(data["hint"], 0, HINT_LEVELS),
        "minutes": _is_whole(data["minutes"], 0, MOST_MINUTES),
    }


def _is_whole(value: Any, least: int, most: int) -> bool:
    return type(value) is int and least <= value <= most


def _is_text(value: Any, pattern: re.Pattern[str]) -> bool:
    return isinstance(value, str) and pattern.fullmatch(value) is not None


def lab_of(number: int) -> Lab | None:
    """The lab of that number in this checkout."""
    return next((lab for lab in all_labs() if lab.number == number), None)


def clean_name(text: str) -> str:
    """A name as it is kept: one line of at most 40 characters, without control and direction characters."""
    seen = unicodedata.normalize("NFC", text[: NAME_LENGTH * 4])
    spaced = "".join(" " if unicodedata.category(one)[0] == "Z" or one in "\t\n" else one for one in seen)
    kept = "".join(one for one in spaced if unicodedata.category(one)[0] != "C")
    return " ".join(kept.split())[:NAME_LENGTH].strip()


# --- the token


def new_token() -> str:
    """Twelve letters and digits (59 bits), in groups that can be read aloud."""
    drawn = "".join(secrets.choice(LETTERS) for _ in range(12))
    return "-".join(drawn[at : at + 4] for at in (0, 4, 8))


def plain_token(text: str) -> str:
    """A token as it was typed, without hyphens and capitals; "" when it can't be one."""
    plain = text.strip().lower().replace("-", "")
    return plain if TOKEN.fullmatch(plain) else ""


def signature(body: bytes, token: str) -> str:
    """What stands in the field Room-Signature of a report's request."""
    return SCHEME + hmac.new(plain_token(token).encode(), body, hashlib.sha256).hexdigest()


def is_signed(body: bytes, given: str, token: str) -> bool:
    """Whether that signature was made with the token; compared in constant time."""
    return hmac.compare_digest(signature(body, token).encode(), given.encode("utf-8", "replace"))


# What a learner types; the lab's number is theirs to put in.
LAB_LINE = "make lab-1 ROOM={address} TOKEN={token}"
