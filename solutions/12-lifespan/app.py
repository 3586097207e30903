r"""A guest book: it answers from memory, and writes to a journal behind your back.

POST /visits?name=Ada   201   {"number": 3, "name": "Ada"}
GET  /visits            200   ["Grace", "Edsger", "Ada"]

Theory of operation. The journal is opened once, before the first request, and closed once, after the last.
In between one background task writes what came in since it wrote last. Three rules keep each visit from being
lost, or written twice:

1. `written` moves on after a write has returned, not before it. What is not written yet is still there.
2. Only one coroutine writes. A second one, at the same time, would write the same visits.
3. The task is asked to stop, not cancelled: cancel a write in the middle, and nobody knows whether it took
   place.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from journal import Journal

Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]

EVERY = 0.1  # seconds between two writes


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application. Raises ValueError for a scope that is neither lifespan nor http."""
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
    elif scope["type"] == "http":
        await answer(scope, receive, send)
    else:
        raise ValueError(f"this application does not know {scope['type']!r}")


# --- task 1: the application's lifespan -------------------------------------------------------------


async def live(scope: Scope, receive: Receive, send: Send) -> None:
    """Open the journal, serve, close it: one call from the server's start to its end."""
    await receive()  # lifespan.startup
    try:
        # ASGI lifespan, "Scope": a server that doesn't support state leaves the key out.
        state = scope["state"]
        book = GuestBook(await Journal.open())
    except (OSError, KeyError) as error:
        # An exception here would mean "I don't know lifespan", and the server would go on without a journal.
        await send({"type": "lifespan.startup.failed", "message": told(error)})
        return
    # Into the dict that is there: the server has kept it, and copies it for each request.
    state["book"] = book
    writing = asyncio.create_task(book.write_behind())
    await send({"type": "lifespan.startup.complete"})
    await receive()  # lifespan.shutdown: the last request is over
    book.stop.set()
    await writing
    try:
        await book.close()
    except OSError as error:
        await send({"type": "lifespan.shutdown.failed", "message": told(error)})
        return
    await send({"type": "lifespan.shutdown.complete"})


def told(error: Exception) -> str:
    """What the server is to print."""
    if isinstance(error, KeyError):
        return "this server has no lifespan state: where should the journal go?"
    return f"the journal: {error}"


# --- task 4: the background task --------------------------------------------------------------------


class GuestBook:
    """Everybody who was here, in order: the first `written` of them are in the journal."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.names = journal.lines()
        self.written = len(self.names)
        self.stop = asyncio.Event()

    async def add(self, name: str) -> int:
        """A visit; its number, counted from 1. It will be in the journal soon: nothing is awaited here."""
        self.names.append(name)
        return len(self.names)

    async def flush(self) -> None:
        """Write what is not in the journal yet. Raises OSError; then it is still not in."""
        batch = self.names[self.written :]
        if batch:
            await self.journal.write(batch)
            # Here and not before: while the disk was busy more names may have come, and it may have failed.
            self.written += len(batch)

    async def write_behind(self) -> None:
        """Write every EVERY seconds, until `stop` is set."""
        while not self.stop.is_set():
            try:
                await self.flush()
            except OSError as error:
                # The next turn tries again. An exception that left this task would end it, and tell nobody.
                print(f"not written yet: {error}", file=sys.stderr)
            await happens(self.stop, EVERY)

    async def close(self) -> None:
        """Write the rest, then close the journal. Raises OSError when the rest can't be written."""
        try:
            await self.flush()
        finally:
            await self.journal.close()


async def happens(event: asyncio.Event, seconds: float) -> bool:
    """Whether an event happens within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
        return True
    except TimeoutError:
        return False


# --- task 1: requests -------------------------------------------------------------------------------


async def answer(scope: Scope, receive: Receive, send: Send) -> None:
    """One request."""
    book = the_book(scope)
    match scope["method"], scope["path"]:
        case "POST", "/visits":
            name = parse_qs(scope["query_string"].decode("latin-1")).get("name", ["somebody"])[0]
            await respond(send, 201, {"number": await book.add(name), "name": name})
        case "GET", "/visits":
            await respond(send, 200, book.names)
        case _:
            await respond(send, 404, {"error": "POST /visits?name=Ada, GET /visits"})


def the_book(scope: Scope) -> GuestBook:
    """The book that `live` opened, for one request."""
    # The request's own copy of the state; the book in it is everybody's.
    book: GuestBook = scope["state"]["book"]
    return book


async def respond(send: Send, status: int, value: Any) -> None:
    """Answer with a JSON value."""
    body = json.dumps(value).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
