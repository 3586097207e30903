"""Load for lab 17: a plain ASGI application, twenty layers around it, and a WSGI one in your adapter.

`make load-17` runs it; `UI=1 make load-17` shows locust's own page. Before you look: which costs more, twenty
layers that are function calls, or one way into a thread and back?
"""

import random
import string

from two_sides import Site, Visitor, at_most

WAYS = {"no layer": "/bare/", "twenty layers": "/twenty/", "adapter and four layers": "/"}


class Reader(Visitor):
    """Asks for something small with a token and an id of its own, and looks for that id in the answer."""

    ways = WAYS

    def visit(self, site: Site) -> None:
        own = "".join(random.choices(string.ascii_lowercase, k=12))
        headers = {"X-Request-ID": own, "Authorization": "Bearer lovelace-1843"}
        answer = site.get("/tasks", headers=headers)
        if answer.status_code == 200 and site.way != "no layer":
            got = answer.headers.get("X-Request-ID")
            site.expect(got == own, "an answer came with the id of another request")


# A layer is a few function calls. The adapter's threads are handed the request, and the loop each message.
at_most("twenty layers", 2.5, "no layer")
at_most("adapter and four layers", 4.0, "no layer")
