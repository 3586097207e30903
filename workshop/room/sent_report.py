"""A learner's side of a report: what stands in it now, and one attempt to send it, in bounded time."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import replace
from enum import Enum

from workshop.judge.http_wire import Response, Wire, request_bytes
from workshop.labs import Lab
from workshop.last_verdicts import last_result
from workshop.learn.hints import level_given
from workshop.room.room_report import MOST_MINUTES, MOST_NUMBER, NoReport, RoomReport, parsed, signature


class Answer(Enum):
    """What a room said to a report, in words for its sender."""

    KEPT = "it is reached again"
    WRONG_TOKEN = "it does not know this TOKEN"
    FULL = "it is full"
    BUSY = "it can't keep reports now"
    OTHER_VERSION = "it can't read this report: is its course of another version?"
    NONSENSE = "what answers there is no room"


MEANS = {
    204: Answer.KEPT,
    401: Answer.WRONG_TOKEN,
    422: Answer.OTHER_VERSION,
    503: Answer.BUSY,
    507: Answer.FULL,
}


def report_now(id: str, name: str, lab: Lab, minutes: int) -> RoomReport:
    """Where a learner is, by the last whole verdict on their own files and the hints they have opened."""
    minutes = min(minutes, MOST_MINUTES)
    task, check, verdict = _standing(lab)
    hint = level_given(lab, task) if task is not None else 0
    try:
        return parsed(RoomReport(id, 0, name, lab.number, task, check, verdict, hint, minutes).as_bytes())
    except NoReport:  # a file of .workshop that is not as it was written
        return RoomReport(id, 0, name, lab.number, 1, None, None, 0, minutes)


def _standing(lab: Lab) -> tuple[int | None, str | None, str | None]:
    """The first check that does not pass: its task, name and verdict."""
    with suppress(KeyError, TypeError, AttributeError):  # likewise
        for check in (last_result(lab) or {"checks": [_NOT_JUDGED]})["checks"]:
            if check["verdict"] != "PASS":
                return check["task"], check["name"], check["verdict"]
        return None, None, "PASS"
    return 1, None, None


_NOT_JUDGED = {"task": 1, "name": None, "verdict": None}


class Sender:
    """Signs and sends. Each report has a higher number than the one before it, by this machine's clock.

    Where the room knows a higher one still (the clock was put back), it says so; numbers go on from there.
    """

    def __init__(self, host: str, port: int, token: str) -> None:
        self.host, self.port, self.token = host, port, token
        self._number = 0

    def numbered(self, report: RoomReport) -> RoomReport:
        self._number = max(self._number + 1, time.time_ns() // 1_000_000)
        return replace(report, number=self._number)

    def send(self, report: RoomReport, seconds: float) -> Answer:
        """Try once, or twice where only the number was wrong.

        Raises WireError when no answer comes in time, OSError or ValueError when the host's name is none.
        """
        until = time.monotonic() + seconds
        answer = self._ask(report, seconds)
        if answer.status == 409 and self._follow(answer.body):
            answer = self._ask(self.numbered(report), until - time.monotonic())
        return MEANS.get(answer.status, Answer.NONSENSE)

    def _ask(self, report: RoomReport, seconds: float) -> Response:
        body = report.as_bytes()
        fields = [
            ("Content-Type", "application/json"),
            ("Room-Signature", signature(body, self.token)),
            ("Connection", "close"),
        ]
        with Wire(self.host, self.port, seconds) as wire:
            wire.send(request_bytes("POST", "/reports", fields, body, f"{self.host}:{self.port}"))
            return wire.response("POST")

    def _follow(self, body: bytes) -> bool:
        """Take a room's word for the latest number, if it is one."""
        with suppress(ValueError, RecursionError, KeyError, TypeError):
            latest = json.loads(body)["number"]
            if type(latest) is int and 0 <= latest < MOST_NUMBER - 1:
                self._number = max(self._number, latest)
                return True
        return False
