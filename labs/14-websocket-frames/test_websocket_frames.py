"""The checks of lab 14: the probe asks for frames, with no socket in between; wsproto asks what is served."""

import base64
import hashlib
import itertools
import struct

import h11
from wsproto import ConnectionType, WSConnection, events
from wsproto.frame_protocol import FrameDecoder, ParseFailed
from wsproto.utilities import RemoteProtocolError

from workshop.judge.checks import (
    Deadline,
    NoAnswer,
    Thing,
    WireError,
    attribute,
    check,
    expect,
    fail,
    made,
    method,
    name,
    named,
    show_bytes,
    that,
    wire_cases,
)

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0x0, 0x1, 0x2, 0x8, 0x9, 0xA
NAMES = {0: "CONTINUATION", 1: "TEXT", 2: "BINARY", 8: "CLOSE", 9: "PING", 10: "PONG"}
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
HEAD_SECONDS = 5.0
KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ENDS = {"Closed": "code reason", "Failed": "code reason"}
FIELDS = {"Text": "data", "Binary": "data", "Ping": "data", "Pong": "data", **ENDS}


# --- frames as a client sends them -------------------------------------------------------------------


def head_bytes(opcode, length, mask, fin=True, reserved=0, size=None):
    """A head that says whatever it is told to say; `size` is how many bytes of length follow the 7 bits."""
    size = (0 if length < 126 else 2 if length < 65_536 else 8) if size is None else size
    short = length if size == 0 else 126 if size == 2 else 127
    first = bytes([fin << 7 | reserved << 4 | opcode, (mask is not None) << 7 | short])
    return first + (length.to_bytes(size, "big") if size else b"") + (mask or b"")


def xor(data, mask, offset=0):
    return bytes(byte ^ mask[(offset + at) % 4] for at, byte in enumerate(data))


def short(value):
    """A payload or an argument for the report."""
    many = isinstance(value, bytes) and len(value) > 40
    return f"({len(value)} bytes)" if many else repr(value).removeprefix("b")


class Said(bytes):
    """Bytes that know how to be described."""

    said = ""


def frame(rng, opcode, payload=b"", fin=True, said="", **more):
    """A client's frame, masked with four random bytes."""
    mask = rng.randbytes(4)
    made_up = Said(head_bytes(opcode, len(payload), mask, fin, **more) + xor(payload, mask))
    made_up.said = said or f"{NAMES[opcode]}{'' if fin else ' (more)'} {short(payload)}"
    return made_up


def text(rng, words, **more):
    return frame(rng, TEXT, words.encode(), **more)


def close_frame(rng, code, reason=b""):
    payload = b"" if code is None else struct.pack("!H", code) + reason
    return frame(rng, CLOSE, payload, said=f"CLOSE {'without a code' if code is None else code} {reason!r}")


def hexed(data):
    """A head for the report."""
    return f"the bytes {data[:14].hex(' ')}{' …' if len(data) > 14 else ''}"


def cut(data, places):
    """The data in pieces, cut at these places."""
    edges = [0, *sorted({place for place in places if 0 < place < len(data)}), len(data)]
    return [data[start:end] for start, end in itertools.pairwise(edges)]


# --- frames as a server sends them -------------------------------------------------------------------


def frames_of(data, what="data_to_send()"):
    """What a server sent, as (opcode, fin, payload): read by wsproto, as a client reads."""
    that(isinstance(data, bytes), f"{what} = {data!r}"[:300], f"{what} as bytes")
    decoder, found = FrameDecoder(client=True), []
    opcode, parts = None, b""
    decoder.receive_bytes(data)
    try:
        while (one := decoder.process_buffer()) is not None:
            opcode = one.opcode if opcode is None else opcode
            parts += bytes(one.payload)
            if one.frame_finished:
                found.append((int(opcode), one.message_finished, parts))
                opcode, parts = None, b""
    except ParseFailed as error:
        fail(f"{what} = {show_bytes(data, 120)}: {error}", "frames that a client can read: whole, unmasked")
    left = len(decoder.buffer) or decoder.header
    that(not left, f"{what} = {show_bytes(data, 120)}: half a frame at its end", "whole frames")
    return found


def spoken(found):
    return [f"{NAMES[opcode]} {payload!r}" for opcode, _, payload in found]


def payloads(found, opcode):
    return [payload for one, _, payload in found if one == opcode]


# --- talking to a Connection --------------------------------------------------------------------------


