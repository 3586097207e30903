"""Inner applications that follow a script, which is not theirs: each step is asked for when it is due.

The script is with the agent (call_record.py), and so is what is noted of it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from typing import Any

from workshop.run.probe_log import Log
from workshop.run.probe_values import encode

Decode = Callable[[Any], Any]


class ScriptedWSGI:
    """A WSGI application that does what its script says; what is done to it is noted.

    The script's keys: status, headers, chunks, write (chunks sent through write first), read (how much of
    wsgi.input to read, -1 for all), raises ("call", "iteration" or "close"), exc_info (start again with an
    exception after the first chunk), late_start (start_response only when the first chunk is asked for),
    name (to tell several apart), and environ (which keys of the environ to note).
    """

    def __init__(self, number: int, log: Log, decode: Decode) -> None:
        self._number, self._log, self._decode = number, log, decode

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        call, closing = self._log.begin(self._number)
        said: Any = None
        while True:
            what, *details = self._log.go_on(call, said)
            said = None
            if what == "environ":
                said = {key: encode(environ.get(key)) for key in details[0]}
            elif what == "read":
                said = encode(environ["wsgi.input"].read(details[0]))
            elif what == "start":
                _start(start_response, self._decode(details))
            elif what == "body":
                return _ScriptedBody(self._log, (call, closing), start_response, self._decode)
            else:
                raise RuntimeError(details[0])


def _start(start_response: Any, details: list[Any]) -> None:
    status, headers, written = details
    write = start_response(status, [tuple(pair) for pair in headers])
    for data in written:
        write(data)


def _start_again(start_response: Any, why: str) -> None:
    try:
        raise ValueError(why)
    except ValueError:
        start_response("500 Failed", [("Content-Type", "text/plain")], sys.exc_info())


class _ScriptedBody:
    def __init__(self, log: Log, numbers: tuple[int, int], start_response: Any, decode: Decode) -> None:
        self._log, self._decode, self._start_response = log, decode, start_response
        self._call, self._closing = numbers

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        while True:
            what, *details = self._log.go_on(self._call)
            if what == "chunk":
                chunk: bytes = self._decode(details[0])
                return chunk
            if what == "start":
                _start(self._start_response, self._decode(details))
            elif what == "start again":
                _start_again(self._start_response, details[0])
            elif what == "raise":
                raise RuntimeError(details[0])
            else:
                raise StopIteration

    def close(self) -> None:
        if raises := self._log.go_on(self._closing):
            raise RuntimeError(raises)


class ScriptedASGI:
    """An ASGI application that does what its script says.

    The script's `steps` are ["receive"], ["send", message], ["raise", text], ["wait"] (for ever) and
    ["receive until", type]; `name` tells several apart; `scope` lists the scope's keys to note; with `sends`
    it is noted, too, when a `send` has returned.
    """

    def __init__(self, number: int, log: Log, decode: Decode) -> None:
        self._number, self._log, self._decode = number, log, decode

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        import asyncio  # which runs this

        call, ending = self._log.begin(self._number)
        _, keys = self._log.go_on(call)
        step = self._log.go_on(call, {key: encode(scope.get(key)) for key in keys})
        try:
            while step is not None:
                step = self._log.go_on(call, await self._step(step, receive, send))
        except asyncio.CancelledError:
            self._log.go_on(ending, "cancelled")
            raise
        finally:
            self._log.go_on(ending, "ended")

    async def _step(self, step: list[Any], receive: Any, send: Any) -> Any:
        what = step[0]
        if what == "receive":
            return encode(await receive())
        if what == "send":
            await send(self._decode(step[1]))
        elif what == "raise":
            raise RuntimeError(step[1])
        else:
            import asyncio

            await asyncio.Event().wait()
        return None
