"""A chat over WebSockets as one ASGI application: no framework, and nothing of the protocol's frames.

Theory of operation. A WebSocket is one call of `app`, as a request is; it lasts as long as somebody stays.
Events come by `receive`, in order; `send` goes out in order, and waits while the other side reads too slowly.
Four rules follow, one a task:

1. The handshake is a question: websocket.connect asks, accept or close answers. Then there are messages, each
   with text or with bytes, until a websocket.disconnect: nothing is sent after that.
2. A room is a set of members in one process. What happens in it is put into every member's outbox in one go,
   with no await in between: so all of them hear the same, in the same order, and no lock is needed.
3. What is decided before accept is an HTTP response, 403, which tells a browser nothing. What somebody must
   be told is decided after accept, with a close code of our own and a reason.
4. A member reads when it likes. Only its own task waits for it; its outbox is bounded, and whoever lets it
   fill up has left the room. Whatever ends a member, a `finally` takes it out of the room.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import chat_page

Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

MESSAGE_LIMIT = 16 * 1024  # bytes of one message; longer ones end the connection with 1009
OUTBOX_LIMIT = 256  # messages that wait for one member
FAREWELL = 5.0  # seconds in which a member that reads too slowly can still be told why it was let go
NAME_LIMIT = 24  # characters
SUBPROTOCOLS = ("chat.json", "chat.lines")

# Close codes. RFC 6455 §7.4.1 defines those up to 1011, IANA's registry 1013; 4000 to 4999 are ours (§7.4.2).
NORMAL, UNSUPPORTED, INVALID, TOO_BIG, TRY_AGAIN_LATER, NAME_TAKEN = 1000, 1003, 1007, 1009, 1013, 4009
ABNORMAL = 1006  # never on the wire: what receive says when there was no close frame


class Closing(Exception):
    """Raise it anywhere in a conversation: this side closes, with a code and a reason."""

    def __init__(self, code: int, reason: str) -> None:
        super().__init__(code, reason)
        self.code, self.reason = code, reason


class Left(Exception):
    """The client has left, with this close code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


# --- the application --------------------------------------------------------------------------------


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """One call for one request or one WebSocket. Raises ValueError for a scope of another type."""
    if scope["type"] == "http":
        await answer(scope, send)
        return
    # ASGI, "Applications": an unknown scope type must be refused with an exception.
    if scope["type"] != "websocket":
        raise ValueError(f"this application knows http and websocket, not {scope['type']!r}")
    # ASGI www, "Connect": it comes first, and the handshake waits for what is sent next.
    await receive()
    if scope["path"] == "/echo":
        await echo(receive, send)
    else:
        await chat(scope, receive, send)


async def answer(scope: Scope, send: Send) -> None:
    """Plain HTTP: the page, and who is where."""
    status, kind, body = 404, b"text/plain; charset=utf-8", b"not found\n"
    if scope["path"] == "/":
        status, kind, body = 200, b"text/html; charset=utf-8", chat_page.PAGE
    elif scope["path"] == "/stats":
        rooms = {name: sorted(room.members) for name, room in ROOMS.items()}
        status, kind, body = 200, b"application/json", json.dumps({"rooms": rooms}).encode()
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


# --- task 1: accept, echo, close --------------------------------------------------------------------


async def echo(receive: Receive, send: Send) -> None:
    """Say back every message as what it was, text or bytes, until "bye", or until the client leaves."""
    await send({"type": "websocket.accept"})
    try:
        while True:
            message = await next_message(receive)
            if message == "bye":
                raise Closing(NORMAL, "bye")
            kind = "text" if isinstance(message, str) else "bytes"
            await send({"type": "websocket.send", kind: message})
    except Closing as closing:
        await close(send, closing)
    except Left:
        return  # ASGI www, "Disconnect": whoever sends now, sends to nobody


async def next_message(receive: Receive) -> str | bytes:
    """The next message. Raises Left at the end, and Closing 1009 for a message over MESSAGE_LIMIT."""
    event = await receive()
    if event["type"] == "websocket.disconnect":
        raise Left(event["code"])
    # ASGI www, "Receive": one of the two is there and not None; an empty text is a message, too.
    text: str | None = event.get("text")
    message = text if text is not None else bytes(event["bytes"])
    if len(message.encode() if isinstance(message, str) else message) > MESSAGE_LIMIT:
        raise Closing(TOO_BIG, f"more than {MESSAGE_LIMIT} bytes")
    return message


