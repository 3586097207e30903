"""Load for lab 5: the tasks API on your server, and twenty-millisecond naps in one thread and in four.

`make load-5` runs it; `UI=1 make load-5` shows locust's own page. Before you look: sixteen users, one thread
that sleeps for 20 ms in each request. How long does a request take? And with four threads?
"""

import random
import string

from two_sides import Side, Site, Visitor, at_most, fact

LETTERS = string.ascii_letters + "éß中"


class User(Visitor):
    """Makes a task, reads it back and deletes it; takes naps, each with a name of its own."""

    ways = {"tasks": "/", "one thread": "/one/", "four threads": "/four/"}

    def visit(self, site: Site) -> None:
        name = "".join(random.choices(LETTERS, k=12))
        if site.way == "tasks":
            self.task(site, name)
        else:
            self.nap(site, name)

    def task(self, site: Site, title: str) -> None:
        made = site.post("/tasks", json={"title": title}, status=201)
        if made.status_code != 201:
            return
        number = made.json()["id"]
        site.saw("id", number)
        read = site.get(f"/tasks/{number}", name="read")
        site.expect(read.status_code != 200 or read.json()["title"] == title, "somebody else's task")
        site.request("DELETE", f"/tasks/{number}", status=204, name="delete")

    def nap(self, site: Site, name: str) -> None:
        answer = site.get("/do/nap", params={"name": name, "seconds": "0.02"})
        if answer.status_code == 200:
            said = answer.json()
            site.expect(said["name"] == name.encode().decode("latin-1"), "somebody else's nap")
            site.saw(f"at once, {site.way}", said["at_once"])


@fact("no id was given twice")
def no_id_twice(side: Side) -> str:
    twice = [number for number, times in side.saw["id"].items() if times > 1]
    return f"given twice: {twice[:5]}" if twice else ""


@fact("four threads ran four requests at once, and one ran one")
def threads_are_used(side: Side) -> str:
    seen = {
        way: max(map(int, side.saw[f"at once, {way}"]), default=0) for way in ("one thread", "four threads")
    }
    wrong = [f"{most} at once in {way}" for way, most in seen.items() if most != way.startswith("f") * 3 + 1]
    return ", ".join(wrong)


# Sixteen users before one thread wait for each other: before four they wait less.
at_most("four threads", 0.9, "one thread")
