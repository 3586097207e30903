#!/bin/sh
# daphne sends the second piece of a response's body in the answer to a HEAD, which has none: on a connection that stays, it stands where the next answer begins.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check daphne==4.2.3 uvicorn==0.54.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("pieces.py").write_text('''
async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"8")]})
    await send({"type": "http.response.body", "body": b"Ada ", "more_body": True})
    await send({"type": "http.response.body", "body": b"Love"})
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


REQUEST = b"HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
runs = {
    "daphne": (("venv/bin/daphne", "-b", "127.0.0.1", "-p", "PORT", "pieces:app"), b"Love"),
    "uvicorn": (("venv/bin/uvicorn", "--lifespan", "off", "--host", "127.0.0.1", "--port", "PORT", "pieces:app"), b""),
}
found = {name: answer_of(REQUEST, *words).partition(b"\r\n\r\n")[2] for name, (words, _) in runs.items()}
for name, body in found.items():
    print(name, importlib.metadata.version(name), "after the head of HEAD's answer:", body)
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
