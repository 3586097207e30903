"""Applications that know when their lifespan began and ended, and say so in every answer.

GET  /            200   a report, as JSON: see `Witness.report`
GET  /?mark=Ada   200   the same; then leaves "Ada" in its own state and in the list that all requests share
POST /wait        200   the same, as soon as the whole body has come: the client decides when
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]


class Witness:
    """One application: how long its startup takes, and what it says at the end of startup and shutdown."""

    def __init__(self, seconds: float = 0.0, startup: str = "complete", shutdown: str = "complete") -> None:
        self.seconds, self.startup, self.shutdown = seconds, startup, shutdown
        self.calls = self.running = self.served = 0
        self.started = self.stopped = False
        self.loop: object = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.live(scope, receive, send)
        else:
            await self.serve(scope, receive, send)

    async def live(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.calls += 1
        if self.startup == "unknown":
            raise ValueError("this application knows http only")
        await receive()
        self.loop = asyncio.get_running_loop()
        if "state" in scope:
            scope["state"]["opened"] = "at startup"
            scope["state"]["shared"] = []
        await asyncio.sleep(self.seconds)
        if self.startup == "failed":
            await send({"type": "lifespan.startup.failed", "message": f"no room for process {os.getpid()}"})
            return
        self.started = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        self.stopped = True
        print(f"witness: shutdown with {self.running} in flight, {self.served} served", flush=True)
        said = {"message": f"process {os.getpid()} lost its keys"} if self.shutdown == "failed" else {}
        await send({"type": f"lifespan.shutdown.{self.shutdown}", **said})

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.running += 1
        try:
            while (event := await receive()).get("more_body"):
                pass
            if event["type"] == "http.disconnect":
                return
            body = json.dumps(self.report(scope)).encode()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": body})
            self.served += 1
        finally:
            self.running -= 1

    def report(self, scope: Scope) -> dict[str, Any]:
        """What is known now; a mark in the query is left after it."""
        state = scope.get("state")
        report = {
            "started": self.started,
            "stopped": self.stopped,
            "calls": self.calls,
            "same_loop": self.loop in (None, asyncio.get_running_loop()),
            "state": state,
        }
        kept = json.loads(json.dumps(report, default=repr))
        mark = scope["query_string"].decode().partition("mark=")[2]
        if mark and state is not None:
            state["mark"] = mark
            state.setdefault("shared", []).append(mark)
        assert isinstance(kept, dict)
        return kept


app = Witness()
slow = Witness(seconds=0.6)
refuses = Witness(startup="failed")
plain = Witness(startup="unknown")
bitter = Witness(shutdown="failed")
