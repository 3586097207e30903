"""The chat with one log for each room and no outboxes: every member has a place in the log.

A member's task sends what stands after its place, and waits for the log to grow. Whoever is more than
OUTBOX_LIMIT entries behind has left. Each connection is an object; two coroutines run in a task group.
"""

import asyncio
import json
import string
from urllib.parse import parse_qsl

import chat_page

MESSAGE_LIMIT = 16 * 1024
OUTBOX_LIMIT = 256
PROTOCOLS = {"chat.json": json.dumps}


class End(Exception):
    """A conversation's end: the code, and whether a close frame is to say it."""

    def __init__(self, code, reason="", say=True):
        self.code, self.reason, self.say = code, reason, say


def as_line(event):
    if event["type"] == "said":
        return event["name"] + ": " + " / ".join(event["text"].splitlines())
    if event["type"] == "welcome":
        return "* welcome: " + ", ".join(event["members"])
    return f"* {event['name']} {event['type']}"


PROTOCOLS["chat.lines"] = as_line


ROOMS = {}


class Room:
    def __init__(self):
        self.log, self.first, self.members, self.said = [], 0, {}, 0
        self.grown = asyncio.Event()

    def write(self, **event):
        """Put an event into the log, and let go who is too far behind."""
        self.log.append(event)
        end = self.first + len(self.log)
        for member in [one for one in self.members.values() if end - one.place > OUTBOX_LIMIT]:
            del self.members[member.name]
            member.behind.set()
            self.log.append({"type": "left", "name": member.name, "code": 1013})
        oldest = min((one.place for one in self.members.values()), default=end)
        del self.log[: oldest - self.first]
        self.first = oldest
        self.grown.set()
        self.grown = asyncio.Event()

    def since(self, place):
        return self.log[place - self.first :]


class Connection:
    """One WebSocket: `run` is its whole life."""

    def __init__(self, scope, receive, send):
        self.scope, self.receive, self.send = scope, receive, send
        self.behind = asyncio.Event()
        self.room = None

    async def run(self):
        await self.receive()
        protocol = self.admit()
        if protocol is None:
            return await self.send({"type": "websocket.close"})
        await self.send({"type": "websocket.accept", "subprotocol": protocol or None})
        try:
            await (self.echo() if self.scope["path"] == "/echo" else self.chat(protocol or "chat.json"))
        except End as end:
            if end.say:
                await self.say_goodbye(end)

    async def say_goodbye(self, end):
        try:
            message = {"type": "websocket.close", "code": end.code, "reason": end.reason}
            await asyncio.wait_for(self.send(message), 5)
        except (OSError, TimeoutError):
            pass

    def admit(self):
        """The subprotocol, "" for none; None when there is no way in."""
        if self.scope["path"] == "/echo":
            return ""
        base, _, self.room_name = self.scope["path"].rpartition("/")
        self.name = dict(parse_qsl(self.scope["query_string"].decode())).get("name", "").strip()
        headers = dict(self.scope["headers"])
        offered = self.scope["subprotocols"]
        common = [one for one in offered if one in PROTOCOLS]
        good = (
            base == "/rooms"
            and 0 < len(self.room_name) < 33
            and set(self.room_name) <= {*string.ascii_lowercase, *string.digits, "-"}
            and 0 < len(self.name) < 25
            and self.name.isprintable()
            and headers.get(b"origin", b"//" + headers[b"host"]).endswith(b"//" + headers[b"host"])
            and bool(common) == bool(offered)
        )
        return (common or [""])[0] if good else None

    async def message(self):
        event = await self.receive()
        if event["type"] == "websocket.disconnect":
            raise End(event["code"], say=False)
        data = event.get("bytes")
        if data is None:
            data = event["text"]
        if len(data if isinstance(data, bytes) else data.encode()) > MESSAGE_LIMIT:
            raise End(1009)
        return data

    async def echo(self):
        while (data := await self.message()) != "bye":
            key = "bytes" if isinstance(data, bytes) else "text"
            await self.send({"type": "websocket.send", key: data})
        raise End(1000, "bye")

    async def chat(self, protocol):
        room = self.room = ROOMS.setdefault(self.room_name, Room())
        if self.name in room.members:
            raise End(4009, "taken")
        room.write(type="joined", name=self.name)
        self.place = room.first + len(room.log)
        room.members[self.name] = self
        welcome = {"type": "welcome", "room": self.room_name, "members": sorted(room.members)}
        code = 1006
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.read_log(PROTOCOLS[protocol], welcome))
                group.create_task(self.speak(protocol))
                group.create_task(self.fall_behind())
        except* End as ends:
            end = ends.exceptions[0]
            code = end.code
            raise end from None
        except* OSError:
            pass
        finally:
            self.depart(code)

    def depart(self, code):
        if self.room.members.get(self.name) is self:
            del self.room.members[self.name]
            self.room.write(type="left", name=self.name, code=code)
        if not self.room.members:
            ROOMS.pop(self.room_name, None)

    async def fall_behind(self):
        await self.behind.wait()
        raise End(1013, "too slow")

    async def read_log(self, render, welcome):
        await self.send({"type": "websocket.send", "text": render(welcome)})
        while True:
            grown = self.room.grown
            for event in self.room.since(self.place):
                await self.send({"type": "websocket.send", "text": render(event)})
                self.place += 1
            if grown is self.room.grown:
                await grown.wait()

    async def speak(self, protocol):
        while True:
            data = await self.message()
            if isinstance(data, bytes):
                raise End(1003)
            if protocol == "chat.json":
                data = self.json_text(data)
            self.room.said += 1
            self.room.write(type="said", number=self.room.said, name=self.name, text=data)

    def json_text(self, data):
        try:
            text = json.loads(data)["text"]
            json.dumps(text, ensure_ascii=False).encode()  # no half of a surrogate pair
        except (ValueError, TypeError, KeyError, RecursionError):
            raise End(1007, "not as agreed") from None
        if not isinstance(text, str):
            raise End(1007, "not as agreed")
        return text


async def app(scope, receive, send):
    if scope["type"] == "websocket":
        await Connection(scope, receive, send).run()
    elif scope["type"] == "http":
        rooms = {name: sorted(room.members) for name, room in ROOMS.items()}
        status, kind, body = {
            "/": (200, b"text/html", chat_page.PAGE),
            "/stats": (200, b"application/json", json.dumps({"rooms": rooms}).encode()),
        }.get(scope["path"], (404, b"text/plain", b"not here"))
        await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", kind)]})
        await send({"type": "http.response.body", "body": body})
    else:
        raise TypeError(scope["type"])