class Round:
    """One call on the Connection: what it returned, what there was to send then, and the state after it."""

    def __init__(self, value, sent, state):
        self.value, self.sent_bytes, self.state = value, sent, state

    @property
    def events(self):
        """The events, as tuples: ("Text", "Ada"), ("Closed", 1000, "bye")."""
        shape = isinstance(self.value, list) and all(
            isinstance(one, Thing) and one.type in FIELDS for one in self.value
        )
        that(shape, f"receive returned {self.value!r}"[:300], "a list of events")
        return [
            (one.type, *(getattr(one, field) for field in FIELDS[one.type].split())) for one in self.value
        ]

    @property
    def sent(self):
        return frames_of(self.sent_bytes)


def talk(probe, *acts, max_message=None):
    """A new Connection and, in turn, bytes that it receives, or calls such as ("close", 1000, "bye").

    Returns the rounds, and what the last of them raised, if it did.
    """
    more = {} if max_message is None else {"max_message": max_message}
    steps = [("c", made("frames:Connection", **more))]
    for act in acts:
        call = ("receive", bytes(act)) if isinstance(act, bytes) else act
        steps.append(("v", method(named("c"), *call)))
        steps += [("s", method(named("c"), "data_to_send")), ("t", attribute(named("c"), "state"))]
    seen = probe.steps(*steps, sent=said(acts))
    done = seen.values[1:]
    rounds = [Round(*done[at : at + 3]) for at in range(0, len(done) - 2, 3)]
    for act, one in zip(acts, rounds, strict=False):
        if not isinstance(act, bytes):
            one.value = []  # only `receive` has events to return
    return rounds, seen.raised


def said(acts):
    parts = []
    for act in acts[:12]:
        if isinstance(act, Said):
            parts.append(act.said)
        elif isinstance(act, bytes):
            parts.append(show_bytes(act, 80) or "the end of the stream")
        else:
            parts.append(f"{act[0]}({', '.join(map(short, act[1:]))})")
    return " ‖ ".join(parts) + (f" ‖ … {len(acts) - 12} more" if acts[12:] else "")


def rounds_of(probe, *acts, max_message=None):
    """The rounds of a talk in which nothing may be raised."""
    rounds, raised = talk(probe, *acts, max_message=max_message)
    if raised:
        fail(
            f"it raised {raised['type']}: {raised['message']}"[:300], "no exception: events say what happened"
        )
    return rounds


def all_events(rounds):
    return [event for one in rounds for event in one.events]


def all_sent(rounds):
    odd = [one.sent_bytes for one in rounds if not isinstance(one.sent_bytes, bytes)]
    that(not odd, f"data_to_send() = {odd[:1]}"[:200], "bytes")
    return frames_of(b"".join(one.sent_bytes for one in rounds))


def must_raise(probe, acts, kind, what):
    """The last of the acts must raise this."""
    _, raised = talk(probe, *acts)
    got = f"{raised['type']}: {raised['message']}"[:200] if raised else "no exception"
    that(raised and kind in raised["bases"], f"{what}: {got}", kind)


def must_fail(probe, acts, codes, what, rule="", max_message=None):
    """The acts end in Failed with one of the codes, our Close frame says it, and nothing is read after."""
    after = frame_after()
    rounds = rounds_of(probe, *acts, after, max_message=max_message)
    wanted = f"Failed with {' or '.join(map(str, codes))}"
    events_seen = all_events(rounds[:-1])
    last = events_seen[-1] if events_seen else None
    good = last is not None and last[0] == "Failed" and last[1] in codes
    that(good, f"{what}: the last event is {last}, state {rounds[-2].state!r}", wanted, rule=rule)
    closes = payloads(all_sent(rounds), CLOSE)
    right = len(closes) == 1 and closes[0][:2] == struct.pack("!H", last[1])
    that(
        right,
        f"{what}: CLOSE frames sent: {closes}",
        f"one Close frame that begins with {last[1]}",
        rule=rule,
    )
    expect(f"{what}: state", rounds[-1].state, "closed", rule="RFC 6455 §7.1.7")
    still = rounds[-1].events or rounds[-1].sent
    that(
        not still,
        f"{what}: a message after it brought {still}",
        "nothing read any more",
        rule="RFC 6455 §7.1.7",
    )
    return events_seen[:-1]


def frame_after():
    """A good message that comes too late."""
    late = Said(b"\x81\x83\x01\x02\x03\x04" + xor(b"Ada", b"\x01\x02\x03\x04"))
    late.said = "TEXT 'Ada'"
    return late


# --- handshakes ---------------------------------------------------------------------------------------


def request_of(case, key):
    """A wire case as method, version and header fields, with a key of its own for the RFC's example."""
    first, *lines = case.data.replace(KEY, key).partition(b"\r\n\r\n")[0].split(b"\r\n")
    verb, _, version = first.split(b" ")
    fields = [tuple(part.strip() for part in line.split(b":", 1)) for line in lines]
    return verb.decode(), version.removeprefix(b"HTTP/").decode(), fields


def new_key(rng):
    return base64.b64encode(rng.randbytes(16))


