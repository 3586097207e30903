"""The third of three_frameworks.py: GET /tasks/42 as FastAPI sees it; its lifespan leaves a state."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, str]]:
    yield {"started": "yes"}


fastapi = FastAPI(lifespan=lifespan)


@fastapi.get("/tasks/{number}", name="task")
async def fastapi_task(request: Request, number: int) -> dict[str, Any]:
    prefix = request.scope["root_path"]
    return {
        "framework": "fastapi",
        "prefix": prefix,
        "path": request.scope["path"].removeprefix(prefix),
        "link": request.url_for("task", number=number).path,
        "started": getattr(request.state, "started", "no"),
    }
