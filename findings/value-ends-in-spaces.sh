#!/bin/sh
# White space after a field's value is no part of it (RFC 9112 §5): uvicorn on httptools and Werkzeug's server keep it; uvicorn on h11 and waitress do not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 httptools==0.9.0 werkzeug==3.1.9 waitress==3.0.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("notes.py").write_text('''
async def app(scope, receive, send):
    body = repr(dict(scope["headers"])[b"x-note"].decode()).encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [repr(environ["HTTP_X_NOTE"]).encode()]
''')
pathlib.Path("under_werkzeug.py").write_text('''
import sys
from werkzeug.serving import make_server
from notes import application
make_server("127.0.0.1", int(sys.argv[1]), application).serve_forever()
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


REQUEST = b"GET / HTTP/1.0\r\nHost: localhost\r\nX-Note: urgent  \r\n\r\n"
BIND = ("--host", "127.0.0.1", "--port", "PORT", "--lifespan", "off", "notes:app")
runs = {
    "uvicorn, httptools": (("venv/bin/uvicorn", "--http", "httptools", *BIND), "'urgent  '"),
    "uvicorn, h11": (("venv/bin/uvicorn", "--http", "h11", *BIND), "'urgent'"),
    "werkzeug": (("venv/bin/python", "under_werkzeug.py", "PORT"), "'urgent  '"),
    "waitress": (("venv/bin/waitress-serve", "--listen=127.0.0.1:PORT", "notes:application"), "'urgent'"),
}
found = {}
for name, (words, _) in runs.items():
    body = answer_of(REQUEST, *words).partition(b"\r\n\r\n")[2].decode()
    found[name] = body.split("\r\n")[1] if "\r\n" in body else body
    print(name, importlib.metadata.version(name.partition(",")[0]), found[name])
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