def proof(key):
    return base64.b64encode(hashlib.sha1(key + GUID).digest()).decode()


def switch_of(data, what):
    """The fields of a 101, read by h11: (name in lower case, value)."""
    that(isinstance(data, bytes) and data.endswith(b"\r\n\r\n"), f"{what}: {data!r}"[:300], "a whole 101")
    reader = h11.Connection(h11.CLIENT)
    upgrade = [("Host", "x"), ("Upgrade", "websocket"), ("Connection", "upgrade")]
    reader.send(h11.Request(method="GET", target="/", headers=upgrade))
    reader.send(h11.EndOfMessage())
    reader.receive_data(data)
    try:
        event = reader.next_event()
    except h11.RemoteProtocolError as error:
        fail(f"{what}: {show_bytes(data, 200)} ({error})", "an HTTP response")
    that(
        isinstance(event, h11.InformationalResponse),
        f"{what}: {show_bytes(data, 200)}",
        "a whole 101 and no more",
    )
    expect(f"{what}: status", event.status_code, 101)
    expect(f"{what}: bytes after the 101", bytes(reader.trailing_data[0]), b"")
    return [(key.decode("latin-1"), value.decode("latin-1")) for key, value in event.headers]


def check_switch(fields, key, what):
    """A 101's own fields; no extension in it."""
    found = dict(fields)
    expect(
        f"{what}: Sec-WebSocket-Accept",
        found.get("sec-websocket-accept"),
        proof(key),
        "of this request's key",
    )
    that(found.get("upgrade", "").lower() == "websocket", f"{what}: {fields}", "Upgrade: websocket")
    that("upgrade" in found.get("connection", "").lower(), f"{what}: {fields}", "Connection: Upgrade")
    extra = [pair for pair in fields if pair[0] == "sec-websocket-extensions"]
    expect(f"{what}: extensions", extra, [], "none is implemented, so none is accepted", rule="RFC 6455 §9.1")


def accepted(probe, request, *args):
    """read_handshake, then accept: the Offer, the 101's bytes, and what was raised."""
    seen = probe.steps(
        ("offer", made("frames:read_handshake", *request)), made("frames:accept", named("offer"), *args)
    )
    return [*seen.values, None, None][:2], seen.raised


def opened(client, key, target="/"):
    """A raw connection with a WebSocket on it."""
    link = client.connect(target=target, seconds=HEAD_SECONDS)
    lines = [f"GET {target} HTTP/1.1", "Host: localhost", "Upgrade: websocket", "Connection: Upgrade"]
    lines += [f"Sec-WebSocket-Key: {key.decode()}", "Sec-WebSocket-Version: 13", "", ""]
    link.send("\r\n".join(lines).encode())
    return link


def response_head(link):
    """Everything up to the empty line, and what came after it."""
    try:
        while b"\r\n\r\n" not in link.received:
            if not link.read():
                raise NoAnswer("the connection closed without an answer", bytes(link.received))
    except Deadline:
        fail(
            f"no whole head in {HEAD_SECONDS:g} s, but {show_bytes(link.received)!r}",
            "an answer up to its empty line",
        )
    head, end, rest = bytes(link.received).partition(b"\r\n\r\n")
    status = head[9:12].decode("latin-1")
    that(status == "101", f"status {status} instead of the switch: {show_bytes(head, 160)}", "status 101")
    return head + end, rest


# --- task 1 ------------------------------------------------------------------------------------------


@check(task=1, rule="RFC 6455 §4.2.1, §4.2.2")
def test_task1_good_handshakes_are_answered(probe, rng):
    """A good handshake gets a 101 with its own proof"""
    for case in wire_cases(__file__, "good-*.http"):
        key, what = new_key(rng), case.notes["what"]
        (_, data), raised = accepted(probe, request_of(case, key))
        if raised:
            fail(
                f"{what}: it raised {raised['type']}: {raised['message']}",
                "a 101",
                sent=show_bytes(case.data),
            )
        fields = switch_of(data, what)
        check_switch(fields, key, what)
        chosen = [pair for pair in fields if pair[0] == "sec-websocket-protocol"]
        expect(f"{what}: subprotocol", chosen, [], "none was offered, none chosen")
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
    expect(
        "Sec-WebSocket-Protocol", fields.get("sec-websocket-protocol"), chosen, "the chosen one, as offered"
    )
    expect("X-Room", fields.get("x-room"), "42", "the application's own header")
    for what, *args in (
        ("a subprotocol that was not offered", "telnet"),
        ("a header with a line end in it", None, [(b"X-Room", b"42\r\nSet-Cookie: a=b")]),
        ("a Sec-WebSocket-Extensions of the application's", None, [(b"Sec-WebSocket-Extensions", b"x")]),
    ):
        _, raised = accepted(probe, request, *args)
        got = f"{raised['type']}: {raised['message']}"[:200] if raised else "a 101"
        that(raised and "ValueError" in raised["bases"], f"accept with {what}: {got}", "ValueError")


