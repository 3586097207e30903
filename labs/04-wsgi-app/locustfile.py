"""Load for lab 4: bursts of tasks created, and two changes to one at once. Nothing may be lost or doubled.

`make load-4` runs it. Before you look: sixteen threads share one dictionary. With the store as it was given
to you, how many of a thousand ids would be given twice?
"""

import json
import random

import gevent
from two_sides import Side, Site, Visitor, fact

BURST = 10  # requests in flight from one visitor; locust's client has so many connections


class Writer(Visitor):
    """Creates ten tasks at once; then changes the title and the done of the last one at the same time."""

    def visit(self, site: Site) -> None:
        gevent.joinall([gevent.spawn(self.create, site) for _ in range(BURST)])
        answer = self.create(site)
        if answer.status_code != 201:
            return
        number = answer.json()["id"]
        here, name = f"/tasks/{number}", f"{site.name} /tasks/…"
        title = f"Ask Grace {random.randrange(10**9)}"
        changes = [{"title": title}, {"done": True}]
        gevent.joinall(
            [gevent.spawn(site.request, "PATCH", here, json=change, name=name) for change in changes]
        )
        answer = site.get(here, name=name)
        task = {"id": number, "title": title, "done": True}
        site.expect(answer.status_code == 200 and answer.json() == task, "a change was lost")

    def create(self, site: Site):
        """One task, its id noted."""
        title = f"Ask Ada {random.randrange(10**9)}"
        answer = site.post("/tasks", json={"title": title}, status=201)
        if answer.status_code == 201:
            site.expect(answer.json()["title"] == title, "another title than the one that was sent")
            site.saw("id", answer.json()["id"])
        return answer


@fact("no id was given twice")
def no_id_twice(side: Side) -> str:
    ids = side.saw["id"]
    twice = [number for number, times in ids.items() if times > 1]
    return f"{len(twice)} of {len(ids)} ids were given twice: {', '.join(twice[:5])} …" if twice else ""


@fact("every task that was created is there")
def no_task_lost(side: Side) -> str:
    status, body = side.fetch("/tasks")
    if status != 200:
        return f"GET /tasks was answered with {status}"
    there = len(json.loads(body))
    made = sum(side.saw["id"].values())
    return f"{made} were created, and {there} are there" if there < made else ""
