"""Guests of the chat: they join over WebSockets, talk, listen with patience, and all go at the end."""

from __future__ import annotations

import contextlib
import json
import random
import re
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

from workshop.judge.checks import (
    NOT_JSON,
    Client,
    Closed,
    Deadline,
    NoAnswer,
    NotHTTP,
    WebSocket,
    expect,
    fail,
    http_scope,
    name,
    that,
)

NAME_TAKEN = 4009
PATIENCE = 4.0  # seconds until what must come is said not to have come
SPICE = ("Zoë", "Łódź", "東京", "δοκιμή", "🙂", "naïve", "tea")


def words(rng: random.Random) -> str:
    """A sentence of several scripts, with a number in it."""
    return " ".join(rng.choices(SPICE, k=3)) + f" {rng.randrange(10**6)}"


def room_name(rng: random.Random) -> str:
    return f"{rng.choice(['tea', 'coffee', 'late-night'])}-{rng.randrange(10**6)}"


def names(rng: random.Random, count: int = 2) -> list[str]:
    """Different names."""
    found: list[str] = []
    while len(found) < count:
        one = name(rng)
        if one not in found:
            found.append(one)
    return found


def target(room: str, who: str) -> str:
    return f"/rooms/{room}?name={quote(who)}"


def opened(socket: WebSocket, who: str = "the client", why: str = "") -> WebSocket:
    """Fail unless the handshake succeeded; `why` says why it must."""
    if socket.refused is not None:
        fail(
            f"{socket.refused.line}: {who} was not let in",
            f"101 Switching Protocols: {why or 'websocket.accept answers websocket.connect'}",
            rule='ASGI www, "Accept - send event"',
        )
    return socket


def message(socket: WebSocket, who: str, awaited: str) -> str | bytes | Closed:
    """What comes next. Fails when nothing does; `awaited` says what should have."""
    try:
        return socket.receive(PATIENCE)
    except Deadline:
        fail(f"nothing more came to {who} within {PATIENCE:g} s", awaited)
        raise


def ended(socket: WebSocket, who: str, code: int, why: str) -> Closed:
    """The end, with this code. Fails on a message instead."""
    got = message(socket, who, f"close {code}: {why}")
    if not isinstance(got, Closed):
        fail(f"{who} received {got[:80]!r}", f"close {code}: {why}")
    that(got.code == code, got=f"{who} received {got}", expected=f"close {code}: {why}")
    return got


class Guest:
    """Somebody in a room who speaks JSON."""

    def __init__(self, who: str, room: str, socket: WebSocket) -> None:
        self.who, self.room, self.socket = who, room, socket
        self.events = 0  # heard so far

    def say(self, text: str, quiet: bool = False) -> None:
        """Send it. Fails when the connection has ended."""
        try:
            self.socket.send_json({"text": text}, quiet)
        except NoAnswer as error:
            fail(f"{error.got}, which {self.who} wanted to say", self._still_open())

    def _still_open(self, code: int = 0) -> str:
        """What is expected of a connection that has ended, with this close code."""
        if code == NAME_TAKEN and not self.events:
            return (
                "an open connection: nobody of this name is in the room any more. Whatever ends a member"
                " gives its name back"
            )
        if self.events > 1:
            return "an open connection: this member has done nothing wrong"
        return "an open connection: the chat receives websocket.connect first, and messages after it"

    def hears(self, awaited: str) -> dict[str, Any]:
        """The next event."""
        got = message(self.socket, self.who, awaited)
        if isinstance(got, Closed):
            fail(f"{self.who}'s connection ended: {got}", f"{self._still_open(got.code)}; then {awaited}")
        self.events += 1
        try:
            event = json.loads(got)
        except NOT_JSON:
            event = None
        if not isinstance(got, str) or not isinstance(event, dict):
            fail(f"{self.who} received {got[:200]!r}", f"a text message that is a JSON object: {awaited}")
        return dict(event)

    def hears_that(self, why: str, **wanted: Any) -> dict[str, Any]:
        """The next event, which must have these values; `type` is one of them."""
        awaited = f"{self.who} hears {json.dumps(wanted, ensure_ascii=False)}"[:300]
        event = self.hears(f"{awaited}: {why}")
        got = {key: event.get(key) for key in wanted}
        shown = json.dumps(event, ensure_ascii=False)
        that(got == wanted, got=f"{self.who} hears {shown[:300]}", expected=f"{awaited}: {why}")
        return event


