"""Lab 16's client at work: each request has it test an application once more, in this one process.

GET /       200, {"descriptors": 9, "threads": 1, "said": "…"}    what the process holds after that
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import apps_to_test
from client import ASGIClient

FILES = Path("/proc/self/fd") if Path("/proc/self/fd").exists() else Path("/dev/fd")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    apps_to_test.LOG.clear()
    said = test_once()
    held = {"descriptors": len(list(FILES.iterdir())), "threads": threading.active_count(), "said": said}
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(held).encode()]


def test_once() -> str:
    """What a test does: a lifespan, a request, a stream that is left, a WebSocket."""
    with ASGIClient(apps_to_test.asgi) as client:
        carried = client.get("/mail?Ada").text
        with client.stream("GET", "/news") as stream:
            first = next(stream).decode()
        with client.websocket("/echo") as session:
            session.send("and back")
            back = session.receive()
    return f"{carried}, {first}, {back}, {' '.join(apps_to_test.LOG)}"