@check(task=1, rule="RFC 6455 §4.2.1")
def test_task1_bad_handshakes_are_refused(probe, rng):
    """A bad handshake is refused with the status that says why"""
    for case in wire_cases(__file__, "bad-*.http"):
        notes, what, key = case.notes, case.notes["what"], new_key(rng)
        more = {"rule": notes["rule"], "sent": show_bytes(case.data)}
        seen = probe.steps(made("frames:read_handshake", *request_of(case, key)))
        raised, wanted = seen.raised, f"Refused with status {notes['status']}"
        got = f"{raised['type']}: {raised['message']}"[:200] if raised else f"accepted, as {seen.values}"
        that(raised and "Refused" in raised["bases"], f"{what}: {got}", wanted, **more)
        status, headers = raised["attributes"].get("status"), raised["attributes"].get("headers") or []
        that(str(status) in notes["status"].split(" or "), f"{what}: status {status}", wanted, **more)
        if "answer" in notes:
            field, _, value = notes["answer"].partition(": ")
            pairs = [pair for pair in headers if isinstance(pair, list | tuple) and len(pair) == 2]
            odd = [pair for pair in pairs if not all(isinstance(one, bytes) for one in pair)]
            that(not odd, f"{what}: headers {headers}"[:300], "pairs of bytes", **more)
            said = {key.decode("latin-1").lower(): value.decode("latin-1") for key, value in pairs}
            members = [one.strip() for one in said.get(field.lower(), "").split(",")]
            that(value in members, f"{what}: headers {headers}", f"{notes['answer']} in the answer", **more)
    (_, data), raised = accepted(probe, request_of(wire_cases(__file__, "good-1-plain.http")[0], KEY))
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


def head_tuple(thing, what, sent):
    shape = isinstance(thing, Thing) and thing.type == "Head"
    that(shape, f"{what}: {thing!r}"[:200], "a Head", sent=sent)
    return (bool(thing.fin), thing.opcode, thing.length, thing.mask, thing.size)


@check(task=2, rule="RFC 6455 §5.2")
def test_task2_heads_are_read(probe, rng):
    """A head is read, whatever the length, and only when it is whole"""
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
            that(
                got is None,
                f"{what}: {got!r}"[:200],
                "None: the head is not whole yet",
                sent=hexed(part),
            )


@check(task=2, rule="RFC 6455 §5.2, §5.5")
def test_task2_broken_heads_are_violations(probe, rng):
    """A head that no client may send is a violation"""
    mask, payload = rng.randbytes(4), rng.randbytes(130)
    unknown = rng.choice([3, 4, 5, 6, 7]), rng.choice([11, 12, 13, 14, 15])
    control = rng.choice([CLOSE, PING, PONG])
    cases = [(f"reserved bit {bit}", TEXT, 5, {"reserved": 8 >> bit}, "§5.2") for bit in (1, 2, 3)]
    cases += [(f"the unknown opcode {opcode:#x}", opcode, 5, {}, "§5.2") for opcode in unknown]
    cases += [("a frame without a mask", TEXT, 5, {"mask": None}, "§5.1")]
    cases += [("a Ping without a mask", PING, 5, {"mask": None}, "§5.1")]
    cases += [(f"{size * 8} bits to say a length of {length}", BINARY, length, {"size": size}, "§5.2")
              for size, length in ((2, 0), (2, 125), (8, 125), (8, 65_535))]  # fmt: skip
    cases += [("a length whose first bit is set", BINARY, 1 << 63, {}, "§5.2")]
    cases += [(f"a {NAMES[control]} that is a fragment", control, 5, {"fin": False}, "§5.5")]
    cases += [(f"a {NAMES[one]} of 126 bytes", one, 126, {}, "§5.5") for one in (CLOSE, PING, PONG)]
    for what, opcode, length, more, clause in cases:
        data = head_bytes(opcode, length, more.pop("mask", mask), **more) + payload
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
    """Masks are applied where they stood, and frames are as short as they can be"""
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
        opcode, fin, payload = (
            rng.choice([TEXT, BINARY, CONTINUATION]),
            rng.random() < 0.5,
            rng.randbytes(length),
        )
        sent = f"encode_frame({NAMES[opcode]}, {length} bytes, fin={fin})"
        data = probe.call("frames:encode_frame", opcode, payload, fin)
        that(isinstance(data, bytes), f"{sent}: {type(data).__name__}", "bytes", sent=sent)
        got, wanted = data[: len(data) - length].hex(" "), head_bytes(opcode, length, None, fin).hex(" ")
        why = "FIN and opcode, no mask, and the length in as few bytes as it can be"
        expect(f"{sent}: head", got, wanted, why, sent=sent)
        expect(f"{sent}: payload", data[len(data) - length :], payload, sent=sent)
    mask, payload = rng.randbytes(4), name(rng).encode()
    data = probe.call("frames:encode_frame", PING, payload, True, mask)
    expect("a frame with a mask", data, head_bytes(PING, len(payload), mask) + xor(payload, mask))
    data = probe.call("frames:encode_frame", PONG, bytes(125))
    expect("a Pong of 125 bytes", data, b"\x8a\x7d" + bytes(125), "it may be sent")
    for what, *args in (("a Ping of 126 bytes", PING, bytes(126)), ("half a Close", CLOSE, b"", False)):
        raised = probe.raises("frames:encode_frame", *args)
        that(raised and "ValueError" in raised["bases"], f"{what}: {raised or 'written'}"[:200], "ValueError")


