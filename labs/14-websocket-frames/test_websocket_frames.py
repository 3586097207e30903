"""The checks of lab 14: the probe asks for frames, with no socket in between; wsproto asks what is served."""

import itertools
import struct

from bad_utf8 import BAD_UTF8, bad_text
from client_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    NAMES,
    PING,
    PONG,
    TEXT,
    Said,
    close_frame,
    conversation,
    cut,
    frame,
    frame_after,
    head_bytes,
    hexed,
    joined,
    short,
    text,
    xor,
)
from connection_talk import (
    ENDS,
    all_events,
    all_rounds,
    all_sent,
    check_close_sent,
    check_end_without_close,
    check_failed,
    check_pongs,
    failed_at,
    head_tuple,
    must_fail,
    must_raise,
    rounds_of,
    said,
    shown_difference,
    too_late,
)
from frames_that_wait import check_frames_that_wait, check_still_open, check_two_at_once
from handshakes import (
    KEY,
    accepted,
    check_refusal,
    check_switch,
    must_not_accept,
    new_key,
    odd_subprotocols,
    opened,
    request_of,
    response_head,
    switch_of,
    with_key,
)
from limits import check_limit
from server_frames import payloads, spoken
from wsproto import events
from wsproto_peer import Peer

from workshop.judge.checks import Thing, check, expect, fail, made, name, show_bytes, that, wire_cases

# --- task 1 ------------------------------------------------------------------------------------------


@check(task=1, rule="RFC 6455 §4.2.1, §4.2.2")
def test_task1_good_handshakes_are_answered(probe, rng):
    """A good handshake gets a 101 with the right Sec-WebSocket-Accept"""
    for case in wire_cases(__file__, "good-*.http"):
        key, what = new_key(rng), case.notes["what"]
        (_, data), raised = accepted(probe, request_of(case, key))
        sent = show_bytes(with_key(case, key))
        if raised:
            that(False, f"{what}: it raised {raised['type']}: {raised['message']}", "a 101", sent=sent)
            continue  # to the next, where checks go on: in a comparison
        fields = switch_of(data, what)
        check_switch(fields, key, what, sent=sent)
        chosen = [pair for pair in fields if pair[0] == "sec-websocket-protocol"]
        expect(f"{what}: subprotocol", chosen, [], "none was offered, none chosen", sent=sent)
    names = rng.sample(["chat", "chat.v2", "tasks", "Ada", "v10.stomp"], 4)
    lists = [(b"Sec-WebSocket-Protocol", f"{names[0]}, {names[1]} ,{names[2]}".encode())]
    lists.append((b"sec-websocket-protocol", names[3].encode()))
    verb, version, plain = request_of(wire_cases(__file__, "good-1-plain.http")[0], key)
    request = (verb, version, [*plain, *lists])
    chosen = rng.choice(names)
    (offer, data), raised = accepted(probe, request, chosen, [(b"X-Room", b"42")])
    that(not raised, f"accept(…, {chosen!r}) raised {raised}"[:200], "a 101 with this subprotocol")
    shape = (
        isinstance(offer, Thing) and offer.type == "Offer" and isinstance(offer.subprotocols, list | tuple)
    )
    that(shape, f"read_handshake returned {offer!r}"[:300], "an Offer with a list of subprotocols")
    expect("offer.subprotocols", list(offer.subprotocols), names, "two lines are one list, in order")
    fields = dict(switch_of(data, f"accept(…, {chosen!r})"))
    got = fields.get("sec-websocket-protocol")
    expect("Sec-WebSocket-Protocol", got, chosen, "the chosen one, as offered")
    expect("X-Room", fields.get("x-room"), "42", "the application's own header")
    for what, *args in (
        ("a subprotocol that was not offered", "telnet"),
        ("a header with a line end in its value", None, [(b"X-Room", b"42\r\nSet-Cookie: a=b")]),
        ("a header with a bare LF in its value", None, [(b"X-Room", b"42\nSet-Cookie: a=b")]),
        ("a header with a bare CR in its value", None, [(b"X-Room", b"42\rSet-Cookie: a=b")]),
        ("a header with a line end in its name", None, [(b"X-Room: 42\r\nSet-Cookie", b"a=b")]),
        ("an Upgrade of the application's", None, [(b"Upgrade", b"h2c")]),
        ("a Connection of the application's", None, [(b"connection", b"close")]),
        ("a Sec-WebSocket-Extensions of the application's", None, [(b"Sec-WebSocket-Extensions", b"x")]),
        ("a Sec-WebSocket-Protocol of the application's", None, [(b"sec-websocket-protocol", b"chat")]),
        ("a Sec-WebSocket-Accept of the application's", None, [(b"sec-websocket-accept", b"QWRh")]),
    ):
        must_not_accept(probe, request, what, *args)
    must_not_accept(probe, (verb, version, plain), "a subprotocol, where none was offered", names[0])


