"""The same application over Starlette: its requests, responses, routing and thread pool."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import AsyncIterator
from typing import Any

import slow_reports
import task_store
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

BODY_LIMIT = 64 * 1024

tasks = task_store.Tasks()
events: list[bytes] = []
news = asyncio.Condition()
streams = 0


def sse_event(data: str, name: str = "", number: str = "") -> bytes:
    if any(end in name + number for end in "\r\n"):
        raise ValueError("a line end in a name or a number")
    text = f"id: {number}\n" if number else ""
    text += f"event: {name}\n" if name else ""
    lines = data.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return (text + "".join(f"data: {line}\n" for line in lines) + "\n").encode()


async def publish(name: str, task: dict[str, Any]) -> None:
    async with news:
        events.append(sse_event(json.dumps(task), name, str(len(events) + 1)))
        news.notify_all()


async def body_of(request: Request) -> bytes:
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > BODY_LIMIT:
            raise HTTPException(413, "too large")
    return body


async def fields_of(request: Request, new: bool = False) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "send application/json")
    try:
        return task_store.checked(json.loads(await body_of(request)), new)
    except (ValueError, RecursionError) as error:
        raise HTTPException(400, str(error)) from error


async def echo(request: Request) -> Response:
    return JSONResponse(
        {
            "method": request.method,
            "path": request.url.path,
            "query": request.query_params.multi_items(),
            "headers": request.headers.items(),
            "body": (await body_of(request)).decode("utf-8", "replace"),
        }
    )


async def all_tasks(request: Request) -> Response:
    if request.method != "POST":
        return JSONResponse(tasks.all())
    task = tasks.add(await fields_of(request, new=True))
    await publish("created", task)
    return JSONResponse(task, 201, {"Location": f"/tasks/{task['id']}"})


async def one_task(request: Request) -> Response:
    digits = request.path_params["number"]
    if not re.fullmatch(
        "[0-9]{1,18}", digits
    ):  # Starlette's own converter raises ValueError for 4,400 digits
        raise HTTPException(404, f"there is no task {digits[:20]}")
    number = int(digits)
    fields = await fields_of(request) if request.method in ("PUT", "PATCH") else {}
    try:
        if request.method == "DELETE":
            await publish("deleted", tasks.delete(number))
            return Response(status_code=204)
        if fields:
            await publish("changed", tasks.change(number, fields))
        return JSONResponse(tasks.get(number))
    except KeyError:
        raise HTTPException(404, f"there is no task {number}") from None


async def export_tasks(request: Request) -> Response:
    async def rows() -> AsyncIterator[str]:
        yield "id,title,done\r\n"
        for task in tasks.all():
            yield task_store.csv_row(task)

    return StreamingResponse(rows(), media_type="text/csv")


async def follow(seen: int) -> AsyncIterator[bytes]:
    global streams
    streams += 1
    try:
        yield b": welcome\n\n"
        while True:
            new = events[seen:]
            for event in new:
                yield event
            seen += len(new)
            try:
                async with asyncio.timeout(0.5), news:
                    while len(events) == seen:
                        await news.wait()
            except TimeoutError:
                yield b": still here\n\n"
    finally:
        streams -= 1


async def follow_tasks(request: Request) -> Response:
    last = request.headers.get("last-event-id", "")
    seen = int(last) if re.fullmatch("[0-9]{1,18}", last) else len(events)
    seen = min(seen, len(events))
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return StreamingResponse(follow(seen), media_type="text/event-stream", headers=headers)


async def report(request: Request) -> Response:
    try:
        seconds = float(request.query_params.get("seconds", "0.2"))
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds < math.inf:
        raise HTTPException(400, "seconds is a number")
    work = asyncio.ensure_future(run_in_threadpool(slow_reports.render, tasks.all(), seconds))
    # anyio shields who waits for a thread from cancellation: so this waits for a task, and lets it be.
    done, _ = await asyncio.wait({work}, timeout=1.0)
    if not done:
        raise HTTPException(503, "the report takes too long", {"Retry-After": "1"})
    return PlainTextResponse(work.result())


async def stats(request: Request) -> Response:
    counts = {"reports": slow_reports.running, "most_reports": slow_reports.most}
    return JSONResponse({"streams": streams, **counts})


async def say_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def http(scope: Any, receive: Any, send: Any) -> None:
    """Starlette speaks lifespan, too; the lab's application does not yet."""
    if scope["type"] != "http":
        raise ValueError(scope["type"])
    await starlette(scope, receive, send)


starlette = Starlette(
    routes=[
        Route("/echo", echo, methods=["GET", "POST", "PUT"]),
        # One route, not one for each method: Starlette's 405 names the methods of the first route that fits.
        Route("/tasks", all_tasks, methods=["GET", "POST"]),
        Route("/tasks/{number}", one_task, methods=["GET", "PUT", "PATCH", "DELETE"]),
        Route("/tasks.csv", export_tasks),
        Route("/events", follow_tasks),
        Route("/report", report),
        Route("/stats", stats),
    ],
    exception_handlers={HTTPException: say_error},
)
app = http