# --- task 3 ------------------------------------------------------------------------------------------


def conversation(rng):
    """Frames of some messages, with control frames between their fragments, and the events that they are."""
    who = name(rng)
    long, short = rng.randbytes(70_000), rng.randbytes(rng.randrange(126, 300))
    ping, pong = rng.randbytes(rng.randrange(126)), rng.randbytes(5)
    return [
        (text(rng, f"{who} \u00e9t\u00e9 \u2713"), ("Text", f"{who} \u00e9t\u00e9 \u2713")),
        (frame(rng, BINARY, short), ("Binary", short)),
        (text(rng, ""), ("Text", "")),
        (frame(rng, PING), ("Ping", b"")),
        (text(rng, "Hello, ", fin=False), None),
        (frame(rng, PING, ping), ("Ping", ping)),
        (frame(rng, CONTINUATION, b"", fin=False), None),
        (frame(rng, PONG, pong), ("Pong", pong)),
        (frame(rng, CONTINUATION, who.encode()), ("Text", f"Hello, {who}")),
        (frame(rng, BINARY, long[:30_000], fin=False), None),
        (frame(rng, CONTINUATION, long[30_000:]), ("Binary", long)),
        (text(rng, "last"), ("Text", "last")),
    ]


def check_pongs(rounds):
    """Each piece's pings are answered after it; the latest suffices (§5.5.3)."""
    for one in rounds:
        pings = [event[1] for event in one.events if event[0] == "Ping"]
        pongs = payloads(one.sent, PONG)
        right = pongs == pings or (pings and pongs == pings[-1:])
        rule = "RFC 6455 §5.5.2, §5.5.3"
        that(
            right,
            f"Pongs to send: {pongs}",
            f"a Pong with the data of each Ping, or the last: {pings}",
            rule=rule,
        )
        other = [spoken_one for spoken_one in spoken(one.sent) if not spoken_one.startswith("PONG")]
        expect("sent besides Pongs", other, [], "nothing else was asked for")


@check(task=3, rule="RFC 6455 §5.4, §5.5, §6.2")
def test_task3_messages_come_in_any_pieces(probe, rng):
    """Messages come in any pieces, with Pings between their fragments"""
    talked = conversation(rng)
    wanted = [event for _, event in talked if event]
    each = rounds_of(probe, *[one for one, _ in talked])
    for (one, event), seen in zip(talked, each, strict=True):
        expect(f"after {one.said[:60]}", seen.events, [event] if event else [])
    check_pongs(each)
    data = b"".join(one for one, _ in talked)
    small = b"".join(one for one, _ in talked[2:9])
    for pieces, events_wanted in (
        ([data], wanted),
        (cut(data, [rng.randrange(len(data)) for _ in range(12)]), wanted),
        (cut(small, range(len(small))), [event for _, event in talked[2:9] if event]),
    ):
        rounds = rounds_of(probe, *pieces)
        got = all_events(rounds)
        that(
            got == events_wanted,
            shown_difference(got, events_wanted),
            f"{len(events_wanted)} events, as frame by frame",
        )
        check_pongs(rounds)


def shown_difference(got, wanted):
    for at, (one, other) in enumerate(itertools.zip_longest(got, wanted), 1):
        if one != other:
            return f"in these pieces, event {at} is {repr(one)[:80]} instead of {repr(other)[:80]}"
    return ""


