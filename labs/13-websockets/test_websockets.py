"""Lab 13: WebSockets, under uvicorn and behind nginx, by members that talk, leave, vanish and dawdle."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from urllib.parse import quote, quote_plus

from chat_guests import (
    Guest,
    ended,
    in_one_order,
    message,
    names,
    opened,
    party,
    reads_one_line,
    refused,
    room_name,
    said_by,
    target,
    websocket_scope,
    words,
)
from chat_in_process import (
    failed_send_means_left,
    gone_for_good,
    in_process,
    leaves_when_cancelled,
    no_task_stays,
    nothing_after_its_close,
    room_emptied,
)
from chat_lines import lines_beside_no_subprotocol, reads, stays_one_line
from slow_member import heard_until_gone, last_words

from workshop.judge.checks import (
    Client,
    Closed,
    Probe,
    WebSocket,
    check,
    expect,
    fail,
    name,
    that,
)

MESSAGE_LIMIT = 16 * 1024  # bytes, as in app.py
NAME_LIMIT = 24  # characters
UNKNOWN = ("chat.v9", "soap", "graphql-ws", "mqtt")
DISCONNECT = 'ASGI www, "Disconnect - receive event"'
CONTRACT = "this lab's contract, in app.py"


# --- task 1: accept, echo, close --------------------------------------------------------------------


@check(task=1, rule='ASGI www, "Receive - receive event": exactly one of text and bytes')
def test_task1_echo_says_back_text_and_bytes(front: Client, rng: random.Random) -> None:
    """/echo sends text back as text and bytes as bytes"""
    with party(front) as guests:
        socket = opened(guests.open("/echo"))
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
        rule=DISCONNECT,
    )
    that(
        "returned" in seen.names(),
        got="after the disconnect it was still running",
        expected="the call returns: the connection is over",
        rule=DISCONNECT,
    )


@check(task=1, rule="RFC 6455 §7.4.1: 1000 is a normal end, 1009 a message that is too big")
def test_task1_close_codes(front: Client, probe: Probe, rng: random.Random) -> None:
    """ "bye" closes with 1000, a message over the limit with 1009"""
    with party(front) as guests:
        socket = opened(guests.open("/echo"))
        socket.send("bye")
        closed = ended(socket, "the client", 1000, 'it said "bye"')
        expect("the reason", closed.reason, "bye")
        socket = opened(guests.open("/echo"))
        for near in (b"bye", "Bye", "bye ", "bye for now"):
            socket.send(near)
            got = message(socket, "the client", f"{near!r}, said back")
            expect("the answer", got, near, 'only the text "bye" ends it')
    fitting: tuple[str | bytes, ...] = ("x" * MESSAGE_LIMIT, b"x" * MESSAGE_LIMIT, "é" * (MESSAGE_LIMIT // 2))
    letter = rng.choice("éüñ")
    big = letter * (MESSAGE_LIMIT // 2) + "."
    too_big: tuple[str | bytes, ...] = (b"x" * (MESSAGE_LIMIT + 1), "x" * (MESSAGE_LIMIT + 1), big)
    with party(front) as guests:
        socket = opened(guests.open("/echo"))
        for one in fitting:
            socket.send(one)
            got = message(socket, "the client", "a message of exactly MESSAGE_LIMIT bytes, said back")
            that(
                got == one,
                got=str(got) if isinstance(got, Closed) else f"an answer of {len(got)}",
                expected="the same, said back: MESSAGE_LIMIT bytes are not too many",
            )
        for one in too_big:
            socket = opened(guests.open("/echo"))
            socket.send(one)
            size = len(one.encode() if isinstance(one, str) else one)
            ended(socket, "the client", 1009, f"{size} bytes are more than MESSAGE_LIMIT")
    nothing_after_its_close(probe)


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
    for path in ("/nowhere", "/stats/rooms"):
        expect(f"the status of {path}", front.get(path).status, 404)
    with party(front) as guests:
        opened(guests.open("/echo"))
    for kind in ("carrier", rng.choice(["telegram", "pigeon"]), "webtransport"):
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
    """Each message reaches every member once, in one order"""
    room, count, each = room_name(rng), rng.randint(4, 6), rng.randint(3, 6)
    with party(front) as guests:
        guests = [guests.join(room, who) for who in names(rng, count)]
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
        in_one_order(seen)


@check(task=2, rule="the lab's contract: class Room in app.py; RFC 6455 §7.1.5, 1005 for no code")
def test_task2_welcome_joined_left(front: Client, probe: Probe, rng: random.Random) -> None:
    """A newcomer is welcomed and announced; a member that leaves is removed and announced, with its code"""
    room = room_name(rng)
    made = [f"{one} {rng.randrange(1000)}" for one in rng.sample(["Zoë", "Ada", "東京", "İnci"], 3)]
    first, second, third = sorted(made, reverse=True)  # so the order of joining is not that of the names
    code = rng.choice([1000, 1001, rng.randint(3000, 4000), rng.randint(4100, 4999)])
    with party(front) as guests:
        ada = guests.join(room, first)
        as_the_page_asks = f"/rooms/{room}?name={quote_plus(f'{second:^40}')}"
        bare = f"{second!r}: the page writes a space as +, and spaces around a name are not part of it"
        grace = Guest(second, room, opened(guests.open(as_the_page_asks, second), second, bare))
        why = "both are there, sorted, without the spaces around a name; the page writes a space as +"
        grace.hears_that(why, type="welcome", room=room, members=sorted([first, second]))
        ada.hears_that("a member joined", type="joined", name=second)
        guests.becomes(room, sorted([first, second]), "both are there")
        guests.join(room, third).socket.close(code)
        for guest in (ada, grace):
            guest.hears_that("a member joined", type="joined", name=third)
            guest.hears_that(f"{third} closed with {code}", type="left", name=third, code=code)
        grace.socket.close(None)
        why = "1005 says that the close frame had no code"
        ada.hears_that(why, type="left", name=second, code=1005)
        guests.becomes(room, [first], "the others have left")
        ada.socket.close()
        guests.becomes(room, None, "an empty room is forgotten")
    leaves_when_cancelled(probe)
    room_emptied(probe)


@check(task=2, rule="the lab's contract: class Room in app.py")
def test_task2_rooms_are_apart(front: Client, rng: random.Random) -> None:
    """A message in one room does not reach another room"""
    one, other = f"{room_name(rng)}-a", f"{room_name(rng)}-b"
    ada, grace = names(rng)
    with party(front) as guests:
        here, there = guests.join(one, ada), guests.join(other, ada)
        guest = guests.join(other, grace)
        there.hears_that("a member joined", type="joined", name=grace)
        for number in range(1, rng.randint(3, 5)):
            text = words(rng)
            here.say(text)
            here.hears_that("in this room", type="said", number=number, name=ada, text=text)
        text = words(rng)
        guest.say(text)
        for each in (there, guest):
            why = f'the first thing said in "{other}"'
            each.hears_that(why, type="said", number=1, name=grace, text=text)
        expect("/stats for the one room", guests.members(one), [ada])
        expect("/stats for the other", guests.members(other), sorted([ada, grace]))


@check(
    task=2, rule="RFC 6455 §7.4.1: 1003 a type of data that can't be taken, 1007 data that is not of its kind"
)
def test_task2_wrong_messages_end_one_member_only(front: Client, rng: random.Random) -> None:
    """An invalid message closes its sender's connection, with a code, and no other"""
    room, text = room_name(rng), words(rng)
    ada, grace = names(rng)
    wrong: list[tuple[str | bytes, int, str]] = [
        (rng.randbytes(6), 1003, "a room takes text"),
        (words(rng), 1007, "this is not JSON"),
        (json.dumps([words(rng)]), 1007, "a JSON array, not an object"),
        (json.dumps({"text": rng.randrange(100)}), 1007, "its text is not a string"),
        (json.dumps({"words": "hello"}), 1007, "it has no text"),
        (f'{{"text": "{"é" * (MESSAGE_LIMIT // 2)}"}}', 1009, "more than MESSAGE_LIMIT bytes, in UTF-8"),
        ("[" * 16_000, 1007, "arrays in arrays: up to 3.13 json raises RecursionError, not ValueError"),
        ('{"text": "half \\ud800"}', 1007, "half of a surrogate pair: no UTF-8 has it (RFC 6455 §8.1)"),
        (json.dumps({"text": "x" * MESSAGE_LIMIT}), 1009, "more than MESSAGE_LIMIT"),
    ]
    with party(front) as guests:
        host = guests.join(room, ada)
        for sent, code, why in wrong:
            guest = guests.join(room, grace)
            guest.socket.send(sent)
            ended(guest.socket, grace, code, why)
            host.hears_that("a member joined", type="joined", name=grace)
            host.hears_that(f"ended by the application: {why}", type="left", name=grace, code=code)
        host.say("")
        host.hears_that("an empty text is a text", type="said", name=ada, text="")
        host.socket.send_json({"id": 1, "text": text})
        host.hears_that("an object whose text is a string", type="said", name=ada, text=text)
        text = "x" * (MESSAGE_LIMIT - len('{"text": ""}'))
        host.socket.send(f'{{"text": "{text}"}}')
        host.hears_that("MESSAGE_LIMIT bytes are not too many", type="said", name=ada, text=text)


