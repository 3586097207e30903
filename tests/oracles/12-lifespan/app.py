"""The guest book over Starlette: lifespan is a context manager, its state arrives as `request.state`."""

import asyncio
from contextlib import asynccontextmanager

from journal import Journal
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route


class Book:
    def __init__(self, journal):
        self.journal, self.names = journal, journal.lines()
        self.written = len(self.names)
        self.news = asyncio.Event()
        self.over = False

    async def writer(self):
        while True:
            await self.news.wait()
            self.news.clear()
            try:
                await self.save()
            except OSError:
                await asyncio.sleep(0.05)
                self.news.set()
            if self.over:
                return

    async def save(self):
        while batch := self.names[self.written :]:
            await self.journal.write(batch)
            self.written += len(batch)


@asynccontextmanager
async def lifespan(app):
    journal = await Journal.open()
    try:
        book = Book(journal)
        task = asyncio.create_task(book.writer())
        yield {"book": book}
        book.over = True
        book.news.set()
        await task
        await book.save()
    finally:
        await journal.close()


async def visit(request: Request):
    book, name = request.state.book, request.query_params.get("name", "somebody")
    book.names.append(name)
    book.news.set()
    return JSONResponse({"number": len(book.names), "name": name}, 201)


async def visits(request: Request):
    return JSONResponse(request.state.book.names)


app = Starlette(
    routes=[Route("/visits", visits), Route("/visits", visit, methods=["POST"])], lifespan=lifespan
)
