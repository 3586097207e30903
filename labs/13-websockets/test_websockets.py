"""Lab 13: WebSockets, under uvicorn and behind nginx, by members that talk, leave, vanish and dawdle."""

from __future__ import annotations

import contextlib
import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from workshop.judge.checks import (
    NOT_JSON,
    Client,
    Closed,
    Deadline,
    NoAnswer,
    Probe,
    WebSocket,
    check,
    expect,
    fail,
    http_scope,
    name,
    that,
)

SEND = 'ASGI www, "Send - send event"'
MESSAGE_LIMIT = 16 * 1024  # bytes, as in app.py
NAME_LIMIT = 24  # characters
PATIENCE = 4.0  # seconds until what must come is said not to have come
MOST_UNREAD = 24 * 1024 * 1024  # bytes that one member may leave unread and still be there
AT_ONCE = 8  # messages of a burst
SPICE = ("Zoë", "Łódź", "東京", "δοκιμή", "🙂", "naïve", "tea")
UNKNOWN = ("chat.v9", "soap", "graphql-ws", "mqtt")


# --- what the checks share --------------------------------------------------------------------------


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


def opened(socket: WebSocket, who: str = "the client") -> WebSocket:
    """Fail unless the handshake succeeded."""
    if socket.refused is not None:
        fail(
            f"{socket.refused.line}: {who} was not let in",
            "101 Switching Protocols: websocket.accept answers websocket.connect",
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

    def say(self, text: str, quiet: bool = False) -> None:
        self.socket.send_json({"text": text}, quiet)

    def hears(self, awaited: str) -> dict[str, Any]:
        """The next event."""
        got = message(self.socket, self.who, awaited)
        if isinstance(got, Closed):
            fail(f"{self.who}'s connection ended: {got}", awaited)
        try:
            event = json.loads(got)
        except NOT_JSON:
            event = None
        if not isinstance(got, str) or not isinstance(event, dict):
            fail(f"{self.who} received {got[:200]!r}", f"a text message that is a JSON object: {awaited}")
        return dict(event)

    def hears_that(self, why: str, **wanted: Any) -> dict[str, Any]:
        """The next event, which must have these values; `type` is one of them."""
        awaited = f"{self.who} hears {json.dumps(wanted, ensure_ascii=False)}"
        event = self.hears(f"{awaited}: {why}")
        got = {key: event.get(key) for key in wanted}
        shown = json.dumps(event, ensure_ascii=False)
        that(got == wanted, got=f"{self.who} hears {shown[:300]}", expected=f"{awaited[:300]}: {why}")
        return event


class Party:
    """Guests of one client's; they all go at the end."""

    def __init__(self, client: Client) -> None:
        self.client, self.guests = client, contextlib.ExitStack()

    def open(self, path: str, who: str = "", **more: Any) -> WebSocket:
        """A WebSocket, refused or not."""
        return self.guests.enter_context(self.client.websocket(path, who=who, **more))

    def join(self, room: str, who: str, **more: Any) -> Guest:
        """Somebody who was let in and welcomed."""
        more.setdefault("subprotocols", ["chat.json"])
        guest = Guest(who, room, opened(self.open(target(room, who), who, **more), who))
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


def websocket_scope(path: str, **more: Any) -> dict[str, Any]:
    """A WebSocket scope as the ASGI specification has it (www, "WebSocket Connection Scope")."""
    scope = http_scope(path=path, type="websocket", scheme="ws", subprotocols=[], **more)
    del scope["method"]
    return scope


def said_by(guest: Guest, count: int, others: int) -> list[tuple[Any, Any, Any]]:
    """So many `said` events as (number, name, text); `joined` events before them are passed over."""
    found: list[tuple[Any, Any, Any]] = []
    while len(found) < count:
        event = guest.hears(f"{count} messages from {others} members; {len(found)} have come to {guest.who}")
        if event.get("type") == "said":
            found.append((event.get("number"), event.get("name"), event.get("text")))
        elif event.get("type") != "joined":
            fail(f"{guest.who} hears {event!r}", "what was said: nobody has left")
    return found


# --- task 1: accept, echo, close --------------------------------------------------------------------


@check(task=1, rule='ASGI www, "Receive - receive event": exactly one of text and bytes')
def test_task1_echo_says_back_text_and_bytes(front: Client, rng: random.Random) -> None:
    """/echo says back text as text and bytes as bytes"""
    with party(front) as made:
        socket = opened(made.open("/echo"))
        sent: list[str | bytes] = [words(rng), rng.randbytes(12) + b"\x00\xff", "", words(rng)]
        rng.shuffle(sent)
        for one in sent:
            socket.send(one)
            expect("the answer", message(socket, "the client", f"{one!r}, said back"), one, "what was sent")
        parts = [words(rng), words(rng), words(rng)]
        socket.send_fragments(*parts)
        got = message(socket, "the client", "the whole message, said back")
        expect("the answer", got, "".join(parts), "the server puts frames together: one event, one message")


@check(task=1, rule='ASGI www, "Connect", "Receive", "Disconnect - receive event"')
def test_task1_events_come_in_their_order(probe: Probe, rng: random.Random) -> None:
    """/echo accepts first, takes either key, and sends nothing after a disconnect"""
    text, data = words(rng), rng.randbytes(8)
    seen = probe.asgi(
        "app:app",
        websocket_scope("/echo"),
        receive=[
            {"type": "websocket.connect"},
            {"type": "websocket.receive", "text": text, "bytes": None},
            {"type": "websocket.receive", "text": None, "bytes": data},
            {"type": "websocket.receive", "text": ""},
            {"type": "websocket.receive", "bytes": data},
            {"type": "websocket.disconnect", "code": rng.choice([1000, 1001, 1005, 1006])},
        ],
    )
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "four messages said back, and no exception")
    sends = [one if isinstance(one, dict) else {} for one in seen.sends]
    types = [one.get("type") for one in sends]
    that(
        types[:1] == ["websocket.accept"],
        got=f"sent {types[:3]} first",
        expected="websocket.accept first: it answers websocket.connect",
        rule='ASGI www, "Accept - send event"',
    )
    got = [one.get("bytes") if one.get("text") is None else one["text"] for one in sends[1:5]]
    expect("said back", got, [text, data, "", data], "a key may be absent or None, and a text may be empty")
    that(
        len(sends) == 5,
        got=f"after the disconnect it sent {sends[5:6]!r}",
        expected="nothing: the client has left",
        rule='ASGI www, "Disconnect - receive event"',
    )
    that(
        "returned" in seen.names(),
        got="after the disconnect it was still running",
        expected="the call returns: the connection is over",
        rule='ASGI www, "Disconnect - receive event"',
    )


