#!/bin/sh
# a2wsgi's WSGIMiddleware ignores start_response with exc_info, though nothing was sent (PEP 3333: it replaces the first call's headers).
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check a2wsgi==1.10.10
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import sys

from a2wsgi import WSGIMiddleware


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    try:
        raise LookupError("Ada")
    except LookupError:
        start_response("503 Service Unavailable", [("X-Second", "yes")], sys.exc_info())
    return [b"sorry"]


async def main():
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/"}
    scope |= {"root_path": "", "query_string": b"", "headers": [(b"host", b"localhost")]}
    scope |= {"server": ("localhost", 80), "client": ("127.0.0.1", 1)}
    try:
        await WSGIMiddleware(application)(scope, receive, send)
    except LookupError as error:
        return sent[0]["status"], f"then raised {error!r}"
    return sent[0]["status"], "raised nothing"


status, then = asyncio.run(main())
print("a2wsgi", importlib.metadata.version("a2wsgi"), "sent", status, "for a 503;", then)
sys.exit((status, then) != (200, "then raised LookupError('Ada')"))
PYTHON
