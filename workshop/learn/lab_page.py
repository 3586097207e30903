"""The lab page beside a watch: its process, what it is told, and whether somebody looks at it.

Whatever becomes of it, the watch goes on: without a page nothing is told, and nobody looks.
"""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys

from workshop.judge.stack import DOCKER, Stack
from workshop.judge.verdict_feed import ENV, Feed
from workshop.paths import ROOT
from workshop.run import nginx_config, tcp_ports
from workshop.run.run_folder import RunFolder

BACKLOG = 256


class LabPage:
    """`url` is where it is, "" where there is none; `descriptor` can be read when `look_up` may find more."""

    def __init__(self, stack: Stack, target: str) -> None:
        self.url = ""
        self.viewers = 0
        self.descriptor = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._feed, self._said = Feed(""), b""
        self._folder = RunFolder()
        place = self._place(stack)
        if place:
            with contextlib.suppress(OSError):
                self._start(["--lab", str(stack.lab.number), "--target", target, *place])

    def _place(self, stack: Stack) -> list[str]:
        """Behind nginx; where nginx is the learner's, or not there, on a port of its own."""
        if stack.front is not None and nginx_config.can_show_page(stack.lab):
            self.url = f"{stack.public}{nginx_config.PAGE_AT}"
            return ["--socket", str(stack.run / nginx_config.PAGE)]
        if stack.mode == DOCKER:  # no port of this container's can be reached
            return []
        port = tcp_ports.free_port()
        self.url = f"http://127.0.0.1:{port}{nginx_config.PAGE_AT}"
        return ["--port", str(port)]

    def _start(self, words: list[str]) -> None:
        """Start it with a socket that listens already: what is told before it is up waits there."""
        path = str(self._folder.path / "feed.sock")
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(path)
            listening.listen(BACKLOG)
            descriptor = listening.fileno()
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workshop.page.page_server", *words, "--feed", str(descriptor)],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                pass_fds=(descriptor,),
            )
        self._feed = Feed(path)
        self.descriptor = self._feed.fileno()
        self.tell(watch=True)

    def environment(self) -> dict[str, str]:
        """With which a verdict's process tells the page what it finds."""
        return {ENV: str(self._folder.path / "feed.sock")} if self._process is not None else {}

    def tell(self, **message: object) -> None:
        self._feed.tell(**message)

    def look_up(self) -> None:
        """Read how many look at the page now."""
        data = self._feed.heard()
        if not data:
            self.descriptor, self.viewers = -1, 0
            return
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                self.viewers = int(json.loads(line)["viewers"])

    def end(self) -> None:
        self._feed.close()
        if self._process is not None:
            assert self._process.stdin is not None
            self._process.stdin.close()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.remove()
