#!/bin/sh
# granian's ASGI scope has ports as text, and HTTP/1.0 as "1" (ASGI, HTTP Connection Scope: an int, and "1.0").
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check granian==2.8.9
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import json
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("scopes.py").write_text('''
import json

async def application(scope, receive, send):
    body = json.dumps([scope["http_version"], scope["client"], scope["server"]]).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})
''')
with socket.create_server(("127.0.0.1", 0)) as free:
    port = free.getsockname()[1]
words = ["venv/bin/granian", "--interface", "asginl", "--port", str(port), "scopes:application"]
server = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    for _ in range(600):
        try:
            client = socket.create_connection(("127.0.0.1", port))
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    with client:
        client.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: client.recv(65536), b""))
finally:
    server.terminate()
    server.wait()
version, client_address, server_address = json.loads(answer.partition(b"\r\n\r\n")[2])
kinds = [type(port).__name__ for _, port in (client_address, server_address)]
print("granian", importlib.metadata.version("granian"), f"http_version={version!r}, ports are {kinds}")
sys.exit((version, kinds) != ("1", ["str", "str"]))
PYTHON
