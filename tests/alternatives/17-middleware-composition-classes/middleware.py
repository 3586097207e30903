"""Layers as classes over one base, gzip by gzip.GzipFile, and adapters of another make.

WSGI under ASGI: a queue of one chunk between a thread and the coroutine that sends. ASGI under WSGI: a loop
of its own for each request, which the server's thread turns as long as it wants a chunk.
"""

from __future__ import annotations

import asyncio
import contextlib
import gzip as gzip_module
import hmac
import io
import secrets
import string
import time
from collections.abc import Iterable, Iterator
from http import HTTPStatus
from typing import Any

from tasks_wsgi import application as tasks
from translations import environ_of, scope_of

TOKENS = {"lovelace-1843": "Ada"}
ID_LETTERS = set((string.ascii_letters + string.digits + "._-").encode())


def field(headers: Any, name: bytes) -> list[bytes]:
    return [value for key, value in headers if bytes(key).lower() == name]


def replaced(headers: Any, name: bytes, value: bytes) -> list[Any]:
    return [*([pair for pair in headers if bytes(pair[0]).lower() != name]), (name, value)]


class Layer:
    """Passes everything on. A subclass says which scopes are its own, and what it does to each message."""

    kinds: tuple[str, ...] = ("http",)

    def __init__(self, app: Any) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] in self.kinds:
            await self.own(scope, receive, send)
        else:
            await self.app(scope, receive, send)

    async def own(self, scope: Any, receive: Any, send: Any) -> None:
        raise NotImplementedError


class Timing(Layer):
    def __init__(self, app: Any, clock: Any = time.perf_counter) -> None:
        super().__init__(app)
        self.clock = clock

    async def own(self, scope: Any, receive: Any, send: Any) -> None:
        began = self.clock()

        async def stamped(message: Any) -> None:
            if message["type"] == "http.response.start":
                value = f'app;desc="the application";dur={(self.clock() - began) * 1000}'.encode()
                message = dict(message, headers=[*message.get("headers", ()), (b"Server-Timing", value)])
            await send(message)

        await self.app(scope, receive, stamped)


class RequestId(Layer):
    kinds = ("http", "websocket")
    name = b"x-request-id"

    async def own(self, scope: Any, receive: Any, send: Any) -> None:
        given = b",".join(field(scope["headers"], self.name))
        usable = 1 <= len(given) <= 64 and set(given) <= ID_LETTERS
        own = given if usable else secrets.token_hex(8).encode()

        async def named(message: Any) -> None:
            if message["type"] in ("http.response.start", "websocket.accept"):
                message = dict(message, headers=replaced(message.get("headers", ()), self.name, own))
            await send(message)

        await self.app(dict(scope, headers=replaced(scope["headers"], self.name, own)), receive, named)


class Bearer(Layer):
    kinds = ("http", "websocket")

    def __init__(self, app: Any, tokens: Any, realm: str = "tasks") -> None:
        super().__init__(app)
        self.tokens, self.realm = tokens, realm

    async def own(self, scope: Any, receive: Any, send: Any) -> None:
        shown = field(scope["headers"], b"authorization")
        scheme, _, token = shown[0].partition(b" ") if len(shown) == 1 else (b"", b"", b"")
        known = [
            who for mine, who in self.tokens.items() if hmac.compare_digest(mine.encode(), token.strip())
        ]
        if known and scheme.lower() == b"bearer":
            await self.app(dict(scope, user=known[0]), receive, send)
        elif scope["type"] == "websocket":
            await refuse_websocket(receive, send)
        else:
            asked = f'Bearer realm="{self.realm}"'
            asked += ', error="invalid_token", error_description="nobody has this one"' if shown else ""
            headers = [(b"www-authenticate", asked.encode())]
            await send({"type": "http.response.start", "status": 401, "headers": headers})
            await send({"type": "http.response.body"})


class GZip(Layer):
    def __init__(self, app: Any, minimum: int = 500, level: int = 6) -> None:
        super().__init__(app)
        self.minimum, self.level = minimum, level

    async def own(self, scope: Any, receive: Any, send: Any) -> None:
        state: dict[str, Any] = {"start": None, "file": None, "buffer": io.BytesIO()}

        async def packing(message: Any) -> None:
            if message["type"] == "http.response.start":
                state["start"] = dict(message, headers=list(message.get("headers", ())))
                return
            body = message["type"] == "http.response.body"
            start, state["start"] = state["start"], None
            whole = not message.get("more_body")
            if body and state["file"] is not None:
                message = dict(message, body=self.pack(state, message.get("body", b""), whole))
            elif body and start is not None and self.worth_it(scope, start, message):
                vary = [one.lower() for one in field(start["headers"], b"vary")]
                if not any(b"accept-encoding" in one or b"*" in one for one in vary):
                    start["headers"].append((b"vary", b"Accept-Encoding"))
                if wants_gzip(field(scope["headers"], b"accept-encoding")):
                    state["file"] = gzip_module.GzipFile("", "wb", self.level, state["buffer"])
                    message = dict(message, body=self.pack(state, message.get("body", b""), whole))
                    self.rename(start, message, whole)
            if start is not None:
                await send(start)
            await send(message)

        await self.app(scope, receive, packing)

    def worth_it(self, scope: Any, start: Any, first: Any) -> bool:
        kind = b"".join(field(start["headers"], b"content-type")).lower()
        packed = kind.startswith((b"image/", b"video/", b"audio/")) and b"svg" not in kind
        large = first.get("more_body") or len(first.get("body", b"")) >= self.minimum
        plain = not field(start["headers"], b"content-encoding") and not packed
        return bool(large and plain and start["status"] not in (204, 206, 304) and scope["method"] != "HEAD")

    def pack(self, state: Any, data: bytes, whole: bool) -> bytes:
        state["file"].write(data)
        state["file"].close() if whole else state["file"].flush()
        out: bytes = state["buffer"].getvalue()
        state["buffer"].seek(0)
        state["buffer"].truncate()
        return out

    def rename(self, start: Any, message: Any, whole: bool) -> None:
        headers = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
        headers = [
            (name, b"W/" + value if name.lower() == b"etag" and value[:2] != b"W/" else value)
            for name, value in headers
        ]
        headers.append((b"content-encoding", b"gzip"))
        if whole:
            headers.append((b"content-length", str(len(message["body"])).encode()))
        start["headers"] = headers


