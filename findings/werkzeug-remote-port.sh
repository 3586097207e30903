#!/bin/sh
# Werkzeug's server has REMOTE_PORT as an int; wsgiref.validate takes no CGI variable but text, and so every request is a 500.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check werkzeug==3.1.9
cd "$folder"
venv/bin/python - <<'PYTHON'
import contextlib
import http.client
import importlib.metadata
import io
import sys
import threading
from wsgiref.simple_server import make_server as make_wsgiref_server
from wsgiref.validate import validator

from werkzeug.serving import make_server


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"Ada"]


def status_from(server):
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    client = http.client.HTTPConnection("127.0.0.1", server.server_port)
    client.request("GET", "/")
    status = client.getresponse().status
    client.close()
    thread.join()
    server.server_close()
    return status


with contextlib.redirect_stderr(io.StringIO()) as said:
    found = status_from(make_server("127.0.0.1", 0, validator(application)))
    beside = status_from(make_wsgiref_server("127.0.0.1", 0, validator(application)))
why = next((line for line in said.getvalue().splitlines() if line.startswith("AssertionError")), "")
print("werkzeug", importlib.metadata.version("werkzeug"), found, why)
print("wsgiref.simple_server", sys.version.split()[0], beside)
sys.exit((found, beside, "REMOTE_PORT" in why) != (500, 200, True))
PYTHON
