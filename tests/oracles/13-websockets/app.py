"""The chat over Starlette, with anyio's memory streams for outboxes."""

from __future__ import annotations

import json
from contextlib import suppress
from urllib.parse import urlsplit

import anyio
import chat_page
from anyio.streams.memory import MemoryObjectReceiveStream, MemoryObjectSendStream
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

MESSAGE_LIMIT = 16 * 1024
OUTBOX_LIMIT = 256
SUBPROTOCOLS = ("chat.json", "chat.lines")
Event = dict[str, object]


class Chatter:
    """A member, its outbox's two ends, and the scope that ends with it."""

    def __init__(self, name: str, protocol: str) -> None:
        self.name, self.protocol = name, protocol
        self.inlet: MemoryObjectSendStream[Event]
        self.outlet: MemoryObjectReceiveStream[Event]
        self.inlet, self.outlet = anyio.create_memory_object_stream(OUTBOX_LIMIT)
        self.scope = anyio.CancelScope()
        self.closing: tuple[int, str] | None = None


rooms: dict[str, dict[str, Chatter]] = {}
numbers: dict[str, int] = {}


def tell(room: str, event: Event) -> None:
    slow = []
    for one in list(rooms.get(room, {}).values()):
        try:
            one.inlet.send_nowait(event)
        except anyio.WouldBlock:
            slow.append(one)
    for one in slow:
        one.closing = (1013, "too slow")
        one.scope.cancel()
        leave(room, one, 1013)


def leave(room: str, one: Chatter, code: int) -> None:
    if rooms.get(room, {}).get(one.name) is one:
        del rooms[room][one.name]
        tell(room, {"type": "left", "name": one.name, "code": code})
        if not rooms.get(room, True):
            del rooms[room], numbers[room]


async def page(request: Request) -> HTMLResponse:
    return HTMLResponse(chat_page.PAGE)


async def stats(request: Request) -> JSONResponse:
    return JSONResponse({"rooms": {room: sorted(members) for room, members in rooms.items()}})


async def hear(websocket: WebSocket) -> str | bytes:
    event = await websocket.receive()
    if event["type"] == "websocket.disconnect":
        raise WebSocketDisconnect(event["code"], event.get("reason"))
    message: str | bytes = event["text"] if event.get("text") is not None else event["bytes"]
    return message


def too_big(message: str | bytes) -> bool:
    return len(message.encode() if isinstance(message, str) else message) > MESSAGE_LIMIT


async def echo(websocket: WebSocket) -> None:
    await websocket.accept()
    with suppress(WebSocketDisconnect):
        while (message := await hear(websocket)) != "bye":
            if too_big(message):
                await websocket.close(1009, "too big")
                return
            if isinstance(message, str):
                await websocket.send_text(message)
            else:
                await websocket.send_bytes(message)
        await websocket.close(1000, "bye")


def may_enter(websocket: WebSocket) -> bool:
    room, name = websocket.path_params["room"], websocket.query_params.get("name", "").strip()
    origin = websocket.headers.get("origin")
    offered = websocket.scope["subprotocols"]
    return (
        0 < len(room) <= 32
        and all(letter in "abcdefghijklmnopqrstuvwxyz0123456789-" for letter in room)
        and 0 < len(name) <= 24
        and name.isprintable()
        and (origin is None or urlsplit(origin).netloc == websocket.headers.get("host"))
        and (not offered or bool(set(offered) & set(SUBPROTOCOLS)))
    )


async def chat(websocket: WebSocket) -> None:
    if not may_enter(websocket):
        await websocket.close()
        return
    room = websocket.path_params["room"]
    protocol = next((one for one in websocket.scope["subprotocols"] if one in SUBPROTOCOLS), None)
    one = Chatter(websocket.query_params["name"].strip(), protocol or "")
    await websocket.accept(protocol)
    if one.name in rooms.get(room, {}):
        await websocket.close(4009, "taken")
        return
    numbers.setdefault(room, 0)
    tell(room, {"type": "joined", "name": one.name})
    rooms.setdefault(room, {})[one.name] = one
    one.inlet.send_nowait({"type": "welcome", "room": room, "members": sorted(rooms[room])})
    code = 1006
    try:
        with one.scope:
            code = await converse(websocket, room, one)
    finally:
        leave(room, one, one.closing[0] if one.closing else code)
        one.inlet.close()
        one.outlet.close()
    if one.closing:
        with anyio.move_on_after(5), suppress(WebSocketDisconnect, RuntimeError):
            await websocket.close(*one.closing)


async def converse(websocket: WebSocket, room: str, one: Chatter) -> int:
    """Until it ends; the code with which the member left."""
    async with anyio.create_task_group() as group:
        group.start_soon(deliver, websocket, one)
        try:
            while one.closing is None:
                message = await hear(websocket)
                one.closing = wrong(message, one.protocol)
                if one.closing is None and isinstance(message, str):
                    numbers[room] += 1
                    text = message if one.protocol == "chat.lines" else json.loads(message)["text"]
                    said: Event = {"type": "said", "number": numbers[room], "name": one.name, "text": text}
                    tell(room, said)
        except WebSocketDisconnect as left:
            return left.code
        finally:
            group.cancel_scope.cancel()
    return 1000  # not asked for: `closing` has the code


def wrong(message: str | bytes, protocol: str) -> tuple[int, str] | None:
    if too_big(message):
        return 1009, "too big"
    if isinstance(message, bytes):
        return 1003, "text, please"
    if protocol == "chat.lines":
        return None
    try:
        text = json.loads(message)["text"]
        if not isinstance(text, str):
            return 1007, "no text"
        text.encode()
        return None
    except (ValueError, KeyError, TypeError, RecursionError):  # UnicodeEncodeError is a ValueError
        return 1007, "not as agreed"


async def deliver(websocket: WebSocket, one: Chatter) -> None:
    async for event in one.outlet:
        with suppress(WebSocketDisconnect):  # the other task hears of it, too
            await websocket.send_text(line(event) if one.protocol == "chat.lines" else json.dumps(event))


def line(event: Event) -> str:
    if event["type"] == "said":
        return f"{event['name']}: {' '.join(str(event['text']).splitlines())}"
    if event["type"] == "welcome":
        members = event["members"]
        return f"* welcome: {', '.join(members if isinstance(members, list) else [])}"
    return f"* {event['name']} {event['type']}"


app = Starlette(
    routes=[
        Route("/", page),
        Route("/stats", stats),
        WebSocketRoute("/echo", echo),
        WebSocketRoute("/rooms/{room}", chat),
    ]
)
