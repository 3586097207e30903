"""The tasks API and the chat, through one server."""

import json

from http_answers import JSON, problems, status, value
from websocket_talks import hears, opened

from workshop.judge.checks import Client, expect, that


def tasks_are_kept(client: Client, at: str, one: str) -> None:
    """A task's life, through one server; `at` says which."""
    made = client.request("POST", "/tasks", JSON, json.dumps({"title": one}).encode())
    task = value(made, 201, at + "POST /tasks")
    that(isinstance(task, dict) and task.get("title") == one, f"{at}{task!r}", f"a task with {one!r}")
    path = f"/tasks/{task.get('id')}"
    expect(at + "Location", made.get("Location"), path)
    changed = value(client.request("PATCH", path, JSON, b'{"done": true}'), 200, at + "PATCH")
    expect(at + "changed", changed, {**task, "done": True})
    that(changed in value(client.get("/tasks?done=true")), f"{at}not listed", "it is in /tasks?done=true")
    rows = client.get("/tasks.csv")
    line = f'{task.get("id")},"{one}",true'.encode()
    that(line in rows.body, f"{at}{rows.body[-200:]!r}", f"a row {line!r}")
    found = problems(client.get("/tasks?limit=many"), "/tasks?limit=many")
    expect(at + "complaints", list(found), [("query", "limit")])
    status(client.request("DELETE", path), 204, at + "DELETE")
    status(client.get(path), 404, at + "it is gone")


def people_talk(client: Client, at: str, room: str, one: str) -> None:
    """Ada and Grace in a room, through one server."""
    with client.websocket(room + "Ada", who="Ada") as ada:
        hears(opened(ada), "* welcome: Ada", f"{at}Ada")
        with client.websocket(room + "Grace", who="Grace") as grace:
            hears(opened(grace), "* welcome: Ada, Grace", f"{at}Grace")
            grace.send(one)
            for who, socket in (("Ada", ada), ("Grace", grace)):
                if who == "Ada":
                    hears(socket, "* Grace joined", f"{at}Ada")
                hears(socket, f"Grace: {one}", f"{at}{who}")
            grace.close()
        hears(ada, "* Grace left", f"{at}Ada")
    with client.websocket(room.partition("?")[0]) as socket:
        that(socket.refused, f"{at}let in without a name", "403: the query has no name")
