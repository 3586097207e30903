"""The tasks API as one ASGI application: no framework, and nothing of a server.

Theory of operation. One event loop in one thread runs every request. A coroutine has the loop to itself until
it awaits something that is not ready; so `TASKS` and `FEED` need no lock, and so a call that blocks stops
everybody. Five rules follow, one a task:

1. The scope is the head of one request. The body comes later, in pieces, each time `receive` is awaited.
2. An error is an exception until it reaches `app`, which alone turns it into a response.
3. A response that goes on is a start and then body events as they are made; every one but the last says
   more_body. An event stream (server-sent events) is such a response that has no last one.
4. Nobody tells a coroutine that its client has left, unless it awaits `receive`. `until_gone` does that
   beside the work, and cancels the work.
5. What blocks goes to a thread. What may take long has a limit: the waiting ends then; the thread does not.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any
from urllib.parse import parse_qsl

import slow_reports
from task_store import Task, Tasks, checked, csv_row

Scope = dict[str, Any]
Event = dict[str, Any]
Receive = Callable[[], Awaitable[Event]]
Send = Callable[[Event], Awaitable[None]]
Handler = Callable[..., Awaitable[None]]
Headers = Iterable[tuple[str, str]]

BODY_LIMIT = 64 * 1024  # bytes
HEARTBEAT = 0.5  # seconds of silence after which an event stream says that it is alive
REPORT_LIMIT = 1.0  # seconds that a report may take
THREADS = ThreadPoolExecutor(max_workers=64, thread_name_prefix="report")


class HTTPError(Exception):
    """What is to be answered instead: status, a sentence for the client, further header fields."""

    def __init__(self, status: int, message: str, headers: Headers = ()) -> None:
        super().__init__(status, message)
        self.status, self.message, self.headers = status, message, headers


class ClientLeft(Exception):
    """http.disconnect came before the request was whole, or `send` found nobody to send to."""


# --- task 1: scope, receive, send -------------------------------------------------------------------


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """The application: one call for one request. Raises ValueError for a scope that is not http."""
    # ASGI, "Applications": a scope type that is not known must be refused with an exception.
    # That is how a server learns that there is no lifespan here, and goes on without.
    if scope["type"] != "http":
        raise ValueError(f"this application knows http, not {scope['type']!r}")
    try:
        handler, numbers = route(scope["method"], scope["path"])
        await handler(scope, receive, send, *numbers)
    except HTTPError as error:
        await send_json(send, error.status, {"error": error.message}, error.headers)
    except ClientLeft:
        pass  # nobody is there to be answered


async def read_body(receive: Receive, limit: int = BODY_LIMIT) -> bytes:
    """The whole body of a request, at most `limit` bytes.

    Raises HTTPError 413 as soon as there is more, and ClientLeft when the client went before the end.
    """
    body = bytearray()
    while True:
        event = await receive()
        # ASGI www, "Disconnect": half a body is not a shorter body.
        if event["type"] == "http.disconnect":
            raise ClientLeft
        # ASGI www, "Request": both keys may be absent; then they are b"" and False.
        body += event.get("body", b"")
        # RFC 9110 §15.5.14. Now, not at the end: the rest is neither read nor kept.
        if len(body) > limit:
            raise HTTPError(413, f"a body has at most {limit} bytes here")
        if not event.get("more_body", False):
            return bytes(body)


async def send_head(send: Send, status: int, headers: Headers) -> None:
    """http.response.start. The server keeps it back until the first body event."""
    # ASGI www, "Response Start": names and values are bytes, names in lower case.
    pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": pairs})


async def respond(send: Send, status: int, body: bytes = b"", type: str = "", headers: Headers = ()) -> None:
    """A response that is there as a whole: its length is known, so it is said (RFC 9110 §8.6)."""
    described = [("content-type", type)] if type else []
    # RFC 9110 §8.6: no Content-Length in a 204.
    described += [("content-length", str(len(body)))] if status != 204 else []
    await send_head(send, status, [*described, *headers])
    # A HEAD's body is left out by the server (ASGI www, "Response Body").
    await send({"type": "http.response.body", "body": body})


async def send_json(send: Send, status: int, value: Any, headers: Headers = ()) -> None:
    """A response of one JSON value and the line end that a terminal likes."""
    body = json.dumps(value).encode() + b"\n"
    await respond(send, status, body, "application/json", headers)


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """What the application was given, as JSON: method, path, query, headers and body as text."""
    body = await read_body(receive)
    # ASGI www, "HTTP Connection Scope": the path has been decoded, the query has not; it is bytes.
    query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
    seen = {
        "method": scope["method"],
        "path": scope["path"],
        "query": query,
        "headers": [(name.decode("latin-1"), value.decode("latin-1")) for name, value in scope["headers"]],
        "body": body.decode("utf-8", "replace"),
    }
    await send_json(send, 200, seen)


# --- task 2: the tasks API --------------------------------------------------------------------------


async def read_task(scope: Scope, receive: Receive, new: bool = False) -> Task:
    """The fields of a task in a request's body. Raises HTTPError 400, 413 or 415."""
    media = dict(scope["headers"]).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if media != b"application/json":
        # RFC 9110 §15.5.16
        raise HTTPError(415, "send application/json")
    body = await read_body(receive)
    try:
        return checked(json.loads(body, parse_constant=no_number), new)
    except (ValueError, RecursionError) as error:
        # Both JSONDecodeError and UnicodeDecodeError are ValueErrors; "[[[[…" is too deep up to Python 3.13.
        raise HTTPError(400, str(error)) from None