class Party:
    """Guests of one client's; they all go at the end."""

    def __init__(self, client: Client) -> None:
        self.client, self.guests = client, contextlib.ExitStack()

    def open(self, path: str, who: str = "", **more: Any) -> WebSocket:
        """A WebSocket, refused or not."""
        try:
            return self.guests.enter_context(self.client.websocket(path, who=who, **more))
        except NotHTTP as error:
            chosen = re.search(rb"(?i)sec-websocket-protocol: *([^\r]*)", error.partial)
            if chosen is None:
                raise
            offered = ", ".join(more.get("subprotocols", ())) or "none"
            fail(
                f"101 with the subprotocol {chosen[1].decode('latin-1')!r}; offered: {offered}",
                "a subprotocol that was offered, or none: a client closes the connection at any other",
                rule="RFC 6455 §4.2.2",
            )
            raise

    def join(self, room: str, who: str, why: str = "", **more: Any) -> Guest:
        """Somebody who was let in and welcomed."""
        more.setdefault("subprotocols", ["chat.json"])
        guest = Guest(who, room, opened(self.open(target(room, who), who, **more), who, why))
        event = guest.hears("welcome, first of all")
        expect("the first event's type", event.get("type"), "welcome", "a member is welcomed first of all")
        members = event.get("members")
        that(
            isinstance(members, list) and who in members,
            got=f"welcome with the members {members!r}",
            expected=f"a list of names with {who!r} in it",
        )
        return guest

    def members(self, room: str) -> list[str] | None:
        """Who is in a room, as /stats has it; None for a room that is not there."""
        answer = self.client.get("/stats")
        expect("the status of /stats", answer.status, 200)
        kind = (answer.get("Content-Type") or "").partition(";")[0].strip().lower()
        expect("the Content-Type of /stats", kind, "application/json")
        rooms = answer.json().get("rooms") if isinstance(answer.json(), dict) else None
        that(
            isinstance(rooms, dict),
            got=f"the JSON {answer.text[:200]}",
            expected='an object like {"rooms": {"tea": ["Ada"]}}',
        )
        found = rooms.get(room) if isinstance(rooms, dict) else None
        return found if found is None else list(found)

    def becomes(self, room: str, wanted: list[str] | None, why: str) -> None:
        """Ask /stats until the room has these members."""
        end = time.monotonic() + PATIENCE
        while (seen := self.members(room)) != wanted:
            if time.monotonic() > end:
                fail(f'/stats has {seen!r} in "{room}"', f"{wanted!r}: {why}")


@contextlib.contextmanager
def party(client: Client) -> Iterator[Party]:
    made = Party(client)
    with made.guests:
        yield made


def said_by(guest: Guest, count: int, others: int) -> list[tuple[Any, Any, Any]]:
    """So many `said` events as (number, name, text); `joined` events before them are passed over."""
    found: list[tuple[Any, Any, Any]] = []
    while len(found) < count:
        event = guest.hears(f"{count} messages from {others} members; {len(found)} have come to {guest.who}")
        if event.get("type") == "said":
            found.append((event.get("number"), event.get("name"), event.get("text")))
        elif event.get("type") != "joined":
            fail(f"{guest.who} hears {event!r}", "what was said: no member has left")
    return found


def in_one_order(seen: dict[str, list[tuple[Any, Any, Any]]]) -> None:
    """Fail unless all members heard the same, in the same order."""
    first, *others = seen.items()
    for who, said in others:
        differing = [(a, b) for a, b in zip(first[1], said, strict=True) if a != b]
        that(
            not differing,
            got=f"{first[0]} and {who} hear different messages under one number: {differing[:1]!r}",
            expected="one order for all members",
        )


def reads_one_line(socket: WebSocket, who: str) -> None:
    """Fail unless what comes next, in chat.lines, is one line."""
    got = message(socket, who, "one line")
    that(
        isinstance(got, str) and len(got.splitlines()) == 1,
        got=f"{who} reads {got!r}",
        expected="one line: else anybody can write what looks like the room's own",
        rule="this lab's contract, in app.py: one line, as str.splitlines counts",
    )


def refused(made: Party, path: str, why: str, rule: str = "", **more: Any) -> None:
    """Fail unless this handshake is answered with 403."""
    socket = made.open(path, **more)
    if socket.refused is None:
        expected = f"403, because {why}: websocket.close instead of websocket.accept"
        fail("101: it was accepted", expected, rule=rule, sent=socket.asked)
    elif socket.refused.status != 403:
        expect("status", socket.refused.status, 403, f"websocket.close instead of websocket.accept: {why}")


def websocket_scope(path: str, **more: Any) -> dict[str, Any]:
    """A WebSocket scope as the ASGI specification has it (www, "WebSocket Connection Scope")."""
    scope = http_scope(path=path, type="websocket", scheme="ws", subprotocols=[], **more)
    del scope["method"]
    return scope