def wants_gzip(values: list[bytes]) -> bool:
    found = {}
    for part in b",".join(values).decode("latin-1").lower().split(","):
        coding, *rest = [one.strip() for one in part.split(";")]
        found[coding] = "".join(rest).replace(" ", "")
    weight = found.get("gzip", found.get("*", "q=0"))
    return weight == "" or weight.rstrip("0.") not in ("q=", "q")


def timing(app: Any, clock: Any = time.perf_counter) -> Any:
    return Timing(app, clock)


def request_id(app: Any) -> Any:
    return RequestId(app)


def bearer(app: Any, tokens: Any, realm: str = "tasks") -> Any:
    return Bearer(app, tokens, realm)


def gzip(app: Any, minimum: int = 500, level: int = 6) -> Any:
    return GZip(app, minimum, level)


async def refuse_websocket(receive: Any, send: Any) -> None:
    await send({"type": "websocket.close"})


def stack(app: Any, layers: Iterable[Any]) -> Any:
    first, *rest = [*layers, None]
    return app if first is None else first(stack(app, rest[:-1]))


class FromWSGI:
    def __init__(self, app: Any, threads: int) -> None:
        self.app, self.room = app, asyncio.Semaphore(threads)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise ValueError(f"WSGI has no {scope['type']}")
        async with self.room:
            # Read first, to an end: then only http.disconnect can come. The price is memory.
            body, more = b"", True
            while more:
                event = await receive()
                if event["type"] == "http.disconnect":
                    return
                body, more = body + event.get("body", b""), event.get("more_body", False)
            await self.answer(environ_of(scope, io.BytesIO(body)), receive, send)

    async def answer(self, environ: Any, receive: Any, send: Any) -> None:
        queue: asyncio.Queue[Any] = asyncio.Queue(1)
        loop, left = asyncio.get_running_loop(), asyncio.Event()

        async def put(message: Any) -> None:
            # A chunk counts as taken when it was sent.
            await queue.put(message)
            await queue.join()

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass
            left.set()

        def work() -> None:
            begun = False
            head: list[Any] = []

            def start_response(status: str, headers: Any, exc_info: Any = None) -> Any:
                if exc_info and begun:
                    raise exc_info[1]
                pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
                head[:] = [{"type": "http.response.start", "status": int(status[:3]), "headers": pairs}]
                return write

            def write(data: bytes, more: bool = True) -> None:
                nonlocal begun
                if data or not more:
                    messages = [] if begun else head
                    begun = True
                    last = {"type": "http.response.body", "body": data, "more_body": more}
                    asyncio.run_coroutine_threadsafe(put([*messages, last]), loop).result()

            chunks = self.app(environ, start_response)
            try:
                for chunk in chunks:
                    write(chunk)
                    if left.is_set():
                        return
                write(b"", False)
            finally:
                if hasattr(chunks, "close"):
                    chunks.close()

        async def sending() -> None:
            while True:
                for message in await queue.get():
                    await send(message)
                queue.task_done()

        sender, watcher = asyncio.create_task(sending()), asyncio.create_task(watch())
        try:
            await asyncio.to_thread(work)
        finally:
            sender.cancel()
            watcher.cancel()


def asgi_from_wsgi(app: Any, threads: int = 8) -> Any:
    return FromWSGI(app, threads)


def wsgi_from_asgi(app: Any) -> Any:
    def adapted(environ: Any, start_response: Any) -> Iterator[bytes]:
        loop = asyncio.new_event_loop()
        read = taken = over = False
        waiting: asyncio.Queue[Any] = asyncio.Queue()
        asked = asyncio.Event()

        async def receive() -> Any:
            nonlocal read
            if read:
                await asyncio.Event().wait()
            read = True
            size = int(environ.get("CONTENT_LENGTH") or 0)
            return {"type": "http.request", "body": environ["wsgi.input"].read(size), "more_body": False}

        async def send(message: Any) -> None:
            if over:
                raise OSError("the client left")
            asked.clear()
            await waiting.put(message)
            await asked.wait()
            if over:
                raise OSError("the client left")

        async def next_message() -> Any:
            getting = asyncio.ensure_future(waiting.get())
            await asyncio.wait({getting, running}, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                return getting.result()
            getting.cancel()
            await running
            raise RuntimeError("the application returned before its response was complete")

        running = loop.create_task(app(scope_of(environ), receive, send))
        try:
            while not taken:
                message = loop.run_until_complete(next_message())
                if message["type"] == "http.response.start":
                    status = message["status"]
                    headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in message["headers"]]
                    start_response(f"{status} {HTTPStatus(status).phrase}", headers)
                elif message["type"] == "http.response.body":
                    taken = not message.get("more_body", False)
                    yield message.get("body", b"")
                asked.set()
        finally:
            over = not taken
            asked.set()
            running.cancel() if over and running.done() else None
            with contextlib.suppress(BaseException):
                loop.run_until_complete(asyncio.wait_for(running, 2.0))
            loop.close()

    return adapted


application = stack(
    asgi_from_wsgi(tasks),
    [request_id, timing, gzip, lambda app: bearer(app, TOKENS)],
)
