"""Reports to a room beside a watch: `python -m workshop.room.reporter --lab 5`. It ends with its input.

It reads two files under .workshop, and asks nothing of the watch: whatever becomes of the room, or of this
process, the watch goes on. There is no queue: what is sent is what is true when it is sent.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import select
import signal
import sys
import time

from workshop.errors import Refusal
from workshop.judge.http_wire import WireError
from workshop.labs import Lab, find
from workshop.room.joining import Member, keep_sent, member_of, reached
from workshop.room.room_report import RoomReport
from workshop.room.sent_report import Answer, Sender, report_now

LOOK_SECONDS = 0.5
LEAST_SECONDS = 1.0  # between two reports
ALIVE_SECONDS = 15.0
SEND_SECONDS = 2.0
LAST_SECONDS = 2.0
MOST_WAIT = 30.0  # between two attempts to reach a room that does not answer


class Reporter:
    def __init__(self, member: Member, lab: Lab) -> None:
        self.member, self.lab = member, lab
        self.sender = Sender(reached(member.host), member.port, member.token)
        self.began = time.monotonic()
        self.sent: RoomReport | None = None
        self.sent_at = self.next_at = 0.0
        self.wait = LEAST_SECONDS
        self.is_reached = True

    def run(self) -> None:
        """Until standard input ends; then what is new goes out, if the room was there a moment ago."""
        while not select.select([sys.stdin], [], [], LOOK_SECONDS)[0]:
            if time.monotonic() >= self.next_at:
                self.look(SEND_SECONDS)
        if self.is_reached and self.now() != self.sent:
            self.look(LAST_SECONDS)

    def now(self) -> RoomReport:
        minutes = int((time.monotonic() - self.began) / 60)
        return report_now(self.member.id, self.member.name, self.lab, minutes)

    def look(self, seconds: float) -> None:
        """Send what is new, or that they are still there."""
        report = self.now()
        if report != self.sent or time.monotonic() >= self.sent_at + ALIVE_SECONDS:
            self.send(report, seconds)

    def send(self, report: RoomReport, seconds: float) -> None:
        numbered = self.sender.numbered(report)
        keep_sent(numbered)
        try:
            answer = self.sender.send(numbered, seconds)
        except (WireError, OSError, ValueError) as error:  # ValueError: a host's name that can't be looked up
            self._have_failed(getattr(error, "got", None) or str(error))
            return
        if answer is not Answer.KEPT:
            self._have_failed(answer.value)
            return
        if not self.is_reached:
            self._say(answer.value)
        self.is_reached, self.sent, self.wait = True, report, LEAST_SECONDS
        self.sent_at = time.monotonic()
        self.next_at = self.sent_at + LEAST_SECONDS

    def _have_failed(self, why: str) -> None:
        """Say so once; try again later, and each time a little later."""
        if self.is_reached:
            self._say(f"{why}. Your lab goes on; the room hears of it as soon as it can")
        self.is_reached, self.sent = False, None
        self.wait = min(2 * self.wait, MOST_WAIT)
        self.next_at = time.monotonic() + self.wait

    def _say(self, what: str) -> None:
        line = f"\n— {time.strftime('%H:%M:%S')} · the room at {self.member.room}: {what} —\n"
        with contextlib.suppress(OSError):
            os.write(sys.stderr.fileno(), line.encode("utf-8", "replace"))


def main() -> None:
    parser = argparse.ArgumentParser(prog="workshop.room.reporter")
    parser.add_argument("--lab", required=True)
    options = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the watch, which ends us
    try:
        Reporter(member_of(os.environ), find(options.lab)).run()
    except Refusal as refusal:
        print(refusal, file=sys.stderr)


if __name__ == "__main__":
    main()