def no_number(word: str) -> Any:
    """RFC 8259 §6: NaN and Infinity, which Python's parser takes, are no JSON."""
    raise ValueError(f"{word} is no number")


def existing(number: int) -> Task:
    """A task by its number. Raises HTTPError 404."""
    try:
        return TASKS.get(number)
    except KeyError:
        raise HTTPError(404, f"there is no task {number}") from None


async def list_tasks(scope: Scope, receive: Receive, send: Send) -> None:
    await send_json(send, 200, TASKS.all())


async def create_task(scope: Scope, receive: Receive, send: Send) -> None:
    task = TASKS.add(await read_task(scope, receive, new=True))
    FEED.publish("created", task)
    # RFC 9110 §15.3.2: 201 names what was made.
    await send_json(send, 201, task, [("location", f"{scope.get('root_path', '')}/tasks/{task['id']}")])


async def show_task(scope: Scope, receive: Receive, send: Send, number: int) -> None:
    await send_json(send, 200, existing(number))


async def change_task(scope: Scope, receive: Receive, send: Send, number: int) -> None:
    fields = await read_task(scope, receive)
    # Looked for after the await, not before: meanwhile another request may delete it.
    existing(number)
    task = TASKS.change(number, fields)
    FEED.publish("changed", task)
    await send_json(send, 200, task)


async def delete_task(scope: Scope, receive: Receive, send: Send, number: int) -> None:
    FEED.publish("deleted", existing(number))
    TASKS.delete(number)
    await respond(send, 204)


# --- task 3: responses that go on -------------------------------------------------------------------


def sse_event(data: str, name: str = "", number: str = "") -> bytes:
    """One server-sent event: its data, its name (`event`) and its number (`id`).

    sse_event("a\\nb", "created", "7") == b"id: 7\\nevent: created\\ndata: a\\ndata: b\\n\\n"
    Raises ValueError when a name or number would end its line.
    """
    # WHATWG HTML §9.2.5: CR, LF and CRLF all end a line.
    if re.search(r"[\r\n\0]", name + number):
        raise ValueError("a name or number of one line, please")
    lines = [f"id: {number}"] if number else []
    lines += [f"event: {name}"] if name else []
    lines += [f"data: {line}" for line in re.split(r"\r\n|\r|\n", data)]
    # §9.2.6: an empty line dispatches the event.
    return "".join(f"{line}\n" for line in [*lines, ""]).encode()


class Feed:
    """The last changes, numbered from 1. A stream reads what it has not seen, and waits for more.

    No queue a client: who reads slowly falls behind in this one list, and costs no memory of its own.
    """

    def __init__(self, kept: int = 1000) -> None:
        self.last = 0
        self.kept: deque[tuple[int, bytes]] = deque(maxlen=kept)
        self.streams = 0
        self._news = asyncio.Event()

    def publish(self, name: str, task: Task) -> None:
        self.last += 1
        self.kept.append((self.last, sse_event(json.dumps(task), name, str(self.last))))
        self._news.set()  # wakes everybody that waits now
        self._news = asyncio.Event()  # and is what they wait for next

    async def after(self, seen: int) -> AsyncGenerator[bytes]:
        """Every event after number `seen`, without end; a comment after HEARTBEAT seconds of silence."""
        self.streams += 1
        try:
            # Something must be sent at once: the head waits for it (ASGI www, "Response Start").
            yield b": welcome\n\n"
            while True:
                news = self._news
                for number, event in [one for one in self.kept if one[0] > seen]:
                    yield event
                    seen = number
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await news.wait()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            # However this ends, by cancellation too.
            self.streams -= 1


async def stream(
    scope: Scope, receive: Receive, send: Send, headers: Headers, chunks: AsyncGenerator[bytes]
) -> None:
    """Send each chunk when it is made, until there are no more or the client leaves."""

    async def work() -> None:
        await send_head(send, 200, headers)
        if scope["method"] != "HEAD":
            async with aclosing(chunks):
                async for chunk in chunks:
                    # `send` waits while the client reads slowly: that is all the back-pressure there is.
                    await deliver({"type": "http.response.body", "body": chunk, "more_body": True})
        await deliver({"type": "http.response.body", "body": b""})

    async def deliver(event: Event) -> None:
        # ASGI www, "Disconnected Client": from spec_version 2.4 on, `send` raises an OSError after it.
        # Only here: an OSError of the chunks themselves, a disk's, is no word of the client's.
        try:
            await send(event)
        except OSError as error:
            raise ClientLeft from error

    await until_gone(receive, work())


