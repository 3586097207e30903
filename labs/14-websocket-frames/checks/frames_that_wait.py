"""What waits in data_to_send, and what two connections, or a call that raises, must leave alone."""

from __future__ import annotations

from client_frames import BINARY, CONTINUATION, NAMES, PING, TEXT, cut, frame
from connection_talk import QUIET, Round, said
from server_frames import frames_of, spoken

from workshop.judge.checks import attribute, expect, fail, made, method, named, ref, that


def results(probe, steps, sent):
    """The values of steps of which none may raise."""
    seen = probe.steps(*steps, sent=sent)
    if seen.raised:
        fail(f"it raised {seen.raised['type']}: {seen.raised['message']}"[:300], QUIET, sent=sent)
    return seen.values


def check_frames_that_wait(probe, acts, wanted):
    """The kinds of the frames that data_to_send has, when nobody asked for them before the last act."""
    sent = f"{said(acts)} ‖ data_to_send()"
    steps = [("c", made("frames:Connection"))]
    for act in acts:
        steps.append(method(named("c"), *(("receive", bytes(act)) if isinstance(act, bytes) else act)))
    data = results(probe, [*steps, method(named("c"), "data_to_send")], sent)[-1]
    kinds = [NAMES[opcode] for opcode, _, _ in frames_of(data)]
    why = "what waits is not lost, and goes first"
    expect("the frames to send", kinds, wanted, why, sent=sent, rule="RFC 6455 §6.1, §5.5.2")


def check_two_at_once(probe, rng):
    """Two connections get fragments and Pings in turn: nothing of one gets into the other."""
    talks = {}
    for who, words, ping in (("first", "\u00e9", b"Ada"), ("second", "\u2713", b"Grace")):
        begun, rest = words.encode()[:1], words.encode()[1:]
        talks[who] = [
            frame(rng, TEXT, begun, fin=False),
            *cut(frame(rng, PING, ping), [8]),
            frame(rng, CONTINUATION, rest),
            frame(rng, BINARY, ping, fin=False),
            frame(rng, CONTINUATION, ping),
        ]
    turns = [
        (who, act) for acts in zip(*talks.values(), strict=True) for who, act in zip(talks, acts, strict=True)
    ]
    sent = "two connections in turn: " + " ‖ ".join(f"{who}: {act.said}" for who, act in turns)
    steps = [(who, made("frames:Connection")) for who in talks]
    steps += [method(named(who), "receive", bytes(act)) for who, act in turns]
    steps += [method(named(who), "data_to_send") for who in talks]
    values = results(probe, steps, sent)[2:]
    for at, (who, words, ping) in enumerate((("first", "\u00e9", b"Ada"), ("second", "\u2713", b"Grace"))):
        got = [event for value in values[at:-2:2] for event in Round(value, b"", "").events]
        wanted = [("Ping", ping), ("Text", words), ("Binary", ping * 2)]
        why = "each Connection has its own frame, message and decoder"
        expect(f"events of the {who} connection", got, wanted, why, sent=sent)
        pongs = spoken(frames_of(values[at - 2]))
        expect(f"frames to send on the {who} connection", pongs, [f"PONG {ping!r}"], why, sent=sent)


def check_still_open(probe, call):
    """A call that raises ValueError has sent nothing, and the connection goes on."""
    sent = f"{said([call])} ‖ send_text('Ada')"
    caught = method(
        made("unittest:TestCase"),
        "assertRaises",
        ref("builtins:ValueError"),
        attribute(named("c"), call[0]),
        *call[1:],
    )
    steps = [("c", made("frames:Connection")), caught, method(named("c"), "send_text", "Ada")]
    seen = probe.steps(*steps, method(named("c"), "data_to_send"), attribute(named("c"), "state"), sent=sent)
    wanted = "ValueError, and nothing else: the connection is as it was"
    if seen.raised:
        what = "send_text after it raised" if len(seen.values) > 1 else "it raised"
        fail(f"{what} {seen.raised['type']}: {seen.raised['message']}"[:300], wanted, sent=sent)
    data, state = seen.values[-2:]
    kinds = [NAMES[opcode] for opcode, _, _ in frames_of(data)]
    that(kinds == ["TEXT"], f"frames to send: {kinds}", wanted, sent=sent)
    that(state == "open", f"state {state!r}", wanted, sent=sent)
