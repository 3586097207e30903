#!/bin/sh
# WhiteNoise answers 416 to a request for one byte of a file; two bytes it sends.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check whitenoise==6.12.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import pathlib
import sys
import wsgiref.util

import whitenoise

pathlib.Path("files").mkdir()
pathlib.Path("files/ten.txt").write_text("0123456789")
served = whitenoise.WhiteNoise(None, root="files")


def answer_to(asked):
    environ = {"PATH_INFO": "/ten.txt", "HTTP_RANGE": asked}
    wsgiref.util.setup_testing_defaults(environ)
    said = []
    body = b"".join(served(environ, lambda status, headers: said.append((status, dict(headers)))))
    return said[0][0][:3], said[0][1].get("Content-Range"), body


found = {asked: answer_to(asked) for asked in ("bytes=0-0", "bytes=0-1", "bytes=1-1")}
print("whitenoise", importlib.metadata.version("whitenoise"))
for asked, answer in found.items():
    print(asked, *answer)
expected = {
    "bytes=0-0": ("416", "bytes */10", b""),
    "bytes=0-1": ("206", "bytes 0-1/10", b"01"),
    "bytes=1-1": ("416", "bytes */10", b""),
}
sys.exit(found != expected)
PYTHON
