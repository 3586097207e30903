#!/bin/sh
# A target in absolute form (RFC 9112 §3.2.2: a server MUST accept it): the whole URL is the path in three ASGI servers and wsgiref; a 400 in cheroot.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 httptools==0.9.0 hypercorn==0.18.0 daphne==4.2.3 cheroot==11.1.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("paths.py").write_text('''
async def app(scope, receive, send):
    body = scope["path"].encode()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body})

def application(environ, start_response):
    body = environ["PATH_INFO"].encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
''')
pathlib.Path("under_cheroot.py").write_text('''
import sys
from cheroot.wsgi import Server
from paths import application
Server(("127.0.0.1", int(sys.argv[1])), application).safe_start()
''')
pathlib.Path("under_wsgiref.py").write_text('''
import sys
from wsgiref.simple_server import make_server
from paths import application
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


REQUEST = b"GET http://example.org/orders HTTP/1.0\r\nHost: example.org\r\n\r\n"
BIND = ("--host", "127.0.0.1", "--port", "PORT", "paths:app")
runs = {
    "uvicorn, h11": (("venv/bin/uvicorn", "--http", "h11", *BIND), b"http://example.org/orders"),
    "uvicorn, httptools": (("venv/bin/uvicorn", "--http", "httptools", *BIND), b"/orders"),
    "hypercorn": (("venv/bin/hypercorn", "--bind", "127.0.0.1:PORT", "paths:app"), b"http://example.org/orders"),
    "daphne": (("venv/bin/daphne", "-b", "127.0.0.1", "-p", "PORT", "paths:app"), b"http://example.org/orders"),
    "wsgiref": (("venv/bin/python", "under_wsgiref.py", "PORT"), b"http://example.org/orders"),
    "cheroot": (("venv/bin/python", "under_cheroot.py", "PORT"), b"Absolute URI not allowed if server is not a proxy."),
}
versions = {name: importlib.metadata.version(name) for name in ("uvicorn", "hypercorn", "daphne", "cheroot")}
found = {}
for name, (words, _) in runs.items():
    head, _, body = answer_of(REQUEST, *words).partition(b"\r\n\r\n")
    found[name] = b"".join(body.strip().split(b"\r\n")[1:2]) if b"chunked" in head.lower() else body
    print(name, versions.get(name.partition(",")[0], sys.version.split()[0]), head.split()[1].decode(), found[name].decode())
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
