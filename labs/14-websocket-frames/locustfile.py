"""Load for lab 14: WebSockets through nginx, with messages that are long, and messages in many fragments.

`make load-14` runs it; `UI=1 make load-14` shows locust's own page. Before you look: a megabyte has a million
bytes to unmask. What does that cost in Python, and who waits meanwhile?
"""

import os
import random

from two_sides import PATIENCE, Side, Site, Visitor, at_most, fact
from websocket import ABNF, WebSocket, create_connection

LONG = 128 * 1024  # bytes of a message
FRAGMENTS = 64  # frames of the same message


class Talker(Visitor):
    """Says something that nobody else says, and wants to hear it back; then closes, and wants an answer."""

    ways = {"one frame": "/", "64 fragments": "/"}

    def visit(self, site: Site) -> None:
        data = os.urandom(16) * (LONG // 16)
        link = create_connection(site.url.replace("http://", "ws://"), timeout=PATIENCE)
        try:
            with site.timed("three messages"):
                for _ in range(3):
                    self.say(link, data, site.way)
                    _, heard = link.recv_data()
                    site.expect(heard == data, f"an echo that is not what was said, but {len(heard)} bytes")
            code = random.choice([1000, 1001, 4001])
            site.saw("closed", closed_with(link, code) == code)
        finally:
            link.shutdown()

    def say(self, link: WebSocket, data: bytes, way: str) -> None:
        size = len(data) if way == "one frame" else len(data) // FRAGMENTS
        for start in range(0, len(data), size):
            opcode = ABNF.OPCODE_CONT if start else ABNF.OPCODE_BINARY
            last = int(start + size >= len(data))
            link.send_frame(ABNF.create_frame(data[start : start + size], opcode, last))


def closed_with(link: WebSocket, code: int) -> int:
    """Close with a code; the code of the answer, 1005 when there is none."""
    link.send_close(code, b"bye")
    answer = link.recv_frame()
    return int.from_bytes(answer.data[:2], "big") if answer.opcode == ABNF.OPCODE_CLOSE else 1005


@fact("every Close is answered with the same code")
def closed(side: Side) -> str:
    wrong = side.saw["closed"]["False"]
    return f"{wrong} connections were not" if wrong else ""


at_most("64 fragments", 4.0, "one frame")
