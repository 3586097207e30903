"""Load for lab 7: the first and the last of five hundred routes.

`make load-7` runs it. One request finds the same route two hundred times, so that finding shows beside all
that nginx and gunicorn do (apps/five_hundred_routes.py). Before you look: does your router try the
patterns one after the other? By how much will the two lines differ?
"""

import random

from two_sides import Site, Visitor, at_most

NUMBERS = {"the first": 0, "the last": 499}


class Finder(Visitor):
    """Looks for one route, and that the right one answers with the right id."""

    ways = {"the first": "/many/first", "the last": "/many/last"}

    def visit(self, site: Site) -> None:
        number = random.randrange(1000)
        found = f"200 times {NUMBERS[site.way]} {number}\n".encode()
        site.get(f"?id={number}", body=found)


# Neither end of the list may be the slow one.
at_most("the last", 2.0, "the first")
at_most("the first", 2.0, "the last")
