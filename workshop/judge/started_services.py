"""Services that a check asks for: they are started first, and what they write from then on is the check's."""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from workshop.judge.concurrent_checks import Means
from workshop.judge.diagnosis import application_of
from workshop.judge.http_client import Client, Clock, Trail
from workshop.judge.probe_client import Probe, import_trouble
from workshop.judge.stack import Address, Stack
from workshop.judge.start_failure import ConfigurationTrouble, StartTrouble
from workshop.run.nginx_config import is_own

ENDED_WITHIN = 5.0  # seconds
POLL = 0.01


def started(stack: Stack, trail: Trail, name: str, hurry: bool = False) -> dict[str, Any]:
    """Start a service where it does not run: what the agent says of it.

    One that a failed check has left begins anew, when the next check first asks for it: what it was told
    there is not this check's. One that the lab gives has none of their code in it, and stays.

    Raises StartTrouble, or ProbeTrouble where its application does not import: a server may listen all the
    same, with nobody behind it.
    """
    trail.service = name
    if name not in trail.used and name in stack.dirty and not stack.lab.services[name].given:
        stack.dirty.discard(name)
        end(stack, name)
    trail.used.add(name)
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


def start(means: Means, name: str) -> dict[str, Any]:
    """Start a service for a check that has such means; the time that this takes is not the check's."""
    patience, began = means.run.patience, time.monotonic()
    reply = started(means.stack, means.trail, name, hurry=patience.is_short_for_starts)
    means.clock.forgive(time.monotonic() - began)
    patience.forgive(time.monotonic() - began)
    return reply


def through_nginx(stack: Stack, trail: Trail, clock: Clock, start: Callable[[str], object]) -> Client:
    """HTTP through nginx, as a browser would speak it. Raises ConfigurationTrouble for a lab's own nginx."""
    if stack.front is None:
        pytest.skip("there is no nginx on this machine")
    status = stack.ask("nginx")
    trail.nginx_mark = status.get("mark", 0)
    if is_own(stack.lab) and status.get("refused"):
        raise ConfigurationTrouble(status["refused"])
    return Client(stack, trail, clock, stack.front, "", start)


def front(means: Means) -> Client:
    """HTTP through nginx, for a check that runs beside others."""
    return through_nginx(means.stack, means.trail, means.clock, functools.partial(start, means))


def probe(means: Means) -> Probe:
    """Calls the learner's code, for a check that runs beside others."""
    return Probe(means.stack, means.trail, means.clock)


class Services:
    """service("slow"), for a check that runs beside others: a Client of that service, which is up."""

    def __init__(self, means: Means) -> None:
        self.means = means

    def __call__(self, name: str) -> Client:
        means = self.means
        starts = functools.partial(start, means)
        address = Address(means.stack.service_host, starts(name)["port"])
        return Client(means.stack, means.trail, means.clock, address, name, starts)


def end(stack: Stack, name: str) -> None:
    """End a service, if it runs: the next question starts it anew."""
    if stack.ask("status", service=name)["state"] == "running":
        stack.ask("signal", service=name, number=int(signal.SIGKILL))
        deadline = time.monotonic() + ENDED_WITHIN
        while stack.ask("status", service=name)["state"] == "running" and time.monotonic() < deadline:
            time.sleep(POLL)
