#!/bin/sh
# A form with a preamble, which RFC 2046 §5.1.1 has readers ignore, is malformed for Starlette; Werkzeug, Bottle and Falcon read it.
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
BODY = b"A form in parts.\r\n" + b'--b7f3\r\nContent-Disposition: form-data; name="title"\r\n\r\nAda\r\n--b7f3--\r\n'


def environ():
    return {
        "REQUEST_METHOD": "POST",
        "CONTENT_TYPE": TYPE,
        "CONTENT_LENGTH": str(len(BODY)),
        "wsgi.input": io.BytesIO(BODY),
    }


async def in_starlette():
    async def receive():
        return {"type": "http.request", "body": BODY, "more_body": False}

    scope = {"type": "http", "method": "POST", "headers": [(b"content-type", TYPE.encode())]}
    return dict(await StarletteRequest(scope, receive).form())


class Forms:
    def on_post(self, request, response):
        response.media = {part.name: part.text for part in request.get_media()}


def in_falcon():
    app = falcon.App()
    app.req_options.media_handlers["multipart/form-data"] = falcon.media.MultipartFormHandler()
    app.add_route("/", Forms())
    answer = falcon.testing.simulate_post(app, "/", headers={"Content-Type": TYPE}, body=BODY)
    return answer.json if answer.status_code == 200 else str(answer.status_code)


def result_of(form):
    try:
        return form()
    except Exception as error:
        return type(error).__name__


found = {
    "werkzeug": result_of(lambda: dict(WerkzeugRequest(environ()).form)),
    "bottle": result_of(lambda: dict(bottle.BaseRequest(environ()).forms)),
    "starlette": result_of(lambda: asyncio.run(in_starlette())),
    "falcon": result_of(in_falcon),
}
for name, form in found.items():
    print(name, importlib.metadata.version(name), form)
READ = {"title": "Ada"}
sys.exit(found != {"werkzeug": READ, "bottle": READ, "starlette": "MultiPartException", "falcon": READ})
PYTHON
