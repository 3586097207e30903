#!/bin/sh
# aiosseclient ends a line at U+2028, where no event stream does, and not at CR, where one may; Flask-SSE writes one as two.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiosseclient==0.1.8 \
    aiohttp==3.14.5 Flask-SSE==1.0.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import http.server
import importlib.metadata
import sys
import threading

import aiosseclient
import flask_sse

STREAMS = {
    "/separator": "data: one\u2028two\n\n".encode(),
    "/tabulation": b"data: one\x0btwo\n\n",
    "/cr": b"data: one\rdata: two\r\r",
}


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


async def read(path):
    return [event.data async for event in aiosseclient.aiosseclient(site + path)]


found = {path: asyncio.run(read(path)) for path in STREAMS}
found["Flask-SSE"] = [str(flask_sse.Message(text)) for text in ("one\u2028two", "one\x0btwo", "")]
print(*(f"{name} {importlib.metadata.version(name)}" for name in ("aiosseclient", "Flask-SSE")))
for what, came in found.items():
    print(what, came)
two_lines = "data:one\ndata:two\n\n"
expected = {"/separator": ["one"], "/tabulation": ["one"], "/cr": [], "Flask-SSE": [two_lines, two_lines, "\n\n"]}
sys.exit(found != expected)
PYTHON
