#!/bin/sh
# A cookie that Litestar sets with a % in its value comes back as another value: it is written as it is, and read with its escapes decoded.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check litestar==2.25.0 starlette==1.10.0 httpx==0.28.1
cd "$folder"
venv/bin/python - <<'PYTHON'
import importlib.metadata
import sys

import litestar
import litestar.testing
import starlette.applications
import starlette.responses
import starlette.routing
import starlette.testclient

CODE = "save50%25off"


@litestar.get("/set")
async def set_code() -> litestar.Response[str]:
    response = litestar.Response("set")
    response.set_cookie("code", CODE)
    return response


@litestar.get("/read")
async def read_code(request: litestar.Request) -> str:
    return request.cookies["code"]


async def set_in_starlette(request):
    response = starlette.responses.PlainTextResponse("set")
    response.set_cookie("code", CODE)
    return response


async def read_in_starlette(request):
    return starlette.responses.PlainTextResponse(request.cookies["code"])


def comes_back(client):
    with client:
        client.get("/set")
        return client.get("/read").text


routes = [starlette.routing.Route("/set", set_in_starlette), starlette.routing.Route("/read", read_in_starlette)]
found = {
    "litestar": comes_back(litestar.testing.TestClient(litestar.Litestar([set_code, read_code]))),
    "starlette": comes_back(starlette.testclient.TestClient(starlette.applications.Starlette(routes=routes))),
}
for name, code in found.items():
    print(name, importlib.metadata.version(name), f"{CODE!r} comes back as {code!r}")
sys.exit(found != {"litestar": "save50%off", "starlette": CODE})
PYTHON
