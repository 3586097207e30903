"""Load for lab 10: one slow report, then fifty at once, which should take less than twice as long.

`make load-10` runs it; `UI=1 make load-10` shows locust's own page. Before you look: a report sleeps for
0.4 s in a thread. How long do fifty take with asyncio.to_thread, whose pool has min(32, cpus + 4) threads?
"""

import json
import random
import time

import gevent
from two_sides import Side, Site, Visitor, at_most, fact

FIFTY = 50
NEARLY = 40  # of fifty: more than a default pool ever has, fewer than a crowded machine may miss


class Reader(Visitor):
    """Asks for one report, or for fifty on as many connections, and waits until all have come."""

    concurrency = FIFTY
    ways = {"one report": "/", "fifty at once": "/"}

    def visit(self, site: Site) -> None:
        count = FIFTY if site.way == "fifty at once" else 1
        asking = [gevent.spawn(self.ask, site) for _ in range(count)]
        gevent.joinall(asking, raise_error=True)

    def ask(self, site: Site) -> None:
        seconds, began = random.uniform(0.38, 0.42), time.perf_counter()
        answer = site.get(f"/report?seconds={seconds:.3f}", body=b"0 tasks, 0 done\n")
        took = time.perf_counter() - began
        site.expect(answer.status_code != 200 or took > seconds - 0.01, "a report that was not waited for")


at_most("fifty at once", 2.0, "one report")


@fact("fifty reports ran side by side")
def side_by_side(side: Side) -> str:
    status, body = side.fetch("/stats")
    if status != 200:
        return f"/stats was not answered (status {status}): something blocks the event loop"
    most = json.loads(body).get("most_reports", 0)
    return "" if most >= NEARLY else f"at most {most} ran at once"
