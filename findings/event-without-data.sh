#!/bin/sh
# httpx-sse and aiosseclient hand out an event for a block that has an id and no data; a browser keeps the id.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check httpx==0.28.1 \
    httpx-sse==0.4.3 aiosseclient==0.1.8 aiohttp==3.14.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import http.server
import importlib.metadata
import sys
import threading

import aiosseclient
import httpx
import httpx_sse

STREAM = b"id: 7\n\nevent: tick\n\ndata: one\n\n"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(STREAM)

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
site = f"http://127.0.0.1:{server.server_port}/"


def by_httpx_sse():
    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", site) as source:
        return [(event.event, event.data, event.id) for event in source.iter_sse()]


async def by_aiosseclient():
    return [(event.event, event.data, event.id) async for event in aiosseclient.aiosseclient(site)]


found = {"httpx-sse": by_httpx_sse(), "aiosseclient": asyncio.run(by_aiosseclient())}
for name, events in found.items():
    print(name, importlib.metadata.version(name), *events)
expected = {
    "httpx-sse": [("message", "", "7"), ("tick", "", "7"), ("message", "one", "7")],
    "aiosseclient": [("message", "", "7"), ("tick", "", None), ("message", "one", None)],
}
sys.exit(found != expected)
PYTHON
