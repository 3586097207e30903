"""Another shape: an object that is called, an object a request, a queue a listener, tasks awaited by hand."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qsl

import slow_reports
import task_store

Message = dict[str, Any]
TOO_LARGE = 64 * 1024 + 1


class Stop(Exception):
    """The request ends here, with this answer, if there is one."""

    def __init__(self, status: int = 0, why: str = "", **headers: str) -> None:
        super().__init__(why)
        self.status, self.headers = status, headers


def sse_event(data: str, name: str = "", number: str = "") -> bytes:
    """Fields in another order, and CRLF at the ends of lines."""
    for word in (name, number):
        if len(word.splitlines()) > 1 or word != word.rstrip("\r\n"):
            raise ValueError("a line end in a name or a number")
    lines = ["data: " + line for line in data.replace("\r\n", "\n").replace("\r", "\n").split("\n")]
    lines += ["event: " + name] * bool(name) + ["id: " + number] * bool(number)
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class Hub:
    """Who listens, each with a queue; and everything that was ever said, for who comes back."""

    def __init__(self) -> None:
        self.said: list[bytes] = []
        self.queues: set[asyncio.Queue[bytes]] = set()

    def say(self, name: str, task: Message) -> None:
        event = sse_event(json.dumps(task), name, f"e{len(self.said) + 1}")
        self.said.append(event)
        for queue in self.queues:
            queue.put_nowait(event)

    def join(self, last: str) -> asyncio.Queue[bytes]:
        queue: asyncio.Queue[bytes] = asyncio.Queue()
        if re.fullmatch("e[0-9]{1,18}", last):
            for event in self.said[int(last[1:]) :]:
                queue.put_nowait(event)
        self.queues.add(queue)
        return queue


class Request:
    """One call of the application: what came, and how to answer."""

    def __init__(self, site: Site, scope: Message, receive: Any, send: Any) -> None:
        self.site, self.scope, self.receive, self.send = site, scope, receive, send
        self.fields = {bytes(name): bytes(value).decode("latin-1") for name, value in scope["headers"]}
        self.query = parse_qsl(scope["query_string"].decode(), keep_blank_values=True)

    async def body(self) -> bytes:
        parts: list[bytes] = []
        more = True
        while more:
            message = await self.receive()
            if message["type"] != "http.request":
                raise Stop()
            parts.append(message.get("body", b""))
            more = message.get("more_body", False)
            if sum(map(len, parts)) >= TOO_LARGE:
                raise Stop(413, "too large")
        return b"".join(parts)

    async def task(self, new: bool = False) -> Message:
        if self.fields.get(b"content-type", "").split(";")[0].strip().lower() != "application/json":
            raise Stop(415, "not JSON")
        try:
            return task_store.checked(json.loads(await self.body()), new)
        except (ValueError, RecursionError) as error:
            raise Stop(400, str(error)) from error

    async def start(self, status: int, kind: str = "", **headers: str) -> None:
        pairs = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
        pairs += [(b"content-type", kind.encode())] * bool(kind)
        await self.send({"type": "http.response.start", "status": status, "headers": pairs})

    async def piece(self, data: bytes, more: bool = True) -> None:
        await self.send({"type": "http.response.body", "body": data, "more_body": more})

    async def json(self, value: Any, status: int = 200, **headers: str) -> None:
        await self.start(status, "application/json", **headers)
        await self.piece(json.dumps(value, ensure_ascii=False).encode(), more=False)

    async def left(self) -> None:
        message: Message = {}
        while message.get("type") != "http.disconnect":
            message = await self.receive()


class Site:
    """The application."""

    def __init__(self) -> None:
        self.tasks = task_store.Tasks()
        self.hub = Hub()

    async def __call__(self, scope: Message, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        request = Request(self, scope, receive, send)
        try:
            await self.answer(request)
        except Stop as stop:
            if stop.status:
                await request.json({"error": str(stop)}, stop.status, **stop.headers)

    async def answer(self, request: Request) -> None:
        parts = request.scope["path"].split("/")[1:]
        match parts:
            case ["echo" | "tasks" | "tasks.csv" | "events" | "report" | "stats" as page]:
                word, number = page.replace(".", "_"), None
            case ["tasks", digits] if digits.isascii() and digits.isdigit() and len(digits) < 19:
                word, number = "task", int(digits)
            case _:
                raise Stop(404, "not here")
        method = "GET" if request.scope["method"] == "HEAD" else request.scope["method"]
        prefix = f"{word}_"
        known = {
            name.removeprefix(prefix) for name in dir(self) if name.startswith(prefix) and name.isascii()
        }
        methods = {name.upper() for name in known if name in ("get", "post", "put", "patch", "delete")}
        if method not in methods:
            raise Stop(405, "not so", allow=", ".join(methods | ({"HEAD"} if "GET" in methods else set())))
        handler: Callable[..., Awaitable[None]] = getattr(self, prefix + method.lower())
        await (handler(request) if number is None else handler(request, number))

    def existing(self, number: int) -> Message:
        for task in self.tasks.all():
            if task["id"] == number:
                return task
        raise Stop(404, f"no task {number}")

    async def echo_get(self, request: Request) -> None:
        scope = request.scope
        body = str(await request.body(), "utf-8", "replace")
        headers = [[str(one, "latin-1") for one in pair] for pair in scope["headers"]]
        told = {"method": scope["method"], "path": scope["path"], "body": body, "headers": headers}
        await request.json({**told, "query": request.query})

    echo_post = echo_put = echo_get

    async def tasks_get(self, request: Request) -> None:
        await request.json(self.tasks.all())

    async def tasks_post(self, request: Request) -> None:
        task = self.tasks.add(await request.task(new=True))
        self.hub.say("created", task)
        # RFC 9110 §10.2.2: Location may be a whole URL.
        host = request.fields.get(b"host", "localhost")
        await request.json(task, 201, location=f"http://{host}/tasks/{task['id']}")

    async def task_get(self, request: Request, number: int) -> None:
        await request.json(self.existing(number))

    async def task_patch(self, request: Request, number: int) -> None:
        self.existing(number)
        fields = await request.task()
        self.existing(number)
        task = self.tasks.change(number, fields)
        self.hub.say("changed", task)
        await request.json(task)

    task_put = task_patch

    async def task_delete(self, request: Request, number: int) -> None:
        self.hub.say("deleted", self.existing(number))
        self.tasks.delete(number)
        await request.start(204)
        await request.piece(b"", more=False)

    async def tasks_csv_get(self, request: Request) -> None:
        await request.start(200, "text/csv")
        await request.piece(b"id,title,done\r\n")
        for task in self.tasks.all():
            await request.piece(task_store.csv_row(task).encode())
            await asyncio.sleep(0)
        await request.piece(b"", more=False)

    async def events_get(self, request: Request) -> None:
        leaving = asyncio.create_task(request.left())
        queue = self.hub.join(request.fields.get(b"last-event-id", ""))
        try:
            await request.start(200, "text/event-stream", cache_control="no-cache", x_accel_buffering="no")
            await request.piece(b"retry: 1000\r\n\r\n")
            while not leaving.done():
                news = asyncio.create_task(queue.get())
                await asyncio.wait({news, leaving}, timeout=0.4, return_when=asyncio.FIRST_COMPLETED)
                if not news.cancel():
                    await request.piece(news.result())
                elif not leaving.done():
                    await request.piece(b":\r\n\r\n")
        finally:
            leaving.cancel()
            self.hub.queues.discard(queue)

    async def report_get(self, request: Request) -> None:
        try:
            seconds = float(dict(request.query).get("seconds", "0.2"))
        except ValueError:
            seconds = math.nan
        if not 0 <= seconds < math.inf:
            raise Stop(400, "how many seconds?")
        work = asyncio.to_thread(slow_reports.render, self.tasks.all(), seconds)
        try:
            text = await asyncio.wait_for(work, timeout=1)
        except TimeoutError:
            raise Stop(503, "it takes too long", retry_after="1") from None
        await request.start(200, "text/plain; charset=utf-8", content_length=str(len(text)))
        await request.piece(text.encode(), more=False)

    async def stats_get(self, request: Request) -> None:
        running, most = slow_reports.running, slow_reports.most
        await request.json({"streams": len(self.hub.queues), "reports": running, "most_reports": most})


app = Site()