# --- task 3: refuse; subprotocols -------------------------------------------------------------------


@check(task=3, rule='ASGI www, "Close - send event": before accept, the server answers 403')
def test_task3_refused_handshake_is_403(front: Client, rng: random.Random) -> None:
    """No such room, or no name: 403, through nginx too"""
    room, who = room_name(rng), name(rng)
    wrong = [
        (target(room.upper(), who), "a room's name is of a-z, 0-9 and -"),
        (target(f"{room}/window", who), "that isn't a room"),
        (target(f"{room}/", who), "that isn't a room"),
        (target("", who), "that isn't a room"),
        (target("t" * 33, who), "33 characters are too many for a room"),
        (f"/nowhere?name={quote(who)}", "there is no such path"),
        (f"/echoes?name={quote(who)}", "there is no such path"),
        (f"/?name={quote(who)}", "there is no such path for a WebSocket"),
        (f"/rooms/{room}", "there is no name"),
        (f"/rooms/{room}?name=%20", "the name is blank"),
        (target(room, "A" * (NAME_LIMIT + 1)), "the name is too long"),
        (f"/other/rooms/{room}?name={quote(who)}", "there is no such path"),
        (target(f"{room}_1", who), "_ is none of a-z, 0-9 and -"),
        (f"/rooms/{room}?name=A%0Ada", "a line end is not printable"),
        (f"/rooms/{room}?name=A%7Fda", "DEL is not printable"),
        (f"/rooms/{room}?name=A%E2%80%AEda", "U+202E turns a line around, and is not printable"),
        (f"/rooms/{room}%0A?name={quote(who)}", "a line end is none of a-z (`$` fits before one, too)"),
        (f"/rooms/t%D9%A3?name={quote(who)}", "\u0663 is a digit, and none of 0-9"),
    ]
    with party(front) as guests:
        guests.join(room, "é" * NAME_LIMIT, "a name has up to NAME_LIMIT characters, of however many bytes")
        guests.join(room, "Z", "one character is a name")
        guests.join("t" * 32, who, "a room's name has up to 32 characters")
        for path, why in rng.sample(wrong, len(wrong)):
            refused(guests, path, why)
        expect("/stats", guests.members(room), ["Z", "é" * NAME_LIMIT], "a refused client is not a member")


