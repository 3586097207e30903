#!/bin/sh
# gunicorn's ASGI worker says spec_version 2.4 (send raises once the client has left), and raises nothing: a Starlette stream goes on.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check gunicorn==27.0.1 starlette==1.10.0 uvicorn==0.54.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("stream.py").write_text('''
import asyncio
import time

from starlette.applications import Starlette
from starlette.responses import StreamingResponse
from starlette.routing import Route

async def lines():
    for number in range(80):
        with open("sent", "w") as file:
            file.write(str(number))
        yield b"Ada\\n"
        await asyncio.sleep(0.05)

async def stream(request):
    return StreamingResponse(lines(), media_type="text/plain")

app = Starlette(routes=[Route("/", stream)])
''')


def sends_after_leaving(*words):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.replace("PORT", str(port)) for word in words]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    sent = pathlib.Path("sent")
    sent.write_text("")
    try:
        for _ in range(600):
            try:
                client = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        with client:
            client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            client.recv(65536)
            left = int(sent.read_text() or 0)
        time.sleep(2)
        return int(sent.read_text()) - left
    finally:
        server.terminate()
        server.wait()


gunicorn = sends_after_leaving(
    "venv/bin/gunicorn", "--no-control-socket", "--bind", "127.0.0.1:PORT", "-k", "asgi", "stream:app"
)
uvicorn = sends_after_leaving("venv/bin/uvicorn", "--port", "PORT", "stream:app")
versions = ", ".join(f"{one} {importlib.metadata.version(one)}" for one in ("gunicorn", "starlette", "uvicorn"))
print(f"{versions}: lines made in the two seconds after the client left: gunicorn {gunicorn}, uvicorn {uvicorn}")
sys.exit(not (gunicorn >= 10 and uvicorn <= 5))
PYTHON
