"""An ASGI websocket application that says everything back.

ws://…/                     text as text, bytes as bytes
ws://…/?close=4001&reason=Ada   closes after the first message
ws://…/ with subprotocols   chooses the last one that was offered
"""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs


async def application(scope: Any, receive: Any, send: Any) -> None:
    if scope["type"] != "websocket":
        raise RuntimeError(f"no {scope['type']} here")
    query = parse_qs(scope["query_string"].decode())
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[-1]})
    while (message := await receive())["type"] == "websocket.receive":
        echo = {key: message[key] for key in ("text", "bytes") if message.get(key) is not None}
        await send({"type": "websocket.send", **echo})
        if "close" in query:
            code, reason = int(query["close"][0]), query.get("reason", [""])[0]
            await send({"type": "websocket.close", "code": code, "reason": reason})
            return
