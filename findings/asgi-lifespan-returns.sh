#!/bin/sh
# asgi-lifespan waits its whole time-out for an application that returns from the lifespan scope at once; one that raises is LifespanNotSupported.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --disable-pip-version-check asgi-lifespan==2.1.0
cd "$folder"
venv/bin/python - <<'PYTHON'
import asyncio
import importlib.metadata
import sys

from asgi_lifespan import LifespanManager


async def returns(scope, receive, send):
    if scope["type"] == "lifespan":
        return


async def raises(scope, receive, send):
    raise RuntimeError("no lifespan here")


async def ending_of(application):
    try:
        async with LifespanManager(application, startup_timeout=2):
            return "entered"
    except BaseException as error:
        return type(error).__name__


found = [asyncio.run(ending_of(application)) for application in (returns, raises)]
print("asgi-lifespan", importlib.metadata.version("asgi-lifespan"), dict(zip(["returns", "raises"], found)))
sys.exit(found != ["TimeoutError", "LifespanNotSupported"])
PYTHON
