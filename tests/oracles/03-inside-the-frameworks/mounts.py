"""Mounting as werkzeug and Starlette do it."""

from __future__ import annotations

from typing import Any

from starlette.routing import Mount, Router
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.wrappers import Response


def wsgi_mounts(apps: dict[str, Any]) -> Any:
    return DispatcherMiddleware(Response("Nothing is mounted here.\n", 404), apps)


def asgi_mounts(apps: dict[str, Any], lifespan: Any = None) -> Any:
    longest_first = sorted(apps, key=len, reverse=True)
    router = Router([Mount(prefix, apps[prefix]) for prefix in longest_first], redirect_slashes=False)

    async def application(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            if lifespan is None:
                raise ValueError("nobody here speaks lifespan")
            return await lifespan(scope, receive, send)
        # Starlette writes into the scope that it is given: here it is given a copy.
        await router(dict(scope), receive, send)

    return application
