"""The lab page's own program: `python -m workshop.page.page_server --lab 5 --page FD --feed FD`.

Both descriptors are listening sockets: on one it serves /__lab/ (a Unix socket behind nginx, or a port of its
own), on the other it hears what is judged. It ends with its standard input. Nothing here imports a learner's
code.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import uvicorn
from markupsafe import Markup
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route

from workshop.labs import Lab, find
from workshop.page.comparison import comparison
from workshop.page.lab_state import LabState, hint_id
from workshop.page.lesson import lesson, rendered
from workshop.page.safe_answers import asset, from_template, headers, not_there

AT = "/__lab"
LINE_LIMIT = 32 << 20
ALIVE_SECONDS = 15.0
RETRY_MS = 500
LEVELS = ("A question", "Where to look", "Something alike")
TEMPLATES = Path(__file__).parent / "templates"


class Page:
    """The state, who looks at it, and who wants to know whether somebody does."""

    def __init__(self, lab: Lab, target: str) -> None:
        self.lab = lab
        self.state = LabState(lab, target)
        self.changed = asyncio.Condition()
        self.viewers = 0
        self.watchers: set[asyncio.StreamWriter] = set()

    async def hear(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of the feed's: a message a line. Who says `watch` is told how many look."""
        try:
            async for line in reader:
                with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
                    message = json.loads(line)
                    if "watch" in message:
                        self.watchers.add(writer)
                        self._tell_viewers()
                    self.state.hear(message)
                async with self.changed:
                    self.changed.notify_all()
        except (OSError, ValueError):  # a line without end, or somebody who left
            pass
        finally:
            self.watchers.discard(writer)
            writer.close()

    def _tell_viewers(self) -> None:
        for writer in self.watchers:
            writer.write(json.dumps({"viewers": self.viewers}).encode() + b"\n")

    async def events(self) -> AsyncIterator[str]:
        """The whole state at first and after every change: a stream that broke off begins with all of it."""
        self.viewers += 1
        self._tell_viewers()
        try:
            yield f"retry: {RETRY_MS}\n\n"
            while True:
                version = self.state.version
                yield f"id: {version}\nevent: state\ndata: {json.dumps(self.state.as_dict())}\n\n"
                while self.state.version == version:
                    try:
                        async with asyncio.timeout(ALIVE_SECONDS), self.changed:
                            await self.changed.wait()
                    except TimeoutError:
                        yield ": alive\n\n"
        finally:
            self.viewers -= 1
            self._tell_viewers()

    # --- what it answers

    async def index(self, request: Request) -> Response:
        hints = [
            {
                "id": hint_id(self.state._hints, section),
                "levels": [
                    {"title": title, "html": Markup(rendered(text, self.lab))}
                    for title, text in zip(LEVELS, section.levels, strict=False)
                ],
            }
            for section in self.state._hints
        ]
        text = Markup(lesson(self.lab))
        words = {"lab": self.lab, "lesson": text, "hints": hints, "compared": comparison(self.lab)}
        return from_template(TEMPLATES, "lab.html.j2", at=AT, **words)

    async def text(self, request: Request) -> Response:
        """Another lab's lesson, or a file beside one."""
        try:
            lab = find(request.path_params["lab"])
            html = Markup(lesson(lab, request.path_params["name"]))
        except Exception:  # no such lab, no such file
            return not_there()
        return from_template(TEMPLATES, "text.html.j2", at=AT, lab=lab, lesson=html)

    async def stream(self, request: Request) -> Response:
        unbuffered = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(self.events(), media_type="text/event-stream", headers=unbuffered)

    async def timeline(self, request: Request) -> Response:
        found = self.state.timelines.get(request.path_params["check"])
        return not_there() if found is None else JSONResponse(found, headers=headers())


def application(page: Page) -> Starlette:
    return Starlette(
        routes=[
            Mount(
                AT,
                routes=[
                    Route("/", page.index),
                    Route("/events", page.stream),
                    Route("/timelines/{check}", page.timeline),
                    Route("/lessons/{lab}/{name}", page.text),
                    Route("/assets/{path:path}", asset),
                ],
            )
        ]
    )


# --- its process


async def serve(page: Page, listening: socket.socket, feed: socket.socket) -> None:
    config = uvicorn.Config(
        application(page), log_level="critical", access_log=False, lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    hearing = await asyncio.start_unix_server(page.hear, sock=feed, limit=LINE_LIMIT)
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), _at_end_of_input)
    async with hearing:
        await server.serve(sockets=[listening])


def _at_end_of_input() -> None:
    """Whoever started us has gone; streams that are open need no farewell."""
    if not os.read(sys.stdin.fileno(), 1024):
        os._exit(0)


def main() -> None:
    parser = argparse.ArgumentParser(prog="workshop.page.page_server")
    parser.add_argument("--lab", required=True)
    parser.add_argument("--target", default="starter")
    parser.add_argument("--page", type=int, required=True)
    parser.add_argument("--feed", type=int, required=True)
    options = parser.parse_args()
    page = Page(find(options.lab), options.target)
    with contextlib.suppress(KeyboardInterrupt):  # Ctrl-C is for the watch, which ends us
        listening, feed = (socket.socket(fileno=one) for one in (options.page, options.feed))
        asyncio.run(serve(page, listening, feed))


if __name__ == "__main__":
    main()
