"""The site of the last lab: tasks in a store that instances share, a chat, events, and who it is that asks.

    GET  /whoami                     which instance answers, and what it knows about who asked
    GET, POST /tasks   GET, PUT, DELETE /tasks/42
    GET, POST /slow?seconds=2&token=a   noted; the first of a token takes so long, and each without one
    GET  /attempts?token=a           which instances were asked, in order
    GET  /events                     server-sent events: hello, then every new task of any instance
    WebSocket /rooms/tea?name=Ada    a room; it is in one process

What an instance is told: SITE_INSTANCE (its name), SITE_STORE (a SQLite file), SITE_BODY (bytes). It trusts
one hop, the nginx that it is behind: the last of the X-Forwarded-For values is the one that this hop wrote.
"""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
from collections.abc import Awaitable, Callable, MutableMapping
from contextlib import closing
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs

from task_store import checked

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

INSTANCE = os.environ.get("SITE_INSTANCE", "only")
STORE = os.environ.get("SITE_STORE", ":memory:")
BODY_LIMIT = int(os.environ.get("SITE_BODY", "65536"))
LOOK = 0.05  # seconds between two looks for new tasks
OUTBOX = 64  # messages that wait for one member
SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, done INT);
CREATE TABLE IF NOT EXISTS attempts (id INTEGER PRIMARY KEY, token TEXT NOT NULL, instance TEXT NOT NULL);
"""


class Refused(Exception):
    """An answer that ends a request: a status and a sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(status, text)
        self.status, self.text = status, text


# --- the store ----------------------------------------------------------------------------------------


class Store:
    """Tasks and attempts in one SQLite file. What a method has returned from, a killed process can't lose."""

    def __init__(self, path: str) -> None:
        # Autocommit: each statement is a transaction, and with a write-ahead log readers wait for nobody.
        self.link = sqlite3.connect(path, timeout=5, isolation_level=None)
        self.link.execute("PRAGMA journal_mode = WAL")
        self.link.execute("PRAGMA synchronous = NORMAL")
        self.link.executescript(SCHEMA)

    def tasks(self, after: int = 0) -> list[dict[str, Any]]:
        rows = self.link.execute("SELECT id, title, done FROM tasks WHERE id > ? ORDER BY id", [after])
        return [{"id": number, "title": title, "done": bool(done)} for number, title, done in rows]

    def last(self) -> int:
        number: int = self.link.execute("SELECT coalesce(max(id), 0) FROM tasks").fetchone()[0]
        return number

    def task(self, number: int) -> dict[str, Any]:
        row = self.link.execute("SELECT id, title, done FROM tasks WHERE id = ?", [number]).fetchone()
        if row is None:
            raise Refused(404, f"there is no task {number}")
        return {"id": row[0], "title": row[1], "done": bool(row[2])}

    def add(self, fields: dict[str, Any]) -> dict[str, Any]:
        values = [fields["title"], fields.get("done", False)]
        made = self.link.execute("INSERT INTO tasks (title, done) VALUES (?, ?)", values)
        return self.task(made.lastrowid or 0)

    def put(self, number: int, fields: dict[str, Any]) -> dict[str, Any]:
        self.task(number)
        values = [fields["title"], fields.get("done", False), number]
        self.link.execute("UPDATE tasks SET title = ?, done = ? WHERE id = ?", values)
        return self.task(number)

    def delete(self, number: int) -> None:
        self.link.execute("DELETE FROM tasks WHERE id = ?", [number])

    def attempt(self, token: str) -> int:
        """Note one; how many there are of this token now."""
        self.link.execute("INSERT INTO attempts (token, instance) VALUES (?, ?)", [token, INSTANCE])
        return len(self.attempts(token))

    def attempts(self, token: str) -> list[str]:
        rows = self.link.execute("SELECT instance FROM attempts WHERE token = ? ORDER BY id", [token])
        return [instance for (instance,) in rows]


# --- the application ----------------------------------------------------------------------------------


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """Raises ValueError for a scope type that it does not know."""
    match scope["type"]:
        case "lifespan":
            await live(scope, receive, send)
        case "http":
            await answer(scope, receive, send)
        case "websocket":
            await chat(scope, receive, send)
        case other:
            raise ValueError(f"this application knows no {other!r}")


async def live(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    store = Store(STORE)
    with closing(store.link):
        scope["state"]["store"] = store
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    try:
        if scope["path"] == "/events":
            await events(scope, receive, send)
            return
        status, value = await respond(scope, receive)
    except Refused as refused:
        status, value = refused.status, {"error": refused.text}
    body = b"" if value is None else json.dumps(value).encode()
    await start(send, status, "application/json", [(b"content-length", b"%d" % len(body))])
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})


async def start(send: Send, status: int, kind: str, more: list[tuple[bytes, bytes]]) -> None:
    headers = [(b"content-type", kind.encode()), (b"x-instance", INSTANCE.encode()), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})


