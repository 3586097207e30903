#!/bin/sh
# Hypercorn answers 500 to a WSGI application that returns an empty list, as one does for a 204 (PEP 3333 lets an iterable be empty).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check hypercorn==0.18.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import http.client
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("empty.py").write_text('''
def application(environ, start_response):
    start_response("204 No Content", [])
    return [] if environ["PATH_INFO"] == "/empty" else [b""]
''')
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
words = ["venv/bin/hypercorn", "--bind", f"127.0.0.1:{port}", "wsgi:empty:application"]
server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
found = {}
try:
    for path in ("/empty", "/one-empty-chunk"):
        for _ in range(600):
            try:
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                client.request("GET", path)
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        found[path] = client.getresponse().status
        client.close()
finally:
    server.terminate()
    server.wait()
print("hypercorn", importlib.metadata.version("hypercorn"), found)
sys.exit(found != {"/empty": 500, "/one-empty-chunk": 204})
PYTHON
