#!/bin/sh
# cheroot takes a 205 for a 204: no Content-Length, no chunks, and a connection that stays open. RFC 9112 §6.3 has the client wait for the connection's end.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check cheroot==11.1.2 waitress==3.0.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import http.client
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("form.py").write_text('''
def application(environ, start_response):
    start_response("205 Reset Content", [])
    return []
''')
pathlib.Path("under_cheroot.py").write_text('''
import sys
from cheroot.wsgi import Server
from form import application
Server(("127.0.0.1", int(sys.argv[1])), application).safe_start()
''')


def answer_of(*words):
    """What a client that keeps its connection sees: the fields of the 205, and whether it came to an end."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.replace("PORT", str(port)) for word in words]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        client = http.client.HTTPConnection("127.0.0.1", port, timeout=3)
        for _ in range(600):
            try:
                client.connect()
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        client.request("GET", "/")
        response = client.getresponse()
        framing = {name: response.getheader(name) for name in ("Content-Length", "Transfer-Encoding", "Connection")}
        try:
            response.read()
        except TimeoutError:
            return response.status, framing, "no end within 3 s"
        return response.status, framing, "ended"
    finally:
        server.terminate()
        server.wait()


nothing = {"Content-Length": None, "Transfer-Encoding": None, "Connection": None}
runs = {
    "cheroot": (("venv/bin/python", "under_cheroot.py", "PORT"), (205, nothing, "no end within 3 s")),
    "waitress": (
        ("venv/bin/waitress-serve", "--listen=127.0.0.1:PORT", "form:application"),
        (205, {**nothing, "Transfer-Encoding": "chunked", "Connection": "close"}, "ended"),
    ),
}
found = {}
for name, (words, _) in runs.items():
    found[name] = answer_of(*words)
    print(name, importlib.metadata.version(name), *found[name])
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
