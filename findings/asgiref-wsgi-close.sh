#!/bin/sh
# asgiref.wsgi.WsgiToAsgi never calls close() of what a WSGI application returns (PEP 3333 has it called).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check asgiref==3.13.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import sys

from asgiref.wsgi import WsgiToAsgi

calls = []


class Body:
    def __iter__(self):
        return iter([b"Ada"])

    def close(self):
        calls.append("close")


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Body()


async def main():
    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        calls.append(message["type"])

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/"}
    scope |= {"root_path": "", "query_string": b"", "headers": [(b"host", b"localhost")]}
    await WsgiToAsgi(application)(scope, receive, send)


asyncio.run(main())
print("asgiref", importlib.metadata.version("asgiref"), "sent and called:", calls)
sys.exit("close" in calls or "http.response.body" not in calls)
PYTHON