@check(task=3, rule="RFC 6455 §10.2: a browser lets every page connect; the server looks at Origin")
def test_task3_page_of_another_site_is_refused(front: Client, rng: random.Random) -> None:
    """A page of another site is refused; our own page, and a client without Origin, is not"""
    room, who = room_name(rng), name(rng)
    here = f"localhost:{front.address.port}"
    foreign = [
        f"http://{rng.choice(['evil', 'chat', 'tea'])}.example",
        f"http://{here}.evil.example",
        f"http://evil.example:{front.address.port}",
        f"http://evil-{here}",
        "http://localhost:1",
        "null",
    ]
    with party(front) as guests:
        for origin in rng.sample(foreign, len(foreign)):
            why = f"a page of {origin} opened it, and the Host is {here}"
            refused(guests, target(room, who), why, fields=[("Origin", origin)])
        for scheme in ("http", "https"):
            why = f"the Origin {scheme}://{here} has the host and port of Host; a proxy may speak TLS for you"
            guests.join(room, who, why, fields=[("Origin", f"{scheme}://{here}")]).socket.close()
            guests.becomes(room, None, "it has left")
        guests.join(room, who)


@check(task=3, rule="RFC 6455 §4.2.2: one of the subprotocols that were offered, or none")
def test_task3_subprotocol_is_one_that_was_offered(front: Client, rng: random.Random) -> None:
    """The first offered subprotocol that the chat speaks is chosen"""
    room, who = room_name(rng), name(rng)
    ours = rng.sample(["chat.json", "chat.lines"], 2)
    offers = [
        [*rng.sample(UNKNOWN, 2), *ours],
        [*reversed(ours), rng.choice(UNKNOWN)],
        [ours[0].upper(), ours[1]],
        [],
    ]
    with party(front) as guests:
        for offered in offers:
            known = [one for one in offered if one in ours]
            socket = opened(guests.open(target(room, who), subprotocols=offered), who)
            why = "the first that you speak" if known else "none was offered"
            expect("the subprotocol", socket.subprotocol, known[0] if known else "", why)
            socket.close()
            guests.becomes(room, None, "it has left")
        refused(
            guests,
            target(room, who),
            "no subprotocol is in common",
            CONTRACT,
            subprotocols=rng.sample(UNKNOWN, 2),
        )