async def respond(scope: Scope, receive: Receive) -> tuple[int, Any]:
    """A status and a value for JSON. Raises Refused."""
    store: Store = scope["state"]["store"]
    method = "GET" if scope["method"] == "HEAD" else scope["method"]
    query = parse_qs(scope["query_string"].decode("latin-1"))
    token = query.get("token", [""])[0]
    match method, scope["path"].strip("/").split("/"):
        case "GET", ["whoami"]:
            return 200, known(scope)
        case "GET", ["tasks"]:
            return 200, store.tasks()
        case "POST", ["tasks"]:
            return 201, store.add(await task_in(receive, new=True))
        case (("GET" | "PUT" | "DELETE"), ["tasks", number]) if number.isdecimal():
            return await one_task(store, method, int(number), receive)
        case (("GET" | "POST"), ["slow"]):
            times = store.attempt(token)
            if times == 1 or not token:
                await work(min(60.0, float(query.get("seconds", ["1"])[0])), receive)
            return 200, {"instance": INSTANCE, "attempts": times}
        case "GET", ["attempts"]:
            return 200, store.attempts(token)
    raise Refused(404, HTTPStatus.NOT_FOUND.phrase)


async def work(seconds: float, receive: Receive) -> None:
    """Take so long; nobody works for a client that has left."""
    left = asyncio.create_task(gone(receive))
    try:
        await asyncio.wait([left], timeout=seconds)
    finally:
        left.cancel()


async def one_task(store: Store, method: str, number: int, receive: Receive) -> tuple[int, Any]:
    if method == "DELETE":
        store.delete(number)
        return 204, None
    if method == "PUT":
        return 200, store.put(number, await task_in(receive, new=True))
    return 200, store.task(number)


async def task_in(receive: Receive, new: bool) -> dict[str, Any]:
    body, more = b"", True
    while more:
        event = await receive()
        if event["type"] == "http.disconnect":
            raise Refused(400, "the client left")
        body, more = body + event.get("body", b""), event.get("more_body", False)
        if len(body) > BODY_LIMIT:
            raise Refused(413, f"more than {BODY_LIMIT} bytes")
    try:
        return checked(json.loads(body), new)
    except (ValueError, RecursionError) as error:
        raise Refused(400, str(error)) from None


# --- who asks -----------------------------------------------------------------------------------------


def values(scope: Scope, name: str) -> list[str]:
    """A field's values, in order, from every line of it (RFC 9110 §5.3)."""
    lines = [value.decode("latin-1") for key, value in scope["headers"] if key == name.encode()]
    return [one.strip() for one in ",".join(lines).split(",") if one.strip()]


def known(scope: Scope) -> dict[str, Any]:
    """What this instance knows about who asks: what the hop in front says, and what came with the request."""
    peer = scope.get("client") or ["", 0]
    return {
        "instance": INSTANCE,
        "pid": os.getpid(),
        "peer": f"{peer[0]}:{peer[1]}",
        "client": (values(scope, "x-forwarded-for") or [peer[0]])[-1],
        "scheme": (values(scope, "x-forwarded-proto") or [scope["scheme"]])[-1],
        "host": ", ".join(values(scope, "host")),
        "headers": [[key.decode("latin-1"), value.decode("latin-1")] for key, value in scope["headers"]],
    }


# --- streams ------------------------------------------------------------------------------------------


async def events(scope: Scope, receive: Receive, send: Send) -> None:
    """Until the client leaves. It is not said here that nobody may buffer this: nginx has to know."""
    store: Store = scope["state"]["store"]
    last = store.last()
    await start(send, 200, "text/event-stream", [(b"cache-control", b"no-store")])
    await send({"type": "http.response.body", "body": sse("hello", known(scope)), "more_body": True})
    left = asyncio.create_task(gone(receive))
    try:
        while not left.done():
            for task in store.tasks(after=last):
                last = task["id"]
                await send({"type": "http.response.body", "body": sse("task", task), "more_body": True})
            await asyncio.wait([left], timeout=LOOK)
    except OSError:
        pass  # ASGI www, spec 2.4: sending to somebody who has left
    finally:
        left.cancel()


async def gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def sse(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()


ROOMS: dict[str, set[asyncio.Queue[str]]] = {}


async def chat(scope: Scope, receive: Receive, send: Send) -> None:
    """What anybody in the room says is sent to everybody in it: in it, here, in this process."""
    await receive()
    parts = scope["path"].strip("/").split("/")
    if len(parts) != 2 or parts[0] != "rooms":
        await send({"type": "websocket.close"})
        return
    name = parse_qs(scope["query_string"].decode("latin-1")).get("name", ["somebody"])[0]
    outbox: asyncio.Queue[str] = asyncio.Queue(OUTBOX)
    room = ROOMS.setdefault(parts[1], set())
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps({"type": "welcome", **known(scope)})})
    room.add(outbox)
    writing = asyncio.create_task(write(outbox, send))
    try:
        while (event := await receive())["type"] == "websocket.receive":
            said = json.dumps({"type": "said", "name": name, "text": event.get("text") or ""})
            for other in [one for one in room if not one.full()]:
                other.put_nowait(said)
    finally:
        writing.cancel()
        room.discard(outbox)
        if not room and ROOMS.get(parts[1]) is room:
            del ROOMS[parts[1]]


async def write(outbox: asyncio.Queue[str], send: Send) -> None:
    while True:
        await send({"type": "websocket.send", "text": await outbox.get()})
