#!/bin/sh
# wsgi.input.readlines() of a body whose last line has no end: [] in cheroot, a line end more in a2wsgi; gunicorn is right.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check cheroot==11.1.2 a2wsgi==1.10.10 uvicorn==0.54.0 gunicorn==27.0.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import http.client
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("lines.py").write_text('''
def application(environ, start_response):
    body = repr(environ["wsgi.input"].readlines()).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
''')
pathlib.Path("under_cheroot.py").write_text('''
import sys
from cheroot.wsgi import Server
from lines import application
Server(("127.0.0.1", int(sys.argv[1])), application).safe_start()
''')
pathlib.Path("under_a2wsgi.py").write_text('''
from a2wsgi import WSGIMiddleware
from lines import application
app = WSGIMiddleware(application)
''')


def lines_under(*words):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.replace("PORT", str(port)) for word in words]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                client = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
                client.request("POST", "/", body=b"Ada\nGrace\nTim")
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        found = client.getresponse().read().decode()
        client.close()
        return found
    finally:
        server.terminate()
        server.wait()


runs = {
    "cheroot": (("venv/bin/python", "under_cheroot.py", "PORT"), "[]"),
    "a2wsgi": (("venv/bin/uvicorn", "--port", "PORT", "under_a2wsgi:app"), r"[b'Ada\n', b'Grace\n', b'Tim\n']"),
    "gunicorn": (
        ("venv/bin/gunicorn", "--no-control-socket", "--bind", "127.0.0.1:PORT", "lines:application"),
        r"[b'Ada\n', b'Grace\n', b'Tim']",
    ),
}
found = {name: lines_under(*words) for name, (words, _) in runs.items()}
for name, lines in found.items():
    print(name, importlib.metadata.version(name), lines)
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
