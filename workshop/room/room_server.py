"""A room that runs: reports come in on one port; the host looks at another, which only this machine reaches.

    network ──▶ report port: POST /reports, signed ──▶ queue ──▶ one thread ──▶ SQLite
    browser ──▶ 127.0.0.1: the host's page, the projector's ◀── server-sent events ◀──┘

A report is answered when it is on the disk. No answer on the report port says anything about anybody.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from workshop.page.safe_answers import asset, from_template, headers
from workshop.room.bounded_connections import bounded
from workshop.room.room_database import RoomDatabase, Saved
from workshop.room.room_report import MOST_BYTES, SIGNATURE, NoReport, RoomReport, is_signed, parsed
from workshop.room.room_view import view

AT = "/room"
TEMPLATES = Path(__file__).parent / "templates"
MOST_CONNECTIONS = 500
CONNECTION_SECONDS = 10.0
MOST_WAITING = 1000  # reports that the disk has not taken yet
PAUSE = 1.0  # between two states that a page is sent
ALIVE_SECONDS = 15.0
END_SECONDS = 2
RETRY_MS = 500
CLOSE = {"Connection": "close", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}


class Room:
    """Takes reports in, and tells those who look. `line` is what learners type, for the projector."""

    def __init__(self, database: RoomDatabase, line: str, say: Callable[[str], None] = print) -> None:
        self.database, self.line, self.say = database, line, say
        self.token = database.token()
        self.version = 0
        self.trouble = ""
        self.is_full = self.ending = False
        self.changed = asyncio.Condition()
        self._waiting: asyncio.Queue[tuple[RoomReport, asyncio.Future[Saved]]] = asyncio.Queue(MOST_WAITING)
        self._thread = ThreadPoolExecutor(1, "room-database")  # the one that touches the database

    # --- in

    async def save(self, report: RoomReport) -> Saved:
        """Keep a report; returns when it is kept, or can't be."""
        kept: asyncio.Future[Saved] = asyncio.get_running_loop().create_future()
        try:
            self._waiting.put_nowait((report, kept))
        except asyncio.QueueFull:
            return Saved(HTTPStatus.SERVICE_UNAVAILABLE)
        return await kept

    async def write(self) -> None:
        """Write what waits, all of it in one transaction, again and again."""
        while True:
            batch = [await self._waiting.get()]
            while not self._waiting.empty():
                batch.append(self._waiting.get_nowait())
            for (_, kept), saved in zip(batch, await self._saved([one for one, _ in batch]), strict=True):
                if not kept.done():  # whoever sent it may have left
                    kept.set_result(saved)
            await self._tell()

    async def _saved(self, reports: list[RoomReport]) -> list[Saved]:
        loop = asyncio.get_running_loop()
        try:
            saved = await loop.run_in_executor(self._thread, self.database.save, reports, time.time())
        except Exception as error:  # a full disk, a file that was taken away: the next batch may fare better
            self._have_trouble(f"nothing can be written: {error}")
            return [Saved(HTTPStatus.SERVICE_UNAVAILABLE)] * len(reports)
        self.is_full |= any(one.status is HTTPStatus.INSUFFICIENT_STORAGE for one in saved)
        self._have_trouble("the room is full: new learners are turned away" if self.is_full else "")
        return saved

    def _have_trouble(self, trouble: str) -> None:
        """Say it on the host's terminal when it begins and when it is over."""
        if trouble != self.trouble:
            self.say(f"{time.strftime('%H:%M:%S')} {trouble or 'reports are kept again'}")
        self.trouble = trouble

    async def _tell(self) -> None:
        self.version += 1
        async with self.changed:
            self.changed.notify_all()

    async def end(self) -> None:
        self.ending = True
        await self._tell()

    def close(self) -> None:
        self._thread.shutdown()
        self.database.close()

    # --- out

    async def state(self) -> str:
        loop = asyncio.get_running_loop()
        try:
            standings = await loop.run_in_executor(self._thread, self.database.standings)
        except sqlite3.Error as error:
            return json.dumps({**view([], time.time()), "trouble": f"nothing can be read: {error}"})
        return json.dumps({**view(standings, time.time()), "trouble": self.trouble})

    async def events(self) -> AsyncIterator[str]:
        """The whole state at first, and after changes, at most once a second."""
        yield f"retry: {RETRY_MS}\n\n"
        while not self.ending:
            version = self.version
            yield f"event: state\ndata: {await self.state()}\n\n"
            await asyncio.sleep(PAUSE)
            while self.version == version and not self.ending:
                try:
                    async with asyncio.timeout(ALIVE_SECONDS), self.changed:
                        await self.changed.wait()
                except TimeoutError:
                    yield ": alive\n\n"

    # --- what it answers

    async def receive(self, request: Request) -> Response:
        """POST /reports. Signature before JSON: what a stranger sends is never parsed."""
        body = await _body(request)
        if body is None:
            return _said(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"A report has at most {MOST_BYTES} bytes.")
        if not is_signed(body, request.headers.get(SIGNATURE, ""), self.token):
            return _said(HTTPStatus.UNAUTHORIZED, "This is not signed with this room's token.")
        try:
            saved = await self.save(parsed(body))
        except NoReport as error:
            return _said(HTTPStatus.UNPROCESSABLE_ENTITY, str(error))
        if saved.status is HTTPStatus.CONFLICT:
            return JSONResponse({"number": saved.latest}, saved.status, CLOSE)
        words = {HTTPStatus.INSUFFICIENT_STORAGE: "This room is full."}
        if saved.status is HTTPStatus.NO_CONTENT:
            return Response(status_code=saved.status, headers=CLOSE)
        return _said(saved.status, words.get(saved.status, "It can't be kept now: send the next one later."))

    async def stream(self, request: Request) -> Response:
        return StreamingResponse(self.events(), media_type="text/event-stream", headers=headers())

    async def host_page(self, request: Request) -> Response:
        return from_template(TEMPLATES, "room.html.j2", at=AT, line=self.line)

    async def projector_page(self, request: Request) -> Response:
        return from_template(TEMPLATES, "projector.html.j2", at=AT, line=self.line)