async def export_tasks(scope: Scope, receive: Receive, send: Send) -> None:
    """/tasks.csv (RFC 4180), a row at a time."""

    async def rows() -> AsyncGenerator[bytes]:
        yield b"id,title,done\r\n"
        for task in TASKS.all():
            yield csv_row(task).encode()

    await stream(scope, receive, send, [("content-type", "text/csv; charset=utf-8")], rows())


async def follow_tasks(scope: Scope, receive: Receive, send: Send) -> None:
    """/events: every change to a task, as it happens (WHATWG HTML §9.2)."""
    headers = [
        ("content-type", "text/event-stream"),
        ("cache-control", "no-store"),
        # To nginx: pass on what comes when it comes.
        ("x-accel-buffering", "no"),
    ]
    await stream(scope, receive, send, headers, FEED.after(last_seen(scope)))


# --- task 4: a client that leaves, and comes back ---------------------------------------------------


async def until_gone(receive: Receive, work: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, or until the client has left: then it is cancelled.

    Either way both coroutines have ended when this returns. What `work` raises comes in an ExceptionGroup.
    """
    try:
        async with asyncio.TaskGroup() as group:
            working = group.create_task(work)
            watching = group.create_task(disconnect(receive))
            working.add_done_callback(lambda _: watching.cancel())
            watching.add_done_callback(lambda _: working.cancel())
    except* ClientLeft:
        pass


async def disconnect(receive: Receive) -> None:
    """Returns when the client has left. Earlier events (the end of an empty body) are passed over."""
    while (await receive())["type"] != "http.disconnect":
        pass


def last_seen(scope: Scope) -> int:
    """The number after which a stream begins: what the client saw last, else the present."""
    # WHATWG HTML §9.2.4: a browser that reconnects sends the last id that it saw.
    text = dict(scope["headers"]).get(b"last-event-id", b"")
    number = int(text) if re.fullmatch(rb"[0-9]{1,18}", text) else FEED.last
    # A number from before a restart, which began again at 1: everything since is new.
    return number if number <= FEED.last else 0


# --- task 5: what blocks, and what takes too long ---------------------------------------------------


async def in_thread(function: Callable[..., str], *args: Any) -> str:
    """Call a function that blocks, in a thread, and wait for its result without blocking.

    asyncio.to_thread does the same in the loop's default pool, which has min(32, cpus + 4) threads: six on a
    laptop with two cores. The seventh caller would wait for the first.
    """
    return await asyncio.get_running_loop().run_in_executor(THREADS, function, *args)


async def report(scope: Scope, receive: Receive, send: Send) -> None:
    """/report?seconds=0.2: a report, from a library that takes so long. 503 after REPORT_LIMIT seconds."""
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    try:
        seconds = float(query.get("seconds", "0.2"))
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise HTTPError(400, "seconds is a number from 0")
    try:
        async with asyncio.timeout(REPORT_LIMIT):
            text = await in_thread(slow_reports.render, TASKS.all(), seconds)
    except TimeoutError:
        # RFC 9110 §15.6.4. The thread goes on: nothing in Python can end it from outside.
        raise HTTPError(503, "the report takes too long", [("retry-after", "1")]) from None
    await respond(send, 200, text.encode(), "text/plain; charset=utf-8")


async def stats(scope: Scope, receive: Receive, send: Send) -> None:
    """/stats: how many event streams are alive, how many reports run, and how many ever ran at once."""
    counts = {"streams": FEED.streams, "reports": slow_reports.running, "most_reports": slow_reports.most}
    await send_json(send, 200, counts)


# --- which handler ----------------------------------------------------------------------------------

FEED = Feed()
TASKS = Tasks()

ONE_TASK: dict[str, Handler] = {
    "GET": show_task,
    "PUT": change_task,
    "PATCH": change_task,
    "DELETE": delete_task,
}

ROUTES: list[tuple[str, dict[str, Handler]]] = [
    (r"/echo", {"GET": echo, "POST": echo, "PUT": echo}),
    (r"/tasks", {"GET": list_tasks, "POST": create_task}),
    (r"/tasks/([1-9][0-9]{0,17})", ONE_TASK),
    (r"/tasks\.csv", {"GET": export_tasks}),
    (r"/events", {"GET": follow_tasks}),
    (r"/report", {"GET": report}),
    (r"/stats", {"GET": stats}),
]


def route(method: str, path: str) -> tuple[Handler, list[int]]:
    """The handler for a method and path, and the numbers in the path. Raises HTTPError 404 or 405."""
    for pattern, handlers in ROUTES:
        match = re.fullmatch(pattern, path)
        if match is None:
            continue
        # RFC 9110 §9.3.2: HEAD wherever there is GET; the server leaves the body out.
        allowed = {**handlers, "HEAD": handlers["GET"]} if "GET" in handlers else handlers
        if method not in allowed:
            # §15.5.6: a 405 must say what is allowed.
            raise HTTPError(405, f"{path} does not know {method}", [("allow", ", ".join(sorted(allowed)))])
        return allowed[method], [int(number) for number in match.groups()]
    raise HTTPError(404, f"there is nothing at {path}")
