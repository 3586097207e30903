"""Calls of lab 17's layers: what checks put beside them, and what a server or an application sees of it."""

import asyncio
import importlib
from collections.abc import Callable
from typing import Any

from adapted_apps import Application, Message, Receive, Send

PATIENCE = 3.0  # seconds until what must happen is said not to have happened


def louder(app: Application) -> Application:
    """A layer that makes every body upper case: it has to see plain text."""

    async def raised(scope: Message, receive: Receive, send: Send) -> None:
        async def upper(message: Message) -> None:
            if message["type"] == "http.response.body":
                message = {**message, "body": message.get("body", b"").upper()}
            await send(message)

        await app(scope, receive, upper)

    return raised


def second_of(
    stack: Callable[[Application, list[Any]], Application], app: Application, layers: list[Any]
) -> Application:
    """What `stack` makes of an application and a list that it has been given once before."""
    stack(app, layers)
    return stack(app, layers)


def steady(before: float) -> Application:
    """An application that takes `before` seconds of manual_clock until it starts, then as much again."""
    clock: Any = importlib.import_module("manual_clock")

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        clock.work(before)
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-worker", b"yes")]})
        await send({"type": "http.response.body", "body": b"some work", "more_body": True})
        clock.work(before)
        await send({"type": "http.response.body", "body": b", and more"})

    return application


def delayed(app: Application, seconds: float) -> Application:
    """A layer that takes so many seconds of manual_clock before it calls what it is around."""
    clock: Any = importlib.import_module("manual_clock")

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        clock.work(seconds)
        await app(scope, receive, send)

    return application


def keeps_scope(layer: Callable[[Application], Application], scope: Message) -> list[str]:
    """Which keys of its scope a server finds changed after a layer has had it."""

    async def inner(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})

    async def run() -> list[str]:
        mine = {**scope, "headers": [tuple(pair) for pair in scope["headers"]]}
        before = {key: list(value) if isinstance(value, list) else value for key, value in mine.items()}

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Message) -> None:
            pass

        await layer(inner)(mine, receive, send)
        return sorted(key for key in mine.keys() | before.keys() if mine.get(key) != before.get(key))

    return asyncio.run(run())


def headers_kept(layer: Callable[[Application], Application], scope: Message) -> list[tuple[bytes, bytes]]:
    """The header list of an application that has one for all its answers, after two of them."""
    kept = [(b"content-type", b"text/plain"), (b"content-length", b"900"), (b"etag", b'"1"')]

    async def inner(scope: Message, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": kept})
        await send({"type": "http.response.body", "body": b"." * 900})

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        pass

    async def run() -> None:
        app = layer(inner)
        for _ in range(2):
            asked = [*map(tuple, scope["headers"]), (b"accept-encoding", b"gzip")]
            await app({**scope, "headers": asked}, receive, send)

    asyncio.run(run())
    return kept


def streams(layer: Callable[[Application], Application], scopes: list[Message]) -> list[bytes]:
    """Requests at once, whose bodies, of their paths, come a piece each in turn: the bytes that each got."""

    async def run() -> list[bytes]:
        turn = asyncio.Barrier(len(scopes))

        async def inner(scope: Message, receive: Receive, send: Send) -> None:
            await turn.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            for _ in range(3):
                await turn.wait()
                body = scope["path"].encode() * 50
                await send({"type": "http.response.body", "body": body, "more_body": True})
            await send({"type": "http.response.body", "body": b""})

        app = layer(inner)

        async def one(scope: Message) -> bytes:
            got = bytearray()

            async def receive() -> Message:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Message) -> None:
                got.extend(message.get("body", b""))

            await app({**scope, "headers": [tuple(pair) for pair in scope["headers"]]}, receive, send)
            return bytes(got)

        return list(await asyncio.wait_for(asyncio.gather(*map(one, scopes)), PATIENCE))

    return asyncio.run(run())


def overlapping(
    layer: Callable[[Application], Application], scopes: list[Message], seconds: float = 0.0
) -> list[Any]:
    """Requests at once, each answered when all are inside: the headers that each got.

    With `seconds`, each takes so many of manual_clock when it is inside, and then the next one comes.
    """

    async def run() -> list[Any]:
        inside, all_in, came = 0, asyncio.Event(), asyncio.Semaphore(0)

        async def inner(scope: Message, receive: Receive, send: Send) -> None:
            nonlocal inside
            inside += 1
            if seconds:
                importlib.import_module("manual_clock").work(seconds)
            came.release()
            if inside == len(scopes):
                all_in.set()
            await all_in.wait()
            await send({"type": "http.response.start", "status": 200, "headers": []})
            await send({"type": "http.response.body", "body": b"ok"})

        app = layer(inner)

        async def one(scope: Message) -> Any:
            got: list[Any] = []

            async def receive() -> Message:
                return {"type": "http.request", "body": b"", "more_body": False}

            async def send(message: Message) -> None:
                if message["type"] == "http.response.start":
                    got.extend((bytes(name), bytes(value)) for name, value in message["headers"])

            await app({**scope, "headers": [tuple(pair) for pair in scope["headers"]]}, receive, send)
            return got

        async def all_of_them() -> list[Any]:
            tasks: list[asyncio.Task[Any]] = []
            for scope in scopes:
                tasks.append(asyncio.ensure_future(one(scope)))
                if seconds:
                    entered = asyncio.ensure_future(came.acquire())
                    await asyncio.wait([tasks[-1], entered], return_when=asyncio.FIRST_COMPLETED)
            return list(await asyncio.gather(*tasks))

        return await asyncio.wait_for(all_of_them(), PATIENCE)

    return asyncio.run(run())