async def _body(request: Request) -> bytes | None:
    """A request's body; None when it is longer than any report, of which no more is read."""
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or len(length) > 9 or int(length) > MOST_BYTES:
        return None
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_BYTES:
            return None
    return body


def _said(status: HTTPStatus, text: str) -> Response:
    return Response(f"{text}\n", status, CLOSE, "text/plain")


async def _greet(request: Request) -> Response:
    return _said(HTTPStatus.OK, "This is a room of the workshop. Its page is for the host's own machine.")


def report_application(room: Room) -> Starlette:
    return Starlette(routes=[Route("/reports", room.receive, methods=["POST"]), Route("/", _greet)])


def host_application(room: Room) -> Starlette:
    """Only for 127.0.0.1; of another name, a page elsewhere has led a browser here (DNS rebinding)."""
    pages = [
        Route("/", room.host_page),
        Route("/projector", room.projector_page),
        Route("/events", room.stream),
        Route("/assets/{path:path}", asset),
    ]
    ours = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"], www_redirect=False)
    return Starlette(routes=[Mount(AT, routes=pages)], middleware=[ours])


# --- both servers in one loop


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield  # they are for both servers


def _config(application: Starlette, protocol: type[asyncio.Protocol]) -> uvicorn.Config:
    return uvicorn.Config(
        application,
        http=protocol,
        ws="none",
        lifespan="off",
        log_level="critical",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=END_SECONDS,
    )


async def run(room: Room, reports: socket.socket, page: socket.socket) -> None:
    """Serve both until SIGINT or SIGTERM; what was received is then on the disk."""
    servers = [
        _Server(_config(report_application(room), bounded(MOST_CONNECTIONS, CONNECTION_SECONDS))),
        _Server(_config(host_application(room), H11Protocol)),
    ]
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, _end, servers)
    writing = asyncio.create_task(room.write())
    served = [
        asyncio.create_task(one.serve([listening]))
        for one, listening in zip(servers, (reports, page), strict=True)
    ]
    await asyncio.wait(served, return_when=asyncio.FIRST_COMPLETED)
    _end(servers)
    await room.end()
    await asyncio.gather(*served)
    writing.cancel()
    room.close()


def _end(servers: list[_Server]) -> None:
    for server in servers:
        server.should_exit = True
