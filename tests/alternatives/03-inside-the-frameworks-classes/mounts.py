"""Another shape: segments are moved from the end of the path until a prefix is known; environ is changed."""

from __future__ import annotations

from typing import Any


def split(apps: dict[str, Any], path: str) -> str | None:
    prefix = path
    while prefix not in apps:
        if "/" not in prefix:
            return None
        prefix = prefix.rpartition("/")[0]
    return prefix


class wsgi_mounts:
    def __init__(self, apps: dict[str, Any]) -> None:
        self.apps = apps

    def __call__(self, environ: Any, start_response: Any) -> Any:
        prefix = split(self.apps, environ["PATH_INFO"])
        if prefix is None:
            start_response("404 Not Found", [("Content-Length", "0")])
            return []
        environ["SCRIPT_NAME"] = environ.get("SCRIPT_NAME", "") + prefix
        environ["PATH_INFO"] = environ["PATH_INFO"][len(prefix) :]
        return self.apps[prefix](environ, start_response)


class asgi_mounts:
    def __init__(self, apps: dict[str, Any], lifespan: Any = None) -> None:
        self.apps, self.lifespan = apps, lifespan

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        match scope["type"]:
            case "lifespan" if self.lifespan:
                await self.lifespan(scope, receive, send)
            case "http" | "websocket":
                await self.mounted(scope, receive, send)
            case other:
                raise NotImplementedError(f"no {other} here")

    async def mounted(self, scope: Any, receive: Any, send: Any) -> None:
        root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
        prefix = split(self.apps, path[len(root) :] if f"{path}/".startswith(f"{root}/") else path)
        if prefix is not None:
            await self.apps[prefix](dict(scope, root_path=root + prefix), receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1000})
        else:
            await send({"type": "http.response.start", "status": 404, "headers": []})
            await send({"type": "http.response.body"})
