# What the probe tells the agent is JSON as this makes it: twelve megabytes of empty lists.
import json
from types import SimpleNamespace

from workshop.run import probe, probe_line

HUGE = "[" + "[]," * 4_000_000 + "[]]"


def dumps(message):
    said = message.pop("said", None) if message.get("said") == "huge" else None
    text = json.dumps(message)
    return text if said is None else f'{text[:-1]}, "said": {HUGE}}}'


probe_line.json = SimpleNamespace(dumps=dumps, loads=json.loads)


def call(app, method="GET", target="/", body=b""):
    probe.encode = lambda value: "huge"


def application(environ, start_response):
    raise RuntimeError


async def asgi(scope, receive, send):
    raise RuntimeError
