"""Services that a check asks for: they are started first, and what they write from then on is the check's."""

from __future__ import annotations

import signal
import time
from pathlib import Path
from typing import Any

from workshop.judge.concurrent_checks import Means
from workshop.judge.diagnosis import application_of
from workshop.judge.http_client import Client, Clock, Trail
from workshop.judge.probe_client import import_trouble
from workshop.judge.stack import Address, Stack
from workshop.judge.start_failure import StartTrouble

ENDED_WITHIN = 5.0  # seconds
POLL = 0.01


def started(stack: Stack, trail: Trail, name: str, hurry: bool = False) -> dict[str, Any]:
    """Start a service where it does not run: what the agent says of it.

    Raises StartTrouble, or ProbeTrouble where its application does not import: a server may listen all the
    same, with nobody behind it.
    """
    trail.service = name
    module = application_of(stack.lab.services[name])
    if module in stack.not_imported:
        reply = stack.not_imported[module]
        raise import_trouble(reply, Path(reply["folder"]))
    reply = stack.ask("start", service=name, **({"hurry": True} if hurry else {}))
    if reply["state"] != "ready":
        raise StartTrouble(reply)
    if reply.get("listener"):
        stack.listeners[name] = reply["listener"]
    trail.marks.setdefault(name, reply["mark"])
    trail.latest[name] = reply["mark"]
    return reply


class Services:
    """service("slow"), for a check that runs beside others: a Client of that service, which is up.

    A service that a failed check has left begins anew.
    """

    def __init__(self, means: Means) -> None:
        self.means = means
        self._clock = Clock(means.seconds)

    def __call__(self, name: str) -> Client:
        means = self.means
        means.used.add(name)
        if name in means.dirty:
            means.dirty.discard(name)
            end(means.stack, name)
        address = Address(means.stack.service_host, self._start(name)["port"])
        return Client(means.stack, means.trail, self._clock, address, name, self._start)

    def _start(self, name: str) -> dict[str, Any]:
        """Start it; the time that this takes is not the check's."""
        patience, began = self.means.run.patience, time.monotonic()
        reply = started(self.means.stack, self.means.trail, name, hurry=patience.is_short_for_starts)
        self._clock.forgive(time.monotonic() - began)
        patience.forgive(time.monotonic() - began)
        return reply


def end(stack: Stack, name: str) -> None:
    """End a service, if it runs: the next question starts it anew."""
    if stack.ask("status", service=name)["state"] == "running":
        stack.ask("signal", service=name, number=int(signal.SIGKILL))
        deadline = time.monotonic() + ENDED_WITHIN
        while stack.ask("status", service=name)["state"] == "running" and time.monotonic() < deadline:
            time.sleep(POLL)
