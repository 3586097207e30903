"""Calls the chat in its own process, to hold a `send` or a clock: see apps/room_in_process.py."""

from __future__ import annotations

from typing import Any

from chat_guests import websocket_scope

from workshop.judge.checks import Probe, fail, made, ref, that

AT_ONCE = "this lab's contract, in app.py: a member whose outbox overflows leaves the room at once"


def in_process(probe: Probe, what: str, who: str, then: str) -> Any:
    """What a function of room_in_process.py saw; `then` says in words what it did."""
    step = made(f"room_in_process:{what}", ref("app:app"), who)
    seen = probe.steps(step, sent=f"app(scope, receive, send) for /rooms/tea?name={who}; {then}", seconds=9)
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "no exception")
    return seen.values[-1]


def nothing_after_its_close(probe: Probe) -> None:
    """A close that /echo has sent is the last that it sends, and its call returns."""
    ends = {"type": "websocket.disconnect", "code": 1000, "reason": "bye"}  # as uvicorn says after a close
    events = [{"type": "websocket.connect"}, {"type": "websocket.receive", "text": "bye"}, ends]
    seen = probe.asgi("app:app", websocket_scope("/echo"), receive=events)
    types = [one.get("type") if isinstance(one, dict) else one for one in seen.sends]
    after = types[types.index("websocket.close") + 1 :] if "websocket.close" in types else []
    over = seen.raised is None and "returned" in seen.names()
    raised = f"it raised {seen.raised['type']}: {seen.raised['message']}" if seen.raised else "it still runs"
    that(
        not after and over,
        got=f"after websocket.close it sent {after!r}" if after else f"after websocket.close {raised}",
        expected="nothing after its close, whatever receive would say then, and the call returns",
        rule="RFC 6455 §5.5.1: after a close frame nothing more is sent",
    )


def gone_for_good(probe: Probe) -> None:
    """The call of a member that reads nothing ends, and takes nobody else of that name out of the room."""
    _after_it_has_left(probe)
    then = (
        "Zoe is there; Grace talks until it has left the room; of what it is sent, it takes nothing any more"
    )
    then += "; another Ada comes before its call returns"
    seen = in_process(probe, "never_reads", "Ada", then)
    that(
        seen["took"] is not None,
        got="the call of a disconnected member that reads nothing goes on after 60 s (on a faster clock)",
        expected="the call returns after FAREWELL seconds: the send of the close waits, too",
        rule="this lab's contract, in app.py: FAREWELL",
    )
    that(
        seen["apart"] is None,
        got="when the first Ada left the room, Zoe and Grace heard the same events in two orders:"
        f" {seen['apart']!r}",
        expected="the same order for all members; a number is what was said, left is that Ada left",
        rule="this lab's contract, in app.py: class Room",
    )
    that(
        seen["members"] == ["Ada", "Grace", "Zoe"],
        got=f"the first Ada's call has returned; /stats has {seen['members']!r}",
        expected="['Ada', 'Grace', 'Zoe']: the second Ada is still there, for only the first one has left",
        rule=AT_ONCE,
    )


def _after_it_has_left(probe: Probe) -> None:
    """Who has left a room is not listened to there, gives its name back, and forgets no other room."""
    then = "Ada reads nothing; Grace talks until Ada has left the room"
    seen = in_process(probe, "after_it_has_left", "Ada", f"{then}; then Ada speaks")
    that(
        seen["left"],
        got=f"Grace said {seen['said']:,} messages, Ada took none of them, and nobody heard that she left",
        expected="that she left: OUTBOX_LIMIT messages may wait for a member, and no more",
        rule=AT_ONCE,
    )
    that(
        not seen["ghost"],
        got="Grace heard that Ada had left, and after that what Ada said",
        expected="nothing of it: who has left is not listened to any more, also while its close waits",
        rule=AT_ONCE,
    )
    shown = "app(scope, receive, send) for /rooms/tea?name=Ada;"
    that(
        not seen["again"],
        got=f"a second Ada was closed with {seen['again']!r}, while the first one's call was still open",
        expected="a welcome: the outbox of the first has overflowed, so its name is free. Out of the room"
        " first, then its close, which waits as long as it reads nothing",
        rule=AT_ONCE,
        sent=f"{shown} {then}; then a second Ada comes",
    )
    that(
        (seen["members"], seen["joined"]) == (["Tim", "Una"], 1),
        got=f"/stats has {seen['members']!r}; Tim heard {seen['joined']} times that somebody joined",
        expected="['Tim', 'Una'], and once: when Ada's call ends, it forgets the room that she was in, and"
        " not the new one of the same name",
        rule="this lab's contract, in app.py: class Room",
        sent=f"{shown} {then}; Grace leaves, too; Tim comes; Ada reads, and her call returns; Una comes",
    )
    that(
        seen["alone"] is None,
        got=f"/stats has {seen['alone']!r} in the room",
        expected="no such room: its only member left when its outbox overflowed, and her call has returned",
        rule="this lab's contract, in app.py: /stats has no empty rooms",
        sent=f"{shown} she is alone, talks on, and reads nothing of it; then she reads again",
    )


def leaves_when_cancelled(probe: Probe) -> None:
    """A cancelled call leaves the room."""
    seen = in_process(probe, "cancelled", "Ada", "Grace comes, too, and then Ada's call is cancelled")
    that(
        seen == {"members": ["Grace"], "left": 1},
        got=f"/stats has {seen['members']!r} in the room, and Grace heard {seen['left']} times that Ada left",
        expected="['Grace'], and once: a server that stops cancels the call, and the leaving is in a finally",
        rule="this lab's task 2; asyncio, Task.cancel",
    )


def room_emptied(probe: Probe) -> None:
    """Who joins is in the room that others join, even when that room was empty during its accept."""
    then = "Grace's accept is held until Ada has left; then Tim comes"
    seen = in_process(probe, "room_emptied", "Ada", then)
    that(
        seen == {"members": ["Grace", "Tim"], "joined": 1},
        got=f"/stats has {seen['members']!r}; Grace heard {seen['joined']} times that somebody joined",
        expected="['Grace', 'Tim'], and once: look the room up and join it with no await in between",
        rule="this lab's task 2: an empty room is forgotten while somebody else waits",
    )


def no_task_stays(probe: Probe) -> None:
    """Whoever has left leaves no task behind."""
    seen = in_process(probe, "tasks_of_those_who_left", "Ada", "a disconnect; and all that five times")
    first, last = seen
    that(
        last <= first,
        got=f"{first} asyncio tasks after the first visit, {last} after the fifth",
        expected="no more: the tasks of a call end with it",
        rule="asyncio, Task.cancel",
    )


def failed_send_means_left(probe: Probe) -> None:
    """`send` may be the first to know that a member has left: it raises OSError."""
    seen = in_process(probe, "send_is_first_to_know", "Ada", "Grace speaks; Ada's `send` raises OSError")
    that(
        seen["members"] == ["Grace"] and seen["said"] == 1 and seen["codes"] in ([1006], [1005]),
        got=f"/stats has {seen['members']!r}; Grace heard {seen['said']} of her own words, and that somebody"
        f" left with the codes {seen['codes']!r}",
        expected="['Grace'], 1, and [1006] (or [1005]): there was no close frame, so 1000 would be wrong",
        rule='ASGI www, "WebSocket": Disconnected Client; RFC 6455 §7.1.5',
    )
