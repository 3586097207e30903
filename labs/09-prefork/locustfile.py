"""Load for lab 9: a reload and a killed worker in the middle of a run, and nobody outside notices.

`make load-9` runs it; `UI=1 make load-9` shows locust's own page. Before you look: two workers are asked for.
How many process ids will have answered when the run is over?
"""

import signal

from two_sides import Side, Site, Visitor, fact, moment

WORKERS = 2


class Customer(Visitor):
    """Asks for something that takes a few milliseconds, and notes who answered."""

    def visit(self, site: Site) -> None:
        answer = site.get("/slow?seconds=0.005")
        if answer.status_code == 200:
            site.saw("pid", answer.json()["pid"])
            site.saw("arbiter", answer.json()["parent"])


@moment(0.3, "reload")
def reload(side: Side) -> None:
    side.signal("main", signal.SIGHUP)


@moment(0.6, "kill a worker")
def kill_a_worker(side: Side) -> None:
    """With SIGKILL: it can't finish anything, and nginx asks somebody else."""
    worker = side.pids("main")[-1]
    side.saw["killed"][str(worker)] += 1
    side.signal("main", signal.SIGKILL, worker)


@fact("every worker answered: two, two after the reload, one for the one that was killed")
def every_worker_answered(side: Side) -> str:
    answered, wanted = len(side.saw["pid"]), 2 * WORKERS + 1
    return "" if answered >= wanted else f"{answered} processes answered, not {wanted}"


@fact("the arbiter is the same as before, and has its workers")
def arbiter_is_the_same(side: Side) -> str:
    arbiters, pids = list(side.saw["arbiter"]), side.pids("main")
    if arbiters != [str(pids[0])]:
        return f"workers of {', '.join(arbiters)}; now it is {pids[0]}"
    left = set(pids[1:]) & {int(pid) for pid in side.saw["killed"]}
    return f"{len(left)} killed worker(s) never waited for" if left else ""
