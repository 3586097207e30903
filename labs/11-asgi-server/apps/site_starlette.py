"""A site written with Starlette: a greeting, an upload, a stream without end. `site` is a callable."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

NOTES: defaultdict[str, list[str]] = defaultdict(list)


async def greet(request: Request) -> PlainTextResponse:
    """GET /?name=Ada answers Hello, Ada!"""
    return PlainTextResponse(f"Hello, {request.query_params.get('name', 'world')}!\n")


async def upper(request: Request) -> PlainTextResponse:
    """The request's body in upper case; it is read piece by piece, as it comes."""
    pieces = [piece.upper() async for piece in request.stream()]
    return PlainTextResponse(b"".join(pieces))


async def letters(request: Request) -> StreamingResponse:
    """The letters of `name`, each a message of its own."""

    async def each() -> AsyncIterator[bytes]:
        for letter in request.query_params.get("name", "world"):
            yield letter.encode()

    return StreamingResponse(each(), media_type="text/plain")


async def dots() -> AsyncIterator[bytes]:
    while True:
        yield b".\n"
        await asyncio.sleep(0.02)


class Endless:
    """A dot now and then until the client leaves. That the answer ended is noted."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await StreamingResponse(dots(), media_type="text/plain")(scope, receive, send)
        finally:
            NOTES[Request(scope).query_params.get("say", "")].append("released")


async def notes(request: Request) -> JSONResponse:
    """What was noted under a word."""
    return JSONResponse(NOTES.get(request.query_params.get("say", ""), []))


site = Starlette(
    routes=[
        Route("/", greet),
        Route("/upper", upper, methods=["POST"]),
        Route("/letters", letters),
        Route("/endless", Endless()),
        Route("/notes", notes),
    ]
)
