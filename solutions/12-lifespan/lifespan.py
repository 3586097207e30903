"""The server's side of lifespan: what happens before the first request and after the last one.

Theory of operation. The application is called once more than there are requests, with a scope of type
"lifespan", in a task that lasts as long as the server. The two talk like this:

    server    ── lifespan.startup ──▶          ── lifespan.shutdown ──▶
    task           ◀── startup.complete ──          ◀── shutdown.complete ──     returns

`startup` and `shutdown` each give one event to the task and wait for its reply. What they wait for is either
a reply or the task's end, whichever comes first: an application may return or raise at any time, and a server
that waits for a reply only would then wait for ever.

What an ending means depends on how far things had come. Without any reply: this application does not know
lifespan, and is served all the same. After startup.failed: nothing, the reply counts. Later: nobody is left
to be told of the shutdown; and if it was an exception, something has failed that somebody must hear of.

`run` puts it in order: startup, listen, serve, stop accepting, drain, shutdown.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

import small_server

Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

STARTUP_FAILED = 3  # the process's exit code, as uvicorn has it
SHUTDOWN_FAILED = 4


class StartupFailed(Exception):
    """The application said lifespan.startup.failed; its message is the exception's."""


class ShutdownFailed(Exception):
    """The application said lifespan.shutdown.failed, with this message, or its lifespan raised."""


class Lifespan:
    """One application's lifespan, in a task of its own. `state` is what the application left for requests."""

    def __init__(self, application: Application) -> None:
        self.state: dict[str, Any] = {}
        self._application = application
        self._events: asyncio.Queue[Event] = asyncio.Queue()
        self._replies: asyncio.Queue[Event] = asyncio.Queue()
        self._last_reply = ""
        self._error: Exception | None = None  # what it raised after it had said that it was ready
        self._task: asyncio.Task[None] | None = None

    # --- task 2: startup

    async def startup(self) -> None:
        """Call the application and wait until it is ready, or has shown that it doesn't know lifespan.

        Raises StartupFailed when it says lifespan.startup.failed.
        """
        # ASGI lifespan, "Scope": the state is a namespace that the application fills.
        scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": self.state}
        # One task for both events: what is opened with `async with` is closed in the task that opened it.
        self._task = asyncio.create_task(self._run(scope))
        reply = await self._tell("lifespan.startup")
        if reply is not None and reply["type"] == "lifespan.startup.failed":
            # It may wait for more events, or raise (as Starlette does): neither matters now.
            raise StartupFailed(reply.get("message", ""))

    async def _run(self, scope: Scope) -> None:
        try:
            await self._application(scope, self._events.get, self._take_reply)
        except Exception as error:
            # ASGI lifespan, "Scope": an exception means that the application does not support this; go on.
            # After startup.complete it does, and something has failed: nobody else would ever say so.
            if self._last_reply.endswith(".complete"):
                self._error = error
                traceback.print_exc()

    async def _take_reply(self, event: Event) -> None:
        self._last_reply = event["type"]
        self._replies.put_nowait(event)

    async def _tell(self, type: str) -> Event | None:
        """Send an event and wait for the reply; None when the application ends without one."""
        assert self._task is not None
        self._events.put_nowait({"type": type})
        reply = asyncio.create_task(self._replies.get())
        await asyncio.wait({reply, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if reply.done():
            return reply.result()
        reply.cancel()
        # Both may have happened in one turn of the loop: a reply, and the end right after it.
        return None if self._replies.empty() else self._replies.get_nowait()

    # --- task 3: shutdown

    async def shutdown(self) -> None:
        """Tell the application that the last request is over, and wait until it has closed what it opened.

        Raises ShutdownFailed when it says lifespan.shutdown.failed, and when it has raised, now or earlier.
        An application that has ended by itself is not told anything.
        """
        assert self._task is not None
        if self._task.done():
            self._raise_error()
            return
        reply = await self._tell("lifespan.shutdown")
        if reply is not None and reply["type"] == "lifespan.shutdown.failed":
            raise ShutdownFailed(reply.get("message", ""))
        self._raise_error()

    def _raise_error(self) -> None:
        if self._error is not None:
            raise ShutdownFailed(f"the application raised {self._error!r}")


# --- task 2: state ----------------------------------------------------------------------------------


def with_state(application: Application, state: dict[str, Any]) -> Application:
    """The application, called with a copy of `state` in each scope."""

    async def called(scope: Scope, receive: Receive, send: Send) -> None:
        # ASGI lifespan, "Lifespan State": a shallow copy. What one request puts in is its own; the objects
        # that were put in at startup are everybody's.
        await application({**scope, "state": state.copy()}, receive, send)

    return called


# --- tasks 2 and 3: the order of things -------------------------------------------------------------


async def run(application: Application, sock: socket.socket, stop: asyncio.Event, grace: float | None) -> int:
    """Serve on a bound socket until `stop` is set; the process's exit code.

    Requests in flight then have `grace` seconds (None: as long as they take).
    """
    lifespan = Lifespan(application)
    try:
        # ASGI lifespan, "Startup": before the server has begun to accept connections.
        await lifespan.startup()
    except StartupFailed as error:
        print(f"lifespan.startup.failed: {error}", file=sys.stderr)
        return STARTUP_FAILED
    server = small_server.Server(with_state(application, lifespan.state))
    await server.listen(sock)
    await stop.wait()
    server.stop_accepting()
    await server.drain(grace)
    try:
        # "Shutdown": when it has stopped accepting, and closed all connections.
        await lifespan.shutdown()
    except ShutdownFailed as error:
        print(f"lifespan.shutdown.failed: {error}", file=sys.stderr)
        return SHUTDOWN_FAILED
    return 0


if __name__ == "__main__":
    sys.exit(small_server.main(run))
