"""Load for lab 12: your server is restarted twice in the middle of a run, and no visit is lost.

`make load-12` runs it; `UI=1 make load-12` shows locust's own page. Before you look: while one process closes
its journal and the next one opens it, nobody accepts. What do the visitors of that moment get?
"""

import json
import signal
import uuid

from two_sides import Side, Site, Visitor, fact, moment

NAMES = ["Ada", "Grace", "Edsger", "Barbara"]


class Guest(Visitor):
    """Signs the book on your own server, each time under another name."""

    ways = {"": "/yours/"}

    def visit(self, site: Site) -> None:
        who = f"{NAMES[id(self) % len(NAMES)]}-{uuid.uuid4().hex[:12]}"
        answer = site.post(f"/visits?name={who}", status=201, name=f"{site.name} /visits")
        if answer.status_code == 201:
            site.saw("name", who)
            site.saw("number", answer.json()["number"])


@moment(0.3, "restart")
def restart(side: Side) -> None:
    side.signal("yours", signal.SIGHUP)


@moment(0.6, "restart again")
def restart_again(side: Side) -> None:
    side.signal("yours", signal.SIGHUP)


@fact("every visit that was answered is in the book, once")
def every_visit_once(side: Side) -> str:
    status, body = side.fetch("/visits", way="/yours/")
    if status != 200:
        return f"GET /visits: status {status}"
    book = json.loads(body)
    signed = set(book)
    lost = [who for who in side.saw["name"] if who not in signed]
    if lost:
        return f"{len(lost)} visits are not in the book, {lost[0]} for one"
    twice = len(book) - len(signed)
    return f"{twice} visits are in the book more than once" if twice else ""


@fact("no number was given twice")
def no_number_twice(side: Side) -> str:
    twice = [number for number, times in side.saw["number"].items() if times > 1]
    return f"given twice: {', '.join(twice[:5])}" if twice else ""
