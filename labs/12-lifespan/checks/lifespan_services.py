"""lifespan.py as a process: requests in flight, processes that end, and what they print."""

from __future__ import annotations

import time

from workshop.judge.checks import Wire, WireError, expect, request_bytes, that
from workshop.judge.start_failure import StartTrouble


def refuses_to_start(service, stack, trail, name):
    """The agent's report of a service that has ended; its Client, when it goes on. Reports show its command.

    A socket may listen before startup: then the service was there for a moment.
    """
    try:
        client = service(name)
        look = lambda: stack.ask("status", service=name)  # noqa: E731
        reply = settle(look, lambda reply: reply["state"] == "exited")
        trail.sent, trail.connection = reply["command"], None
        if reply["state"] != "exited":
            return None, client
        trail.marks.clear()
        trail.service = ""  # that it ended is what was asked of it
        return reply, None
    except StartTrouble as trouble:
        if trouble.reply["state"] != "exited" or "NotImplementedError" in trouble.reply["output"]:
            raise
        trail.sent, trail.connection = trouble.reply["command"], None
        return trouble.reply, None


SETTLE = 5.0
PAUSE = 0.02


def settle(look, holds, seconds=SETTLE):
    """What `look` sees, as soon as `holds` is true of it, or the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        seen = look()
        if holds(seen) or time.monotonic() > deadline:
            return seen
        time.sleep(PAUSE)


def ended(stack, service, after, seconds=SETTLE):
    """The service's process has ended by itself, in peace; everything that it printed."""
    look = lambda: stack.ask("status", service=service)  # noqa: E731
    reply = settle(look, lambda reply: reply["state"] == "exited", seconds)
    that(reply["state"] == "exited", f"{after}, the process is still there", "a process that ends", where=END)
    # Its last words may take a moment.
    reply = settle(look, lambda reply: "shutdown" in reply["output"], 0.5)
    return reply


END = "your lifespan.py: its `run`, after SIGTERM"


def waiting(client):
    """A request in flight: its head and half of its body are sent; the application waits for the rest."""
    wire = Wire(client.address.host, client.address.port, 9.0)
    wire.send(request_bytes("POST", "/wait", [("Content-Length", "2")]) + b"A")
    return wire


def is_answered(client, seconds=1.5):
    """Whether somebody who comes now is answered, and not refused or left waiting."""
    try:
        with Wire(client.address.host, client.address.port, seconds) as wire:
            wire.send(request_bytes("GET", "/"))
            return wire.response().status == 200
    except WireError:
        return False


def known(front):
    """The visits in the book of your own server."""
    answer = front.get("/yours/visits")
    expect("status", answer.status, 200, f"the body was {answer.text[:100]!r}")
    visits = answer.json()
    that(isinstance(visits, list), f"GET /visits is {visits!r}", "a list of names")
    return visits


def children(stack):
    """The processes below the keeper that have not ended."""
    reply = stack.ask("pids", service="yours")
    return [pid for pid in reply["pids"][1:] if pid not in reply["zombies"]]
