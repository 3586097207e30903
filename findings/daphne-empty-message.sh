#!/bin/sh
# daphne does not send a message that is empty, neither text nor bytes.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check daphne==4.2.3 uvicorn==0.54.0 wsproto==1.3.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time


HANDSHAKE = b"""GET / HTTP/1.1\r
Host: localhost\r
Connection: Upgrade\r
Upgrade: websocket\r
Sec-WebSocket-Version: 13\r
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
\r
"""
CLOSE = b"\x88\x82\0\0\0\0" + b"\x03\xe8"  # a Close frame with 1000; its mask is 0

pathlib.Path("chat.py").write_text('''
async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": ""})
    await send({"type": "websocket.send", "text": "Ada"})
    await receive()
''')


def answer_of(*words):
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
            client.sendall(HANDSHAKE)
            head = b""
            while b"\r\n\r\n" not in head:
                head += client.recv(65536)
            client.sendall(CLOSE)
            return head + b"".join(iter(lambda: client.recv(65536), b""))
    finally:
        server.terminate()
        server.wait()


runs = {
    "daphne": (("venv/bin/daphne", "-b", "127.0.0.1", "-p", "PORT", "chat:app"), b"\x81\x03Ada"),
    "uvicorn": (
        ("venv/bin/uvicorn", "--ws", "wsproto", "--lifespan", "off", "--host", "127.0.0.1", "--port", "PORT", "chat:app"),
        b"\x81\x00\x81\x03Ada",
    ),
}
found = {}
for name, (words, _) in runs.items():
    found[name] = answer_of(*words).partition(b"\r\n\r\n")[2].partition(b"\x88")[0]
    print(name, importlib.metadata.version(name), "frames:", found[name])
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
