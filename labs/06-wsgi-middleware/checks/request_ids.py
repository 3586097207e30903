"""Lab 6's checks send `request_id` ids that a client must not choose: each request gets a new one."""

import re
from collections.abc import Sequence
from typing import Any

from layer_answers import ended_well, inner_environ, one

from workshop.judge.checks import Probe, expect, that

KEY = 'environ["HTTP_X_REQUEST_ID"]'
LESSON = "the lesson, task 1"
USABLE = "1 to 64 of A-Z a-z 0-9 . _ -"
OTHERS = "!#$%&'()*+,/:;<=>?@[]^`{|}~"  # characters that are not among them


def each_gets_a_new_id(probe: Probe, app: Any, refused: Sequence[str]) -> None:
    """Fail unless each of these requests ("" is one without an id) gets an id that no other one has."""
    fresh = []
    for bad in refused:
        seen = probe.wsgi(app, headers=[("X-Request-ID", bad)] if bad else [])
        ended_well(seen)
        inside = inner_environ(seen).get("HTTP_X_REQUEST_ID")
        usable = isinstance(inside, str) and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", inside)
        said = f"sent was X-Request-ID: {bad!r}" if bad else "the client sent none"
        that(usable, f"{KEY} = {inside!r}", f"a new id of {USABLE}     {said}", rule=LESSON)
        one(seen, "X-Request-ID", str(inside), "the one that the application saw", rule=LESSON)
        fresh.append(inside)
    what = f"different ids for these {len(fresh)} requests"
    why = f"a new one for each of them; the first one was {fresh[0]!r}"
    sent = f"{len(fresh)} requests, each without X-Request-ID or with one that is not {USABLE}"
    expect(what, len(set(fresh)), len(fresh), why, rule=LESSON, sent=sent)