@check(task=3, rule="RFC 6455 §1.9: the subprotocol says what the messages mean")
def test_task3_lines_and_json_understand_each_other(front: Client, rng: random.Random) -> None:
    """In one room, each member gets its own subprotocol's messages"""
    room, text, answer = room_name(rng), words(rng), json.dumps({"text": words(rng)})
    ada, grace = names(rng)
    with party(front) as guests:
        guest = guests.join(room, ada)
        offered = [rng.choice(UNKNOWN), "chat.lines", "chat.json"]
        lines = opened(guests.open(target(room, grace), grace, subprotocols=offered), grace)
        reads(lines, grace, f"* welcome: {', '.join(sorted([ada, grace]))}", "chat.lines is for people")
        guest.hears_that("a member joined", type="joined", name=grace)
        guest.say(text)
        reads(lines, grace, f"{ada}: {text}", "what was said in JSON, as a line")
        guest.hears_that("her own words", type="said", name=ada, text=text)
        lines.send(answer)
        why = "in chat.lines a message is its text, even one that looks like JSON"
        guest.hears_that(why, type="said", name=grace, text=answer)
        reads(lines, grace, f"{grace}: {answer}", "her own words")
        stays_one_line(guest, lines, grace)
        lines.send(f"  {text}")
        guest.hears_that("all of it, with its spaces", type="said", name=grace, text=f"  {text}")
        reads_one_line(lines, grace)
        guest.socket.close()
        reads(lines, grace, f"* {ada} left", "she has")
        lines_beside_no_subprotocol(guests, rng)


