#!/bin/sh
# aiohttp, Tornado, Bottle and WhiteNoise send a part of today's file to a client whose If-Range names an older one: it joins two files. Starlette sends the whole.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check aiohttp==3.14.5 tornado==6.6.1 bottle==0.13.4 whitenoise==6.12.0 starlette==1.10.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import pathlib
import sys
import threading
import urllib.request
import wsgiref.simple_server

import aiohttp.web
import bottle
import starlette.responses
import tornado.httpserver
import tornado.netutil
import tornado.web
import whitenoise

pathlib.Path("files").mkdir()
pathlib.Path("files/ten.txt").write_text("0123456789")
RESUMED = {"Range": "bytes=6-", "If-Range": '"of-yesterday"'}


def status_from(port):
    request = urllib.request.Request(f"http://127.0.0.1:{port}/ten.txt", headers=RESUMED)
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.status, response.read()


async def from_aiohttp():
    application = aiohttp.web.Application()
    application.router.add_static("/", "files")
    runner = aiohttp.web.AppRunner(application)
    await runner.setup()
    await aiohttp.web.TCPSite(runner, "127.0.0.1", 0).start()
    answer = await asyncio.to_thread(status_from, runner.addresses[0][1])
    await runner.cleanup()
    return answer


async def from_tornado():
    application = tornado.web.Application([("/(.*)", tornado.web.StaticFileHandler, {"path": "files"})])
    sockets = tornado.netutil.bind_sockets(0, "127.0.0.1")
    tornado.httpserver.HTTPServer(application).add_sockets(sockets)
    return await asyncio.to_thread(status_from, sockets[0].getsockname()[1])


async def from_starlette():
    sent = []
    headers = [(name.lower().encode(), value.encode()) for name, value in RESUMED.items()]
    scope = {"type": "http", "method": "GET", "headers": headers, "extensions": {}}

    async def receive():
        await asyncio.Event().wait()

    async def send(event):
        sent.append(event)

    await starlette.responses.FileResponse("files/ten.txt")(scope, receive, send)
    return sent[0]["status"], b"".join(event.get("body", b"") for event in sent)


def from_wsgi(application):
    class Quiet(wsgiref.simple_server.WSGIRequestHandler):
        def log_message(self, *words):
            pass

    with wsgiref.simple_server.make_server("127.0.0.1", 0, application, handler_class=Quiet) as server:
        threading.Thread(target=server.handle_request, daemon=True).start()
        return status_from(server.server_port)


of_bottle = bottle.Bottle()
of_bottle.route("/ten.txt", callback=lambda: bottle.static_file("ten.txt", root="files"))
found = {
    "aiohttp": asyncio.run(from_aiohttp()),
    "tornado": asyncio.run(from_tornado()),
    "bottle": from_wsgi(of_bottle),
    "whitenoise": from_wsgi(whitenoise.WhiteNoise(None, root="files")),
    "starlette": asyncio.run(from_starlette()),
}
for name, (status, body) in found.items():
    print(name, importlib.metadata.version(name), status, body)
part, whole = (206, b"6789"), (200, b"0123456789")
sys.exit(found != {"aiohttp": part, "tornado": part, "bottle": part, "whitenoise": part, "starlette": whole})
PYTHON
