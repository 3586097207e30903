"""Requests one after another, in one process (apps/requests_in_a_row.py): none sees what another one left."""

import json
import random
from typing import Any

from workshop.judge.checks import NOT_JSON, Probe, expect, fail, made, that

OWN = "its own headers alone: what a response adds goes neither into the dict that it was given nor into a "
OWN += "default that all share (headers={})"


def in_a_row(probe: Probe, requests: list[tuple[str, str, bytes]]) -> list[Any]:
    """Headers and body of each response."""
    shown = [f"{method} {path} {body.decode()}".strip() for method, path, body in requests]
    sent = f"in one process, one after another: {', '.join(shown)}"
    seen = probe.steps(made("requests_in_a_row:in_a_row", requests), sent=sent)
    if seen.raised:
        fail(f"it raised {seen.trace[-1]}", "a response to each")
    return list(seen.values[-1])


def headers_are_ones_own(probe: Probe, rng: random.Random) -> None:
    """A response has the type and length of its own body, whatever others were made of."""
    short, long = f"a{rng.randrange(99)}", f"b{rng.randrange(10**6, 10**7)}"
    paths = [f"/text/{short}", "/list", f"/noted/{short}", f"/noted/{long}", f"/text/{long}"]
    responses = in_a_row(probe, [("GET", path, b"") for path in paths])
    for path, (headers, body) in zip(paths, responses, strict=True):
        kind = b"application/json" if path == "/list" else b"text/plain"
        wanted = {"content-type": [kind], "content-length": [b"%d" % len(body)]}
        wanted["x-note"] = [b"noted"] if "noted" in path else []
        for name, values in wanted.items():
            got = [bytes(value).partition(b";")[0] for key, value in headers if key == name.encode()]
            that(
                got == values or (name == "content-length" and not got),
                got=f"{name} of GET {path} = {got}, with the body {body!r}",
                expected=f"{values}: {OWN}",
                rule="RFC 9110 §8.3, §8.6, §5.3",
            )


def defaults_are_ones_own(probe: Probe, rng: random.Random) -> None:
    """Two bodies without `things`, to which the handler adds: each has a list of its own."""
    names = [f"a{rng.randrange(99)}", f"b{rng.randrange(99)}"]
    requests = [("POST", "/baskets", json.dumps({"name": one}).encode()) for one in names]
    found = []
    for _, body in in_a_row(probe, requests):
        try:
            found.append(json.loads(body))
        except NOT_JSON:
            found.append(body[:100])
    why = "things has default_factory=list, which is called for each Basket: no request sees another's list"
    expect("the things of each Basket", found, [[one] for one in names], why)
