"""The tasks API, over HTTP: create, show, change, list, delete, and what is refused."""

from __future__ import annotations

import json

from wrapper_calls import parsed_json, shortened

from workshop.judge.checks import Client, expect, that


def speaks_the_tasks_api(client: Client, title: str) -> None:
    kind = [("Content-Type", "application/json")]
    made_one = client.request("POST", "/tasks", kind, json.dumps({"title": title}).encode())
    expect("status of POST", made_one.status, 201)
    task = parsed_json(made_one.body)
    number = task.get("id") if isinstance(task, dict) else None
    that(isinstance(number, int), f"body = {made_one.body!r}", '{"id": 1, "title": …, "done": false}')
    expect("task", task, {"id": number, "title": title, "done": False})
    location = str(made_one.get("Location"))
    that(
        location.endswith(f"/tasks/{number}"),
        f"Location = {location!r}",
        f"/tasks/{number}",
        rule="RFC 9110 §15.3.2",
    )
    at = f"/tasks/{number}"
    shown = client.get(at)
    expect("status of GET", shown.status, 200)
    expect("task", parsed_json(shown.body), task)
    changed = client.request("PATCH", at, kind, b'{"done": true}')
    expect("status of PATCH", changed.status, 200)
    expect("task", parsed_json(changed.body), task | {"done": True})
    listed = parsed_json(client.get("/tasks").body)
    that(
        isinstance(listed, list) and task | {"done": True} in listed,
        f"list = {shortened(listed)}",
        "the task is in it",
    )
    rows = client.get("/tasks.csv")
    kind_of_rows = (rows.get("Content-Type") or "").partition(";")[0]
    that(rows.status == 200 and kind_of_rows == "text/csv", f"{rows.status} {kind_of_rows}", "200 text/csv")
    names = rows.body.partition(b"\r\n")[0]
    expect("the first line of /tasks.csv", names, b"id,title,done", rule="the lesson, task 5")
    that(
        f'{number},"{title}",true\r\n'.encode() in rows.body,
        f"rows = {shortened(rows.body)}",
        "the task is one of them",
    )
    head = client.request("HEAD", at)
    expect("status of HEAD", head.status, 200)
    wrong = client.request("POST", at, kind, b"{}")
    expect("status of POST to a task", wrong.status, 405, rule="RFC 9110 §15.5.6")
    allow = {one.strip() for one in (wrong.get("Allow") or "").split(",")}
    that(
        {"GET", "HEAD", "PATCH", "DELETE"} <= allow,
        f"Allow = {wrong.get('Allow')!r}",
        "GET, HEAD, PATCH, DELETE …",
    )
    for method_, target, body, right in (
        ("PATCH", "/tasks/999999", b'{"done": true}', 404),
        ("GET", "/nowhere", b"", 404),
        ("POST", "/tasks", b'{"title": ""}', 400),
        ("POST", "/tasks", b'{"done": true}', 400),
        ("POST", "/tasks", b"{", 400),
    ):
        problem = client.request(method_, target, kind, body)
        expect(f"status of {method_} {target} {body.decode()}", problem.status, right)
        said = parsed_json(problem.body)
        told = isinstance(said, dict) and isinstance(said.get("error"), str) and said["error"]
        that(told, f"body = {problem.body!r}", '{"error": "…"}, in JSON')
    problem = client.request("POST", "/tasks", [("Content-Type", "text/plain")], b"Ada")
    expect("status of POST with text/plain", problem.status, 415)
    gone = client.request("DELETE", at)
    expect("status of DELETE", gone.status, 204)
    expect("status after DELETE", client.get(at).status, 404)
