"""The site of the last lab, on lab 18's framework: tasks in a store that instances share, a chat, events.

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
import time
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager, closing
from dataclasses import asdict, dataclass
from typing import Any

from framework import App, HTTPException, JSONResponse, Request, StreamingResponse, WebSocket
from task_store import checked

Scope = MutableMapping[str, Any]
Event = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
ASGI = Callable[[Scope, Receive, Send], Awaitable[None]]

INSTANCE = os.environ.get("SITE_INSTANCE", "only")
STORE = os.environ.get("SITE_STORE", ":memory:")
BODY_LIMIT = int(os.environ.get("SITE_BODY", "65536"))
PATIENCE = 5.0  # seconds until the store counts as locked
LOOK = 0.05  # seconds between two looks for new tasks
OUTBOX = 64  # messages that wait for one member
SCHEMA = """
CREATE TABLE IF NOT EXISTS tasks (id INTEGER PRIMARY KEY AUTOINCREMENT, title TEXT NOT NULL, done INT);
CREATE TABLE IF NOT EXISTS attempts (id INTEGER PRIMARY KEY, token TEXT NOT NULL, instance TEXT NOT NULL);
"""


# --- the store ----------------------------------------------------------------------------------------


class Store:
    """Tasks and attempts in one SQLite file. What a method has returned from, a killed process can't lose."""

    def __init__(self, path: str) -> None:
        # Autocommit: each statement is a transaction, and with a write-ahead log readers wait for nobody.
        self.link = sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)
        self._begin_log()
        self.link.execute("PRAGMA synchronous = NORMAL")
        self.link.executescript(SCHEMA)

    def _begin_log(self) -> None:
        """Of two instances that begin at once, one is told "database is locked" here: there is no timeout."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                self.link.execute("PRAGMA journal_mode = WAL")
                return
            except sqlite3.OperationalError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)

    def tasks(self, after: int = 0) -> list[dict[str, Any]]:
        rows = self.link.execute("SELECT id, title, done FROM tasks WHERE id > ? ORDER BY id", [after])
        return [{"id": number, "title": title, "done": bool(done)} for number, title, done in rows]

    def last(self) -> int:
        number: int = self.link.execute("SELECT coalesce(max(id), 0) FROM tasks").fetchone()[0]
        return number

    def task(self, number: int) -> dict[str, Any]:
        row = self.link.execute("SELECT id, title, done FROM tasks WHERE id = ?", [number]).fetchone()
        if row is None:
            raise HTTPException(404, f"there is no task {number}")
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


# --- layers -------------------------------------------------------------------------------------------


def signed(inner: ASGI) -> ASGI:
    """Every answer says which instance gave it."""

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        async def sign(event: Event) -> None:
            if event["type"] == "http.response.start":
                event = {**event, "headers": [*event["headers"], (b"x-instance", INSTANCE.encode())]}
            await send(event)

        await inner(scope, receive, sign if scope["type"] == "http" else send)

    return layer


def limited(inner: ASGI) -> ASGI:
    """No body is longer than BODY_LIMIT. Raises HTTPException where it is read."""

    async def layer(scope: Scope, receive: Receive, send: Send) -> None:
        count = 0

        async def counted() -> Event:
            nonlocal count
            event = await receive()
            count += len(event.get("body", b""))
            if count > BODY_LIMIT:
                raise HTTPException(413, f"more than {BODY_LIMIT} bytes")
            return event

        await inner(scope, counted if scope["type"] == "http" else receive, send)

    return layer


# --- the application ----------------------------------------------------------------------------------


@asynccontextmanager
async def lifespan(app: App) -> AsyncIterator[dict[str, Any]]:
    store = Store(STORE)
    with closing(store.link):
        yield {"store": store}


app = App(lifespan=lifespan, middleware=[signed, limited])


@dataclass
class Fields:
    """A task as a client sends it."""

    title: str
    done: bool = False


def valid(fields: Fields) -> dict[str, Any]:
    try:
        return checked(asdict(fields), True)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


@app.get("/whoami")
async def whoami(request: Request) -> Any:
    return known(request.scope)


@app.get("/tasks")
async def list_tasks(request: Request) -> Any:
    return request.state.store.tasks()


@app.post("/tasks", status_code=201)
async def create_task(request: Request, fields: Fields) -> Any:
    return request.state.store.add(valid(fields))


@app.get("/tasks/{number}")
async def show_task(request: Request, number: int) -> Any:
    return request.state.store.task(number)


@app.route("/tasks/{number}", ["PUT"])
async def put_task(request: Request, number: int, fields: Fields) -> Any:
    return request.state.store.put(number, valid(fields))


@app.delete("/tasks/{number}", status_code=204)
async def delete_task(request: Request, number: int) -> None:
    request.state.store.delete(number)


@app.get("/attempts")
async def attempts(request: Request, token: str = "") -> Any:
    return request.state.store.attempts(token)


async def slow(scope: Scope, receive: Receive, send: Send) -> None:
    """Plain ASGI, mounted: it has to hear that the client has left while it works."""
    request = Request(scope, receive)
    token = request.query_params.get("token") or ""
    times = request.state.store.attempt(token)
    if times == 1 or not token:
        await work(min(60.0, float(request.query_params.get("seconds") or 1)), receive)
    await JSONResponse({"instance": INSTANCE, "attempts": times})(scope, receive, send)


app.mount("/slow", slow)


async def work(seconds: float, receive: Receive) -> None:
    """Take so long; nobody works for a client that has left."""
    left = asyncio.create_task(gone(receive))
    try:
        await asyncio.wait([left], timeout=seconds)
    finally:
        left.cancel()


async def gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


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


@app.get("/events")
async def events(request: Request) -> Any:
    """Until the client leaves. It is not said here that nobody may buffer this: nginx has to know."""
    store: Store = request.state.store
    last = store.last()

    async def news(last: int) -> AsyncIterator[bytes]:
        yield sse("hello", known(request.scope))
        while True:
            for task in store.tasks(after=last):
                last = task["id"]
                yield sse("task", task)
            await asyncio.sleep(LOOK)

    return StreamingResponse(news(last), 200, {"cache-control": "no-store"}, "text/event-stream")


def sse(name: str, value: Any) -> bytes:
    return f"event: {name}\ndata: {json.dumps(value)}\n\n".encode()


ROOMS: dict[str, set[asyncio.Queue[str]]] = {}


@app.websocket("/rooms/{name}")
async def chat(websocket: WebSocket, name: str) -> None:
    """What anybody in the room says is sent to everybody in it: in it, here, in this process."""
    member = websocket.query_params.get("name") or "somebody"
    outbox: asyncio.Queue[str] = asyncio.Queue(OUTBOX)
    room = ROOMS.setdefault(name, set())
    await websocket.accept()
    await websocket.send_text(json.dumps({"type": "welcome", **known(websocket.scope)}))
    room.add(outbox)
    writing = asyncio.create_task(write(outbox, websocket))
    try:
        async for text in websocket.iter_text():
            said = json.dumps({"type": "said", "name": member, "text": text})
            for other in [one for one in room if not one.full()]:
                other.put_nowait(said)
    finally:
        writing.cancel()
        room.discard(outbox)
        if not room and ROOMS.get(name) is room:
            del ROOMS[name]


async def write(outbox: asyncio.Queue[str], websocket: WebSocket) -> None:
    while True:
        await websocket.send_text(await outbox.get())
