#!/bin/sh
# Django under gunicorn: a chunked POST has an empty request.body (gunicorn says wsgi.input_terminated, Django asks for CONTENT_LENGTH); under waitress it has it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check django==5.2.19 gunicorn==27.0.1 waitress==3.0.2
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import socket
import subprocess
import sys
import time

pathlib.Path("site_app.py").write_text('''
import django.conf
from django.core.wsgi import get_wsgi_application
from django.http import HttpResponse
from django.urls import path

django.conf.settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"])
urlpatterns = [path("", lambda request: HttpResponse(b"<" + request.body + b">"))]
application = get_wsgi_application()
''')
asked = b"POST / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
asked += b"5\r\nhello\r\n0\r\n\r\n"


def body_under(*words):
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
            client.sendall(asked)
            answer = b"".join(iter(lambda: client.recv(65536), b""))
    finally:
        server.terminate()
        server.wait()
    return answer.partition(b"<")[2].partition(b">")[0]


runs = {
    ("venv/bin/gunicorn", "--no-control-socket", "--bind", "127.0.0.1:PORT", "site_app:application"): b"",
    ("venv/bin/waitress-serve", "--listen", "127.0.0.1:PORT", "site_app:application"): b"hello",
}
found = {words: body_under(*words) for words in runs}
versions = ", ".join(f"{one} {importlib.metadata.version(one)}" for one in ("django", "gunicorn", "waitress"))
print(versions, {pathlib.Path(words[0]).name: body for words, body in found.items()})
sys.exit(found != runs)
PYTHON