@check(task=3, rule="RFC 6455 §5.4")
def test_task3_fragments_out_of_turn_fail(probe, rng):
    """Fragments out of turn fail the connection, with a Close frame that says so"""
    who = name(rng)
    first, rest = text(rng, "Ad", fin=False), frame(rng, CONTINUATION, b"a")
    opcode = rng.choice([TEXT, BINARY])
    good = rounds_of(probe, text(rng, who), first, rest)
    expect("in turn", all_events(good), [("Text", who), ("Text", "Ada")])
    cases = [
        ("a continuation of nothing", [rest], []),
        ("a continuation after a whole message", [text(rng, who), rest], [("Text", who)]),
        (f"{NAMES[opcode]} within a message", [first, frame(rng, opcode, b"x")], []),
        ("a continuation after the last fragment", [first, rest, rest], [("Text", "Ada")]),
        ("a frame without a mask", [first, Said(b"\x80\x01a")], []),
    ]
    for what, acts, before in cases:
        expect(f"{what}: events before", must_fail(probe, acts, [1002], what), before)
        whole = b"".join(acts)
        expect(f"{what}: in one piece", must_fail(probe, [whole], [1002], what), before)


class Peer:
    """wsproto at the other end of a raw connection, its handshake done."""

    def __init__(self, link, target="/"):
        self.link, self.client = link, WSConnection(ConnectionType.CLIENT)
        self.waiting = []
        self.say(events.Request(host="localhost", target=target))
        if not isinstance(self.hear(), events.AcceptConnection):
            response_head(link)  # says what came instead

    def say(self, *said):
        self.link.send(b"".join(self.client.send(event) for event in said))

    def hear(self, wanted="an answer to the handshake: 101, or another status"):
        """The next event; None at the end of the stream."""
        try:
            while not self.waiting:
                data = self.link.read()
                self.client.receive_data(data or None)
                self.waiting += self.client.events()
                if not data and not self.waiting:
                    return None
        except RemoteProtocolError as error:
            fail(f"wsproto, as the client: {error}", "frames that a client can read")
        except WireError as error:
            error.expected = wanted
            raise
        return self.waiting.pop(0)

    def message(self):
        """The next whole message, and the Pongs before it."""
        parts, pongs = [], []
        while True:
            event = self.hear("an echo")
            if isinstance(event, events.Pong):
                pongs.append(bytes(event.payload))
            elif isinstance(event, events.Message):
                parts.append(event.data)
                if event.message_finished:
                    return type(parts[0])().join(parts), pongs
            else:
                fail(f"wsproto, as the client, heard {event or 'the end of the stream'}"[:200], "an echo")

    def closing(self, code):
        """Their Close frame, which must have this code, as wsproto has it."""
        event = self.hear(f"a Close frame with {code}")
        good = isinstance(event, events.CloseConnection) and event.code == code
        got = f"wsproto, as the client, heard {event or 'the end of the stream'}"[:200]
        that(good, got, f"a Close frame with {code}")
        return event

    def must_end(self):
        """The server closes TCP: both Close frames are sent."""
        that(self.link.closed_within(3), "the TCP connection stays open", "its end", rule="RFC 6455 §7.1.1")


@check(task=3, rule="RFC 6455 §6.1")
def test_task3_real_client_is_understood(front, probe, rng):
    """wsproto, through nginx, hears what it said"""
    words, data, ping = f"{name(rng)} \u2713", rng.randbytes(70_000), rng.randbytes(9)
    rounds = rounds_of(probe, ("send_text", words), ("send_bytes", data), ("ping", ping))
    wanted = [(TEXT, True, words.encode()), (BINARY, True, data), (PING, True, ping)]
    for one, frame_wanted in zip(rounds, wanted, strict=True):
        expect(f"{NAMES[frame_wanted[0]]} sent", one.sent, [frame_wanted], "one frame")
    must_raise(probe, [("ping", bytes(126))], "ValueError", "a Ping of 126 bytes")
    with front.connect() as link:
        peer = Peer(link)
        begin, rest = events.TextMessage(words[:3], message_finished=False), events.TextMessage(words[3:])
        peer.say(begin, events.Ping(ping), rest)
        echo, pongs = peer.message()
        expect("the echo", echo, words, "two fragments are one message")
        expect("Pongs", pongs, [ping], "with the Ping's data, between the fragments", rule="RFC 6455 §5.5.3")
        peer.say(events.BytesMessage(data))
        echo, _ = peer.message()
        that(
            echo == data,
            f"an echo of {len(echo)} bytes, not the same ones",
            f"the {len(data)} bytes that were sent",
        )


# --- task 4 ------------------------------------------------------------------------------------------


def check_close_sent(found, payload, what):
    """One Close frame: their code, echoed."""
    closes = payloads(found, CLOSE)
    expect(f"{what}: Close frames sent", len(closes), 1, "one, and never a second")
    said_code = int.from_bytes(closes[0][:2], "big") if closes[0] else None
    wanted = int.from_bytes(payload[:2], "big") if payload else None
    expect(f"{what}: the code in our Close frame", said_code, wanted, "theirs is echoed")


