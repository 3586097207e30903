"""Connections from an open network: each has a few seconds, all together have a number.

A stranger who opens many and says nothing holds none for long, and pushes out only their own.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


def bounded(most: int, seconds: float) -> type[H11Protocol]:
    """The protocol of a server that holds at most so many connections, each for at most so long.

    Above that, the oldest connection of the address that has most of them goes.
    """
    open_now: dict[Bounded, None] = {}

    class Bounded(H11Protocol):
        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self._end = self.loop.call_later(seconds, transport.abort)
            open_now[self] = None
            if len(open_now) > most:
                _oldest_of_most_frequent(open_now).abort()

        def abort(self) -> None:
            open_now.pop(self, None)
            self.transport.abort()

        def connection_lost(self, exc: Exception | None) -> None:
            open_now.pop(self, None)
            self._end.cancel()
            super().connection_lost(exc)

    return Bounded


def _oldest_of_most_frequent(connections: dict[Any, None]) -> Any:
    counts = Counter(_address(one) for one in connections)
    crowd = counts.most_common(1)[0][0]
    return next(one for one in connections if _address(one) == crowd)


def _address(connection: H11Protocol) -> str:
    return connection.client[0] if connection.client else ""
