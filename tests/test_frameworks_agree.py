"""Lab 18: one application in three frameworks does the same, asked by two clients; what is left out."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from workshop.paths import APPS, SOLUTIONS

FOLDER = SOLUTIONS / "18-mini-framework"

SCENARIO = """
import json, sys, importlib, warnings
warnings.simplefilter("ignore")
app = importlib.import_module(sys.argv[1]).app
TestClient = importlib.import_module(sys.argv[2]).TestClient
JSON = {"content-type": "application/json"}
found = []

def note(answer, whole=True):
    kind = answer.headers.get("content-type") if answer.text else None
    found.append([answer.status_code, kind, answer.json() if whole and kind == "application/json" else None])

with TestClient(app) as client:
    note(client.get("/tasks"))
    note(client.post("/tasks", json={"title": "Call Ada"}))
    note(client.post("/tasks", json={"title": "Zo\\u00eb", "done": True}))
    note(client.get("/tasks?done=true"))
    note(client.get("/tasks?limit=1"))
    note(client.get("/tasks/2"))
    note(client.patch("/tasks/1", json={"done": True}))
    note(client.get("/tasks/9"))
    note(client.post("/tasks", json={"title": " "}))
    note(client.delete("/tasks/1"))
    note(client.get("/tasks/1"))
    found.append(client.get("/tasks.csv").text)
    for answer in (client.get("/tasks/x"), client.get("/tasks?limit=x"), client.post("/tasks", json={}),
                   client.post("/tasks", json={"title": 5}), client.patch("/tasks/2", json={"done": []})):
        found.append([answer.status_code, [one["loc"] for one in answer.json()["detail"]]])
    note(client.get("/nowhere"), whole=False)
    note(client.get("/report?seconds=0"))
    with client.websocket_connect("/rooms/tea?name=Ada") as ada:
        found.append(ada.receive_text())
        ada.send_text("hello")
        found.append(ada.receive_text())
print(json.dumps(found))
"""


def run(code: str, *words: str, path: str = "") -> Any:
    """What a program prints as JSON, with the reference's folder and the applications on its path."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(FOLDER), str(APPS), path])}
    done = subprocess.run(
        [sys.executable, "-c", code, *words], env=env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("client", ["testclient", "starlette.testclient"])
@pytest.mark.parametrize("app", ["tasks_fastapi", "tasks_starlette"])
def test_three_frameworks_and_two_clients_agree(app: str, client: str) -> None:
    assert run(SCENARIO, app, client) == run(SCENARIO, "tasks_framework", "testclient")


DOCUMENTS = """
import json, tasks_fastapi, tasks_framework, openapi
print(json.dumps([openapi.document(tasks_framework.app), tasks_fastapi.app.openapi()]))
"""


def test_openapi_says_what_fastapi_says() -> None:
    """Paths, methods, parameters, bodies and the fields of the dataclasses."""
    ours, theirs = [outline(one) for one in run(DOCUMENTS)]
    assert ours == theirs


def outline(document: dict[str, Any]) -> Any:
    paths = {}
    for path, methods in document["paths"].items():
        for method, one in methods.items():
            taken = [
                [p["name"], p["in"], p["required"], kinds(p["schema"])] for p in one.get("parameters", [])
            ]
            body = one.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            paths[f"{method} {path}"] = [sorted(taken), body]
    schemas = document["components"]["schemas"]
    fields = {}
    for name in ("NewTask", "Change"):
        properties = sorted((key, kinds(one)) for key, one in schemas[name]["properties"].items())
        fields[name] = [properties, schemas[name].get("required", [])]
    return [paths, fields]


def kinds(schema: dict[str, Any]) -> Any:
    return sorted(one["type"] for one in schema.get("anyOf", [schema]))


PINS = """
import json
from framework import App, Request
from testclient import TestClient
app = App()

@app.post("/")
async def size(request: Request):
    return len(await request.body())

def refused(handler):
    try:
        app.get("/x")(handler)
    except TypeError as error:
        return str(error)

def odd(number: complex): ...

with TestClient(app) as client:
    sizes = [client.post("/", content=b"x" * count).status_code for count in (1 << 20, (1 << 20) + 1)]
print(json.dumps([sizes, refused(odd)]))
"""


def test_what_the_notes_say() -> None:
    sizes, refusal = run(PINS)
    assert sizes == [200, 413]
    assert "number" in refusal
