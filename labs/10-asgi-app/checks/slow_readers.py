"""A client of /events that reads slowly: nobody else waits for it, and it misses nothing."""

from __future__ import annotations

import random

from workshop.judge.checks import Probe, fail, made, ref, that

EVERY_CHANGE = "lesson, task 3: each change is an event; this lab, /events: every change, as it happens"
NOBODY_WAITS = "201: whoever changes a task neither waits nor fails because another client reads slowly"


def slow_reader_holds_nobody_up(probe: Probe, rng: random.Random) -> None:
    """Many tasks are created while a stream's `send` waits; then it goes on (apps/slow_reader.py)."""
    many = rng.randrange(40, 60)
    titles = [f"t{number}" for number in rng.sample(range(10**6, 10**7), many)]
    sent = (
        f"GET /events, whose client stops reading at the first event; {many} times POST /tasks; it reads on"
    )
    seen = probe.steps(made("slow_reader:slow_reader", ref("app:app"), titles), sent=sent, seconds=6.0)
    if seen.raised is not None:
        fail(f"POST /tasks raised {seen.trace[-1]}", NOBODY_WAITS, rule=EVERY_CHANGE)
    statuses, came, silence_first, ended = seen.values[-1]
    last = statuses[-1]
    that(last == 201, f"POST number {len(statuses)}: {last}", NOBODY_WAITS, rule=EVERY_CHANGE)
    missed = f"{len(came)} of the {many} events, and the stream stays open"
    that(
        ended or came == titles,
        got=f"{many} events in another order" if len(came) == many else missed,
        expected=f"all {many}, in order, once it reads on; or the end of the stream: then it comes back with "
        "Last-Event-ID, and gets what it missed",
        rule=EVERY_CHANGE,
    )
    that(
        not silence_first,
        got=f"a comment, as after a silence, before the last of the {many} events",
        expected="the events first: what was published while `send` waited is news already. Take the object "
        "that you will wait for before you look for news, for others run at each `await` between",
        rule=EVERY_CHANGE,
    )
