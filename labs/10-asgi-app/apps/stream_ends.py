"""Calls an application for a stream as a server would, and looks at what is left when the call has returned.

Lab 10's checks run it beside the learner's application, in one event loop with it.
"""

import asyncio
import importlib
import json

task_store = importlib.import_module("task_store")  # the one that the learner's module has, too

SECONDS = 2.0  # for a call that has to end


def scope_of(path):
    asgi = {"version": "3.0", "spec_version": "2.3"}  # 2.4 would promise that `send` raises
    return {
        "type": "http",
        "asgi": asgi,
        "http_version": "1.1",
        "method": "GET",
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "headers": [(b"host", b"localhost")],
    }


class Client:
    """One client: it has sent its request, and leaves when `left` is set."""

    def __init__(self):
        self.left = asyncio.Event()
        self.events = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive(self):
        if self.events:
            return self.events.pop()
        await self.left.wait()
        return {"type": "http.disconnect"}


async def streams_left(app):
    """Leave /events after its first piece; what /stats counts as soon as that call has returned."""
    client = Client()

    async def send(message):
        if message.get("more_body"):
            client.left.set()

    try:
        async with asyncio.timeout(SECONDS):  # no task of its own: nothing runs between the end and /stats
            await app(scope_of("/events"), client.receive, send)
    except TimeoutError:
        return "the call did not return"
    parts = []

    async def keep(message):
        parts.append(message.get("body", b""))

    await app(scope_of("/stats"), Client().receive, keep)
    return json.loads(b"".join(parts))["streams"]


async def what_is_raised(app, words):
    """Let `send` raise an exception with these words; what was raised then, or how the call ended."""
    sent = []

    async def send(message):
        sent.append(message)
        if message["type"] == "http.response.body":
            raise RuntimeError(words)

    try:
        async with asyncio.timeout(SECONDS):
            await app(scope_of("/events"), Client().receive, send)
    except TimeoutError:
        return "nothing: the call did not return"
    except BaseException as error:
        return ", ".join(said(error))
    return "nothing: the call returned"


async def full_disk(app, words):
    """Let the store raise an OSError with these words while /tasks.csv is sent; what was raised then."""
    kept = task_store.Tasks.all

    def fail(self):
        raise OSError(words)

    async def send(message):
        pass

    task_store.Tasks.all = fail
    try:
        async with asyncio.timeout(SECONDS):
            await app(scope_of("/tasks.csv"), Client().receive, send)
    except TimeoutError:
        return "nothing: the call did not return"
    except BaseException as error:
        return ", ".join(said(error))
    finally:
        task_store.Tasks.all = kept
    return "nothing: the call returned"


def said(error):
    """The words of an exception, or of all in a group of them."""
    if isinstance(error, BaseExceptionGroup):
        return [words for one in error.exceptions for words in said(one)]
    return [f"{type(error).__name__}: {error}"]
