"""The guest book with a class for the application, async context managers, a queue, and a sentinel."""

import asyncio
import json
from contextlib import AsyncExitStack, asynccontextmanager
from urllib.parse import parse_qs

from journal import Journal

END = object()


@asynccontextmanager
async def opened_journal():
    journal = await Journal.open()
    try:
        yield journal
    finally:
        await journal.close()


class Scribe:
    """Takes names from a queue; writes all that wait in it at once."""

    def __init__(self, journal):
        self.journal, self.names = journal, journal.lines()
        self.queue = asyncio.Queue()

    async def __aenter__(self):
        self.task = asyncio.create_task(self.work())
        return self

    async def __aexit__(self, *_):
        self.queue.put_nowait(END)
        await self.task

    async def work(self):
        kept = []
        while True:
            kept.append(await self.queue.get())
            while not self.queue.empty():
                kept.append(self.queue.get_nowait())
            over = END in kept
            kept = [one for one in kept if one is not END]
            # Three tries at the end, else as many as it takes.
            for left in (2, 1, 0):
                try:
                    if kept:
                        await self.journal.write(kept)
                    kept = []
                    break
                except OSError:
                    if over and not left:
                        raise
                    await asyncio.sleep(0.01)
            if over:
                return


class Application:
    async def __call__(self, scope, receive, send):
        await getattr(self, f"on_{scope['type']}")(scope, receive, send)

    async def on_lifespan(self, scope, receive, send):
        if "state" not in scope:
            return await self.fail(send, "startup", "no state here")
        await receive()
        async with AsyncExitStack() as stack:
            try:
                journal = await stack.enter_async_context(opened_journal())
            except OSError as error:
                return await self.fail(send, "startup", f"no journal: {error}")
            scope["state"].update(scribe=await stack.enter_async_context(Scribe(journal)))
            await send({"type": "lifespan.startup.complete"})
            await receive()
            try:
                await stack.aclose()
            except OSError as error:
                return await self.fail(send, "shutdown", f"not all is written: {error}")
        await send({"type": "lifespan.shutdown.complete"})

    async def fail(self, send, what, message):
        await send({"type": f"lifespan.{what}.failed", "message": message})

    async def on_http(self, scope, receive, send):
        scribe = scope["state"]["scribe"]
        if scope["method"] == "POST":
            name = parse_qs(scope["query_string"].decode()).get("name", ["somebody"])[0]
            scribe.names.append(name)
            scribe.queue.put_nowait(name)
            status, value = 201, {"number": len(scribe.names), "name": name}
        else:
            status, value = 200, scribe.names
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(value).encode()})


app = Application()
