"""The tasks API and a chat on FastAPI: the lines that differ from tasks_framework.py are import and App."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

import slow_reports
from chat_rooms import Member, Rooms
from fastapi import FastAPI, HTTPException, Request, Response, WebSocket
from fastapi.responses import JSONResponse, StreamingResponse
from task_store import Tasks, checked, csv_row


@dataclass
class NewTask:
    title: str
    done: bool = False


@dataclass
class Change:
    title: str | None = None
    done: bool | None = None


class NoSuchTask(Exception):
    pass


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    yield {"tasks": Tasks(), "rooms": Rooms()}


app = FastAPI(lifespan=lifespan)


@app.exception_handler(NoSuchTask)
async def no_such_task(request: Request, error: Exception) -> Response:
    return JSONResponse({"detail": f"there is no task {error}"}, 404)


def existing(request: Request, number: int) -> dict[str, Any]:
    try:
        return request.state.tasks.get(number)
    except KeyError:
        raise NoSuchTask(number) from None


def valid(fields: dict[str, Any], new: bool = False) -> dict[str, Any]:
    try:
        return checked({key: value for key, value in fields.items() if value is not None}, new)
    except ValueError as error:
        raise HTTPException(400, str(error)) from None


@app.get("/tasks")
async def list_tasks(request: Request, done: bool | None = None, limit: int = 1000) -> Any:
    tasks = [task for task in request.state.tasks.all() if done is None or task["done"] == done]
    return tasks[:limit]


@app.post("/tasks")
async def create_task(request: Request, task: NewTask) -> Any:
    made = request.state.tasks.add(valid(asdict(task), new=True))
    return JSONResponse(made, 201, {"location": f"/tasks/{made['id']}"})


@app.get("/tasks/{number}")
async def show_task(request: Request, number: int) -> Any:
    return existing(request, number)


@app.patch("/tasks/{number}")
async def change_task(request: Request, number: int, change: Change) -> Any:
    existing(request, number)
    return request.state.tasks.change(number, valid(asdict(change)))


@app.delete("/tasks/{number}", status_code=204)
async def delete_task(request: Request, number: int) -> None:
    existing(request, number)
    request.state.tasks.delete(number)


@app.get("/tasks.csv")
async def export_tasks(request: Request) -> Any:
    async def rows() -> AsyncIterator[str]:
        yield "id,title,done\r\n"
        for task in request.state.tasks.all():
            yield csv_row(task)

    return StreamingResponse(rows(), media_type="text/csv; charset=utf-8")


@app.get("/report")
def report(request: Request, seconds: float = 0.2) -> Any:
    return {"report": slow_reports.render(request.state.tasks.all(), seconds), "most": slow_reports.most}


@app.websocket("/rooms/{room}")
async def chat(websocket: WebSocket, room: str, name: str) -> None:
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