@check(task=1, rule="RFC 6455 §7.4.1: 1000 is a normal end, 1009 a message that is too big")
def test_task1_close_codes(front: Client, rng: random.Random) -> None:
    """ "bye" closes with 1000, a message over the limit with 1009"""
    with party(front) as made:
        socket = opened(made.open("/echo"))
        socket.send("bye")
        closed = ended(socket, "the client", 1000, 'it said "bye"')
        expect("the reason", closed.reason, "bye")
    fitting: tuple[str | bytes, ...] = ("x" * MESSAGE_LIMIT, b"x" * MESSAGE_LIMIT, "é" * (MESSAGE_LIMIT // 2))
    letter = rng.choice("éüñ")
    big = letter * (MESSAGE_LIMIT // 2) + "."
    too_big: tuple[str | bytes, ...] = (b"x" * (MESSAGE_LIMIT + 1), "x" * (MESSAGE_LIMIT + 1), big)
    with party(front) as made:
        socket = opened(made.open("/echo"))
        for one in fitting:
            socket.send(one)
            got = message(socket, "the client", "a message of exactly MESSAGE_LIMIT bytes, said back")
            that(
                got == one,
                got=str(got) if isinstance(got, Closed) else f"an answer of {len(got)}",
                expected="the same, said back: MESSAGE_LIMIT bytes are not too many",
            )
        for one in too_big:
            socket = opened(made.open("/echo"))
            socket.send(one)
            why = (
                f"{len(one.encode()) if isinstance(one, str) else len(one)} bytes are more than MESSAGE_LIMIT"
            )
            ended(socket, "the client", 1009, why)


@check(task=1, rule='ASGI, "Applications": an unknown scope type is refused with an exception')
def test_task1_page_and_websockets_share_one_application(
    front: Client, probe: Probe, rng: random.Random
) -> None:
    """The page comes from the same application; other scope types are refused"""
    page = front.get("/")
    expect("status", page.status, 200)
    that(
        (page.get("Content-Type") or "").startswith("text/html") and b"new WebSocket" in page.body,
        got=f"{page.get('Content-Type')}: {page.text[:80]!r}",
        expected="the page, as text/html",
    )
    expect("the status of /nowhere", front.get("/nowhere").status, 404)
    with party(front) as made:
        opened(made.open("/echo"))
    kind = rng.choice(["telegram", "webtransport", "pigeon"])
    scope = {**websocket_scope("/echo"), "type": kind}
    seen = probe.asgi("app:app", scope, receive=[{"type": f"{kind}.connect"}])
    that(
        seen.raised is not None,
        got=f"no exception for a scope of type {kind!r}: {seen.names()[-1]}",
        expected="an exception: it tells the server that the application does not speak this",
    )


# --- task 2: rooms ----------------------------------------------------------------------------------


@check(task=2, rule="the lab's contract: class Room in app.py")
def test_task2_everybody_hears_everything_once_and_in_order(front: Client, rng: random.Random) -> None:
    """Whatever is said comes to everybody once, in one order"""
    room, count, each = room_name(rng), rng.randint(4, 6), rng.randint(3, 6)
    with party(front) as made:
        guests = [made.join(room, who) for who in names(rng, count)]
        texts = {guest.who: [words(rng) for _ in range(each)] for guest in guests}
        for number in range(each):
            for guest in rng.sample(guests, count):
                guest.say(texts[guest.who][number])
        seen = {guest.who: said_by(guest, count * each, count) for guest in guests}
        for who, said in seen.items():
            numbers = [number for number, _, _ in said]
            wanted = list(range(1, count * each + 1))
            expect(f"the numbers that {who} hears", numbers, wanted, "each once, growing by one")
            for speaker, spoken in texts.items():
                heard = [text for _, whose, text in said if whose == speaker]
                expect(f"what {who} hears of {speaker}", heard, spoken, "all of it, in the order it was said")
        first, *others = seen.items()
        for who, said in others:
            differing = [(a, b) for a, b in zip(first[1], said, strict=True) if a != b]
            that(
                not differing,
                got=f"{first[0]} and {who} hear different messages under one number: {differing[:1]!r}",
                expected="one order for everybody",
            )


@check(task=2, rule="the lab's contract: class Room in app.py; RFC 6455 §7.1.5, 1005 for no code")
def test_task2_welcome_joined_left(front: Client, rng: random.Random) -> None:
    """Who comes is welcomed, who is there hears of it; who leaves is gone, with the code"""
    room = room_name(rng)
    first, second, third = (
        f"{one} {rng.randrange(1000)}" for one in rng.sample(["Zoë", "Ada", "東京", "İnci"], 3)
    )
    code = rng.choice([1000, 1001, rng.randint(3000, 4000), rng.randint(4100, 4999)])
    with party(front) as made:
        ada = made.join(room, first)
        grace = Guest(second, room, opened(made.open(target(room, f" {second} "), second), second))
        why = "both are there, sorted; the spaces around a name are not part of it"
        grace.hears_that(why, type="welcome", room=room, members=sorted([first, second]))
        ada.hears_that("somebody came", type="joined", name=second)
        made.becomes(room, sorted([first, second]), "both are there")
        made.join(room, third).socket.close(code)
        for guest in (ada, grace):
            guest.hears_that("somebody came", type="joined", name=third)
            guest.hears_that(f"{third} closed with {code}", type="left", name=third, code=code)
        grace.socket.close(None)
        why = "1005 says that the close frame had no code"
        ada.hears_that(why, type="left", name=second, code=1005)
        made.becomes(room, [first], "the others have left")
        ada.socket.close()
        made.becomes(room, None, "a room that nobody is in is forgotten")


@check(task=2, rule="the lab's contract: class Room in app.py")
def test_task2_rooms_are_apart(front: Client, rng: random.Random) -> None:
    """What is said in one room is not heard in another"""
    one, other = f"{room_name(rng)}-a", f"{room_name(rng)}-b"
    ada, grace = names(rng)
    with party(front) as made:
        here, there = made.join(one, ada), made.join(other, ada)
        guest = made.join(other, grace)
        there.hears_that("somebody came", type="joined", name=grace)
        for number in range(1, rng.randint(3, 5)):
            text = words(rng)
            here.say(text)
            here.hears_that("in this room", type="said", number=number, name=ada, text=text)
        text = words(rng)
        guest.say(text)
        for each in (there, guest):
            why = f'the first thing said in "{other}"'
            each.hears_that(why, type="said", number=1, name=grace, text=text)
        expect("/stats for the one room", made.members(one), [ada])
        expect("/stats for the other", made.members(other), sorted([ada, grace]))


@check(
    task=2, rule="RFC 6455 §7.4.1: 1003 a type of data that can't be taken, 1007 data that is not of its kind"
)
def test_task2_wrong_messages_end_one_member_only(front: Client, rng: random.Random) -> None:
    """A message that is none ends its sender, with a code, and nobody else"""
    room = room_name(rng)
    ada, grace = names(rng)
    wrong: list[tuple[str | bytes, int, str]] = [
        (rng.randbytes(6), 1003, "a room takes text"),
        (words(rng), 1007, "this is not JSON"),
        (json.dumps([words(rng)]), 1007, "a JSON array, not an object"),
        (json.dumps({"text": rng.randrange(100)}), 1007, "its text is not a string"),
        (json.dumps({"words": "hello"}), 1007, "it has no text"),
        ("[" * 9000, 1007, "nine thousand arrays that do not end"),
        (
            json.dumps({"text": f"{name(rng)} \ud83d"}),
            1007,
            "half of a surrogate pair: UTF-8 has no bytes for it",
        ),
        (json.dumps({"text": "x" * MESSAGE_LIMIT}), 1009, "more than MESSAGE_LIMIT"),
    ]
    with party(front) as made:
        host = made.join(room, ada)
        for sent, code, why in wrong:
            guest = made.join(room, grace)
            guest.socket.send(sent)
            ended(guest.socket, grace, code, why)
            host.hears_that("somebody came", type="joined", name=grace)
            host.hears_that(f"ended by the application: {why}", type="left", name=grace, code=code)
        text = words(rng)
        host.say(text)
        host.hears_that("the room goes on", type="said", number=1, name=ada, text=text)


# --- task 3: refuse; subprotocols -------------------------------------------------------------------


def refused(made: Party, path: str, why: str, **more: Any) -> None:
    """Fail unless this handshake is answered with 403."""
    socket = made.open(path, **more)
    if socket.refused is None:
        fail("101: it was accepted", f"403, because {why}: websocket.close instead of websocket.accept")
    elif socket.refused.status != 403:
        expect("status", socket.refused.status, 403, f"websocket.close instead of websocket.accept: {why}")


@check(task=3, rule='ASGI www, "Close - send event": before accept, the server answers 403')
def test_task3_refused_handshake_is_403(front: Client, rng: random.Random) -> None:
    """No such room, or no name: 403, through nginx too"""
    room, who = room_name(rng), name(rng)
    wrong = [
        (target(room.upper(), who), "a room's name is of a-z, 0-9 and -"),
        (target(f"{room}/window", who), "that is no room"),
        (target("", who), "that is no room"),
        (target("t" * 33, who), "33 characters are too many for a room"),
        (f"/nowhere?name={quote(who)}", "there is nothing"),
        (f"/rooms/{room}", "there is no name"),
        (f"/rooms/{room}?name=%20", "the name is blank"),
        (target(room, "A" * (NAME_LIMIT + 1)), "the name is too long"),
        (f"/rooms/{room}?name=A%0Ada", "a line end is not printable"),
    ]
    with party(front) as made:
        made.join(room, "é" * NAME_LIMIT)
        for path, why in rng.sample(wrong, len(wrong)):
            refused(made, path, why)
        expect("/stats", made.members(room), ["é" * NAME_LIMIT], "who was refused is no member")


@check(task=3, rule="RFC 6455 §10.2: a browser lets every page connect; the server looks at Origin")
def test_task3_page_of_another_site_is_refused(front: Client, rng: random.Random) -> None:
    """A page of another site is refused; one of ours, and a client that is no browser, is not"""
    room, who = room_name(rng), name(rng)
    here = f"localhost:{front.address.port}"
    foreign = [
        f"http://{rng.choice(['evil', 'chat', 'tea'])}.example",
        f"http://{here}.evil.example",
        f"http://evil.example:{front.address.port}",
        "null",
    ]
    with party(front) as made:
        for origin in rng.sample(foreign, len(foreign)):
            why = f"a page of {origin} opened it, and the Host is {here}"
            refused(made, target(room, who), why, fields=[("Origin", origin)])
        made.join(room, who, fields=[("Origin", f"http://{here}")]).socket.close()
        made.becomes(room, None, "it has left")
        made.join(room, who)


@check(task=3, rule="RFC 6455 §4.2.2: one of the subprotocols that were offered, or none")
def test_task3_subprotocol_is_one_that_was_offered(front: Client, rng: random.Random) -> None:
    """The first offered subprotocol that the chat speaks is chosen"""
    room, who = room_name(rng), name(rng)
    ours = rng.sample(["chat.json", "chat.lines"], 2)
    offers = [
        [*rng.sample(UNKNOWN, 2), *ours],
        [*reversed(ours), rng.choice(UNKNOWN)],
        [rng.choice(UNKNOWN), ours[0]],
        [],
    ]
    with party(front) as made:
        for offered in offers:
            known = [one for one in offered if one in ours]
            socket = opened(made.open(target(room, who), subprotocols=offered), who)
            why = "the first that you speak" if known else "none was offered"
            expect("the subprotocol", socket.subprotocol, known[0] if known else "", why)
            socket.close()
            made.becomes(room, None, "it has left")
        nothing = made.open(target(room, who), subprotocols=rng.sample(UNKNOWN, 2))
        that(
            (nothing.refused is None and nothing.subprotocol == "")
            or (nothing.refused is not None and nothing.refused.status == 403),
            got=nothing.refused.line if nothing.refused else f"the subprotocol {nothing.subprotocol!r}",
            expected="403: there is no subprotocol in common",
        )


@check(task=3, rule="RFC 6455 §1.9: the subprotocol says what the messages mean")
def test_task3_lines_and_json_understand_each_other(front: Client, rng: random.Random) -> None:
    """In one room, each member gets its own subprotocol's messages"""
    room, text, answer = room_name(rng), words(rng), json.dumps({"text": words(rng)})
    ada, grace = names(rng)
    with party(front) as made:
        guest = made.join(room, ada)
        offered = [rng.choice(UNKNOWN), "chat.lines", "chat.json"]
        lines = opened(made.open(target(room, grace), grace, subprotocols=offered), grace)

        def reads(line: str, why: str) -> None:
            got = message(lines, grace, f"the line {line!r}")
            that(got == line, got=f"{grace} reads {got!r}", expected=f"{line!r}: {why}")

        reads(f"* welcome: {', '.join(sorted([ada, grace]))}", "chat.lines is for people")
        guest.hears_that("somebody came", type="joined", name=grace)
        guest.say(text)
        reads(f"{ada}: {text}", "what was said in JSON, as a line")
        guest.hears_that("her own words", type="said", number=1, name=ada, text=text)
        lines.send(answer)
        why = "in chat.lines a message is its text, even one that looks like JSON"
        guest.hears_that(why, type="said", number=2, name=grace, text=answer)
        reads(f"{grace}: {answer}", "her own words")
        guest.say(f"{text}\n* {ada} left")
        got = message(lines, grace, "one line")
        that(
            isinstance(got, str) and "\n" not in got,
            got=f"{grace} reads {got!r}",
            expected="one line: else anybody can write what looks like the room's own",
        )
        guest.socket.close()
        reads(f"* {ada} left", "she has")


@check(task=3, rule="RFC 6455 §7.4.2: 4000 to 4999 are an application's own")
def test_task3_taken_name_is_told_so(front: Client, rng: random.Random) -> None:
    """A name that is taken: accepted, then closed with 4009; who has it stays"""
    room = room_name(rng)
    ada, grace = names(rng)
    with party(front) as made:
        first = made.join(room, ada)
        second = opened(made.open(target(room, ada), f"{ada}, again", subprotocols=["chat.json"]), ada)
        ended(second, f"the second {ada}", 4009, "the name is taken; a 403 could not have said so")
        other = made.join(room, grace)
        first.hears_that("nobody else came or left", type="joined", name=grace)
        text = words(rng)
        other.say(text)
        for each in (first, other):
            each.hears_that("both are there", type="said", number=1, name=grace, text=text)
        first.socket.close()
        other.hears_that("the first has left now", type="left", name=ada)
        made.join(room, ada).say("me again")


# --- task 4: members that vanish, members that are slow ---------------------------------------------


@check(
    task=4,
    rule='RFC 6455 §7.1.5: 1006 for an end without a close frame; ASGI www, "Disconnect - receive event"',
)
def test_task4_member_that_vanishes_has_left(
    front: Client, service: Callable[[str], Client], rng: random.Random
) -> None:
    """Whoever vanishes without a word has left, and the room goes on"""
    room = room_name(rng)
    ada, grace = names(rng)
    ways: list[tuple[Client, Callable[[WebSocket], None]]] = [
        (front, WebSocket.vanish),
        (service("uvicorn"), WebSocket.vanish),
        (service("uvicorn"), lambda socket: socket.wire.close()),
    ]
    with party(service("uvicorn")) as made:
        host = made.join(room, ada)
        for number, (client, vanish) in enumerate(rng.sample(ways, len(ways)), 1):
            with party(client) as others:
                guest = others.join(room, grace)
                host.hears_that("somebody came", type="joined", name=grace)
                host.say(f"round {number}", quiet=True)
                vanish(guest.socket)
                found = [host.hears("round and left") for _ in range(2)]
            said = next((one for one in found if one.get("type") == "said"), {})
            expect("the number of what was said", said.get("number"), number, "said while somebody vanished")
            left = next((one for one in found if one.get("type") == "left"), {})
            that(
                left.get("name") == grace and left.get("code") in (1005, 1006),
                got=f"{ada} hears {found!r}",
                expected=f"that {grace} left, with the code that websocket.disconnect has (1006, or 1005)",
            )
        made.becomes(room, [ada], "the others have vanished")
        text = words(rng)
        host.say(text)
        host.hears_that("the room goes on", type="said", number=len(ways) + 1, name=ada, text=text)


@check(
    task=4, rule='RFC 6455 §7.4 and IANA\'s close codes: 1013, try again later; ASGI www, "Send": send waits'
)
def test_task4_slow_member_holds_nobody_up(service: Callable[[str], Client], rng: random.Random) -> None:
    """A member that stops reading holds nobody up; it is let go, and told why"""
    room, filler = room_name(rng), f"{rng.randrange(10**9)} " * 1400
    ada, slow = names(rng)
    with party(service("uvicorn")) as made:
        dawdler = made.join(room, slow, receive_buffer=4096)
        host = made.join(room, ada)
        sent = heard = 0
        gone = False
        while not gone and heard * len(filler) < MOST_UNREAD:
            for _ in range(AT_ONCE):
                sent += 1
                speak(host, f"{sent} {filler}", heard, slow)
            while heard < sent:
                event = hears_beside(host, slow, heard)
                if event.get("type") == "left":
                    expect("who left", event.get("name"), slow, "the one who does not read")
                    gone = True
                    continue
                heard += 1
                expect("the number", event.get("number"), heard, "each once, in order")
        megabytes = heard * len(filler) / 1e6
        that(
            gone,
            got=f"{slow} has read nothing of {megabytes:.0f} MB, and is still a member",
            expected="its outbox has a limit; when it is full, the member has left the room (OUTBOX_LIMIT)",
        )
        that(
            slow not in (made.members(room) or []),
            got=f"/stats still has {slow!r}",
            expected="gone from the room",
        )
        last_words(dawdler)
        host.say("anybody here?")
        host.hears_that("the room goes on", type="said", number=heard + 1, name=ada)


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
