#!/bin/sh
# An HTTP/1.0 client is sent chunks by uvicorn on httptools, and by Werkzeug's server with threads (RFC 9112 6.1: MUST NOT); uvicorn on h11 does not.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check uvicorn==0.54.0 h11==0.16.0 httptools==0.9.0 werkzeug==3.1.9
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("stream.py").write_text('''
async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"Ada", "more_body": True})
    await send({"type": "http.response.body", "body": b"Grace"})
''')
pathlib.Path("under_werkzeug.py").write_text('''
import sys
from werkzeug.serving import run_simple

def application(environ, start_response):
    start_response("200 OK", [])
    return iter([b"Ada", b"Grace"])

run_simple("127.0.0.1", int(sys.argv[1]), application, threaded=True)
''')


def body_from(*words):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [word.replace("PORT", str(port)) for word in words]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                client = socket.create_connection(("127.0.0.1", port))
                break
            except ConnectionRefusedError:
                time.sleep(0.05)
        with client:
            client.sendall(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
            answer = b"".join(iter(lambda: client.recv(65536), b""))
    finally:
        server.terminate()
        server.wait()
    return answer.partition(b"\r\n\r\n")[2]


uvicorn = ("venv/bin/uvicorn", "--port", "PORT", "--lifespan", "off", "--http")
chunks = b"3\r\nAda\r\n5\r\nGrace\r\n0\r\n\r\n"
runs = {
    (*uvicorn, "httptools", "stream:application"): chunks,
    (*uvicorn, "h11", "stream:application"): b"AdaGrace",
    ("venv/bin/python", "under_werkzeug.py", "PORT"): chunks,
}
found = {words: body_from(*words) for words in runs}
versions = ", ".join(f"{one} {importlib.metadata.version(one)}" for one in ("uvicorn", "httptools", "werkzeug"))
print(versions)
for words, body in found.items():
    print(" ".join(words[1:]), body)
sys.exit(found != runs)
PYTHON