@check(task=3, rule="RFC 6455 §7.4.2: 4000 to 4999 are an application's own")
def test_task3_taken_name_is_told_so(front: Client, probe: Probe, rng: random.Random) -> None:
    """A name that is taken: accepted, then closed with 4009; the first member stays"""
    room = room_name(rng)
    ada, grace = names(rng)
    with party(front) as guests:
        first = guests.join(room, ada)
        second = opened(guests.open(target(room, ada), f"{ada}, again", subprotocols=["chat.json"]), ada)
        ended(second, f"the second {ada}", 4009, "the name is taken; a 403 could not have said so")
        other = guests.join(room, grace)
        first.hears_that(f"the second {ada} takes nobody out of the room", type="joined", name=grace)
        text = words(rng)
        other.say(text)
        for each in (first, other):
            each.hears_that("both are there", type="said", name=grace, text=text)
        first.socket.close()
        other.hears_that("the first has left now", type="left", name=ada)
        guests.join(room, ada).say("me again")
    seen = in_process(
        probe, "same_name_at_once", "Ada", "and once more, before the first accept has returned"
    )
    that(
        seen == {"welcomed": 1, "closed": [4009]},
        got=f"{seen['welcomed']} of two with one name were welcomed; closed with {seen['closed']!r}",
        expected="1 welcomed, 1 closed with 4009: ask for the name and take it with no await in between",
        rule=CONTRACT,
    )


# --- task 4: members that vanish, members that are slow ---------------------------------------------


@check(
    task=4,
    rule='RFC 6455 §7.1.5: 1006 for an end without a close frame; ASGI www, "Disconnect - receive event"',
)
def test_task4_member_that_vanishes_has_left(
    front: Client, service: Callable[[str], Client], probe: Probe, rng: random.Random
) -> None:
    """A member that vanishes without a close frame has left, and the room goes on"""
    room = room_name(rng)
    ada, grace = names(rng)
    ways: list[tuple[Client, Callable[[WebSocket], None]]] = [
        (front, WebSocket.vanish),
        (service("uvicorn"), WebSocket.vanish),
        (service("uvicorn"), lambda socket: socket.wire.close()),
    ]
    with party(service("uvicorn")) as guests:
        host = guests.join(room, ada)
        for number, (client, vanish) in enumerate(rng.sample(ways, len(ways)), 1):
            with party(client) as others:
                guest = others.join(room, grace)
                host.hears_that("a member joined", type="joined", name=grace)
                host.say(f"round {number}", quiet=True)
                vanish(guest.socket)
                found = [host.hears("round and left") for _ in range(2)]
            said = next((one for one in found if one.get("type") == "said"), {})
            expect("what was said", said.get("text"), f"round {number}", "said while a member vanished")
            left = next((one for one in found if one.get("type") == "left"), {})
            that(
                left.get("name") == grace and left.get("code") in (1005, 1006),
                got=f"{ada} hears {found!r}",
                expected=f"that {grace} left, with the code that websocket.disconnect has (1006, or 1005)",
            )
        failed_send_means_left(probe)
        no_task_stays(probe)
        guests.becomes(room, [ada], "the others have vanished")
        text = words(rng)
        host.say(text)
        host.hears_that("the room goes on", type="said", name=ada, text=text)


@check(
    task=4, rule='RFC 6455 §7.4 and IANA\'s close codes: 1013, try again later; ASGI www, "Send": send waits'
)
def test_task4_slow_member_holds_nobody_up(
    service: Callable[[str], Client], probe: Probe, rng: random.Random
) -> None:
    """A member that stops reading delays no other; it is disconnected with 1013"""
    room, filler = room_name(rng), f"{rng.randrange(10**9)} " * 1400
    ada, slow = names(rng)
    with party(service("uvicorn")) as guests:
        dawdler = guests.join(room, slow, receive_buffer=4096)
        host = guests.join(room, ada)
        code = heard_until_gone(guests, host, slow, filler)
        that(
            slow not in (guests.members(room) or []),
            got=f"{ada} heard that {slow} left, and /stats still has {slow!r}",
            expected="gone from the room at once: out of it first, then the close, which waits",
        )
        last_words(dawdler, code)
        host.say("anybody here?")
        host.hears_that("the room goes on", type="said", name=ada, text="anybody here?")
    gone_for_good(probe)
