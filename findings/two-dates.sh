#!/bin/sh
# uvicorn and Hypercorn put their own Date and Server beside the application's: two lines of fields that may come once (RFC 9110 §5.3).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 hypercorn==0.18.0 granian==2.8.9 gunicorn==27.0.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("dated.py").write_text('''
FIELDS = [(b"date", b"Sat, 28 Nov 2026 09:00:00 GMT"), (b"server", b"lighthouse"), (b"content-length", b"3")]

async def app(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": FIELDS})
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
ONE_BY_ONE = ("--host", "127.0.0.1", "--port", "PORT", "dated:app")
runs = {
    "uvicorn": (("venv/bin/uvicorn", "--lifespan", "off", *ONE_BY_ONE), (2, 2)),
    "hypercorn": (("venv/bin/hypercorn", "--bind", "127.0.0.1:PORT", "dated:app"), (2, 2)),
    "granian": (("venv/bin/granian", "--interface", "asginl", *ONE_BY_ONE), (1, 1)),
    "gunicorn": (
        ("venv/bin/gunicorn", "--no-control-socket", "-k", "asgi", "--bind", "127.0.0.1:PORT", "dated:app"),
        (1, 1),
    ),
}
found = {}
for name, (words, _) in runs.items():
    head = answer_of(REQUEST, *words).lower()
    found[name] = head.count(b"\r\ndate:"), head.count(b"\r\nserver:")
    print(name, importlib.metadata.version(name), "{} Date, {} Server".format(*found[name]))
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
