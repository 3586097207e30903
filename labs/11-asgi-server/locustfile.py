"""Load for lab 11: naps on one event loop, beside a thousand connections that say nothing.

`make load-11` runs it; `UI=1 make load-11` shows locust's own page. Before you look: twelve users sleep for
50 ms in your server, eight times at the same moment. How long does the last of the eight wait? And what do a
thousand idle connections add to it?
"""

import json
import random
import socket

import gevent
from two_sides import Side, Site, Visitor, fact, moment

IDLE = 1000
TOGETHER = 8
idle: dict[str, list[socket.socket]] = {}


class Sleeper(Visitor):
    """Naps, alone and eight at once; each has a name of its own."""

    def visit(self, site: Site) -> None:
        self.nap(site, f"alone-{random.randrange(10**9)}")
        names = [f"{random.randrange(10**9)}-{number}" for number in range(TOGETHER)]
        jobs = [gevent.spawn(self.nap, site, name) for name in names]
        gevent.joinall(jobs, raise_error=True)

    def nap(self, site: Site, name: str) -> None:
        answer = site.get("/patient/do/nap", params={"name": name, "seconds": "0.05"})
        if answer.status_code == 200:
            said = answer.json()
            site.expect(said["name"] == name, "somebody else's nap")
            site.saw("at once", said["at_once"])


@moment(0.05, "a thousand idle connections")
def open_them(side: Side) -> None:
    """Directly to the service: nginx would keep idle clients from it."""
    port = side.ask("start", service="patient")["port"]
    mine = idle.setdefault(side.name, [])
    for _ in range(IDLE):
        connection = socket.create_connection(("127.0.0.1", port), timeout=3)
        connection.sendall(b"GET /do/ignore?name=idle HTTP/1.1\r\nHost: localhost\r\n\r\n")
        mine.append(connection)
        gevent.sleep(0)


def still_there(connection: socket.socket) -> bool:
    """Whether an idle connection has had its first answer, and has a second one for the asking."""
    request = b"GET /do/ignore?name=again HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    try:
        connection.settimeout(3)
        connection.sendall(request)
        data = b""
        while piece := connection.recv(65536):
            data += piece
        return data.count(b" 200 ") == 2 and b'"again"' in data
    except OSError:
        return False


@fact("a thousand idle connections are answered when they speak again")
def idle_ones_live(side: Side) -> str:
    mine = idle.get(side.name, [])
    alive = sum(map(still_there, mine))
    for connection in mine:
        connection.close()
    return "" if alive == IDLE else f"{alive} of {IDLE} idle connections were"


@fact("eight naps were slept at once")
def side_by_side(side: Side) -> str:
    most = max(map(int, side.saw["at once"]), default=0)
    return "" if most >= TOGETHER else f"at most {most} at once"


@fact("the service answers beside them")
def answers(side: Side) -> str:
    status, body = side.fetch("/do/ignore?name=Ada", "/patient")
    return "" if status == 200 and json.loads(body) == {"ignored": "Ada"} else f"status {status}"
