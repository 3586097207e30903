"""One ASGI application of several: `by_kind(http=first, websocket=second)`, one for each type of scope."""

from __future__ import annotations

from typing import Any


def by_kind(**apps: Any) -> Any:
    """An application that hands each call on; as ASGI asks, it raises for a type that it does not have."""

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] not in apps:
            raise ValueError(f"this application knows {', '.join(apps)}, not {scope['type']!r}")
        await apps[scope["type"]](scope, receive, send)

    return application
