#!/bin/sh
# An event stream may begin with a BOM: httpx-sse and sseclient-py lose its first event, aiosseclient its data.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check httpx==0.28.1 httpx-sse==0.4.3 \
    sseclient-py==1.9.0 requests==2.32.5 aiosseclient==0.1.8 aiohttp==3.14.5
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
import requests
import sseclient

STREAMS = {"/plain": b"data: one\n\ndata: two\n\n", "/bom": b"\xef\xbb\xbfdata: one\n\ndata: two\n\n"}


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(STREAMS[self.path])

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
site = f"http://127.0.0.1:{server.server_port}"


def by_httpx_sse(path):
    with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", site + path) as source:
        return [event.data for event in source.iter_sse()]


def by_sseclient(path):
    response = requests.get(site + path, stream=True)
    return [event.data for event in sseclient.SSEClient(response).events()]


def by_aiosseclient(path):
    async def read():
        return [event.data async for event in aiosseclient.aiosseclient(site + path)]

    return asyncio.run(read())


readers = {"httpx-sse": by_httpx_sse, "sseclient-py": by_sseclient, "aiosseclient": by_aiosseclient}
found = {}
for name, read in readers.items():
    found[name] = read("/plain"), read("/bom")
    print(name, importlib.metadata.version(name), *found[name])
expected = {
    "httpx-sse": (["one", "two"], ["two"]),
    "sseclient-py": (["one", "two"], ["two"]),
    "aiosseclient": (["one", "two"], ["", "two"]),
}
sys.exit(found != expected)
PYTHON
