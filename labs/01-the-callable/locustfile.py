"""Load for lab 1: one sync worker against one event loop, nothing else changed.

`make load-1` runs it; `UI=1 make load-1` shows locust's own page. Before you look: which of the two is faster
for a greeting, and how many connections does nginx open to each?
"""

import random

from two_sides import Side, Site, Visitor, fact

NAMES = ["Ada", "Grace", "Edsger", "Zoë", "李"]


class Reader(Visitor):
    """Asks for a greeting, the same way of both, and looks whether it is its own."""

    ways = {"sync worker": "/", "event loop": "/asgi/"}

    def visit(self, site: Site) -> None:
        name = f"{random.choice(NAMES)} {random.randrange(10**9)}"
        site.get("/", params={"name": name}, body=f"Hello, {name}!\n".encode())


@fact("nginx kept its connections to the event loop")
def event_loop_keeps_connections(side: Side) -> str:
    """A sync worker closes after each answer; an event loop can keep idle connections, and does."""
    opened, answered = side.connections("asgi"), side.requests("event loop")
    if opened is None or opened * 4 < answered:
        return ""
    return f"{opened} connections for {answered} requests: something closes them"
