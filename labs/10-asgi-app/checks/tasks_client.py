"""Speaks to the tasks API over HTTP: tasks, uploads in chunks, /stats, several reports at once."""

from __future__ import annotations

import contextlib
import json
import select
import time
from typing import Any
from urllib.parse import urljoin, urlsplit

from asgi_answer import key_of

from workshop.judge.checks import Client, Response, Wire, expect, request_bytes, that

PATIENCE = 3.0  # until what must happen is said not to have happened, in seconds
JSON = ("Content-Type", "application/json")


def json_answer(answer: Response, status: int, why: str = "") -> Any:
    """The JSON of an answer that has this status."""
    expect("status", answer.status, status, why)
    return answer.json()


def error_answer(answer: Response, status: int, why: str) -> None:
    """Fail unless the answer is {"error": "..."} with this status."""
    key_of(json_answer(answer, status, why), "error")


def write(client: Client, method: str, target: str, value: Any) -> Response:
    return client.request(method, target, [JSON], json.dumps(value).encode())


def create(client: Client, title: str) -> dict[str, Any]:
    """Create a task; its JSON, with an id that is a number."""
    task = json_answer(write(client, "POST", "/tasks", {"title": title}), 201)
    number = key_of(task, "id")
    that(type(number) is int, got=f"id = {number!r}", expected="id = a number")
    return dict(task)


def overtaken_by_delete(client: Client, title: str) -> None:
    """A task is deleted while the body of a PATCH for it is on its way."""
    task = create(client, title)
    body = json.dumps({"done": True}).encode()
    fields = [JSON, ("Content-Length", str(len(body))), ("Connection", "close")]
    with client.connect() as link:
        link.send(request_bytes("PATCH", f"/tasks/{task['id']}", fields) + body[:3])
        client.rests()
        expect("status of DELETE", client.request("DELETE", f"/tasks/{task['id']}").status, 204)
        link.send(body[3:])
        answer = link.response("PATCH")
    expect(
        "status of PATCH",
        answer.status,
        404,
        "at an `await` other requests have their turn: look for the task after it",
        sent=f"PATCH /tasks/{task['id']}, three bytes of its body; DELETE /tasks/{task['id']}; the rest",
        rule="RFC 9110 §15.5.5; README, rule 8",
    )


def overtaken_by_patch(client: Client, title: str, new: str) -> None:
    """A task gets another title while the body of a PATCH of `done` is on its way: neither is lost."""
    task = create(client, title)
    path, body = f"/tasks/{task['id']}", json.dumps({"done": True}).encode()
    fields = [JSON, ("Content-Length", str(len(body))), ("Connection", "close")]
    with client.connect() as link:
        link.send(request_bytes("PATCH", path, fields) + body[:3])
        client.rests()
        expect("status of the title's PATCH", write(client, "PATCH", path, {"title": new}).status, 200)
        link.send(body[3:])
        answer = link.response("PATCH")
    sent = f"PATCH {path}, three bytes of {body.decode()}; PATCH {path} with a title; the rest; GET {path}"
    why = "at an `await` other requests have their turn: what is read before it may be old after it"
    rule = "asyncio: other tasks run at an `await`"
    expect("status of PATCH", answer.status, 200, why, sent=sent, rule=rule)
    wanted = {**task, "title": new, "done": True}
    expect("the task", json_answer(client.get(path), 200), wanted, why, sent=sent, rule=rule)


def located(answer: Response) -> str | None:
    """The path that Location names; RFC 9110 §10.2.2 allows any reference, a whole URL as well."""
    location = answer.get("Location")
    if location is None:
        return None
    whole = urlsplit(urljoin("http://localhost/tasks", location))
    return whole.path if whole.hostname in ("localhost", "127.0.0.1") else location


def count(client: Client, word: str) -> int:
    """A number in /stats."""
    number = key_of(json_answer(client.get("/stats"), 200), word)
    that(type(number) is int, got=f"/stats has {word} = {number!r}", expected=f"{word} = a number")
    return int(number)


def becomes(client: Client, word: str, wanted: int, seconds: float = PATIENCE) -> int:
    """What a number in /stats comes to: `wanted`, or what it was when patience ended."""
    end = time.monotonic() + seconds
    while (got := count(client, word)) != wanted and time.monotonic() < end:
        time.sleep(0.02)
    return got


def chunked_upload(client: Client, pieces: list[bytes]) -> Response:
    """A body sent in chunks, with a moment between them (RFC 9112 §7.1)."""
    fields = [("Transfer-Encoding", "chunked"), ("Connection", "close")]
    with client.connect() as link:
        link.send(request_bytes("POST", "/echo", fields))
        link.send_pieces([b"%x\r\n%b\r\n" % (len(piece), piece) for piece in [*pieces, b""]])
        return link.response("POST")


def chunks_in(raw: bytes) -> list[bytes]:
    """The chunks of a chunked response that has been read whole; none when it is not chunked."""
    head, _, rest = raw.partition(b"\r\n\r\n")
    found: list[bytes] = []
    while b"\r\ntransfer-encoding: chunked" in head.lower() and rest:
        line, _, rest = rest.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            break
        found.append(rest[:size])
        rest = rest[size + 2 :]
    return found


def tasks_there(client: Client) -> list[dict[str, Any]]:
    """What GET /tasks lists; nothing where that is not written yet."""
    answer = client.get("/tasks")
    tasks = answer.json() if answer.status == 200 else []
    return [task for task in tasks if isinstance(task, dict)] if isinstance(tasks, list) else []


def written(answer: Response, tasks: list[dict[str, Any]] | None = None) -> None:
    """Fail unless the answer is a report; of these tasks, where nobody else creates any."""
    expect("status", answer.status, 200)
    if tasks:
        said = f"{len(tasks)} tasks, {sum(task.get('done') is True for task in tasks)} done"
        that(said in answer.text, f"the body {answer.text!r}", f"{said}: render(TASKS.all(), seconds)")
    that(
        "tasks" in answer.text,
        got=f"the body {answer.text!r}",
        expected="what slow_reports.render returned",
    )


def readable(link: Wire) -> bool:
    return bool(select.select([link.socket], [], [], 0)[0])


def reports_at_once(client: Client, wanted: int, seconds: float) -> tuple[int, list[Response]]:
    """Ask for reports on connections of their own; how many /stats ever saw running, and the answers."""
    most = 0
    with contextlib.ExitStack() as opened:
        links = [opened.enter_context(client.connect(seconds=2 * PATIENCE)) for _ in range(wanted)]
        for link in links:
            link.send(request_bytes("GET", f"/report?seconds={seconds}", [("Connection", "close")]))
        while most < wanted and not any(readable(link) for link in links):
            most = max(most, count(client, "reports"))
        return most, [link.response() for link in links]
