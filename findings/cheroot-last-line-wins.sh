#!/bin/sh
# cheroot keeps the last of two lines of a field, but for a list of names that it knows: of Forwarded, X-Forwarded-For and Cookie the first is lost.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check cheroot==11.1.2 gunicorn==27.0.1
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
    body = repr((environ["HTTP_FORWARDED"], environ["HTTP_ACCEPT"])).encode()
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


FIELDS = b"Forwarded: for=ada\r\nForwarded: for=grace\r\nAccept: text/html\r\nAccept: text/plain\r\n"
REQUEST = b"GET / HTTP/1.0\r\nHost: localhost\r\n" + FIELDS + b"\r\n"
runs = {
    "cheroot": (("venv/bin/python", "under_cheroot.py", "PORT"), "('for=grace', 'text/html, text/plain')"),
    "gunicorn": (
        ("venv/bin/gunicorn", "--no-control-socket", "--bind", "127.0.0.1:PORT", "echo:application"),
        "('for=ada,for=grace', 'text/html,text/plain')",
    ),
}
found = {}
for name, (words, _) in runs.items():
    found[name] = answer_of(REQUEST, *words).partition(b"\r\n\r\n")[2].decode()
    print(name, importlib.metadata.version(name), "HTTP_FORWARDED, HTTP_ACCEPT:", found[name])
sys.exit(found != {name: expected for name, (_, expected) in runs.items()})
PYTHON