@check(task=1, rule="RFC 6455 §4.2.1")
def test_task1_bad_handshakes_are_refused(probe, rng):
    """A bad handshake is refused with the status that says why"""
    for case in wire_cases(__file__, "bad-*.http"):
        notes, what, key = case.notes, case.notes["what"], new_key(rng)
        more = {"rule": notes["rule"], "sent": show_bytes(with_key(case, key))}
        seen = probe.steps(made("frames:read_handshake", *request_of(case, key)))
        raised, wanted = seen.raised, f"Refused with status {notes['status']}"
        got = f"{raised['type']}: {raised['message']}"[:200] if raised else f"accepted, as {seen.values}"
        that(raised and "Refused" in raised["bases"], f"{what}: {got}", wanted, **more)
        check_refusal(raised["attributes"], notes, what, wanted, **more)
    good = request_of(wire_cases(__file__, "good-1-plain.http")[0], KEY)
    odd_subprotocols(probe, good)
    (_, data), raised = accepted(probe, good)
    that(not raised, f"a good handshake raised {raised}"[:200], "an Offer: refusing everything is not enough")
    switch_of(data, "a good handshake")


@check(task=1, rule="RFC 6455 §4.2.2; RFC 9110 §7.8")
def test_task1_nginx_passes_the_switch_on(front, rng):
    """nginx passes your 101 on, and a plain GET gets no switch"""
    key = new_key(rng)
    with opened(front, key) as link:
        head, _ = response_head(link)
        check_switch(switch_of(head, "through nginx"), key, "through nginx")
    status = front.get("/").status
    that(status in (400, 426), f"a plain GET: status {status}", "426, or 400: there was no Upgrade in it")


# --- task 2 ------------------------------------------------------------------------------------------


@check(task=2, rule="RFC 6455 §5.2")
def test_task2_heads_are_read(probe, rng):
    """parse_head reads a head of any length, and only when it is whole"""
    lengths = [0, 1, 125, 126, 127, 65_535, 65_536, 1 << 40, (1 << 63) - 1, rng.randrange(126, 9999)]
    cases = [(rng.choice([CONTINUATION, TEXT, BINARY]), length, rng.random() < 0.5) for length in lengths]
    cases += [(opcode, rng.randrange(126), True) for opcode in (CLOSE, PING, PONG)]
    heads = [(case, rng.randbytes(4)) for case in cases]
    wholes = [head_bytes(opcode, length, mask, fin) for (opcode, length, fin), mask in heads]
    seen = probe.steps(*[made("frames:parse_head", whole + rng.randbytes(9)) for whole in wholes])
    for at, (((opcode, length, fin), mask), whole) in enumerate(zip(heads, wholes, strict=True)):
        what, sent = f"{NAMES[opcode]} of {length} bytes", hexed(whole)
        if at >= len(seen.values):
            fail(f"{what}: it raised {seen.raised['type']}: {seen.raised['message']}", "a Head", sent=sent)
        got = head_tuple(seen.values[at], what, sent)
        why = "fin, opcode, length in network byte order, mask, and how many bytes the head has"
        expect(f"{what}: Head", got, (fin, opcode, length, mask, len(whole)), why, sent=sent)
    for whole in (wholes[0], wholes[3], wholes[7]):
        parts = [whole[:end] for end in range(len(whole))]
        seen = probe.steps(*[made("frames:parse_head", part) for part in parts])
        for at, part in enumerate(parts):
            got = seen.values[at] if at < len(seen.values) else f"an exception, {seen.raised['message']}"
            what = f"parse_head of the first {at} of {len(whole)} bytes"
            that(got is None, f"{what}: {got!r}"[:200], "None: the head is not whole yet", sent=hexed(part))


