"""Load for lab 6: the tasks API with no layer around it, with your stack of five, and behind twenty.

`make load-6` runs it; `UI=1 make load-6` shows locust's own page. Before you look: how much longer does a
request take when twenty layers are around the application?
"""

import random
import string

from two_sides import Site, Visitor, at_most

WAYS = {"no layer": "/bare/", "your stack": "/", "twenty layers": "/twenty/"}


class Reader(Visitor):
    """Asks for the tasks with a password and an id of its own, and looks for that id in the answer."""

    ways = WAYS

    def visit(self, site: Site) -> None:
        own = "".join(random.choices(string.ascii_lowercase, k=12))
        headers = {"X-Request-ID": own, "Origin": "https://tasks.example"}
        answer = site.get(
            "/tasks", headers={**headers, "Authorization": "Basic QWRhOmxvdmVsYWNl"}, body=b"[]\n"
        )
        if answer.status_code == 200 and site.way != "no layer":
            got = answer.headers.get("X-Request-ID")
            site.expect(got == own, "an answer came with the id of another request")


# Twenty layers are some twenty function calls, twice each: work for the processor of 0.1 ms, where a request
# through nginx takes several times that. A layer that reads, joins or hashes at every request shows here.
at_most("twenty layers", 2.0, "no layer")
