#!/bin/sh
# Padding that RFC 2046 §5.1.1 has readers ignore: a preamble is malformed for Starlette; spaces after a boundary for Starlette and Falcon, and Bottle has an empty form.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check starlette==1.10.0 python-multipart==0.0.34 falcon==4.4.0 bottle==0.13.4 werkzeug==3.1.9
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import io
import sys

import bottle
import falcon
import falcon.media
import falcon.testing
from starlette.requests import Request as StarletteRequest
from werkzeug.wrappers import Request as WerkzeugRequest

TYPE = "multipart/form-data; boundary=b7f3"
PART = b'--b7f3%b\r\nContent-Disposition: form-data; name="title"\r\n\r\nAda\r\n--b7f3--\r\n'
BODIES = {"a preamble": b"A form in parts.\r\n" + PART % b"", "spaces after a boundary": PART % b"  "}


def environ(body):
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": TYPE,
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.input": io.BytesIO(body),
    }


async def in_starlette(body):
    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", TYPE.encode())]}
    return dict(await StarletteRequest(scope, receive).form())


class Forms:
    def on_post(self, request, response):
        response.media = {part.name: part.text for part in request.get_media()}


def in_falcon(body):
    app = falcon.App()
    app.req_options.media_handlers["multipart/form-data"] = falcon.media.MultipartFormHandler()
    app.add_route("/", Forms())
    answer = falcon.testing.simulate_post(app, "/", headers={"Content-Type": TYPE}, body=body)
    return answer.json if answer.status_code == 200 else str(answer.status_code)


def result_of(form):
    try:
        return form()
    except Exception as error:
        return type(error).__name__


READ = {"title": "Ada"}
EXPECTED = {
    "a preamble": {"werkzeug": READ, "bottle": READ, "starlette": "MultiPartException", "falcon": READ},
    "spaces after a boundary": {"werkzeug": READ, "bottle": {}, "starlette": "MultiPartException", "falcon": "400"},
}
found = {}
for what, body in BODIES.items():
    found[what] = {
        "werkzeug": result_of(lambda: dict(WerkzeugRequest(environ(body)).form)),
        "bottle": result_of(lambda: dict(bottle.BaseRequest(environ(body)).forms)),
        "starlette": result_of(lambda: asyncio.run(in_starlette(body))),
        "falcon": result_of(lambda: in_falcon(body)),
    }
    for name, form in found[what].items():
        print(name, importlib.metadata.version(name), what, form)
sys.exit(found != EXPECTED)
PYTHON
