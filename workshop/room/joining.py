"""`make lab-N ROOM=host:port TOKEN=…`, before anything starts: is it a room, who are they, what is sent.

The Makefile hands on what stands on make's command line, in the variables WORKSHOP_ROOM…
"""

from __future__ import annotations

import json
import os
import re
import secrets
import sys
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

from workshop.errors import EXIT_PASSED, Refusal
from workshop.judge.http_wire import WireError
from workshop.labs import find
from workshop.paths import STATE
from workshop.room.room_report import ID, NAME_LENGTH, RoomReport, clean_name, plain_token
from workshop.room.sent_report import Answer, Sender, report_now

KEPT = STATE / "room.json"
SENT = STATE / "room-sent.json"
LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,62})"
ADDRESS = re.compile(rf"(?:http://)?({LABEL}(?:\.{LABEL}){{0,30}}):([0-9]{{1,5}})/?")
# What a container calls the machine that it runs on (compose.yaml).
OUTSIDE = "host.docker.internal"
FIRST_SECONDS = 2.0
EVERY = "whenever it changes, and every 15 seconds"


@dataclass(frozen=True)
class Member:
    """Who reports, and where to."""

    host: str
    port: int
    token: str
    id: str
    name: str

    @property
    def room(self) -> str:
        return f"{self.host}:{self.port}"


def join(lab_text: str) -> int:
    """Say what is sent, and send it once. Raises Refusal where there is no use in trying again."""
    lab = find(lab_text)
    member = member_of(os.environ, asks=True)
    sender = Sender(reached(member.host), member.port, member.token)
    report = sender.numbered(report_now(member.id, member.name, lab, minutes=0))
    print(f"The room at {member.room} is told this, {EVERY}, and nothing else:")
    print(f"    {report.as_bytes().decode()}")
    print("Your code stays here. What was sent last is always in .workshop/room-sent.json.")
    print("It travels as plain text: others in your network could read it.", flush=True)
    keep_sent(report)
    try:
        answer = sender.send(report, FIRST_SECONDS)
    except WireError as error:
        print(f"The room can't be reached now ({error.got}). The lab starts, and goes on trying.", flush=True)
        return EXIT_PASSED
    if answer is Answer.WRONG_TOKEN:
        raise Refusal(f"The room at {member.room} does not know this TOKEN: copy the host's line again.")
    if answer is not Answer.KEPT:
        print(f"The room: {answer.value}. The lab starts, and goes on trying.", flush=True)
    return EXIT_PASSED


def member_of(env: Mapping[str, str], asks: bool = False) -> Member:
    """Who reports, by what was given and what is kept; `asks` at the terminal for a name that is not there.

    Raises Refusal in one line for what can't be used.
    """
    room, token, name = (env.get(f"WORKSHOP_ROOM{part}", "") for part in ("", "_TOKEN", "_NAME"))
    example = "make lab-1 ROOM=192.168.1.5:8700 TOKEN=…"
    if not room:
        raise Refusal(f"ROOM is missing: copy the host's line, {example}")
    found = ADDRESS.fullmatch(room.strip())
    if found is None or not 1 <= int(found[2]) <= 65535:
        raise Refusal(f"ROOM={room!r} can't be used: it is the host's address and port, {example}")
    plain = plain_token(token)
    if not plain:
        said = "is missing" if not token else "can't be used"
        raise Refusal(f"TOKEN {said}: it is twelve letters and digits, as the host's line has them.")
    known, kept_name = _kept()
    chosen = _chosen_name(name, kept_name, asks)
    if chosen != kept_name or not KEPT.exists():
        _keep(known, chosen)
    return Member(found[1], int(found[2]), plain, known, chosen)


def _chosen_name(given: str, kept: str, asks: bool) -> str:
    if given and not clean_name(given):
        raise Refusal("NAME can't be used: nothing of it can be shown.")
    if given or kept:
        return clean_name(given) or kept
    if not asks or not sys.stdin.isatty():
        raise Refusal('NAME is missing: say how the host knows you, NAME="Ada"')
    print(f"How does the host know you? A name, at most {NAME_LENGTH} letters, kept in .workshop/room.json.")
    while not (typed := clean_name(_typed())):
        pass
    return typed


def _typed() -> str:
    try:
        return input("Your name: ")
    except EOFError:
        raise Refusal('NAME is missing: say how the host knows you, NAME="Ada"') from None


def _kept() -> tuple[str, str]:
    """The id and the name of last time, or a new id. Who does not know it can't report as this learner."""
    known: object = None
    with suppress(OSError, ValueError):
        known = json.loads(KEPT.read_text(encoding="utf-8"))
    if isinstance(known, dict) and ID.fullmatch(str(known.get("id"))):
        return str(known["id"]), clean_name(str(known.get("name") or ""))
    return secrets.token_hex(16), ""


def _keep(known: str, name: str) -> None:
    STATE.mkdir(exist_ok=True)
    draft = KEPT.with_suffix(".new")
    draft.write_text(json.dumps({"id": known, "name": name}, ensure_ascii=False), encoding="utf-8")
    draft.chmod(0o600)
    draft.replace(KEPT)


def keep_sent(report: RoomReport) -> None:
    """Have the learner see what is sent, at any time."""
    with suppress(OSError):
        SENT.write_bytes(report.as_bytes() + b"\n")


def reached(host: str) -> str:
    """The address to connect to: in a container, this very machine has another name."""
    is_here = host == "localhost" or host.startswith("127.")
    return OUTSIDE if is_here and os.environ.get("WORKSHOP_STACK") == "docker" else host
