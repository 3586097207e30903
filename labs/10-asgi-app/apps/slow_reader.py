"""One client of /events reads nothing for a while: what becomes of everybody else, and of its own events.

Lab 10's checks run it beside the learner's application, in one event loop with it.
"""

import asyncio
import json

from stream_ends import Client, scope_of

SECONDS = 1.0  # for a response that has to begin, and for events that have to come
FIRST = asyncio.FIRST_COMPLETED


class SlowReader(Client):
    """It takes a piece after `stops` was set, and no other one until `reads` is set."""

    def __init__(self, titles):
        super().__init__()
        self.titles, self.came, self.silence_first = titles, bytearray(), False
        self.over = False
        self.begun, self.has_all = asyncio.Event(), asyncio.Event()
        self.stops, self.waits, self.reads = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def send(self, message):
        if self.over:  # whatever does not end by itself ends here
            raise ConnectionResetError("the client has left")
        if message["type"] != "http.response.body":
            return
        body = message.get("body", b"")
        if self.reads.is_set():  # a comment stands for silence
            self.silence_first |= body.startswith(b":") and not self.has_all.is_set()
        elif self.stops.is_set():
            self.waits.set()
            await self.reads.wait()
        self.came += body
        self.begun.set()
        if len(self.seen()) == len(self.titles):
            self.has_all.set()

    def seen(self):
        """The titles that came, in the order in which they came."""
        places = [(self.came.find(title.encode()), title) for title in self.titles]
        return [title for place, title in sorted(places) if place >= 0]


async def slow_reader(app, titles):
    """Create a task of each title while the reader waits with the event of the first, then let it read on.

    The POSTs' statuses, up to the first that is not 201; the titles that came, and whether a comment came
    before the last of them; whether the stream has ended. Raises what a POST raises.
    """
    reader, statuses = SlowReader(titles), []
    stream = asyncio.create_task(app(scope_of("/events"), reader.receive, reader.send))
    await either(stream, reader.begun)
    reader.stops.set()
    for title in titles:
        statuses.append(await created(app, title))
        if statuses[-1] != 201:
            break
        if title == titles[0]:
            await either(stream, reader.waits)
    reader.reads.set()
    await either(stream, reader.has_all)
    ended = stream.done()
    reader.left.set()
    await asyncio.wait({stream}, timeout=SECONDS)
    reader.over = True
    return [statuses, reader.seen(), reader.silence_first, ended]


async def either(task, event):
    """Wait until the task has ended, or the event is set, or the time is over."""
    if event.is_set():
        return
    waiting = asyncio.ensure_future(event.wait())
    await asyncio.wait({task, waiting}, timeout=SECONDS, return_when=FIRST)
    waiting.cancel()


async def created(app, title):
    """The status of a POST /tasks, or in words why there is none."""
    scope, client, found = {**scope_of("/tasks"), "method": "POST"}, Client(), []
    scope["headers"] = [(b"host", b"localhost"), (b"content-type", b"application/json")]
    client.events = [{"type": "http.request", "body": json.dumps({"title": title}).encode()}]

    async def send(message):
        found.append(message.get("status"))

    try:
        async with asyncio.timeout(SECONDS):
            await app(scope, client.receive, send)
    except TimeoutError:
        return f"no response in {SECONDS:g} s"
    return found[0] if found else "no response"
