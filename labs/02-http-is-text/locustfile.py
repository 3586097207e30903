"""Load for lab 2: the same server twice, keeping its connections and closing them.

`make load-2` runs it; `UI=1 make load-2` shows locust's own page. Before you look: how many connections does
nginx open to each for a thousand requests, and what does a new connection cost?
"""

import random

from two_sides import Side, Site, Visitor, fact


class Asker(Visitor):
    """Asks for a task of its own, and looks whether the mirror shows that one."""

    ways = {"kept": "/", "closed": "/closing/"}

    def visit(self, site: Site) -> None:
        target = f"/tasks/{random.randrange(10**6)}"
        answer = site.get(target, name=site.way)
        if answer.status_code == 200:
            site.expect(answer.content.startswith(f"GET {target} ".encode()), "the answer to another request")
            site.saw(site.way, answer.headers.get("X-Connection"))


@fact("nginx asks again on the connections that are kept")
def kept(side: Side) -> str:
    """nginx keeps up to 16 idle connections; ten users never need as many as one for four requests."""
    opened, answered = len(side.saw["kept"]), side.requests("kept")
    if opened * 4 <= answered:
        return ""
    return f"{opened} connections for {answered} requests: something closes them"


@fact("an answer with Connection: close is the last one on its connection")
def closed(side: Side) -> str:
    """Each connection number is seen once."""
    again = sum(1 for times in side.saw["closed"].values() if times > 1)
    return f"{again} connections answered again after they said close" if again else ""
