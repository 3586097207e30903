r"""Tests of a tasks API, which know of it what its contract says, and nothing else.

    GET    /tasks         200   a list of all tasks, in any order
    POST   /tasks         201   the task; Location is its path
    GET    /tasks/{id}    200   the task
    PATCH  /tasks/{id}    200   the task, changed
    DELETE /tasks/{id}    204   afterwards it is not there

A task is {"id": …, "title": "Call Ada", "done": false}, and may have other keys. An id is a number or a
text, good for a path; it is given once, also when its task is gone. A title is any text that is not blank. A
new task needs one, and is not done unless it says so. A change names `title`, `done` or both, and leaves the
rest as it is. What is read is what was written, in every script of the world.

Errors: 400 for JSON that is no task; 404 for a task or a path that is not there; 405 for a method that a path
does not know, with Allow to name those it does; 415 for a body that is not application/json. A refused
request changes nothing. What an error's body says is left open.

Each test gets a client of an API of its own, with no tasks in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from client import Client

Task = dict[str, Any]


def create(client: Client, title: str = "Call Ada", **more: Any) -> Task:
    """A new task. Its id is whatever the API says."""
    response = client.post("/tasks", json={"title": title, **more})
    assert response.status == 201, f"POST /tasks was answered with {response.status}"
    task: Task = response.json()
    return task


def path_of(task: Task) -> str:
    return f"/tasks/{task['id']}"


def listed(client: Client) -> dict[Any, Task]:
    """All tasks by id: their order is nobody's business."""
    response = client.get("/tasks")
    assert response.status == 200
    return {task["id"]: task for task in response.json()}


def test_new_api_is_empty(client: Client) -> None:
    assert client.get("/tasks").json() == []


def test_created_task_is_there_with_what_it_was_given(client: Client) -> None:
    ada, grace = create(client), create(client, "Ask Grace", done=True)
    assert (ada["title"], ada["done"]) == ("Call Ada", False)
    assert (grace["title"], grace["done"]) == ("Ask Grace", True)
    assert client.get(path_of(ada)).json() == ada
    assert client.get(path_of(grace)).json() == grace
    assert listed(client) == {ada["id"]: ada, grace["id"]: grace}


def test_location_leads_to_the_new_task(client: Client) -> None:
    response = client.post("/tasks", json={"title": "Call Ada"})
    found = client.get(response.header("Location") or "no Location")
    assert found.status == 200
    assert found.json() == response.json()


def test_text_is_kept(client: Client) -> None:
    for title in ("Zoë rückt an", "李", "🦀 and \u0000 and \\"):
        task = create(client, title)
        assert task["title"] == title
        assert client.get(path_of(task)).json()["title"] == title
        assert client.patch(path_of(task), json={"title": title * 2}).json()["title"] == title * 2


def test_change_leaves_the_rest_alone(client: Client) -> None:
    task, other = create(client, done=True), create(client, "Ask Grace")
    for change in ({"title": "Write to Ada"}, {"done": False}, {"title": "Call Ada", "done": True}):
        task = {**task, **change}
        response = client.patch(path_of(task), json=change)
        assert (response.status, response.json()) == (200, task)
        assert client.get(path_of(task)).json() == task
    assert client.get(path_of(other)).json() == other


def test_deleted_task_is_gone_and_the_other_is_not(client: Client) -> None:
    ada, grace = create(client), create(client, "Ask Grace")
    response = client.delete(path_of(ada))
    assert (response.status, response.body) == (204, b"")
    assert client.get(path_of(ada)).status == 404
    assert list(listed(client)) == [grace["id"]]


def test_id_is_given_once(client: Client) -> None:
    seen = [create(client)["id"] for _ in range(3)]
    for id in list(seen):
        client.delete(f"/tasks/{id}")
        seen.append(create(client)["id"])
    assert len(set(seen)) == len(seen), seen


def test_what_is_not_there_is_404(client: Client) -> None:
    task = create(client)
    client.delete(path_of(task))
    for path in (path_of(task), "/tasks/0", "/nothing"):
        assert client.get(path).status == 404, path
    assert client.patch(path_of(task), json={"done": True}).status == 404
    assert client.delete(path_of(task)).status == 404
    assert listed(client) == {}


def test_bad_bodies_are_refused_and_change_nothing(client: Client) -> None:
    task = create(client)
    bad: list[Any] = [{}, [], "Ada", {"title": ""}, {"title": " \t"}, {"title": 7}, {"title": "A", "done": 1}]
    for body in bad:
        assert client.post("/tasks", json=body).status == 400, body
        assert client.patch(path_of(task), json=body).status == 400, body
    json = [("Content-Type", "application/json")]
    assert client.post("/tasks", headers=json, body=b'{"title": ').status == 400
    assert client.post("/tasks", json={"done": True}).status == 400
    form = [("Content-Type", "application/x-www-form-urlencoded")]
    assert client.post("/tasks", headers=form, body=b"title=Ada").status == 415
    assert listed(client) == {task["id"]: task}


def test_wrong_method_is_told_the_right_ones(client: Client) -> None:
    task = create(client)
    for path, known in (("/tasks", {"GET", "POST"}), (path_of(task), {"GET", "PATCH", "DELETE"})):
        response = client.request("PROPFIND", path)
        assert response.status == 405
        allowed = {method.strip() for method in (response.header("Allow") or "").split(",")}
        assert known <= allowed, f"Allow: {response.header('Allow')}"
