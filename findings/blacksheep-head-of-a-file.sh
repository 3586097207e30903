#!/bin/sh
# BlackSheep says Content-Length: 0 in its answer to a HEAD for a file: a client that asks how large it is plans for nothing.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check blacksheep==2.6.4
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import pathlib
import sys

import blacksheep

pathlib.Path("files").mkdir()
pathlib.Path("files/ten.txt").write_text("0123456789")
application = blacksheep.Application()
application.serve_files("files")


async def length_of(method):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event):
        sent.append(event)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": "/ten.txt", "raw_path": b"/ten.txt", "query_string": b"", "root_path": "", "server": None,
        "client": None, "headers": [(b"host", b"localhost")],
    }
    await application(scope, receive, send)
    return sent[0]["status"], {name.lower(): value for name, value in sent[0]["headers"]}[b"content-length"]


async def ask():
    await application.start()
    return {method: await length_of(method) for method in ("GET", "HEAD")}


found = asyncio.run(ask())
print("blacksheep", importlib.metadata.version("blacksheep"), found)
sys.exit(found != {"GET": (200, b"10"), "HEAD": (200, b"0")})
PYTHON
