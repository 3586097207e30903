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
from workshop.run import nginx_config
from workshop.run.run_folder import RunFolder

BACKLOG = 256


def unix_listener(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(path)
    made.listen(BACKLOG)
    return made


class LabPage:
    """`url` is where it is, "" where there is none; `descriptor` can be read when `look_up` may find more."""

    def __init__(self, stack: Stack, target: str) -> None:
        self.url = ""
        self.viewers = 0
        self.descriptor = -1
        self._process: subprocess.Popen[bytes] | None = None
        self._feed, self._said = Feed(""), b""
        self._folder = RunFolder()
        with contextlib.suppress(OSError):
            page = self._listener(stack)
            if page is not None:
                with page:
                    self._start(["--lab", str(stack.lab.number), "--target", target], page)
        if self._process is None:
            self.url = ""

    def _listener(self, stack: Stack) -> socket.socket | None:
        """Behind nginx; where nginx is the learner's, or not there, on a port of its own."""
        if stack.front is not None and nginx_config.can_show_page(stack.lab):
            path = stack.run / nginx_config.PAGE
            path.unlink(missing_ok=True)
            made = unix_listener(str(path))
            path.chmod(0o666)  # in Docker nginx is another user
            self.url = f"{stack.public}{nginx_config.PAGE_AT}"
            return made
        if stack.mode == DOCKER:  # no port of this container's can be reached
            return None
        made = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{made.getsockname()[1]}{nginx_config.PAGE_AT}"
        return made

    def _start(self, words: list[str], page: socket.socket) -> None:
        """Start it with sockets that listen already: whoever comes before it is up waits there."""
        path = str(self._folder.path / "feed.sock")
        with unix_listener(path) as feed:
            descriptors = (page.fileno(), feed.fileno())
            words += ["--page", str(page.fileno()), "--feed", str(feed.fileno())]
            self._process = subprocess.Popen(
                [sys.executable, "-m", "workshop.page.page_server", *words],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                pass_fds=descriptors,
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
