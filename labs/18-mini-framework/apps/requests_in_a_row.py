"""Requests that come one after another in one process: what one leaves behind, the next one sees."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from framework import App, Request, Response

NOTED = {"X-Note": "noted"}  # an application may keep its headers, and use them for each response
app = App()


@dataclass
class Basket:
    name: str
    things: list[str] = field(default_factory=list)


@app.post("/baskets")
async def fill(basket: Basket) -> Any:
    """What it changes is its own: the list of a default is made for each request."""
    basket.things.append(basket.name)
    return basket.things


@app.get("/text/{text}")
async def text(request: Request) -> Any:
    return Response(request.path_params["text"])


@app.get("/noted/{text}")
async def noted(request: Request) -> Any:
    return Response(request.path_params["text"], 200, NOTED)


@app.get("/list")
async def listed() -> Any:
    return ["a list"]


async def in_a_row(requests: list[Any]) -> list[Any]:
    """Each request is (method, path, JSON as bytes); of each response its headers and its body."""
    found = []
    for method, path, body in requests:
        sent: list[Any] = []
        waiting = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive(waiting: Any = waiting) -> Any:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Any, sent: Any = sent) -> None:
            sent.append(message)

        scope = {"type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1"}
        scope |= {"method": method, "scheme": "http", "path": path, "raw_path": path.encode()}
        fields = [(b"host", b"localhost"), (b"content-length", b"%d" % len(body))]
        fields += [(b"content-type", b"application/json")] if body else []
        scope |= {"query_string": b"", "root_path": "", "headers": fields, "state": {}}
        await app(scope, receive, send)
        headers = [pair for message in sent for pair in message.get("headers", [])]
        found.append([headers, b"".join(message.get("body", b"") for message in sent)])
    return found