@check(task=2, rule="RFC 6455 §5.2, §5.5")
def test_task2_broken_heads_are_violations(probe, rng):
    """A head that no client may send is a violation"""
    mask, payload = rng.randbytes(4), rng.randbytes(130)
    unknown = 3, 7, 11, 15, rng.choice([4, 5, 6]), rng.choice([12, 13, 14])
    control = rng.choice([CLOSE, PING, PONG])
    cases = [(f"reserved bit {bit}", TEXT, 5, {"reserved": 8 >> bit}, "§5.2") for bit in (1, 2, 3)]
    cases += [(f"the unknown opcode {opcode:#x}", opcode, 5, {}, "§5.2") for opcode in unknown]
    cases += [("a frame without a mask", TEXT, 5, {"mask": None}, "§5.1")]
    cases += [("a Ping without a mask", PING, 5, {"mask": None}, "§5.1")]
    cases += [(f"{size * 8} bits to say a length of {length}", BINARY, length, {"size": size}, "§5.2")
              for size, length in ((2, 0), (2, 125), (8, 125), (8, 65_535))]  # fmt: skip
    cases += [("a length whose first bit is set", BINARY, 1 << 63, {}, "§5.2")]
    cases += [
        (f"a {NAMES[one]} that is a fragment", one, 5, {"fin": False}, "§5.5") for one in (CLOSE, PING, PONG)
    ]
    cases += [(f"a {NAMES[one]} of 126 bytes", one, 126, {}, "§5.5") for one in (CLOSE, PING, PONG)]
    heads = [("an empty frame without a mask, whole in two bytes", head_bytes(TEXT, 0, None), "§5.1")]
    for what, opcode, length, more, clause in cases:
        heads.append((what, head_bytes(opcode, length, more.pop("mask", mask), **more) + payload, clause))
    for what, data, clause in heads:
        seen, rule = probe.steps(made("frames:parse_head", data)), f"RFC 6455 {clause}"
        raised = seen.raised
        got = f"{raised['type']}: {raised['message']}"[:200] if raised else f"read as {seen.values}"
        caught = raised and "Violation" in raised["bases"]
        that(caught, f"{what}: {got}", "Violation with code 1002", rule=rule, sent=hexed(data))
        code = raised["attributes"].get("code")
        expect(f"{what}: code", code, 1002, "a protocol error", rule=rule, sent=hexed(data))
    whole = head_bytes(control, 125, mask) + payload
    head = head_tuple(probe.call("frames:parse_head", whole), "a good head", hexed(whole))
    expect(f"a {NAMES[control]} of 125 bytes", head, (True, control, 125, mask, 6), "this one is good")


@check(task=2, rule="RFC 6455 §5.2, §5.3")
def test_task2_masks_and_frames_are_written(probe, rng):
    """apply_mask begins at its offset, and encode_frame writes the shortest length"""
    masks = [
        (rng.randbytes(size), rng.randbytes(4), rng.randrange(9)) for size in (0, 1, 2, 3, 4, 5, 7, 1000)
    ]
    seen = probe.steps(*[made("frames:apply_mask", *one) for one in masks])
    for at, (data, mask, offset) in enumerate(masks):
        got = seen.values[at] if at < len(seen.values) else f"an exception: {seen.raised['message']}"
        call = f"apply_mask of {len(data)} bytes, {offset} after the payload's start"
        more = {"sent": f"apply_mask({short(data)}, {mask!r}, {offset})", "rule": "RFC 6455 §5.3"}
        expect(
            call, got, xor(data, mask, offset), "byte i with mask byte i mod 4, of the whole payload", **more
        )
    for length in (0, 1, 125, 126, 65_535, 65_536):
        opcode, fin = rng.choice([TEXT, BINARY, CONTINUATION]), rng.random() < 0.5
        payload = rng.randbytes(length)
        sent = f"encode_frame({NAMES[opcode]}, {length} bytes, fin={fin})"
        data = probe.call("frames:encode_frame", opcode, payload, fin)
        that(isinstance(data, bytes), f"{sent}: {type(data).__name__}", "bytes", sent=sent)
        got, wanted = data[: len(data) - length].hex(" "), head_bytes(opcode, length, None, fin).hex(" ")
        why = "FIN and opcode, no mask, and the length in as few bytes as it can be"
        expect(f"{sent}: head", got, wanted, why, sent=sent)
        expect(f"{sent}: payload", data[len(data) - length :], payload, sent=sent)
    mask = rng.randbytes(4)
    for payload in (name(rng).encode(), rng.randbytes(300), rng.randbytes(70_000)):
        opcode = PING if len(payload) < 126 else BINARY
        data = probe.call("frames:encode_frame", opcode, payload, True, mask)
        head = head_bytes(opcode, len(payload), mask)
        expect("a frame with a mask: head", data[: len(head)].hex(" "), head.hex(" "))
        expect("a frame with a mask: payload", data[len(head) :], xor(payload, mask))
    data = probe.call("frames:encode_frame", PONG, bytes(125))
    expect("a Pong of 125 bytes", data, b"\x8a\x7d" + bytes(125), "it may be sent")
    for opcode, payload, fin in itertools.product((CLOSE, PING, PONG), (b"", bytes(126)), (True, False)):
        if fin and not payload:
            continue
        what = f"encode_frame({NAMES[opcode]}, {len(payload)} bytes, fin={fin})"
        raised = probe.raises("frames:encode_frame", opcode, payload, fin)
        caught, why = (
            raised and "ValueError" in raised["bases"],
            "ValueError: at most 125 bytes, and never a fragment",
        )
        that(caught, f"{what}: {raised or 'written'}"[:200], why, rule="RFC 6455 §5.5")


