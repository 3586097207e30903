"""Calls an ASGI application as a server does, where one call at a time is not enough."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


async def at_the_same_time(app: Application, *paths: str) -> None:
    """A request for each path. Nobody receives anything before all of them have asked: they overlap."""
    everybody = asyncio.Barrier(len(paths))

    async def call(path: str) -> None:
        async def receive() -> dict[str, Any]:
            await everybody.wait()
            return {"type": "http.request", "body": path.encode(), "more_body": False}

        await app({"type": "http", "method": "GET", "path": path}, receive, nowhere)

    await asyncio.gather(*map(call, paths))


async def once(app: Application, scope: dict[str, Any]) -> dict[str, Any]:
    """One request with this scope; the scope afterwards, as the server finds it."""

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    await app(scope, receive, nowhere)
    return scope


async def nowhere(message: dict[str, Any]) -> None:
    pass