@check(task=4, rule="RFC 6455 §5.5.1, §7.1.1")
def test_task4_their_close_is_answered(probe, service, rng):
    """Their Close is answered with one, and then the connection is over"""
    reason, own = f"{name(rng)} \u00e9t\u00e9".encode(), rng.randrange(3000, 5000)
    for code, why in ((1000, b"bye"), (1001, b""), (own, reason), (None, b"")):
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
    for acts in ([b""], [text(rng, "Ad", fin=False), b""]):
        rounds = rounds_of(probe, *acts)
        expect("a stream without a Close", all_events(rounds), [("Closed", 1006, "")], rule="RFC 6455 §7.1.5")
        expect("a stream without a Close: state", rounds[-1].state, "closed", rule="RFC 6455 §7.1.5")
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
    acts = [ours, text(rng, "Ada"), frame(rng, PONG, b"x"), close_frame(rng, code), frame_after(), b""]
    rounds = rounds_of(probe, *acts)
    expect("our Close", rounds[0].sent, [(CLOSE, True, struct.pack("!H", code) + reason.encode())])
    expect("after our Close: state", rounds[0].state, "closing", "theirs has not come")
    expect("after their Close: state", rounds[3].state, "closed")
    ends = [event for event in all_events(rounds) if event[0] in ENDS]
    expect("how it ended", ends, [("Closed", code, "")], "their Close is the end, once")
    expect("frames after our Close", spoken(all_sent(rounds[1:])), [], "no second Close frame, nothing else")
    for call in (("send_text", "Ada"), ("send_bytes", b"Ada"), ("close",)):
        must_raise(probe, [ours, call], "NotOpen", f"{call[0]} after our Close")
    rounds = rounds_of(probe, ours, frame(rng, TEXT, b"Ada", reserved=4, said="TEXT with a reserved bit"))
    ends = all_events(rounds[1:])
    good = len(ends) == 1 and ends[0][:2] == ("Failed", 1002) and rounds[-1].state == "closed"
    that(good, f"a violation after our Close: {ends}, state {rounds[-1].state!r}", "Failed with 1002, closed")
    expect("sent after that", spoken(rounds[1].sent), [], "no second Close frame", rule="RFC 6455 §5.5.1")
    rounds = rounds_of(probe, ours, b"")
    expect("no answer to our Close", all_events(rounds[1:]), [("Closed", 1006, "")], rule="RFC 6455 §7.1.5")
    expect("close(None)", rounds_of(probe, ("close", None))[0].sent, [(CLOSE, True, b"")], "no code")
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
    wrong = [
        0,
        rng.randrange(1, 1000),
        1004,
        1005,
        1006,
        1015,
        rng.randrange(1016, 2000),
        rng.randrange(2000, 3000),
    ]
    for code in wrong:
        must_fail(probe, [close_frame(rng, code)], [1002], f"a Close with {code}")
        must_raise(probe, [("close", code)], "ValueError", f"close({code})")
    half = frame(rng, CLOSE, b"\x03")
    must_fail(probe, [half], [1002], "a Close with one byte", "RFC 6455 §5.5.1")
    for reason in (b"Ad\xff", b"\xc3", b"\xed\xa0\x80"):
        acts = [close_frame(rng, 1000, reason)]
        must_fail(probe, acts, [1002, 1007], f"the reason {reason!r}", "RFC 6455 §5.5.1, §8.1")
    long = "\u00e9" * 62
    must_raise(probe, [("close", 1000, long)], "ValueError", "close() with a reason of 124 bytes")
    rounds = rounds_of(probe, ("close", 1000, long[:61] + "e"))
    expect(
        "a reason of 123 bytes",
        [len(one) for one in payloads(rounds[0].sent, CLOSE)],
        [125],
        "the code's two, and 123",
    )
    for code in (1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999):
        rounds = rounds_of(probe, close_frame(rng, code, b"Ada"))
        expect(f"a Close with {code}", all_events(rounds), [("Closed", code, "Ada")], "this one is good")


# --- task 5 ------------------------------------------------------------------------------------------


@check(task=5, rule="RFC 6455 §5.6, §8.1")
def test_task5_characters_may_be_split_anywhere(probe, rng):
    """A character may begin in one fragment and end in the next"""
    words = f"{name(rng)} \u00e9\u07ff\u0800\u2713\ud7ff\ue000\uffff\U00010000\U0001f680\U0010ffff\ufeff\x00"
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


# What no UTF-8 has, the byte that is too many, and how many more a decoder may wait (RFC 3629 §3, §4)
BAD_UTF8 = [
    ("a continuation byte first", b"\x80", 0, 0),
    ("C0, which never is", b"\xc0\xaf", 0, 0),
    ("a letter instead of a continuation", b"\xc3A", 1, 0),
    ("three bytes for what needs two", b"\xe0\x9f\xbf", 1, 0),
    ("half of a surrogate pair", b"\xed\xa0\x80", 1, 1),
    ("the end of a surrogate pair", b"\xed\xbf\xbf", 1, 1),
    ("four bytes for what needs three", b"\xf0\x8f\xbf\xbf", 1, 0),
    ("a code point above 10FFFF", b"\xf4\x90\x80\x80", 1, 0),
    ("F5, which never is", b"\xf5\x80\x80\x80", 0, 0),
    ("FF", b"\xff", 0, 0),
]


