"""Calls the chat in its own process, to hold a `send` or a clock: see apps/room_in_process.py."""

from __future__ import annotations

from typing import Any

from workshop.judge.checks import Probe, fail, made, ref, that


def in_process(probe: Probe, what: str, who: str, then: str) -> Any:
    """What a function of room_in_process.py saw; `then` says in words what it did."""
    step = made(f"room_in_process:{what}", ref("app:app"), who)
    seen = probe.steps(step, sent=f"app(scope, receive, send) for /rooms/tea?name={who}; {then}", seconds=9)
    if seen.raised is not None:
        fail(f"{seen.raised['type']}: {seen.raised['message']}", "no exception")
    return seen.values[-1]


def gone_for_good(probe: Probe) -> None:
    """The call of a member that reads nothing ends, and takes nobody else of that name out of the room."""
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
        rule="this lab's contract, in app.py: a member whose outbox overflows leaves the room at once",
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