# --- task 3 ------------------------------------------------------------------------------------------


@check(task=3, rule="RFC 6455 §5.4, §5.5, §6.2")
def test_task3_messages_come_in_any_pieces(probe, rng):
    """Messages arrive in any pieces, with Pings between their fragments"""
    talked = conversation(rng)
    wanted = [event for _, event in talked if event]
    each = rounds_of(probe, *[one for one, _ in talked])
    for (one, event), seen in zip(talked, each, strict=True):
        expect(f"after {one.said[:60]}", seen.events, [event] if event else [])
    check_pongs(each)
    whole, small = joined([one for one, _ in talked]), joined([one for one, _ in talked[2:9]])
    for pieces, events_wanted in (
        ([whole], wanted),
        (cut(whole, [rng.randrange(len(whole)) for _ in range(12)]), wanted),
        (cut(small, range(len(small))), [event for _, event in talked[2:9] if event]),
    ):
        rounds = rounds_of(probe, *pieces)
        got = all_events(rounds)
        count = f"{len(events_wanted)} events, as frame by frame"
        that(got == events_wanted, shown_difference(got, events_wanted), count)
        check_pongs(rounds)
    check_two_at_once(probe, rng)


@check(task=3, rule="RFC 6455 §5.4")
def test_task3_fragments_out_of_turn_fail(probe, rng):
    """Fragments out of turn fail the connection, with a Close frame that says so"""
    who = name(rng)
    first, rest = text(rng, "Ad", fin=False), frame(rng, CONTINUATION, b"a")
    opcode = rng.choice([TEXT, BINARY])
    good = rounds_of(probe, text(rng, who), first, rest)
    expect("in turn", all_events(good), [("Text", who), ("Text", "Ada")])
    unmasked = Said(b"\x80\x01a")
    unmasked.said = "CONTINUATION 'a' without a mask"
    cases = [
        ("a continuation of nothing", [rest], []),
        ("a continuation after a whole message", [text(rng, who), rest], [("Text", who)]),
        (f"{NAMES[opcode]} within a message", [first, frame(rng, opcode, b"x")], []),
        ("a continuation after the last fragment", [first, rest, rest], [("Text", "Ada")]),
        ("a frame without a mask", [first, unmasked], []),
    ]
    for what, acts, before in cases:
        expect(f"{what}: events before", must_fail(probe, acts, [1002], what), before)
        expect(f"{what}: in one piece", must_fail(probe, [joined(acts)], [1002], what), before)
    check_frames_that_wait(
        probe, [("send_text", "Ada"), joined([frame(rng, PING, b"?"), rest])], ["TEXT", "PONG", "CLOSE"]
    )


