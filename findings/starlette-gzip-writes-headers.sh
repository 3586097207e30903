#!/bin/sh
# Starlette's GZipMiddleware writes into the application's own list of headers: the next response goes out plain, called gzip.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check starlette==1.10.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import gzip
import importlib.metadata
import sys

from starlette.middleware.gzip import GZipMiddleware

HEADERS = [(b"content-type", b"text/plain")]
LINES = b"Ada\n" * 300


async def application(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
    await send({"type": "http.response.body", "body": LINES})


async def response_to(app):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append({**message, "headers": list(message.get("headers", []))})

    scope = {"type": "http", "http_version": "1.1", "method": "GET", "scheme": "http", "path": "/"}
    scope |= {"root_path": "", "query_string": b"", "headers": [(b"accept-encoding", b"gzip")]}
    await app(scope, receive, send)
    start, *bodies = sent
    return dict(start["headers"]).get(b"content-encoding"), b"".join(one["body"] for one in bodies)


async def main():
    app = GZipMiddleware(application)
    return await response_to(app), await response_to(app)


first, second = asyncio.run(main())
print("starlette", importlib.metadata.version("starlette"))
for coding, body in (first, second):
    print(f"content-encoding {coding}, and a body that begins with {body[:8]}")
as_expected = first[0] == b"gzip" and gzip.decompress(first[1]) == LINES
sys.exit(not (as_expected and second == (b"gzip", LINES)))
PYTHON
