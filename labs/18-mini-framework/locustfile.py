"""Load for lab 18: a task, and four reports at once, each of which blocks its thread for 0.2 s.

`make load-18` runs it; `UI=1 make load-18` shows locust's own page. Before you look: the handler of /report
is a plain function that sleeps. How long do four take, where it is called on the event loop, and where not?
"""

import random
import time

from two_sides import Side, Site, Visitor, at_most, fact

AT_ONCE = 4  # no more than the smallest pool of threads has, for two visitors together


class Reader(Visitor):
    """Makes a task and looks at it, asks for one report, or for four at once."""

    concurrency = AT_ONCE
    ways = {"a task": "/", "one report": "/", "four reports": "/"}

    def visit(self, site: Site) -> None:
        if site.way == "a task":
            self.make(site)
        elif site.way == "one report":
            self.ask(site)
        else:
            site.together(AT_ONCE, lambda: self.ask(site))

    def make(self, site: Site) -> None:
        title = f"Call Ada {random.randrange(10**9)}"
        made = site.post("/tasks", json={"title": title}, status=201)
        if made.status_code == 201:
            task = made.json()
            site.expect(task["title"] == title, "another title than the one that was sent")
            site.saw("id", task["id"])
            shown = site.get(f"/tasks/{task['id']}")
            site.expect(shown.status_code != 200 or shown.json() == task, "somebody else's task came")

    def ask(self, site: Site) -> None:
        seconds, began = random.uniform(0.19, 0.21), time.perf_counter()
        answer = site.get(f"/report?seconds={seconds:.3f}")
        took = time.perf_counter() - began
        site.expect(answer.status_code != 200 or took > seconds - 0.01, "a report that was not waited for")
        if answer.status_code == 200:
            site.saw("most", answer.json()["most"])


at_most("four reports", 2.0, "one report")


@fact("no id was given twice")
def no_id_twice(side: Side) -> str:
    twice = [one for one, times in side.saw["id"].items() if times > 1]
    return f"given twice: {', '.join(twice[:5])}" if twice else ""


@fact("reports ran side by side")
def side_by_side(side: Side) -> str:
    most = max((int(one) for one in side.saw["most"]), default=0)
    return "" if most >= AT_ONCE else f"at most {most} of {AT_ONCE} ran at once"
