#!/bin/sh
# The last bytes of a file (a suffix range): Quart answers 500; more than there are, which is all of it: Pyramid, BlackSheep and Quart answer 416, Sanic 500. And where a range ends behind the file, BlackSheep answers 416, and Sanic names bytes that don't exist.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check quart==0.22.0 pyramid==2.1 blacksheep==2.6.4 sanic==25.12.1 bottle==0.13.4
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import logging
import pathlib
import sys
import wsgiref.util

import blacksheep
import bottle
import pyramid.config
import quart
import sanic

logging.disable()
pathlib.Path("files").mkdir()
pathlib.Path("files/ten.txt").write_text("0123456789")
loop = asyncio.new_event_loop()
asyncio.set_event_loop(loop)


def shown(status, headers):
    fields = {name.lower(): value for name, value in headers}
    return f"{status} {fields.get('content-range', '')}".strip()


def ask_wsgi(application, asked):
    environ = {"PATH_INFO": "/ten.txt", "HTTP_RANGE": asked}
    wsgiref.util.setup_testing_defaults(environ)
    said = []
    chunks = application(environ, lambda status, headers, *more: said.append((status[:3], headers)))
    b"".join(chunks)
    return shown(*said[0])


def ask_asgi(application, asked):
    sent, left = [], asyncio.Event()
    asking = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive():
        if asking:
            return asking.pop()
        await left.wait()

    async def send(event):
        sent.append(event)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/ten.txt", "raw_path": b"/ten.txt", "query_string": b"", "root_path": "", "extensions": {},
        "server": ("localhost", 80), "client": ("127.0.0.1", 50000),
        "headers": [(b"host", b"localhost"), (b"range", asked.encode())],
    }
    loop.run_until_complete(asyncio.wait_for(application(scope, receive, send), 30))
    headers = [(name.decode(), value.decode()) for name, value in sent[0]["headers"]]
    return shown(sent[0]["status"], headers)


async def begin(application):
    """Keep a lifespan open: Sanic has no loop before."""
    begun = asyncio.Event()
    asking = [{"type": "lifespan.startup"}]

    async def receive():
        if asking:
            return asking.pop()
        await asyncio.Event().wait()

    async def send(event):
        begun.set()

    task = asyncio.ensure_future(application({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send))
    await begun.wait()
    return task


of_bottle = bottle.Bottle()
of_bottle.route("/ten.txt", callback=lambda: bottle.static_file("ten.txt", root="files"))
of_pyramid = pyramid.config.Configurator()
of_pyramid.add_static_view("/", str(pathlib.Path("files").resolve()))
of_blacksheep = blacksheep.Application()
of_blacksheep.serve_files("files")
loop.run_until_complete(of_blacksheep.start())
of_sanic = sanic.Sanic("lighthouse", configure_logging=False)
of_sanic.static("/ten.txt", "files/ten.txt", use_content_range=True, name="ten")
lifespan = loop.run_until_complete(asyncio.wait_for(begin(of_sanic), 30))
served = {
    "bottle": (ask_wsgi, of_bottle),
    "pyramid": (ask_wsgi, of_pyramid.make_wsgi_app()),
    "quart": (ask_asgi, quart.Quart("lighthouse", static_folder="files", static_url_path="", root_path=".")),
    "blacksheep": (ask_asgi, of_blacksheep),
    "sanic": (ask_asgi, of_sanic),
}
RANGES = ("bytes=-3", "bytes=-99", "bytes=7-99")
found = {}
for name, (ask, application) in served.items():
    found[name] = tuple(ask(application, asked) for asked in RANGES)
    print(name, importlib.metadata.version(name), *(f"{asked}: {got};" for asked, got in zip(RANGES, found[name])))
last, whole = "206 bytes 7-9/10", "206 bytes 0-9/10"
sys.exit(
    found
    != {
        "bottle": (last, whole, last),
        "pyramid": (last, "416 bytes */10", last),
        "quart": ("500", "416", last),
        "blacksheep": (last, "416", "416"),
        "sanic": (last, "500", "206 bytes 7-99/10"),
    }
)
PYTHON
