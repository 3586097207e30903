#!/bin/sh
# Behind a proxy that weakens ETags, as nginx does when it compresses, WhiteNoise, Bottle and BlackSheep never answer 304; Werkzeug does.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check whitenoise==6.12.0 bottle==0.13.4 blacksheep==2.6.4 werkzeug==3.1.9
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import pathlib
import sys
import wsgiref.util

import blacksheep
import bottle
import werkzeug.middleware.shared_data
import whitenoise

pathlib.Path("files").mkdir()
pathlib.Path("files/ten.txt").write_text("0123456789")
of_bottle = bottle.Bottle()
of_bottle.route("/ten.txt", callback=lambda: bottle.static_file("ten.txt", root="files"))
of_blacksheep = blacksheep.Application()
of_blacksheep.serve_files("files")
loop = asyncio.new_event_loop()
loop.run_until_complete(of_blacksheep.start())


def ask_wsgi(application, tag):
    environ = {"PATH_INFO": "/ten.txt", **({"HTTP_IF_NONE_MATCH": tag} if tag else {})}
    wsgiref.util.setup_testing_defaults(environ)
    said = []
    chunks = application(environ, lambda status, headers, *more: said.append((status, dict(headers))))
    b"".join(chunks)
    status, headers = said[0]
    return status[:3], {name.lower(): value for name, value in headers.items()}.get("etag")


def ask_asgi(application, tag):
    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(event):
        sent.append(event)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET", "scheme": "http",
        "path": "/ten.txt", "raw_path": b"/ten.txt", "query_string": b"", "root_path": "", "server": None,
        "client": None, "headers": [(b"if-none-match", tag.encode())] if tag else [],
    }

    loop.run_until_complete(application(scope, receive, send))
    headers = {name.lower(): value for name, value in sent[0]["headers"]}
    return str(sent[0]["status"]), headers.get(b"etag", b"").decode()


served = {
    "whitenoise": (ask_wsgi, whitenoise.WhiteNoise(None, root="files")),
    "bottle": (ask_wsgi, of_bottle),
    "blacksheep": (ask_asgi, of_blacksheep),
    "werkzeug": (ask_wsgi, werkzeug.middleware.shared_data.SharedDataMiddleware(None, {"/": "files"})),
}
found = {}
for name, (ask, application) in served.items():
    tag = ask(application, None)[1]
    found[name] = [ask(application, one)[0] for one in (tag, f"W/{tag}", f'"older", {tag}')]
    print(name, importlib.metadata.version(name), f"ETag: {tag}", "same {} weakened {} in a list {}".format(*found[name]))
kept = ["304", "200", "200"]
sys.exit(found != {"whitenoise": kept, "bottle": kept, "blacksheep": kept, "werkzeug": ["304", "304", "304"]})
PYTHON
