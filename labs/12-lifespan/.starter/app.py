r"""A guest book: it responds from memory, and writes to a journal in the background.

POST /visits?name=Ada   201   {"number": 3, "name": "Ada"}
GET  /visits            200   ["Grace", "Edsger", "Ada"]
"""

import asyncio
import json
from urllib.parse import parse_qs

from journal import Journal  # given: apps/journal.py

EVERY = 0.1  # seconds between two writes


async def app(scope, receive, send):
    """Given: the application. Raises ValueError for a scope that is neither lifespan nor http."""
    if scope["type"] == "lifespan":
        await live(scope, receive, send)
    elif scope["type"] == "http":
        await answer(scope, receive, send)
    else:
        raise ValueError(f"this application does not know {scope['type']!r}")


async def live(scope, receive, send):
    r"""One call, which lasts from the server's start to its exit.

    scope    {"type": "lifespan", "asgi": {"version": "3.0"}, "state": {}}; put in what requests need.
             A server that doesn't support state leaves the key out
    receive  await it: {"type": "lifespan.startup"}, and {"type": "lifespan.shutdown"} after the last request
    send     await it: {"type": "lifespan.startup.complete"}, {"type": "lifespan.shutdown.complete"}, or
             {"type": "lifespan.startup.failed", "message": "the journal: No such file or directory"}
    """
    # TODO task 1: await Journal.open() raises OSError; await journal.close().
    # TODO task 4: a background task, asyncio.create_task(book.write_behind()), that ends before the journal.
    raise NotImplementedError("lab 12 task 1: open on startup, close on shutdown")


class GuestBook:
    """The names of all visitors, in order."""

    def __init__(self, journal: Journal):
        self.journal = journal
        self.names = journal.lines()  # those of earlier runs

    async def add(self, name):
        """Add a visit. Returns its number, counted from 1."""
        # TODO task 1: await journal.write(["Ada"]). Task 4: it is slow; return before it has written.
        raise NotImplementedError("lab 12 task 1: add a visit")

    async def write_behind(self):
        """Write what has come in since the last write, every EVERY seconds, until asked to stop."""
        # TODO task 4: try again after an OSError. A write that was cancelled may have taken place.
        raise NotImplementedError("lab 12 task 4: write behind")


async def happens(event, seconds):
    """Given: whether an asyncio.Event happens within so many seconds. A sleep that can be woken."""
    try:
        await asyncio.wait_for(event.wait(), seconds)
        return True
    except TimeoutError:
        return False


async def answer(scope, receive, send):
    """Given, but for one thing: where is the book?"""
    book = the_book(scope)
    match scope["method"], scope["path"]:
        case "POST", "/visits":
            name = parse_qs(scope["query_string"].decode("latin-1")).get("name", ["somebody"])[0]
            await respond(send, 201, {"number": await book.add(name), "name": name})
        case "GET", "/visits":
            await respond(send, 200, book.names)
        case _:
            await respond(send, 404, {"error": "POST /visits?name=Ada, GET /visits"})


def the_book(scope):
    """The book that `live` opened. No global: two servers in one process have two books."""
    # TODO task 1
    raise NotImplementedError("lab 12 task 1: find the book in the request's state")


async def respond(send, status, value):
    """Given: respond with a JSON value."""
    body = json.dumps(value).encode() + b"\n"
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
