"""Load for lab 15: workers are told to end in the middle of a run, one after the other, and nobody notices.

`make load-15` runs it; `UI=1 make load-15` shows locust's own page. Before you look: three workers are asked
for, and each of them is sent SIGTERM once. How many process ids will have answered? How many requests fail?
"""

import signal

from two_sides import Side, Site, Visitor, fact, moment

WORKERS = 3
TOLD = 3


class Guest(Visitor):
    """Asks for something that is in flight for a while, and notes who answered."""

    ways = {"": "/workers/"}

    def visit(self, site: Site) -> None:
        answer = site.get("/slow?seconds=0.05")
        if answer.status_code == 200:
            said = answer.json()
            site.saw("pid", said["pid"])
            site.saw("parent", said["parent"])
            site.expect(said["started"], "an answer of an application that had not started")


def end_a_worker(side: Side) -> None:
    """SIGTERM to one that has answered, and was not told yet."""
    there = {str(pid) for pid in side.pids("workers")[1:]}
    fresh = [pid for pid in side.saw["pid"] if pid in there and pid not in side.saw["told"]]
    if fresh:
        side.saw["told"][fresh[0]] += 1
        side.signal("workers", signal.SIGTERM, int(fresh[0]))


for number in range(1, TOLD + 1):
    moment(number / (TOLD + 2), f"SIGTERM {number}")(end_a_worker)


@fact("three workers were told to end; each finished, left, and has a successor")
def everybody_was_replaced(side: Side) -> str:
    told, there = set(side.saw["told"]), {str(pid) for pid in side.pids("workers")[1:]}
    if len(told) < TOLD:
        return f"only {len(told)} worker(s) ever answered, and could be told"
    if told & there:
        return f"{len(told & there)} of them are still there"
    successors = there - told
    return "" if len(successors) >= WORKERS else f"{len(successors)} workers are left of {WORKERS}"


@fact("one parent, from the first request to the last")
def parent_is_the_same(side: Side) -> str:
    parents, now = list(side.saw["parent"]), side.pids("workers")[0]
    return "" if parents == [str(now)] else f"workers of {', '.join(parents)}; now it is {now}"
