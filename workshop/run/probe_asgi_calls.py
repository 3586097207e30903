"""Calling an ASGI application by hand, every event of it logged. Apart from WSGI: asyncio takes a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from workshop.run.probe_log import Event, Log


async def call_asgi(request: dict[str, Any], log: Log, decode: Callable[[Any], Any]) -> None:
    """Call an application once and play it the given events.

    When the events run out, `then` decides: "wait" (receive never returns), or "disconnect" (a disconnect of
    the scope's own kind). An event {"type": "pause", "until": N} waits until N messages were sent, and
    {"type": "sleep", "seconds": s} passes time between two events. When the application still runs
    `settle` seconds after the last event, it is cancelled and that is logged.
    """
    scope = request["scope"]
    last_event = asyncio.Event()
    sent = 0
    moved = asyncio.Condition()

    async def wait_until_sent(wanted: int) -> None:
        async with moved:
            await moved.wait_for(lambda: sent >= wanted)

    async def receive() -> Event:
        while True:
            given = log.go_on(request["receive"])
            message: Event | None = decode(given["message"])
            if message is not None and message["type"] == "pause":
                await wait_until_sent(message["until"])
                continue
            if message is not None and message["type"] == "sleep":
                await asyncio.sleep(message["seconds"])
                continue
            if not given["more"]:
                last_event.set()
            if message is not None:
                return message
            await asyncio.Event().wait()

    async def send(message: Event) -> None:
        nonlocal sent
        log.add("send", message=message)
        sent += 1
        async with moved:
            moved.notify_all()

    log.add("called")
    app: Callable[..., Awaitable[None]] = request["app"]
    await _run_asgi(lambda: app(scope, receive, send), last_event, request.get("settle", 1.0), log)


async def _run_asgi(call: Callable[[], Any], last_event: asyncio.Event, settle: float, log: Log) -> None:
    async def run() -> None:
        await call()

    task = asyncio.ensure_future(run())
    ended = asyncio.ensure_future(last_event.wait())
    await asyncio.wait({task, ended}, return_when=asyncio.FIRST_COMPLETED)
    ended.cancel()
    await asyncio.wait({task}, timeout=settle)
    if not task.done():
        log.add("still running")
        task.cancel()
        await asyncio.wait({task}, timeout=settle)
        return
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.raised(error, "call")
    else:
        log.add("returned")
