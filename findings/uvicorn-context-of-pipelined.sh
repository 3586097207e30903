#!/bin/sh
# Under uvicorn a pipelined request begins in the context (contextvars) of the one before; with --reset-contextvars it does not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("who.py").write_text('''
from contextvars import ContextVar

who = ContextVar("who", default="nobody")

async def application(scope, receive, send):
    body = b"<" + who.get().encode() + b">"
    who.set(scope["path"])
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
''')
two = b"GET /ada HTTP/1.1\r\nHost: a\r\n\r\nGET /grace HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"


def found_by(*words):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = ["venv/bin/uvicorn", "--port", str(port), "--lifespan", "off", *words, "who:application"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                client = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        with client:
            client.sendall(two)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
    finally:
        server.terminate()
        server.wait()
    return [part.partition(b">")[0].decode() for part in answer.split(b"<")[1:]]


runs = {
    ("--http", "h11"): ["nobody", "/ada"],
    ("--http", "httptools"): ["nobody", "/ada"],
    ("--http", "h11", "--reset-contextvars"): ["nobody", "nobody"],
}
found = {words: found_by(*words) for words in runs}
for words, who in found.items():
    print("uvicorn", importlib.metadata.version("uvicorn"), *words, "the two requests find", who)
sys.exit(found != runs)
PYTHON