def failed_at(rounds):
    """In which round the connection failed; None: in none."""
    for at, one in enumerate(rounds):
        if any(event[0] == "Failed" for event in one.events):
            return at
    return None


@check(task=5, rule="RFC 6455 §8.1")
def test_task5_first_bad_byte_fails(probe, rng):
    """Bad UTF-8 fails at its first bad byte, not at the end of the frame"""
    good = f"{name(rng)} \u2713".encode()
    for what, bad, at, patience in rng.sample(BAD_UTF8, len(BAD_UTF8)):
        size = len(good) + len(bad)
        parted = rng.random() < 0.5
        opening = [frame(rng, TEXT, good, fin=False)] if parted else []
        mask = rng.randbytes(4)
        opcode, before = (CONTINUATION, b"") if parted else (TEXT, good)
        head = head_bytes(opcode, size + 500, mask)
        bytes_in = xor(before + bad, mask)
        start = Said(head + bytes_in[: len(before)])
        start.said = f"{NAMES[opcode]} of {size + 500} bytes, which begins {show_bytes(before)!r}"
        acts = [*opening, start]
        for place in range(len(bad)):
            one = Said(bytes_in[len(before) + place :][:1])
            one.said = f"byte {bad[place]:#x}"
            acts.append(one)
        rounds = rounds_of(probe, *acts)
        expected_at = len(opening) + 1 + at
        found = failed_at(rounds)
        right = found is not None and expected_at <= found <= expected_at + patience
        where = "did not fail" if found is None else f"failed after {acts[found].said}"
        that(
            right,
            f"{what}, {show_bytes(bad)}: it {where}",
            f"Failed at byte {bad[at]:#x} already: the frame is not over",
        )
        must_fail(probe, acts, [1007], f"{what}, {show_bytes(bad)}")
    for what, acts in (
        ("a character cut short by the end of the message", [frame(rng, TEXT, good + b"\xe2\x9c")]),
        ("the same in fragments", [frame(rng, TEXT, b"\xe2", fin=False), frame(rng, CONTINUATION, b"\x9c")]),
    ):
        must_fail(probe, acts, [1007], what)
    rounds = rounds_of(probe, frame(rng, TEXT, good))
    expect("good UTF-8", all_events(rounds), [("Text", good.decode())], "it still passes")


@check(task=5, rule="RFC 6455 §10.4, §7.4.1")
def test_task5_too_long_is_known_early(probe, rng):
    """A message that is too long fails at the head that says so"""
    limit = rng.randrange(1000, 3000)
    opcode = rng.choice([TEXT, BINARY])
    kind = "Text" if opcode == TEXT else "Binary"
    whole = b"a" * limit
    message = whole.decode() if opcode == TEXT else whole
    third = limit // 3
    fragments = [
        frame(rng, opcode, whole[:third], fin=False, said=f"a fragment of {third}"),
        frame(rng, PING, b"x" * 125),
        frame(rng, CONTINUATION, whole[third:], said=f"the other {limit - third}"),
    ]
    acts = [frame(rng, opcode, whole, said=f"{limit} bytes"), *fragments, *fragments]
    got = [event for event in all_events(rounds_of(probe, *acts, max_message=limit)) if event[0] != "Ping"]
    that(
        got == [(kind, message)] * 3,
        f"messages of {limit} bytes: {[event[:2] for event in got]}"[:200],
        "three messages: the limit counts each by itself, and no Ping",
    )
    for length in (limit + 1, 70_000, 1 << 40, (1 << 63) - 1):
        head = Said(head_bytes(opcode, length, rng.randbytes(4)))
        head.said = f"only the head of a message of {length} bytes, with max_message={limit}"
        must_fail(
            probe,
            [head],
            [1009],
            f"a head that announces {length} bytes, the limit is {limit}",
            max_message=limit,
        )
    late = Said(head_bytes(CONTINUATION, limit - third + 1, rng.randbytes(4), False))
    late.said = f"only the head of a fragment of {limit - third + 1}"
    must_fail(
        probe,
        [fragments[0], late],
        [1009],
        f"fragments of {limit + 1} bytes, the limit is {limit}",
        max_message=limit,
    )
    head = Said(head_bytes(BINARY, (1 << 20) + 1, rng.randbytes(4)))
    must_fail(probe, [head], [1009], "one byte more than MAX_MESSAGE")
