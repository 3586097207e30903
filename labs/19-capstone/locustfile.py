"""Load for lab 19: an instance is killed and another one reloaded in the middle of a run, and nobody notices.

`make load-19` runs it; `UI=1 make load-19` shows locust's own page. Before you look: instance one gets
SIGKILL with requests in its hands, and instance two SIGTERM, a little later. How many reads fail? How many of
the tasks that were acknowledged with 201 are there at the end?
"""

import json
import random
import signal
import time
from typing import Any

import gevent
from two_sides import Side, Site, Visitor, fact, moment

BACK = 8.0  # seconds until an instance that was told to end has ended
TRUST = 1.5  # seconds until nginx surely asks one again that had failed: fail_timeout, and a little


class Colleague(Visitor):
    """Creates a task, reads and changes it, and asks for something that is in flight for a while."""

    def visit(self, site: Site) -> None:
        site.get("/static/style.css")
        site.get("/slow?seconds=0.05")
        made = self.create(site)
        if made is not None:
            path = f"/tasks/{made['id']}"
            site.expect(site.get(path, name="a task").status_code != 404, "a created task is not found")
            site.request("PUT", path, json={"title": made["title"], "done": True}, name="a task is done")

    def create(self, site: Site) -> Any:
        """A new task; None when it was not acknowledged: then nobody knows, and that is no fault."""
        title = f"Call Ada {random.randrange(10**9)}"
        with self.client.post(f"{site.url}/tasks", json={"title": title}, catch_response=True) as answer:
            answer.success()
        if answer.status_code != 201:
            site.expect(answer.status_code in (0, 502, 504), f"status {answer.status_code} for a create")
            return None
        made = answer.json()
        site.expect(made["title"] == title, "another title than the one that was sent")
        site.saw("acknowledged", made["id"])
        site.saw("instance", answer.headers.get("x-instance"))
        return made


def again(side: Side, name: str) -> None:
    """Wait until an instance has ended, then start it."""
    end = time.monotonic() + BACK
    while side.ask("status", service=name)["state"] == "running" and time.monotonic() < end:
        time.sleep(0.05)
    side.ask("start", service=name)
    side.saw["ended"][name] += 1


ACCIDENTS: list[gevent.Greenlet] = []


@moment(0.2, "SIGKILL to one, then SIGTERM to two")
def begin_accidents(side: Side) -> None:
    """On both sides at once; on each of them one instance after the other."""
    ACCIDENTS.append(gevent.spawn(accidents, side))


def accidents(side: Side) -> None:
    for name, number in (("one", signal.SIGKILL), ("two", signal.SIGTERM)):
        side.signal(name, number)
        again(side, name)
        time.sleep(TRUST)


@fact("no acknowledged task is lost, and none was given twice")
def every_task_is_there(side: Side) -> str:
    gevent.joinall(ACCIDENTS, timeout=BACK)
    acknowledged = side.saw["acknowledged"]
    twice = [number for number, times in acknowledged.items() if times > 1]
    if twice:
        return f"given twice: {', '.join(twice[:5])}"
    status, body = side.fetch("/tasks")
    there = {str(task["id"]) for task in json.loads(body)} if status == 200 else set()
    lost = set(acknowledged) - there
    return f"{len(lost)} of {len(acknowledged)} are not there" if lost or not acknowledged else ""


@fact("both instances took tasks, and both ended once")
def both_took_part(side: Side) -> str:
    took, ended = sorted(side.saw["instance"]), sorted(side.saw["ended"])
    return "" if took == ended == ["one", "two"] else f"tasks were taken by {took}; {ended} ended"
