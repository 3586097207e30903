"""Load for lab 13: two hundred members in one room; three speak at once, and all must hear all of it.

`make load-13` runs it; `UI=1 make load-13` shows locust's own page. Before you look: each message is one
frame in and two hundred out. What costs most of the time, and what would one slow member add to it?
"""

import contextlib
import json
import random

import gevent
import websocket
from gevent.event import Event
from two_sides import PATIENCE, Side, Site, Visitor, fact

MEMBERS = 200
AT_ONCE = 3
TEXT, PING = 1, 9  # opcodes


class Member:
    """Somebody in the room, who notes the number of everything that is said."""

    def __init__(self, site: Site, room: str, name: str) -> None:
        host, port = site.address
        url = f"ws://{host}:{port}/rooms/{room}?name={name}"
        self.site, self.name = site, name
        self.socket = websocket.create_connection(url, timeout=PATIENCE, subprotocols=["chat.json"])
        self.heard = 0  # the number of what was heard last
        self.news = Event()

    def listen(self) -> None:
        """Read until the end; a number that is not the next one is a fault.

        Twenty thousand arrivals are announced while two hundred come: frames are taken apart here, many at
        once, for websocket-client reads them one by one.
        """
        self.socket.settimeout(None)
        rest = b""
        with contextlib.suppress(OSError):  # whoever waits for this member finds that it heard no more
            while data := self.socket.sock.recv(65536):
                rest = self.take(rest + data)

    def take(self, data: bytes) -> bytes:
        """Hear the whole frames in these bytes; what remains (RFC 6455 §5.2, frames without a mask)."""
        place = 0
        while len(data) >= place + 2:
            opcode, size, start = data[place] & 15, data[place + 1], place + 2
            if size == 126:  # and if its two bytes are not there yet, `start` is beyond the end
                size, start = int.from_bytes(data[start : start + 2], "big"), start + 2
            if len(data) < start + size:
                break
            place = start + size
            self.hear(opcode, data[start:place])
        return data[place:]

    def hear(self, opcode: int, payload: bytes) -> None:
        if opcode == PING:
            self.socket.pong(payload)
        if opcode != TEXT or b'"number"' not in payload:
            return
        number = json.loads(payload)["number"]
        self.site.expect(number > self.heard, "a message came twice, or after a later one")
        self.site.expect(number <= self.heard + 1, "a message was left out")
        self.site.saw("heard", "times")
        self.heard = number
        self.news.set()

    def wait_for(self, number: int) -> None:
        """Return when this message has been heard."""
        while self.heard < number:
            self.news.clear()
            self.news.wait()


class Hall(Visitor):
    """Brings two hundred members to each side, once; then, turn by turn, one of them speaks."""

    def __init__(self, environment: object) -> None:
        """Fill both rooms. A run's seconds are counted from when this has been done."""
        super().__init__(environment)
        super().on_start()
        self.rooms: dict = {site.side: [] for site in self.sites}
        for site in self.sites:
            self.fill(site, self.rooms[site.side])

    def on_start(self) -> None:
        """Nothing: the sites are there already."""

    def visit(self, site: Site) -> None:
        members = self.rooms[site.side]
        last = members[0].heard + AT_ONCE
        with site.timed("three messages, heard by two hundred"):
            for member in random.sample(members, AT_ONCE):
                member.socket.send(json.dumps({"text": f"by {member.name}"}))
                site.saw("said", "times")
            with gevent.Timeout(PATIENCE, False):
                for member in members:
                    member.wait_for(last)
            deaf = sum(member.heard < last for member in members)
        site.expect(deaf == 0, f"not every member heard a message within {PATIENCE:g} s")

    def fill(self, site: Site, members: list) -> None:
        """Let two hundred members in, ten at a time."""
        room = f"hall-{random.randrange(10**9)}"
        for first in range(0, MEMBERS, 10):
            names = [f"Ada{number}" for number in range(first, first + 10)]
            coming = [gevent.spawn(Member, site, room, name) for name in names]
            gevent.joinall(coming, raise_error=True)
            for one in coming:
                members.append(one.value)
                site.saw("member", one.value.name)
                gevent.spawn(one.value.listen)

    def on_stop(self) -> None:
        for members in self.rooms.values():
            for member in members:
                member.socket.shutdown()


@fact("two hundred members were in the room")
def all_came(side: Side) -> str:
    came = len(side.saw["member"])
    return "" if came == MEMBERS else f"{came} came in"


@fact("what was said was heard two hundred times, once by each, in order")
def all_heard(side: Side) -> str:
    said, heard = side.saw["said"]["times"], side.saw["heard"]["times"]
    return "" if heard == said * MEMBERS > 0 else f"{said} messages were heard {heard} times in all"
