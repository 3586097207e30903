"""What somebody does with the test client of lab 18, and what came back as plain data. For its checks."""

from __future__ import annotations

from typing import Any

import framework_features
from framework import WebSocketDisconnect
from tasks_framework import app
from testclient import TestClient


def a_task(title: str) -> list[Any]:
    """A task's life by the client: statuses, and what was said."""
    with TestClient(app) as client:
        made = client.post("/tasks", json={"title": title})
        at = made.headers["Location"]
        changed = client.patch(at, json={"done": True})
        listed = client.get("/tasks?done=true")
        wrong = client.post("/tasks", content=b"{", headers={"Content-Type": "application/json"})
        gone = client.delete(at)
        after = client.get(at)
        return [
            [one.status_code for one in (made, changed, listed, wrong, gone, after)],
            made.json(),
            listed.json(),
            gone.text,
            made.headers.get("content-type"),
        ]


def what_it_sends(word: str) -> Any:
    """What a handler sees of a request of the client's."""
    with TestClient(framework_features.app) as client:
        path = client.get("/line/caf%C3%A9/a%20b/c")
        target = f"/seen?tag={word}&tag=b"
        seen = client.post(target, content=word.encode(), headers={"X-Note": word})
        return [path.json()["first"], path.json()["rest"], seen.json(), path.headers.get("x-layers")]


def a_request(app: Any, word: str) -> list[Any]:
    """What an application answered that the client has never seen before."""
    with TestClient(app) as client:
        answer = client.post("/", content=word.encode())
    return [answer.status_code, answer.headers.get("x-word"), answer.text]


def a_talk(app: Any, word: str) -> str:
    """What such an application said in a conversation."""
    with TestClient(app) as client, client.websocket_connect("/") as socket:
        socket.send_text(word)
        return str(socket.receive_text())


def schemes() -> list[Any]:
    """The scheme of a request's scope, and of a WebSocket's; and the code of a close without one."""
    with TestClient(framework_features.app) as client:
        found = [client.get("/scheme").json()]
        try:
            with client.websocket_connect("/first/x") as socket:
                found.append(socket.receive_text().rpartition(", ")[2])
                socket.receive_text()
        except WebSocketDisconnect as left:
            found.append(left.code)
        try:
            with client.websocket_connect("/below/x") as socket:
                socket.receive_text()
                socket.receive_text()
        except WebSocketDisconnect as left:
            found.append(left.code)
        return found


def odd_requests(host: str) -> list[Any]:
    """What a handler sees of a Host, of an empty JSON, of an encoded query; the server; codes of a close."""
    framework_features.HEARD.clear()
    with TestClient(framework_features.app) as client:
        hosts = client.get("/came-with", headers={"Host": host}).json()["host"]
        empty = client.post("/seen", json={}).json()["body"]
        kinds = client.post("/came-with", json={}).json()["content-type"]
        tags = client.post("/seen?tag=a%26b").json()["tags"]
        came = client.get("/came-with").json()
        with client.websocket_connect("/shout/1") as socket:
            socket.close()
        codes = client.get("/heard").json()
        return [
            hosts,
            [empty, kinds],
            tags,
            [came["host"][0] if came["host"] else None, came["server"]],
            codes,
        ]


def a_lifespan() -> list[Any]:
    """What requests share within one `with`, and that the next one begins anew."""
    found = []
    for _ in range(2):
        with TestClient(framework_features.app) as client:
            found += [client.get("/ink").json(), client.get("/ink").json()]
    return found


def a_mark() -> list[Any]:
    """Whether what one request, or a WebSocket, leaves in its state is there for the next."""
    with TestClient(framework_features.app) as client:
        with client.websocket_connect("/mark") as socket:
            found = [socket.receive_text() == "True"]
        return [*found, client.get("/mark").json(), client.get("/mark").json()]


def a_shutdown() -> list[str]:
    """What the lifespan has done when the with block is over, and what it raises at its end."""
    framework_features.LIVED.clear()
    with TestClient(framework_features.app):
        pass
    lived = list(framework_features.LIVED)
    try:
        with TestClient(framework_features.dry):
            pass
        return [*lived, "nothing was raised"]
    except Exception as error:
        return [*lived, f"{type(error).__name__}: {error}"]


def a_stream() -> str:
    """A streamed answer that listens for its client's leaving while it sends."""
    with TestClient(framework_features.app) as client:
        try:
            return str(client.get("/ticks?number=3").text)
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def a_broken_answer() -> str:
    """What the client makes of two starts."""
    try:
        with TestClient(framework_features.two_starts) as client:
            return f"status {client.get('/').status_code}"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def a_failed_startup() -> str:
    try:
        with TestClient(framework_features.broken):
            return "nothing was raised"
    except Exception as error:
        return f"{type(error).__name__}: {error}"


def an_accident() -> str:
    """What an application raises is raised in the test."""
    with TestClient(framework_features.app) as client:
        try:
            return f"status {client.get('/accident').status_code}"
        except Exception as error:
            return f"{type(error).__name__}: {error}"


def a_websocket_accident() -> str:
    """What the application raises in a conversation, its `with` raises: in a receive, or at its end."""
    try:
        with TestClient(framework_features.app) as client, client.websocket_connect("/ws-raises") as socket:
            socket.receive_text()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return "nothing was raised"


def a_chat(first: str, second: str, text: str) -> list[Any]:
    """Two people in a room; what each hears, in order."""
    with TestClient(app) as client, client.websocket_connect(f"/rooms/tea?name={second}") as there:
        heard = [there.receive_text()]
        with client.websocket_connect(f"/rooms/tea?name={first}") as here:
            mine = [here.receive_text()]
            heard.append(there.receive_text())
            here.send_text(text)
            there.send_text(text[::-1])
            mine += [here.receive_text(), here.receive_text()]
            heard += [there.receive_text(), there.receive_text()]
        heard.append(there.receive_text())
        return [mine, heard]


def a_close(text: str) -> list[Any]:
    """How a conversation ends that the application ends, and one that it refuses."""
    with TestClient(framework_features.app) as client:
        said, codes = "", []
        try:
            with client.websocket_connect("/shout/1") as socket:
                socket.send_text(text)
                said = socket.receive_text()
                socket.send_text("bye")
                socket.receive_bytes()
                socket.receive_text()
        except WebSocketDisconnect as left:
            codes.append(left.code)
        try:
            with client.websocket_connect("/closed"):
                codes.append(0)
        except WebSocketDisconnect as left:
            codes.append(left.code)
        return [said, codes]
