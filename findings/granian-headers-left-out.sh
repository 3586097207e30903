#!/bin/sh
# granian answers 500 to a http.response.start without "headers", which the ASGI specification lets out ("Optional; if missing defaults to an empty list").
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check granian==2.8.9 uvicorn==0.54.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("short.py").write_text('''
async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200})
    await send({"type": "http.response.body", "body": b"Ada"})
''')


def answer_of(request, *words):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.replace("PORT", str(port)) for word in words]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                client = socket.create_connection(("127.0.0.1", port), timeout=30)
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        with client:
            client.sendall(request)
            return b"".join(iter(lambda: client.recv(65536), b""))
    finally:
        server.terminate()
        server.wait()


REQUEST = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
BIND = ("--host", "127.0.0.1", "--port", "PORT", "short:application")
runs = {
    "granian": (("venv/bin/granian", "--interface", "asginl", *BIND), b"500"),
    "uvicorn": (("venv/bin/uvicorn", "--lifespan", "off", *BIND), b"200"),
}
found = {name: answer_of(REQUEST, *words).split()[1] for name, (words, _) in runs.items()}
for name, status in found.items():
    print(name, importlib.metadata.version(name), status.decode())
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
