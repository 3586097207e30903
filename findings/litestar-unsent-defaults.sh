#!/bin/sh
# Litestar answers without the fields that a client did not send, though the handler's dataclass has their defaults.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check litestar==2.25.0 msgspec==0.22.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import dataclasses
import importlib.metadata
import json
import sys
from dataclasses import dataclass

from litestar import Litestar, post

seen = []


@dataclass
class Errand:
    title: str
    price: float = 0.0


@post("/same")
async def same(data: Errand) -> Errand:
    seen.append((data.price, dataclasses.asdict(data)))
    return data


@post("/equal")
async def equal(data: Errand) -> Errand:
    return Errand(data.title, data.price)


async def answer_to(app, path):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b'{"title": "Ada"}', "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "http_version": "1.1", "method": "POST", "scheme": "http", "path": path}
    scope |= {"root_path": "", "query_string": b"", "raw_path": path.encode(), "state": {}, "asgi": {"version": "3.0"}}
    scope |= {"headers": [(b"host", b"localhost"), (b"content-type", b"application/json")]}
    scope |= {"client": ("127.0.0.1", 50000), "server": ("127.0.0.1", 8000)}
    await app(scope, receive, send)
    return json.loads(b"".join(one.get("body", b"") for one in sent))


async def main():
    app = Litestar([same, equal])
    return await answer_to(app, "/same"), await answer_to(app, "/equal")


came, beside = asyncio.run(main())
versions = ", ".join(f"{one} {importlib.metadata.version(one)}" for one in ("litestar", "msgspec"))
print(f"{versions}: the handler saw {seen[0][1]}")
print(f"it sends that object: {came}; it sends an equal one: {beside}")
whole = {"title": "Ada", "price": 0.0}
sys.exit(not (came == {"title": "Ada"} and beside == whole and seen == [(0.0, whole)]))
PYTHON
