#!/bin/sh
# cheroot decodes a path but for %2F: /a%2Fb and /a%252Fb are two resources for the client, and one PATH_INFO for the application.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check cheroot==11.1.2 waitress==3.0.2
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
    body = repr(environ["PATH_INFO"]).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
''')
pathlib.Path("under_cheroot.py").write_text('''
import sys
from cheroot.wsgi import Server
from echo import application
Server(("127.0.0.1", int(sys.argv[1])), application).safe_start()
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


TARGETS = (b"/a%2Fb", b"/a%252Fb")
runs = {
    "cheroot": (("venv/bin/python", "under_cheroot.py", "PORT"), ["'/a%2Fb'", "'/a%2Fb'"]),
    "waitress": (("venv/bin/waitress-serve", "--listen=127.0.0.1:PORT", "echo:application"), ["'/a/b'", "'/a%2Fb'"]),
}
found = {}
for name, (words, _) in runs.items():
    answers = [answer_of(b"GET %b HTTP/1.0\r\nHost: localhost\r\n\r\n" % target, *words) for target in TARGETS]
    found[name] = [answer.partition(b"\r\n\r\n")[2].decode() for answer in answers]
    print(name, importlib.metadata.version(name), "PATH_INFO of /a%2Fb and /a%252Fb:", *found[name])
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
