"""The greeting, written with FastAPI. `application` is an ASGI callable: serve it, or await it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse

HELD: list[str] = []


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    """What lasts from startup to shutdown; its state is in every request."""
    HELD.append("open")
    yield {"held": "open"}
    HELD.clear()


application = FastAPI(lifespan=lifespan)


@application.get("/")
async def greet(name: str = "world") -> PlainTextResponse:
    """GET /?name=Ada answers Hello, Ada!"""
    return PlainTextResponse(f"Hello, {name}!\n")


@application.post("/upper")
async def upper(request: Request) -> PlainTextResponse:
    """The request's body in upper case."""
    return PlainTextResponse((await request.body()).upper())


@application.get("/letters")
async def letters(name: str = "world") -> StreamingResponse:
    """The letters of `name`, each a message of its own."""

    async def each() -> AsyncIterator[bytes]:
        for letter in name:
            yield letter.encode()

    return StreamingResponse(each(), media_type="text/plain")


@application.get("/broken")
async def broken() -> None:
    """Raises: Starlette answers 500, and raises again for the server's log."""
    raise LookupError("this one raises, on purpose")
