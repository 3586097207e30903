#!/bin/sh
# granian's WSGI environ has an empty text for a header whose value is not ASCII; PEP 3333 decodes it as latin-1, and so does gunicorn.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check granian==2.8.9 gunicorn==27.0.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("echo.py").write_text('''
def application(environ, start_response):
    body = ascii(environ["HTTP_X_NOTE"]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
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


REQUEST = b"GET / HTTP/1.0\r\nHost: localhost\r\nX-Note: caf\xe9\r\n\r\n"
runs = {
    "granian": (
        ("venv/bin/granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "PORT", "echo:application"),
        "''",
    ),
    "gunicorn": (
        ("venv/bin/gunicorn", "--no-control-socket", "--bind", "127.0.0.1:PORT", "echo:application"),
        r"'caf\xe9'",
    ),
}
found = {}
for name, (words, _) in runs.items():
    found[name] = answer_of(REQUEST, *words).partition(b"\r\n\r\n")[2].decode()
    print(name, importlib.metadata.version(name), "HTTP_X_NOTE:", found[name])
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
