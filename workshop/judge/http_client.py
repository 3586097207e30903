"""How a check asks over HTTP: through nginx, or a service directly, with whole requests or with raw bytes.

Whatever was asked last is kept in a `Trail`, so that a failure can say what was sent, and through which hops.
"""

from __future__ import annotations

import shlex
import sys
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from workshop.judge import http_wire
from workshop.judge.shown_bytes import show_bytes
from workshop.judge.stack import Address, Stack
from workshop.judge.wait_until_idle import Rest, is_through
from workshop.judge.websocket_client import ENDING, WebSocket
from workshop.run.nginx_config import is_own, shown

SENT_LINES = 4
CURL_SHOWN = 400  # characters: what is longer is nothing to copy


class Clock:
    """What is left of a check's time, in seconds of the wall clock."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    def forgive(self, seconds: float) -> None:
        """So many seconds were not the check's."""
        self._end += seconds

    def left(self, wanted: float | None = None) -> float:
        """The time that one question may take. Raises Deadline when the check's time is over."""
        left = self._end - time.monotonic()
        if left <= 0:
            raise http_wire.Deadline(f"the check was not through after {http_wire.spoken(self.seconds)}")
        return left if wanted is None else min(left, wanted)


@dataclass
class Trail:
    """What a check asked last. `via` is "nginx", "direct", "probe" or "" when nothing was asked yet."""

    via: str = ""
    service: str = ""
    connection: http_wire.Wire | None = None
    sent: str = ""
    curl: str = ""
    response: http_wire.Response | None = None
    used: set[str] = field(default_factory=set)  # services that were up for it
    marks: dict[str, int] = field(default_factory=dict)  # of each service's output, at its first request
    latest: dict[str, int] = field(default_factory=dict)  # … and at the request that is shown
    modules: list[str] = field(default_factory=list)
    probe_trace: list[str] = field(default_factory=list)
    probe_output: str = ""
    websockets: list[WebSocket] = field(default_factory=list)  # whose calls may not have ended
    probe_shape: str = ""  # what is odd in the shape of what the probe's call gave
    nginx_mark: int = 0  # of nginx's log of errors, when the check first went through it
    stack: Stack | None = None  # that was asked, where it is not the run's
    seed: int | None = None  # of the run, where the check varies its inputs with it

    @property
    def sent_text(self) -> str:
        return show_bytes(bytes(self.connection.sent)) if self.connection is not None else self.sent


