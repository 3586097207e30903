#!/bin/sh
# sseclient-py hands out the event that the end of the stream cut off; httpx-sse, as a browser, does not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check httpx==0.28.1 \
    httpx-sse==0.4.3 sseclient-py==1.9.0 requests==2.32.5
cd "$folder"
venv/bin/python - <<'PYTHON'
import http.server
import importlib.metadata
import sys
import threading

import httpx
import httpx_sse
import requests
import sseclient

WHOLE = b'data: {"id": 1}\n\ndata: {"id": 2345}\n\n'


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        self.wfile.write(WHOLE[:-6])  # the server is ended here

    def log_message(self, *words):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
site = f"http://127.0.0.1:{server.server_port}/"

with httpx.Client() as client, httpx_sse.connect_sse(client, "GET", site) as source:
    found = {"httpx-sse": [event.data for event in source.iter_sse()]}
events = sseclient.SSEClient(requests.get(site, stream=True)).events()
found["sseclient-py"] = [event.data for event in events]
for name, came in found.items():
    print(name, importlib.metadata.version(name), came)
expected = {"httpx-sse": ['{"id": 1}'], "sseclient-py": ['{"id": 1}', '{"id": 2']}
sys.exit(found != expected)
PYTHON