@check(task=3, rule="RFC 6455 §6.1")
def test_task3_real_client_is_understood(front, probe, rng):
    """wsproto, through nginx, gets its messages back"""
    words, data, ping = f"{name(rng)} \u2713", rng.randbytes(70_000), rng.randbytes(9)
    rounds = rounds_of(probe, ("send_text", words), ("send_bytes", data), ("ping", ping), ("ping",))
    wanted = [(TEXT, True, words.encode()), (BINARY, True, data), (PING, True, ping), (PING, True, b"")]
    for one, frame_wanted in zip(rounds, wanted, strict=True):
        expect(f"{NAMES[frame_wanted[0]]} sent", one.sent, [frame_wanted], "one frame")
    acts = [("send_text", "Ada"), ("send_bytes", b"42"), frame(rng, PING, b"?")]
    check_frames_that_wait(probe, acts, ["TEXT", "BINARY", "PONG"])
    must_raise(probe, [("ping", bytes(126))], "ValueError", "a Ping of 126 bytes")
    check_still_open(probe, ("ping", bytes(126)))
    with front.connect() as link:
        peer = Peer(link)
        begin, rest = events.TextMessage(words[:3], message_finished=False), events.TextMessage(words[3:])
        peer.say(begin, events.Ping(ping), rest)
        echo, pongs = peer.message()
        expect("the echo", echo, words, "two fragments are one message")
        expect("Pongs", pongs, [ping], "with the Ping's data, between the fragments", rule="RFC 6455 §5.5.3")
        peer.say(events.BytesMessage(data))
        echo, _ = peer.message()
        got = f"an echo of {len(echo)} bytes, not the same ones"
        that(echo == data, got, f"the {len(data)} bytes that were sent")


# --- task 4 ------------------------------------------------------------------------------------------


@check(task=4, rule="RFC 6455 §5.5.1, §7.1.1")
def test_task4_their_close_is_answered(probe, service, rng):
    """Their Close gets one in return, and then the state is closed"""
    reason, own = f"{name(rng)} \u00e9t\u00e9".encode(), rng.randrange(3000, 5000)
    for code, why in ((1000, b"bye"), (1001, b""), (own, reason), (1000, reason[-5:]), (None, b"")):
        payload = b"" if code is None else struct.pack("!H", code) + why
        what = f"a Close with {code or 'no code'}"
        acts = [text(rng, "Ada"), close_frame(rng, code, why), frame_after(), b""]
        for feed in (acts, [b"".join(acts[:3]), b""]):
            rounds = rounds_of(probe, *feed)
            wanted = [("Text", "Ada"), ("Closed", code or 1005, why.decode())]
            expect(f"{what}: events", all_events(rounds), wanted, "nothing is read after it, nothing raised")
            check_close_sent(all_sent(rounds), payload, what)
            expect(f"{what}: state", rounds[-1].state, "closed")
    for call in (("send_text", "Ada"), ("send_bytes", b"Ada"), ("ping",), ("close",)):
        must_raise(probe, [close_frame(rng, 1000), call], "NotOpen", f"{call[0]} after their Close")
    packet = [text(rng, "Hel", fin=False), frame(rng, PING, b"?"), frame(rng, CONTINUATION, b"lo")]
    acts = [("send_text", "Ada"), joined([*packet, close_frame(rng, 1000)])]
    check_frames_that_wait(probe, acts, ["TEXT", "PONG", "CLOSE"])
    half = text(rng, "Ada")
    for begun in ([], [text(rng, "Ad", fin=False)], cut(half, [1])[:1], cut(half, [8])[:1]):
        check_end_without_close([*begun, b""], rounds_of(probe, *begun, b""))
    with service("main").connect() as link:
        peer = Peer(link)
        peer.say(events.CloseConnection(own, "Ada"))
        peer.closing(own)
        peer.must_end()


