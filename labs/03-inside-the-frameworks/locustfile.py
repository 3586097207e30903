"""Load for lab 3: a Flask application with your X-ray around it, and without.

`make load-3` runs it; `UI=1 make load-3` shows locust's own page. Before you look: what does it cost to look
at everything that crosses the boundary, in a request that takes some milliseconds?
"""

import random

from two_sides import Site, Visitor, at_most

NAMES = ["Ada", "Grace", "Edsger", "Margaret", "Radia"]


class Reader(Visitor):
    """Asks for a greeting, whole and letter by letter, and looks whether it is its own."""

    ways = {"traced": "/", "bare": "/bare/"}

    def visit(self, site: Site) -> None:
        name = f"{random.choice(NAMES)}{random.randrange(1000)}"
        site.get("/", params={"name": name}, body=f"Hello, {name}!\n".encode())
        site.get("/letters", params={"name": name}, body=name.encode())


# An X-ray is a few function calls for each event: some microseconds. One that joins, copies, prints to a
# terminal or opens a file for each event shows here.
at_most("traced", 2.0, "bare")
