"""Talks to a Connection by the probe: bytes that it receives, calls on it, and what came of each."""

from __future__ import annotations

import itertools
import struct

from client_frames import CLOSE, PONG, Said, frame_after, short
from server_frames import frames_of, payloads, spoken

from workshop.judge.checks import Thing, attribute, expect, fail, made, method, named, show_bytes, that

ENDS = {"Closed": "code reason", "Failed": "code reason"}
FIELDS = {"Text": "data", "Binary": "data", "Ping": "data", "Pong": "data", **ENDS}


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
    seen = probe.steps(*steps_of("c", acts, max_message), sent=said(acts))
    return rounds_in(acts, seen.values[1:]), seen.raised


def steps_of(name, acts, max_message):
    """The probe's steps for one talk."""
    more = {} if max_message is None else {"max_message": max_message}
    steps = [(name, made("frames:Connection", **more))]
    for act in acts:
        call = ("receive", bytes(act)) if isinstance(act, bytes) else act
        steps.append(("v", method(named(name), *call)))
        steps += [("s", method(named(name), "data_to_send")), ("t", attribute(named(name), "state"))]
    return steps


def rounds_in(acts, values):
    """What came of each act: three values, of which the first are events where bytes were received."""
    rounds = [Round(*values[at : at + 3]) for at in range(0, len(values) - 2, 3)]
    for act, one in zip(acts, rounds, strict=False):
        if not isinstance(act, bytes):
            one.value = []  # only `receive` has events to return
    return rounds


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
    return all_rounds(probe, [acts], max_message)[0]


QUIET = "no exception: events say what happened"


def all_rounds(probe, talks, max_message=None, expected=QUIET):
    """The rounds of several talks, each with a Connection of its own, in one call; nothing may be raised."""
    steps = [step for at, acts in enumerate(talks) for step in steps_of(f"c{at}", acts, max_message)]
    seen = probe.steps(*steps, sent=said(talks[0]))
    values, found = seen.values, []
    for acts in talks:
        count = 1 + 3 * len(acts)
        if seen.raised and len(values) < count:
            got = f"it raised {seen.raised['type']}: {seen.raised['message']}"[:300]
            fail(got, expected, sent=said(acts))
        found.append(rounds_in(acts, values[1:count]))
        values = values[count:]
    return found


def all_events(rounds):
    return [event for one in rounds for event in one.events]


def all_sent(rounds):
    odd = [one.sent_bytes for one in rounds if not isinstance(one.sent_bytes, bytes)]
    that(not odd, f"data_to_send() = {odd[:1]}"[:200], "bytes")
    return frames_of(b"".join(one.sent_bytes for one in rounds))


def must_raise(probe, acts, kind, what, **more):
    """The last of the acts must raise this."""
    _, raised = talk(probe, *acts)
    got = f"{raised['type']}: {raised['message']}"[:200] if raised else "no exception"
    that(raised and kind in raised["bases"], f"{what}: {got}", kind, **more)


def too_late():
    """What still comes when a connection has failed: a message, and the end of the stream."""
    return [frame_after(), b""]


def must_fail(probe, acts, codes, what, rule="", max_message=None):
    """The acts end in Failed with one of the codes, our Close frame says it, and nothing is read after."""
    rounds = rounds_of(probe, *acts, *too_late(), max_message=max_message)
    return check_failed(rounds, codes, what, rule, said(acts))


def check_failed(rounds, codes, what, rule, sent):
    """The same of rounds whose last acts were `too_late()`; returns the events before the failure."""
    more, last_words = {"rule": rule, "sent": sent}, {"rule": "RFC 6455 §7.1.7", "sent": sent}
    wanted = f"Failed with {' or '.join(map(str, codes))}"
    events_seen = all_events(rounds[:-2])
    last = events_seen[-1] if events_seen else None
    good = last is not None and last[0] == "Failed" and last[1] in codes
    that(good, f"{what}: the last event is {last}, state {rounds[-3].state!r}", wanted, **more)
    closes = payloads(all_sent(rounds), CLOSE)
    right = len(closes) == 1 and closes[0][:2] == struct.pack("!H", last[1])
    that(right, f"{what}: CLOSE frames sent: {closes}", f"one Close frame that begins with {last[1]}", **more)
    expect(f"{what}: state", rounds[-1].state, "closed", **last_words)
    for one, came in zip(rounds[-2:], ("a message", "the end of the stream"), strict=True):
        still = one.events or one.sent
        why = "nothing: Failed is the last event"
        that(not still, f"{what}: {came} after it brought {still}", why, **last_words)
    return events_seen[:-1]


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


def check_close_sent(found, payload, what):
    """One Close frame: their code, echoed."""
    closes = payloads(found, CLOSE)
    expect(f"{what}: Close frames sent", len(closes), 1, "one, and never a second")
    said_code = int.from_bytes(closes[0][:2], "big") if closes[0] else None
    wanted = int.from_bytes(payload[:2], "big") if payload else None
    expect(f"{what}: the code in our Close frame", said_code, wanted, "theirs is echoed")
    reason = closes[0][2:]
    readable = reason.decode("utf-8", "replace").encode() == reason
    that(readable, f"{what}: the reason in our Close frame: {reason!r}", "UTF-8, or no reason at all")


def check_end_without_close(acts, rounds):
    """A stream that ends without a Close: Closed(1006, ""), and no Close frame says 1006."""
    more = {"rule": "RFC 6455 §7.1.5", "sent": said(acts)}
    expect("a stream without a Close", all_events(rounds), [("Closed", 1006, "")], **more)
    expect("a stream without a Close: state", rounds[-1].state, "closed", **more)
    codes = [int.from_bytes(one[:2], "big") for one in payloads(all_sent(rounds), CLOSE)]
    got, more["rule"] = f"a stream without a Close: a CLOSE frame with {codes}", "RFC 6455 §7.4.1"
    that(not {1005, 1006} & {*codes}, got, "1006 is for the event: never in a frame", **more)


def shown_difference(got, wanted):
    for at, (one, other) in enumerate(itertools.zip_longest(got, wanted), 1):
        if one != other:
            return f"in these pieces, event {at} is {repr(one)[:80]} instead of {repr(other)[:80]}"
    return ""


def failed_at(rounds):
    """In which round the connection failed; None: in none."""
    for at, one in enumerate(rounds):
        if any(event[0] == "Failed" for event in one.events):
            return at
    return None


def head_tuple(thing, what, sent):
    shape = isinstance(thing, Thing) and thing.type == "Head"
    that(shape, f"{what}: {thing!r}"[:200], "a Head", sent=sent)
    return (bool(thing.fin), thing.opcode, thing.length, thing.mask, thing.size)
