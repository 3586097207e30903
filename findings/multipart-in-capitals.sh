#!/bin/sh
# "Multipart/Form-Data" is "multipart/form-data" (RFC 9110 §8.3.1: types compare without case); Django raises MultiPartParserError (a 400), Falcon answers 415.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check django==5.2.19 falcon==4.4.0 werkzeug==3.1.9
cd "$folder"
venv/bin/python - <<'PYTHON'
import io
import sys
from importlib.metadata import version

import falcon
from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from werkzeug.wrappers import Request

settings.configure()
BODY = b'--cut\r\nContent-Disposition: form-data; name="who"\r\n\r\nAda\r\n--cut--\r\n'


def environ(kind):
    return {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_TYPE": f"{kind}; boundary=cut",
        "CONTENT_LENGTH": str(len(BODY)),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(BODY),
        "wsgi.errors": sys.stderr,
    }


def in_django(kind):
    try:
        return WSGIRequest(environ(kind)).POST.get("who")
    except Exception as error:
        return type(error).__name__


def in_falcon(kind):
    try:
        form = falcon.Request(environ(kind)).get_media()
        return next(part.text for part in form if part.name == "who")
    except falcon.HTTPError as error:
        return error.status


def in_werkzeug(kind):
    return Request(environ(kind)).form.get("who")


seen = {}
for name, ask in (("django", in_django), ("falcon", in_falcon), ("werkzeug", in_werkzeug)):
    seen[name] = [ask(kind) for kind in ("multipart/form-data", "Multipart/Form-Data")]
    print(name, version(name), "finds", seen[name][0], "and, in capitals,", seen[name][1])
right = {"django": "MultiPartParserError", "falcon": "415 Unsupported Media Type", "werkzeug": "Ada"}
sys.exit(seen != {name: ["Ada", second] for name, second in right.items()})
PYTHON
