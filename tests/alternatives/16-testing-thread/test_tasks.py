"""Tests of the tasks API as one table of steps; all that they know of an id is that it names a task."""

import pytest

JSON = [("content-type", "application/json")]


def new(client, **fields):
    made = client.request("POST", "/tasks", json=fields or {"title": "Ada"})
    assert made.status == 201
    return made.json(), made.header("location")


def same(left, right):
    return all(left[key] == right[key] for key in ("id", "title", "done"))


def test_everything_a_task_lives_through(client):
    task, where = new(client, title="李 calls Zoë")
    other, elsewhere = new(client, title="Other", done=True)
    assert task["title"] == "李 calls Zoë" and not task["done"] and other["done"]
    assert same(client.get(where).json(), task) and same(client.get(elsewhere).json(), other)
    assert client.patch(elsewhere, json={"title": "Another"}).json()["done"] is True
    assert client.patch(where, json={"done": True}).json()["title"] == task["title"]
    assert sorted(str(one["id"]) for one in client.get("/tasks").json()) == sorted(
        str(one["id"]) for one in (task, other)
    )
    assert client.delete(elsewhere).status == 204
    for method in ("GET", "DELETE"):
        assert client.request(method, elsewhere).status == 404
    assert len(client.get("/tasks").json()) == 1
    third, _ = new(client)
    assert third["id"] not in (task["id"], other["id"])


def test_refusals(client):
    _, where = new(client)
    before = client.get("/tasks").json()
    assert client.post("/tasks", headers=JSON, body=b"{").status == 400
    assert client.post("/tasks", json={"title": "   "}).status == 400
    assert client.patch(where, json={"title": ""}).status == 400
    assert client.post("/tasks", body=b"title=x", headers=[("Content-Type", "text/plain")]).status == 415
    answer = client.request("BREW", "/tasks")
    if answer.status != 405 or "POST" not in (answer.header("allow") or ""):
        pytest.fail(f"BREW /tasks: {answer.status}, Allow: {answer.header('allow')}")
    assert client.get("/tasks").json() == before


def test_answers_are_json(client):
    assert (client.get("/tasks").header("Content-Type") or "").startswith("application/json")