async def close(send: Send, closing: Closing) -> None:
    """Send a close frame."""
    await send({"type": "websocket.close", "code": closing.code, "reason": closing.reason})


# --- task 2: rooms ----------------------------------------------------------------------------------


class Member:
    """Somebody in a room: a name, a subprotocol, and the messages that wait to be sent."""

    def __init__(self, name: str, subprotocol: str) -> None:
        self.name, self.subprotocol = name, subprotocol
        self.outbox: asyncio.Queue[str] = asyncio.Queue(OUTBOX_LIMIT)
        self.too_slow = asyncio.Event()

    def post(self, event: Event) -> bool:
        """Leave an event in the outbox, without waiting. False when it is full: then it is too late."""
        try:
            self.outbox.put_nowait(rendered(event, self.subprotocol))
        except asyncio.QueueFull:
            self.too_slow.set()
        return not self.too_slow.is_set()


class Room:
    """The members of one room, by name. No method awaits: each is one step for everybody else."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.members: dict[str, Member] = {}
        self.number = 0  # of what was said last

    def join(self, member: Member) -> None:
        """Take somebody in. Raises Closing 4009 when the name is in use."""
        if member.name in self.members:
            raise Closing(NAME_TAKEN, "the name is taken")
        self.broadcast({"type": "joined", "name": member.name})
        self.members[member.name] = member
        member.post({"type": "welcome", "room": self.name, "members": sorted(self.members)})

    def say(self, member: Member, text: str) -> None:
        """Number what a member says, and post it. Who has overflowed a moment ago is not heard."""
        if self.members.get(member.name) is not member:
            return
        self.number += 1
        self.broadcast({"type": "said", "number": self.number, "name": member.name, "text": text})

    def leave(self, member: Member, code: int) -> None:
        """Let somebody go; again, and nothing happens."""
        if self.members.get(member.name) is member:
            del self.members[member.name]
            self.broadcast({"type": "left", "name": member.name, "code": code})

    def broadcast(self, event: Event) -> None:
        """Post an event to everybody. Who can't take it has left, and the others are told that next."""
        waiting = deque([event])
        while waiting:
            posted = waiting.popleft()
            late = [one for one in self.members.values() if not one.post(posted)]
            for member in late:
                del self.members[member.name]
                waiting.append({"type": "left", "name": member.name, "code": TRY_AGAIN_LATER})


ROOMS: dict[str, Room] = {}


def enter(name: str, member: Member) -> Room:
    """Join the room of this name; it exists as long as somebody is in it."""
    room = ROOMS.setdefault(name, Room(name))
    room.join(member)
    return room


def depart(room: Room, member: Member, code: int) -> None:
    """Leave a room, and forget it when nobody is left."""
    room.leave(member, code)
    if not room.members and ROOMS.get(room.name) is room:
        del ROOMS[room.name]


# --- task 3: refuse before accepting; subprotocols --------------------------------------------------


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    """/rooms/tea?name=Ada: refuse, or accept and stay until one side ends it."""
    try:
        room_name, member = admitted(scope)
    except PermissionError:
        # ASGI www, "Close": before accept, the server answers the handshake with 403.
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": member.subprotocol or None})
    try:
        # Nothing is awaited between asking for the name and taking it: nobody else can take it meanwhile.
        room = enter(room_name, member)
    except Closing as closing:
        await close(send, closing)
        return
    await stay(room, member, receive, send)


def admitted(scope: Scope) -> tuple[str, Member]:
    """The room's name, and the member to be. Raises PermissionError when there is no way in."""
    room = re.fullmatch(r"/rooms/([a-z0-9-]{1,32})", scope["path"])
    query = parse_qs(scope["query_string"].decode("latin-1"))
    name = query.get("name", [""])[0].strip()
    if room is None or not 0 < len(name) <= NAME_LIMIT or not name.isprintable():
        raise PermissionError("no such room, or no name")
    if not same_origin(scope["headers"]):
        raise PermissionError("a page of another site")
    return room[1], Member(name, chosen(scope["subprotocols"]))


