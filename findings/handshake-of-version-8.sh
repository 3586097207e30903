#!/bin/sh
# A handshake of a version that a server does not speak: uvicorn with websockets, and Hypercorn, answer 400 and do not say which they speak (RFC 6455 §4.4); daphne speaks 8, too.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 websockets==17.4 wsproto==1.3.2 hypercorn==0.18.0 daphne==4.2.3
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
Sec-WebSocket-Version: 8\r
Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r
\r
"""

pathlib.Path("chat.py").write_text('''
async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
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
            return head
    finally:
        server.terminate()
        server.wait()


BIND = ("--lifespan", "off", "--host", "127.0.0.1", "--port", "PORT", "chat:app")
runs = {
    "uvicorn, websockets": (("venv/bin/uvicorn", "--ws", "websockets-sansio", *BIND), ("400", False)),
    "uvicorn, wsproto": (("venv/bin/uvicorn", "--ws", "wsproto", *BIND), ("426", True)),
    "hypercorn": (("venv/bin/hypercorn", "--bind", "127.0.0.1:PORT", "chat:app"), ("400", False)),
    "daphne": (("venv/bin/daphne", "-b", "127.0.0.1", "-p", "PORT", "chat:app"), ("101", False)),
}
found = {}
for name, (words, _) in runs.items():
    head = answer_of(*words).partition(b"\r\n\r\n")[0].lower()
    found[name] = head.split()[1].decode(), b"sec-websocket-version: 13" in head
    print(name, importlib.metadata.version(name.partition(",")[0]), *found[name])
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