@check(task=4, rule="RFC 6455 §7.1.2, §7.1.3, §5.5.1")
def test_task4_our_close_waits_for_theirs(probe, front, rng):
    """Our Close waits for theirs, and nothing follows it"""
    code, reason = rng.choice([1000, 1001, 1011, rng.randrange(3000, 5000)]), f"{name(rng)} \u2713"
    ours = ("close", code, reason)
    theirs = rng.choice([one for one in (1001, 3000, 4999) if one != code])
    late = [close_frame(rng, theirs, b"bye"), frame_after(), b""]
    acts = [ours, text(rng, "Ada"), frame(rng, PONG, b"x"), *late]
    rounds = rounds_of(probe, *acts)
    expect("our Close", rounds[0].sent, [(CLOSE, True, struct.pack("!H", code) + reason.encode())])
    expect("after our Close: state", rounds[0].state, "closing", "theirs has not come")
    expect("after their Close: state", rounds[3].state, "closed")
    ends = [event for event in all_events(rounds) if event[0] in ENDS]
    why = "their Close is the end, once; the code is theirs, and not ours"
    expect("how it ended", ends, [("Closed", theirs, "bye")], why, sent=said(acts))
    expect("frames after our Close", spoken(all_sent(rounds[1:])), [], "no second Close frame, nothing else")
    for call in (("send_text", "Ada"), ("send_bytes", b"Ada"), ("ping",), ("close",)):
        must_raise(probe, [ours, call], "NotOpen", f"{call[0]} after our Close")
    rounds = rounds_of(probe, ours, frame(rng, PING, b"there?"), close_frame(rng, code))
    why = "a Ping is answered until their Close has come"
    expect("a Ping after our Close", rounds[1].sent, [(PONG, True, b"there?")], why, rule="RFC 6455 §5.5.2")
    expect("after their Close: state", rounds[2].state, "closed")
    rounds = rounds_of(probe, ours, frame(rng, TEXT, b"Ada", reserved=4, said="TEXT with a reserved bit"))
    ends = all_events(rounds[1:])
    good = len(ends) == 1 and ends[0][:2] == ("Failed", 1002) and rounds[-1].state == "closed"
    that(good, f"a violation after our Close: {ends}, state {rounds[-1].state!r}", "Failed with 1002, closed")
    expect("sent after that", spoken(rounds[1].sent), [], "no second Close frame", rule="RFC 6455 §5.5.1")
    check_frames_that_wait(probe, [("send_text", "Ada"), ours], ["TEXT", "CLOSE"])
    rounds = rounds_of(probe, ours, b"")
    expect("no answer to our Close", all_events(rounds[1:]), [("Closed", 1006, "")], rule="RFC 6455 §7.1.5")
    expect("close(None)", rounds_of(probe, ("close", None))[0].sent, [(CLOSE, True, b"")], "no code")
    expect("close()", rounds_of(probe, ("close",))[0].sent, [(CLOSE, True, b"\x03\xe8")], "1000, no reason")
    target = f"/?close={code}&reason=Ada"
    with front.connect(target=target) as link:
        peer = Peer(link, target)
        peer.say(events.TextMessage("Ada"))
        peer.message()
        theirs = peer.closing(code)
        expect("the reason", theirs.reason, "Ada")
        peer.say(theirs.response())
        peer.must_end()


@check(task=4, rule="RFC 6455 §7.4.1, §7.4.2")
def test_task4_codes_that_are_never_sent(probe, rng):
    """Codes that can't be in a Close frame are refused, both ways"""
    wrong = [0, rng.randint(1, 998), 999, 1004, 1005, 1006, 1015, 1016, rng.randint(2000, 2998), 2999, 5000]
    ends = [(close_frame(rng, code), [1002], f"a Close with {code}", "") for code in wrong]
    ends += [(frame(rng, CLOSE, b"\x03"), [1002], "a Close with one byte", "RFC 6455 §5.5.1")]
    for reason in (b"Ad\xff", b"\xc3", b"\xed\xa0\x80", b"\xff" * 123):
        one = close_frame(rng, 1000, reason)
        ends.append((one, [1002, 1007], f"the reason {reason!r}", "RFC 6455 §5.5.1, §8.1"))
    talks = [[one, *too_late()] for one, *_ in ends]
    for (one, codes, what, rule), rounds in zip(ends, all_rounds(probe, talks), strict=True):
        check_failed(rounds, codes, what, rule, said([one]))
    for code in wrong:
        must_raise(probe, [("close", code)], "ValueError", f"close({code})")
    long = "\u00e9" * 62
    must_raise(probe, [("close", 1000, long)], "ValueError", "close() with a reason of 124 bytes")
    rounds = rounds_of(probe, ("close", 1000, long[:61] + "e"))
    sizes = [len(one) for one in payloads(rounds[0].sent, CLOSE)]
    expect("a reason of 123 bytes", sizes, [125], "the code's two, and 123")
    good = (*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4999)
    why = "this one is good: RFC 6455 §7.4 or IANA's registry has it"
    theirs = [[close_frame(rng, code, b"Ada")] for code in good]
    ours = [[("close", code, "Ada")] for code in good]
    for code, acts, rounds in zip(good, theirs, all_rounds(probe, theirs), strict=True):
        expect(f"a Close with {code}", all_events(rounds), [("Closed", code, "Ada")], why, sent=said(acts))
    for code, acts, rounds in zip(
        good, ours, all_rounds(probe, ours, expected=f"a Close frame: {why}"), strict=True
    ):
        wanted = [(CLOSE, True, struct.pack("!H", code) + b"Ada")]
        expect(f"close({code}, 'Ada')", rounds[0].sent, wanted, why, sent=said(acts))
    bare = ("close", None, "Ada")
    must_raise(probe, [bare], "ValueError", "close() with a reason and no code", rule="RFC 6455 §5.5.1")
    for call in (("close", 1005), ("close", 1000, long), bare):
        check_still_open(probe, call)


