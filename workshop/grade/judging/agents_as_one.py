"""The agents of two sandboxes as if they were one: a load run asks about `learner` and `reference`.

What comes out of a sandbox is checked before it is passed on (judge/agent_replies.py). A sandbox whose agent
misbehaved once is not asked again: the run hears that it could not be done, and `misbehaved` says why.
"""

from __future__ import annotations

import contextlib
import json
import socketserver
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from workshop.judge.agent_replies import Misbehaved
from workshop.judge.stack import Stack

REQUEST_CAP = 1 << 16


class TwoAgents:
    """Listens on agent.sock in `folder` within a `with` block; `ports` is where a crew's services are."""

    def __init__(self, folder: Path, crews: Mapping[str, Stack], ports: dict[str, dict[str, int]]) -> None:
        self.crews, self.ports = crews, ports
        self.misbehaved: dict[str, str] = {}
        self._server = _Server(str(folder / "agent.sock"), _Handler)
        self._server.board = self

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=[0.05], daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        crew = request.pop("crew", "learner")
        if crew in self.misbehaved:
            return {"error": self.misbehaved[crew]}
        try:
            reply = self.crews[crew].ask(request.pop("do"), **request)
        except Misbehaved as error:
            self.misbehaved[crew] = error.got
            return {"error": error.got}
        if "port" in reply:  # as the sandbox counts: here it is another one
            reply["port"] = self.ports[crew].get(request.get("service") or next(iter(self.ports[crew])))
        return reply


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):  # who asked has gone
            while line := self.rfile.readline(REQUEST_CAP):
                self.wfile.write(json.dumps(self.server.board.answer(json.loads(line))).encode() + b"\n")


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    board: TwoAgents
