"""Inner applications that follow a script and log what was done to them."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import Any

from workshop.run.probe_log import Log


class ScriptedWSGI:
    """A WSGI application that does what its script says and logs what was done to it.

    The script's keys: status, headers, chunks, write (chunks sent through write first), read (how much of
    wsgi.input to read, -1 for all), raises ("call", "iteration" or "close"), exc_info (start again with an
    exception after the first chunk), late_start (start_response only when the first chunk is asked for),
    name (to tell several apart), and environ (which keys of the environ to log).
    """

    def __init__(self, script: dict[str, Any], log: Log) -> None:
        self.script, self.log = script, log
        self.name = script.get("name", "inner")

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        keys = self.script.get("environ", ["REQUEST_METHOD", "SCRIPT_NAME", "PATH_INFO", "QUERY_STRING"])
        self.log.add("inner called", name=self.name, environ={key: environ.get(key) for key in keys})
        if self.script.get("read"):
            self.log.add("inner read", name=self.name, data=environ["wsgi.input"].read(self.script["read"]))
        if self.script.get("raises") == "call":
            raise RuntimeError(f"{self.name} raises when called")
        if not self.script.get("late_start"):
            self._start(start_response)
        return _ScriptedBody(self, start_response)

    def _start(self, start_response: Any) -> None:
        write = start_response(
            self.script.get("status", "200 OK"),
            [tuple(pair) for pair in self.script.get("headers", [("Content-Type", "text/plain")])],
        )
        for data in self.script.get("write", []):
            write(data)

    def _start_again(self, start_response: Any) -> None:
        try:
            raise ValueError(f"{self.name} failed after its first chunk")
        except ValueError:
            start_response("500 Failed", [("Content-Type", "text/plain")], sys.exc_info())


class _ScriptedBody:
    def __init__(self, app: ScriptedWSGI, start_response: Any) -> None:
        self.app, self.start_response = app, start_response
        self.chunks: list[bytes] = list(app.script.get("chunks", [b"inner body"]))
        self.index = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        script, log = self.app.script, self.app.log
        if self.index == 0 and script.get("late_start"):
            self.app._start(self.start_response)
        if self.index == 1 and script.get("exc_info"):
            self.app._start_again(self.start_response)
        if self.index >= len(self.chunks):
            log.add("inner exhausted", name=self.app.name)
            raise StopIteration
        if script.get("raises") == "iteration" and self.index == len(self.chunks) - 1:
            raise RuntimeError(f"{self.app.name} raises while it is iterated")
        self.index += 1
        log.add("inner chunk", name=self.app.name, number=self.index)
        return self.chunks[self.index - 1]

    def close(self) -> None:
        self.app.log.add("inner closed", name=self.app.name)
        if self.app.script.get("raises") == "close":
            raise RuntimeError(f"{self.app.name} raises in close")


class ScriptedASGI:
    """An ASGI application that does what its script says.

    The script's `steps` are ["receive"], ["send", message], ["raise", text], ["wait"] (for ever) and
    ["receive until", type]; `name` tells several apart; `scope` lists the scope's keys to log.
    """

    def __init__(self, script: dict[str, Any], log: Log) -> None:
        self.script, self.log = script, log
        self.name = script.get("name", "inner")

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        keys = self.script.get("scope", ["type", "method", "path", "root_path"])
        self.log.add("inner called", name=self.name, scope={key: scope.get(key) for key in keys})
        try:
            for step in self.script["steps"]:
                await self._step(step, receive, send)
        except asyncio.CancelledError:
            self.log.add("inner cancelled", name=self.name)
            raise
        finally:
            self.log.add("inner ended", name=self.name)

    async def _step(self, step: list[Any], receive: Any, send: Any) -> None:
        what = step[0]
        if what == "send":
            await send(step[1])
        elif what == "raise":
            raise RuntimeError(step[1])
        elif what == "wait":
            await asyncio.Event().wait()
        elif what == "receive":
            self.log.add("inner received", name=self.name, message=await receive())
        else:
            while True:
                message = await receive()
                self.log.add("inner received", name=self.name, message=message)
                if message["type"] == step[1] and not message.get("more_body"):
                    return
