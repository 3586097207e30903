"""The tasks API and a chat on Starlette: routes in a table, and handlers that take parameters apart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import slow_reports
from chat_rooms import Member, Rooms
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from task_store import Tasks, checked, csv_row


class NoSuchTask(Exception):
    pass


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Any]]:
    yield {"tasks": Tasks(), "rooms": Rooms()}


async def no_such_task(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": f"there is no task {error}"}, 404)


async def http_exception(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"detail": error.detail}, error.status_code, error.headers)


def wrong(source: str, name: str, message: str) -> HTTPException:
    return HTTPException(422, [{"loc": [source, name], "msg": message}])


def number_in(request: Request) -> int:
    try:
        return int(request.path_params["number"])
    except ValueError:
        raise wrong("path", "number", "should be an integer") from None


def existing(request: Request, number: int) -> dict[str, Any]:
    try:
        return request.state.tasks.get(number)
    except KeyError:
        raise NoSuchTask(number) from None


async def fields_of(request: Request, new: bool = False) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0] != "application/json":
        raise HTTPException(415, "send application/json")
    try:
        fields = json.loads(await request.body())
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, [{"loc": ["body"], "msg": str(error)}]) from None
    if not isinstance(fields, dict):
        raise HTTPException(422, [{"loc": ["body"], "msg": "should be an object"}])
    if new and "title" not in fields:
        raise wrong("body", "title", "is required")
    for name, kind in (("title", str), ("done", bool)):
        if name in fields and not isinstance(fields[name], kind):
            raise wrong("body", name, f"should be {kind.__name__}")
    try:
        return checked(fields, new)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


async def list_tasks(request: Request) -> Response:
    query = request.query_params
    if query.get("done", "true") not in ("true", "false"):
        raise wrong("query", "done", "should be true or false")
    try:
        limit = int(query.get("limit", "1000"))
    except ValueError:
        raise wrong("query", "limit", "should be an integer") from None
    wanted = (True, False) if "done" not in query else (query["done"] == "true",)
    return JSONResponse([task for task in request.state.tasks.all() if task["done"] in wanted][:limit])


async def create_task(request: Request) -> Response:
    made = request.state.tasks.add(await fields_of(request, new=True))
    return JSONResponse(made, 201, {"location": f"/tasks/{made['id']}"})


async def show_task(request: Request) -> Response:
    return JSONResponse(existing(request, number_in(request)))


async def change_task(request: Request) -> Response:
    number, fields = number_in(request), await fields_of(request)
    existing(request, number)
    return JSONResponse(request.state.tasks.change(number, fields))


async def delete_task(request: Request) -> Response:
    existing(request, number_in(request))
    request.state.tasks.delete(number_in(request))
    return Response(status_code=204)


async def export_tasks(request: Request) -> Response:
    async def rows() -> AsyncIterator[str]:
        yield "id,title,done\r\n"
        for task in request.state.tasks.all():
            yield csv_row(task)

    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8")


async def report(request: Request) -> Response:
    try:
        seconds = float(request.query_params.get("seconds", "0.2"))
    except ValueError:
        raise wrong("query", "seconds", "should be a number") from None
    text = await run_in_threadpool(slow_reports.render, request.state.tasks.all(), seconds)
    return JSONResponse({"report": text, "most": slow_reports.most})


async def chat(websocket: WebSocket) -> None:
    room, name = websocket.path_params["room"], websocket.query_params.get("name")
    if name is None:
        await websocket.close(1008)
        return
    rooms = websocket.state.rooms
    await websocket.accept()
    member = rooms.join(room, name)
    delivering = asyncio.create_task(deliver(websocket, member))
    try:
        async for text in websocket.iter_text():
            rooms.say(room, f"{name}: {text}")
    finally:
        delivering.cancel()
        rooms.leave(room, member)


async def deliver(websocket: WebSocket, member: Member) -> None:
    async for line in member.lines():
        await websocket.send_text(line)
    await websocket.close(1013)


app = Starlette(
    lifespan=lifespan,
    exception_handlers={NoSuchTask: no_such_task, HTTPException: http_exception},
    routes=[
        Route("/tasks", list_tasks),
        Route("/tasks", create_task, methods=["POST"]),
        Route("/tasks/{number}", show_task),
        Route("/tasks/{number}", change_task, methods=["PATCH"]),
        Route("/tasks/{number}", delete_task, methods=["DELETE"]),
        Route("/tasks.csv", export_tasks),
        Route("/report", report),
        WebSocketRoute("/rooms/{room}", chat),
    ],
)