class Client:
    """Speaks HTTP to one address: nginx, or a service directly.

    `wakes` is whether what has to be up for an answer is started first; without, what has ended stays so.
    """

    def __init__(
        self,
        stack: Stack,
        trail: Trail,
        clock: Clock,
        address: Address,
        service: str,
        start: Callable[[str], object],
    ) -> None:
        self._stack, self._trail, self._clock, self._start = stack, trail, clock, start
        self.address, self.service = address, service
        self.via = "direct" if service else "nginx"
        self.wakes = True

    def connect(
        self, receive_buffer: int | None = None, seconds: float | None = None, target: str = "/"
    ) -> http_wire.Wire:
        """A raw connection (use it with `with`); `receive_buffer` bytes make a slow reader.

        Through nginx, `target` says which of the lab's services has to be up for it.
        """
        self._note(target)
        made = http_wire.Wire(self.address.host, self.address.port, self._clock.left(seconds), receive_buffer)
        self._trail.connection = made
        made.used = self._shows(made)
        return made

    def _shows(self, wire: http_wire.Wire) -> Callable[[], None]:
        """What makes a connection the one that the report shows, when its own thread uses it again."""
        trail, thread = self._trail, threading.get_ident()
        service = trail.service

        def show() -> None:
            if trail.connection is not wire and threading.get_ident() == thread:
                trail.via, trail.service, trail.connection = self.via, service, wire
                trail.response, trail.sent, trail.curl = None, "", ""
                trail.latest.update(
                    dict.fromkeys(trail.latest, sys.maxsize)
                )  # printed since: by other requests

        return show

    def rests(self, seconds: float = 3.0) -> bool:
        """Wait until the service has nothing left to do, at most so long; whether that came."""
        return Rest(self._stack, self.service).comes(self._clock.left(seconds))

    def send(
        self, data: bytes, method: str = "GET", seconds: float | None = None, curl: str = ""
    ) -> http_wire.Response:
        """Raw bytes on a connection of their own; the first response to them. `curl` would send the same."""
        words = data.split(b" ", 2)
        target = words[1].decode("latin-1") if len(words) == 3 else "/"
        with self.connect(seconds=seconds, target=target) as connection:
            self._trail.curl = curl
            response = connection.ask(data, method)
        self._trail.response = response
        return response

    def request(
        self,
        method: str,
        target: str = "/",
        fields: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        seconds: float | None = None,
    ) -> http_wire.Response:
        """One request, one response. `Connection: close` is added unless the fields name it."""
        lines = list(fields)
        if not any(name.lower() == "connection" for name, _ in lines):
            lines.append(("Connection", "close"))
        data = http_wire.request_bytes(method, target, lines, body)
        return self.send(data, method, seconds, self._curl(method, target, fields, body))

    def get(self, target: str = "/", fields: Iterable[tuple[str, str]] = ()) -> http_wire.Response:
        return self.request("GET", target, fields)

    def websocket(
        self,
        target: str = "/",
        subprotocols: Sequence[str] = (),
        fields: Iterable[tuple[str, str]] = (),
        who: str = "",
        receive_buffer: int | None = None,
    ) -> WebSocket:
        """A WebSocket (use it with `with`), after its handshake; look at `refused` where a 403 is legal.

        The report shows what all of a check's WebSockets sent, in order, each line with its `who`.
        """
        self._await_calls(target)
        before = self._trail.sent if self._trail.connection is None else ""
        made = self.connect(receive_buffer, target=target)
        made.used = None  # the report shows messages, and no frames
        self._trail.connection, self._trail.sent, self._trail.curl = None, before, ""

        def log(line: str) -> None:
            lines = [*self._trail.sent.splitlines(), f"{who}: {line}" if who else line] if line else []
            self._trail.sent = "\n".join(lines[-SENT_LINES:]) or self._trail.sent

        opened = WebSocket(made, target, f"localhost:{self.address.port}", fields, subprotocols, log)
        if opened.refused is not None:
            self._trail.response = opened.refused
        self._trail.websockets.append(opened)
        return opened

    def _await_calls(self, target: str) -> None:
        """Wait until the calls of WebSockets that have ended are over: their traces are not the next's."""
        trail, service = self._trail, self.service or self._behind(target)
        ended = [one for one in trail.websockets if one.has_ended]
        if not ended:
            return
        trail.websockets = [one for one in trail.websockets if one not in ended]
        for one in ended:
            one.await_end()
        is_through(self._stack, service, ENDING)
        trail.marks[service] = self._stack.ask("status", service=service, since=sys.maxsize)["mark"]

    def wake(self, target: str) -> None:
        """Start what has to be up for an answer to a request for `target`."""
        for name in self._needed(self.service or self._behind(target)):
            self._start(name)

    def _note(self, target: str) -> None:
        self._trail.via, self._trail.service = self.via, self.service or self._behind(target)
        if self.wakes:
            self.wake(target)
        self._trail.response, self._trail.sent, self._trail.curl = None, "", ""

    def _needed(self, asked: str) -> list[str]:
        """What has to be up: the service asked, or all of them where the learner's nginx chooses."""
        lab = self._stack.lab
        if self.service or not is_own(lab):
            return [asked]
        return [service.name for service in shown(lab)]

    def _behind(self, target: str) -> str:
        """The service that nginx passes a target to: the longest prefix wins."""
        shown = [service for service in self._stack.lab.services.values() if service.at is not None]
        fitting = [one for one in shown if target.startswith(one.at or "/")] or shown
        return max(fitting, key=lambda one: len(one.at or "/")).name

    def _curl(self, method: str, target: str, fields: Iterable[tuple[str, str]], body: bytes) -> str:
        if self.service:
            return ""
        words = ["curl", "-v" if method != "HEAD" else "-vI"]
        if method not in ("GET", "HEAD") and not (method == "POST" and body):
            words += ["-X", method]
        for name, value in fields:
            words += ["-H", f"{name}: {value}"]
        if body:
            if len(body) > 200 or not body.isascii():
                return ""
            words += ["--data-binary", body.decode("ascii")]
        command = shlex.join([*words, f"{self._stack.public}{target}"])
        return command if len(command) < CURL_SHOWN else ""
