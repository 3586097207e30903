"""Says which process answered and how its lifespan went: an ASGI application for many processes.

    GET /                     {"pid": 42, "parent": 41, "edition": "first", "started": true}; and
                              "imported": the process that imported this module
    GET /slow?seconds=0.5     the same, half a second later; other requests go on meanwhile
    GET /block?seconds=0.5    the same, but nothing else happens in that process meanwhile
    POST /wait                the same as /, as soon as the whole body has come: the client decides when
    GET /pieces?count=9       so many pieces of 16 KiB, each in a body event of its own
    GET /exit?code=1          no answer: the process ends with that exit code
    WebSocket /stay           accepted, and open until somebody closes it; then it tidies up for a moment

What happens is printed, a line each: "app: startup", "app: cut off /slow" when a request is cancelled,
"app: closed /stay", "app: waits at piece 9" when `send` does not return for a while, "app: sent 9 pieces"
when the last `send` has returned, "app: shutdown, 0 in flight" (requests and WebSockets).
`which_process_asgi:failing` answers nothing: its startup fails, and says why.
The startup of `which_process_asgi:slow` takes half a second. The shutdown of `which_process_asgi:unclosed`
fails, and says why.
`which_process_asgi:pier.north` is the same application by a dotted name.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

WHY_NOT = "no ink in the register"
NOT_CLOSED = "a page of the register is wet"
TIDY_UP = 0.2  # seconds
IMPORTED = os.getpid()
PIECE, A_WHILE = b"." * 16384, 0.2  # seconds


def edition(text: str, startup: str = "", seconds: float = 0.0, shutdown: str = "") -> Application:
    """An application that calls itself by that edition, with a startup of so many seconds.

    With `startup`, its startup fails and says this; with `shutdown`, its shutdown does.
    """
    in_flight = 0

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal in_flight
        if scope["type"] == "lifespan":
            await lifespan(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(f"this application knows http and websocket, not {scope['type']!r}")
        in_flight += 1
        try:
            await (answer if scope["type"] == "http" else stay)(scope, receive, send)
        except asyncio.CancelledError:
            print(f"app: cut off {scope['path']}", flush=True)
            raise
        finally:
            in_flight -= 1

    async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        print("app: startup", flush=True)
        await asyncio.sleep(seconds)
        if startup:
            await send({"type": "lifespan.startup.failed", "message": startup})
            return
        scope["state"]["started"] = True
        await send({"type": "lifespan.startup.complete"})
        await receive()
        print(f"app: shutdown, {in_flight} in flight", flush=True)
        if shutdown:
            await send({"type": "lifespan.shutdown.failed", "message": shutdown})
            return
        await send({"type": "lifespan.shutdown.complete"})

    async def stay(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (await receive())["type"] != "websocket.disconnect":
            pass
        await asyncio.sleep(TIDY_UP)
        print(f"app: closed {scope['path']}", flush=True)

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        query = parse_qs(scope["query_string"].decode())
        if scope["path"] == "/pieces":
            await pieces(int(query["count"][0]), send)
            return
        seconds = float(query.get("seconds", ["0.1"])[0])
        if scope["path"] == "/slow":
            await asyncio.sleep(seconds)
        if scope["path"] == "/block":
            time.sleep(seconds)  # noqa: ASYNC251 - that is what it is for
        if scope["path"] == "/wait":
            while (await receive()).get("more_body"):
                pass
        if scope["path"] == "/exit":
            os._exit(int(query.get("code", ["1"])[0]))
        said = {
            "pid": os.getpid(),
            "parent": os.getppid(),
            "imported": IMPORTED,
            "edition": text,
            "started": scope.get("state", {}).get("started", False),
        }
        body = json.dumps(said).encode() + b"\n"
        headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": body})

    return application


async def pieces(count: int, send: Send) -> None:
    length = str(count * len(PIECE)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    for number in range(count):
        event = {"type": "http.response.body", "body": PIECE, "more_body": number < count - 1}
        sending = asyncio.ensure_future(send(event))
        await asyncio.wait({sending}, timeout=A_WHILE)
        if not sending.done():
            print(f"app: waits at piece {number}", flush=True)
        await sending
    print(f"app: sent {count} pieces", flush=True)


class pier:
    """Something with an attribute."""

    north = staticmethod(edition("first"))


app = edition("first")
failing = edition("never", startup=WHY_NOT)
slow = edition("first", seconds=0.5)
unclosed = edition("first", shutdown=NOT_CLOSED)
