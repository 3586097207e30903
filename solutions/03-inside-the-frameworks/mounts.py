"""Several applications in one process, each under a prefix.

How it works. A URL's path has two parts: where the application is, and where in it we are. WSGI has them in
two keys, SCRIPT_NAME and PATH_INFO; mounting moves the prefix from one to the other. ASGI passes the whole
path, and says in root_path how much of it is not the application's; mounting makes that longer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeVar
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApplication = Callable[[Scope, Receive, Send], Awaitable[None]]
App = TypeVar("App")

NOT_FOUND = b"Nothing is mounted here.\n"


def find(apps: Mapping[str, App], path: str) -> tuple[str, App] | None:
    """The longest prefix that `path` is under, and its application; None when there is none."""
    # RFC 3986 §3.3: a path is a sequence of segments. /flaskette shares letters with /flask, and no segment.
    fitting = [prefix for prefix in apps if path == prefix or path.startswith(f"{prefix}/")]
    if not fitting:
        return None
    prefix = max(fitting, key=len)
    return prefix, apps[prefix]


def wsgi_mounts(apps: Mapping[str, WSGIApplication]) -> WSGIApplication:
    """A WSGI application that calls one of `apps` by the longest prefix; 404 where none fits."""

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path = environ.get("PATH_INFO", "")
        found = find(apps, path)
        if found is None:
            headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(NOT_FOUND)))]
            start_response("404 Not Found", headers)
            return [] if environ["REQUEST_METHOD"] == "HEAD" else [NOT_FOUND]
        prefix, app = found
        # PEP 3333, "environ Variables": SCRIPT_NAME + PATH_INFO is the path, before and after.
        script_name = environ.get("SCRIPT_NAME", "") + prefix
        return app({**environ, "SCRIPT_NAME": script_name, "PATH_INFO": path[len(prefix) :]}, start_response)

    return application


def asgi_mounts(
    apps: Mapping[str, ASGIApplication], lifespan: ASGIApplication | None = None
) -> ASGIApplication:
    """An ASGI application that calls one of `apps`; raises ValueError on a scope that nobody here speaks."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan" and lifespan is not None:
            return await lifespan(scope, receive, send)
        # ASGI, "Applications": raise on a type that you don't know. For lifespan it means: not supported.
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"nothing here speaks {scope['type']!r}")
        root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
        # Where a segment ends: "/apiary/flask" is not below "/api", though it begins with it.
        below = path[len(root) :] if path == root or path.startswith(f"{root}/") else path
        found = find(apps, below)
        if found is None:
            return await refuse(scope, send)
        prefix, app = found
        # ASGI, "HTTP Connection Scope": root_path is where the application is mounted; path stays whole.
        # ASGI, "Middleware": the scope is copied before it is changed.
        await app({**scope, "root_path": root + prefix}, receive, send)

    return application


async def refuse(scope: Scope, send: Send) -> None:
    """404; for a WebSocket a close before it was accepted, which the server turns into a 403."""
    if scope["type"] == "websocket":
        return await send({"type": "websocket.close"})
    headers = [(b"content-type", b"text/plain"), (b"content-length", str(len(NOT_FOUND)).encode())]
    await send({"type": "http.response.start", "status": 404, "headers": headers})
    await send({"type": "http.response.body", "body": NOT_FOUND})