# --- task 5 ------------------------------------------------------------------------------------------


@check(task=5, rule="RFC 6455 §5.6, §8.1")
def test_task5_characters_may_be_split_anywhere(probe, rng):
    """A character may begin in one fragment and end in the next"""
    edges = "\u07ff\u0800\u2713\ud7ff\ue000\uffff\U00010000\U0001f680\U0010ffff"
    words = f"\ufeff{name(rng)} \u00e9{edges}\ufeff\x00"
    data = words.encode()
    opcodes = itertools.chain([TEXT], itertools.repeat(CONTINUATION))
    fragments = [frame(rng, next(opcodes), data[at : at + 1], fin=False) for at in range(len(data))]
    fragments.append(frame(rng, CONTINUATION))
    where = rng.randrange(1, len(fragments) - 1)
    between = [*fragments[:where], frame(rng, PING, b"\xff\xfe"), *fragments[where:]]
    single = frame(rng, TEXT, data)
    for feed in (between, cut(single, range(len(single)))):
        got = [event for event in all_events(rounds_of(probe, *feed)) if event[0] != "Ping"]
        expect("the message", got, [("Text", words)], "UTF-8 of the whole message, not of its pieces")
    odd = rng.randbytes(3) + b"\xff\xc0\xed\xa0\x80"
    rounds = rounds_of(probe, frame(rng, BINARY, odd[:4], fin=False), frame(rng, CONTINUATION, odd[4:]))
    expect("a binary message", all_events(rounds), [("Binary", odd)], "any bytes at all")


@check(task=5, rule="RFC 6455 §8.1")
def test_task5_first_bad_byte_fails(probe, rng):
    """Bad UTF-8 fails at its first bad byte, not at the end of the frame"""
    good = f"{name(rng)} \u2713".encode()
    talks = [bad_text(rng, good, bad, parted) for _, bad, _, _ in BAD_UTF8 for parted in (False, True)]
    seen = iter(zip(talks, all_rounds(probe, [[*acts, *too_late()] for acts in talks]), strict=True))
    for what, bad, at, patience in BAD_UTF8:
        for parted in (False, True):
            acts, rounds = next(seen)
            expected_at = parted + 1 + at
            found = failed_at(rounds)
            right = found is not None and expected_at <= found <= expected_at + patience
            where = "did not fail" if found is None else f"failed after {said([[*acts, *too_late()][found]])}"
            that(
                right,
                f"{what}, {show_bytes(bad)}: it {where}",
                f"Failed at byte {bad[at]:#x} already: the frame is not over",
                sent=said(acts),
            )
            check_failed(rounds, [1007], f"{what}, {show_bytes(bad)}", "", said(acts))
    for what, acts in (
        ("a character cut short by the end of the message", [frame(rng, TEXT, good + b"\xe2\x9c")]),
        ("a bad byte after 300 good ones", [frame(rng, TEXT, b"a" * 300 + b"\xff")]),
        ("the same in fragments", [frame(rng, TEXT, b"\xe2", fin=False), frame(rng, CONTINUATION, b"\x9c")]),
    ):
        must_fail(probe, acts, [1007], what)
    rounds = rounds_of(probe, frame(rng, TEXT, good))
    expect("good UTF-8", all_events(rounds), [("Text", good.decode())], "it still passes")


@check(task=5, rule="RFC 6455 §10.4, §7.4.1")
def test_task5_too_long_is_known_early(probe, rng):
    """A message that is too long fails at the head that announces it"""
    limit = 2 * rng.randrange(500, 1500)
    for opcode in (TEXT, BINARY):
        check_limit(probe, rng, opcode, limit)
    head = Said(head_bytes(BINARY, (1 << 20) + 1, rng.randbytes(4)))
    must_fail(probe, [head], [1009], "one byte more than MAX_MESSAGE")
