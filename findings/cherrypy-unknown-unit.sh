#!/bin/sh
# CherryPy sends bytes for a range in a unit that it does not know, where the header is to be ignored, and of an empty file the bytes from 0 to -1.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check cherrypy==18.10.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import sys
import wsgiref.util

import cherrypy

pathlib.Path("files").mkdir()
pathlib.Path("files/ten.txt").write_text("0123456789")
pathlib.Path("files/empty.txt").write_text("")
cherrypy.config.update({"log.screen": False})
settings = {"/": {"tools.staticdir.on": True, "tools.staticdir.dir": str(pathlib.Path("files").resolve())}}
application = cherrypy.Application(None, "", settings)


def answer_to(path, asked):
    environ = {"PATH_INFO": path, "HTTP_RANGE": asked, "REMOTE_ADDR": "127.0.0.1", "SERVER_PROTOCOL": "HTTP/1.1"}
    wsgiref.util.setup_testing_defaults(environ)
    said = []
    chunks = application(environ, lambda status, headers, *more: said.append((status[:3], dict(headers))))
    body = b"".join(chunks)
    return said[0][0], said[0][1].get("Content-Range"), body


found = [answer_to("/ten.txt", "items=0-1"), answer_to("/empty.txt", "bytes=-1"), answer_to("/ten.txt", "bytes=-1")]
print("cherrypy", importlib.metadata.version("cherrypy"), *found)
sys.exit(found != [("206", "bytes 0-1/10", b"01"), ("206", "bytes 0--1/0", b""), ("206", "bytes 9-9/10", b"9")])
PYTHON
