"""Lab 6's checks call a layer for two requests at the same time: what belongs to one stays with it."""

import re
from collections.abc import Sequence
from typing import Any

from layer_answers import ended_well

from workshop.judge.checks import Probe, Transcript, attribute, expect, made, named, note, that, wsgi_app

OVERLAP = "two requests at the same time: what belongs to one of them lives in its own call"
THREADS = 'PEP 3333, "Thread Support"'


def overlapping(probe: Probe, layer: Any, requests: Sequence[dict[str, str]]) -> Transcript:
    """Call one layer for two requests, then iterate over the first body, and over the second."""
    asked: list[Any] = [("app", layer)]
    for number, more in enumerate(requests):
        own = f"environ {number}"
        usual = {"SCRIPT_NAME": "", "PATH_INFO": "/", "QUERY_STRING": ""}
        asked += [(own, {**usual, **more}), made("wsgiref.util:setup_testing_defaults", named(own))]
        call = made(named("app"), named(own), note(f"start_response {number}"))
        asked.append((f"body {number}", call))
    asked += [made("builtins:list", named(f"body {number}")) for number in range(len(requests))]
    seen = probe.steps(*asked, sent=f"two requests that overlap, to one layer: {requests[0]}, {requests[1]}")
    ended_well(seen)
    return seen


def values_of_each(seen: Transcript, field: str) -> list[list[str]]:
    """For each of two overlapping requests, the values of a field of its response."""
    found = []
    for number in (0, 1):
        said = [event["args"] for event in seen.all("noted") if event["name"] == f"start_response {number}"]
        headers = said[-1][1] if said and len(said[-1]) > 1 else []
        pairs = [pair for pair in headers if isinstance(pair, tuple) and len(pair) == 2]
        found.append([value for key, value in pairs if str(key).lower() == field.lower()])
    return found


def each_has_its_own(probe: Probe, layer: Any, key: str, own: list[str], field: str) -> None:
    """What each of two overlapping requests has in its environ is what its response has in a field."""
    seen = overlapping(probe, layer, [{key: value} for value in own])
    got = values_of_each(seen, field)
    expect(f"values of {field}", got, [[value] for value in own], OVERLAP, rule=THREADS)


def times_are_their_own(probe: Probe) -> None:
    """By a clock that goes on by a second at each look, the first request takes two at least."""
    clock = attribute(made("itertools:count"), "__next__")
    layer = made("middleware:timing", wsgi_app(late_start=True), clock=clock)
    said = values_of_each(overlapping(probe, layer, [{}, {}]), "Server-Timing")[0]
    found = re.search(r"dur=\"?([0-9.]+)", said[0]) if said else None
    that(
        found and float(found[1]) >= 2000,
        got=f"Server-Timing = {said!r} for a request that began two looks at the clock ago, or more",
        expected=f"app;dur=2000 or more, by a clock that goes on by 1 s at each look     {OVERLAP}",
        rule=THREADS,
    )
