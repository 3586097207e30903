#!/bin/sh
# gunicorn's ASGI worker knows the first Sec-WebSocket-Protocol line alone; a client may send several (RFC 6455 §11.3.4).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check gunicorn==27.0.1 uvicorn==0.54.0 wsproto==1.3.2
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
Sec-WebSocket-Protocol: chat.v1\r
Sec-WebSocket-Protocol: chat.v2\r
\r
"""
CLOSE = b"\x88\x82\0\0\0\0" + b"\x03\xe8"  # a Close frame with 1000; its mask is 0

pathlib.Path("chat.py").write_text('''
async def app(scope, receive, send):
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": " ".join(scope["subprotocols"])})
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
    "gunicorn": (
        ("venv/bin/gunicorn", "--no-control-socket", "-k", "asgi", "--bind", "127.0.0.1:PORT", "chat:app"),
        "chat.v1",
    ),
    "uvicorn": (
        ("venv/bin/uvicorn", "--ws", "wsproto", "--lifespan", "off", "--host", "127.0.0.1", "--port", "PORT", "chat:app"),
        "chat.v1 chat.v2",
    ),
}
found = {}
for name, (words, _) in runs.items():
    frames = answer_of(*words).partition(b"\r\n\r\n")[2]
    found[name] = frames[2 : 2 + frames[1]].decode()
    print(name, importlib.metadata.version(name), "subprotocols:", found[name])
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