def same_origin(headers: list[tuple[bytes, bytes]]) -> bool:
    """Whether a browser's page came from here. Programs that are no browsers send no Origin."""
    # RFC 6455 §10.2: browsers let any page open a WebSocket to any site. The server has to look.
    fields = dict(headers)
    origin = fields.get(b"origin")
    if origin is None:
        return True
    host = fields.get(b"host", b"").decode("latin-1")
    return urlsplit(origin.decode("latin-1")).netloc.lower() == host.lower()


def chosen(offered: list[str]) -> str:
    """The first subprotocol offered that we speak; "" when none was offered. Raises PermissionError."""
    # RFC 6455 §4.1: the client's are in order of its preference. §4.2.2: one of them, or none.
    known = [one for one in offered if one in SUBPROTOCOLS]
    if offered and not known:
        raise PermissionError("no subprotocol in common")
    return known[0] if known else ""


def rendered(event: Event, subprotocol: str) -> str:
    """An event as one text message: JSON, or in chat.lines a line for people."""
    if subprotocol != "chat.lines":
        return json.dumps(event, ensure_ascii=False)
    match event:
        case {"type": "said", "name": name, "text": text}:
            return f"{name}: {' '.join(text.splitlines())}"
        case {"type": "welcome", "members": members}:
            return f"* welcome: {', '.join(members)}"
        case {"type": kind, "name": name}:
            return f"* {name} {kind}"
    raise ValueError(f"no such event: {event!r}")


def text_of(message: str | bytes, subprotocol: str) -> str:
    """What a member says. Raises Closing for a message that its subprotocol does not have."""
    if isinstance(message, bytes):
        raise Closing(UNSUPPORTED, "this room takes text")
    if subprotocol == "chat.lines":
        return message
    try:
        value = json.loads(message)
    except (ValueError, RecursionError):  # "[" ten thousand times: the second, up to Python 3.13
        raise Closing(INVALID, "not JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise Closing(INVALID, 'not {"text": "..."}')
    text: str = value["text"]
    try:
        # RFC 8259 §8.2: JSON can write half of a surrogate pair, "\ud800". RFC 6455 §8.1: a text message is
        # UTF-8, which can't. It would fail in `deliver` at every member, and end all of them.
        text.encode()
    except UnicodeEncodeError:
        raise Closing(INVALID, "half of a surrogate pair") from None
    return text


# --- task 4: members that vanish, members that are slow ---------------------------------------------


async def stay(room: Room, member: Member, receive: Receive, send: Send) -> None:
    """One member's time in a room, until it leaves, breaks the rules, vanishes or falls behind."""
    listening = asyncio.create_task(listen(room, member, receive))
    delivering = asyncio.create_task(deliver(member, send))
    overflowing = asyncio.create_task(member.too_slow.wait())
    tasks = (listening, delivering, overflowing)
    closing: Closing | None = None
    code = ABNORMAL
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if member.too_slow.is_set():
            closing = Closing(TRY_AGAIN_LATER, "you read too slowly")
        else:
            raise_first(listening, delivering)
    except Closing as error:
        closing = error
    except Left as left:
        code = left.code
    except OSError:
        pass  # ASGI www, "Send": the client has left, and send is the first to know
    finally:
        # Whatever has ended it, this process being stopped included: out of the room first, then the rest.
        depart(room, member, closing.code if closing else code)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    if closing is not None:
        await farewell(send, closing)


def raise_first(*tasks: asyncio.Task[None]) -> None:
    """Raise what the first of these tasks that has ended has raised."""
    next(task for task in tasks if task.done()).result()


async def listen(room: Room, member: Member, receive: Receive) -> None:
    """Pass on what a member says. Raises Left or Closing at its end."""
    while True:
        message = await next_message(receive)
        room.say(member, text_of(message, member.subprotocol))


async def deliver(member: Member, send: Send) -> None:
    """Send what waits in the outbox, as fast as the member reads: only this task waits for it."""
    while True:
        await send({"type": "websocket.send", "text": await member.outbox.get()})


async def farewell(send: Send, closing: Closing) -> None:
    """Close, if that can still be said: `send` waits until what was sent before has gone out."""
    try:
        async with asyncio.timeout(FAREWELL):
            await close(send, closing)
    except OSError:  # a TimeoutError is one, too
        pass
