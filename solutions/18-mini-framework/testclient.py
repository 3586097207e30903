"""A client that calls an ASGI application as a server does, with no server: for tests.

Theory of operation. The client has an event loop, which turns while one of its methods runs and stands still
between them. In it live the lifespan's call and, for each open WebSocket, that one's call. They wait in
`receive` for events that this side puts into a queue; what they send goes into another. So two people can
talk in a chat from one thread: what Ada sent is there when Grace's `receive_text` next lets the loop turn.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json as json_text
from collections.abc import Mapping
from typing import Any, Self
from urllib.parse import unquote, urlsplit

from connection import ASGI, Headers, Message, Scope, WebSocketDisconnect, encoded_header


@dataclasses.dataclass(frozen=True)
class Answer:
    """What came back, complete."""

    status_code: int
    headers: Headers
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()

    def json(self) -> Any:
        return json_text.loads(self.content)


class TestClient:
    """Calls an application as a server does, with no server: `with TestClient(app) as client:`

    Entering it is the startup, leaving it the shutdown. What the application raises is raised in the test.
    It has an event loop of its own, which turns while a call lasts: not for use inside a running one.
    """

    __test__ = False  # for pytest, which collects classes named Test…

    def __init__(self, app: ASGI) -> None:
        self.app, self.state = app, dict[str, Any]()
        self._runner = asyncio.Runner()
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._sent: asyncio.Queue[Message] = asyncio.Queue()

    def __enter__(self) -> Self:
        """Raises what the lifespan raises."""
        self._runner.__enter__()
        try:
            self._runner.run(self._phase("startup"))
        except BaseException:
            self._runner.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._runner.run(self._phase("shutdown"))
        finally:
            self._runner.close()

    async def _phase(self, name: str) -> None:
        if name == "startup":
            scope = {
                "type": "lifespan",
                "asgi": {"version": "3.0", "spec_version": "2.0"},
                "state": self.state,
            }
            self._life = asyncio.ensure_future(self.app(scope, self._events.get, self._sent.put))
        self._events.put_nowait({"type": f"lifespan.{name}"})
        message = await next_of(self._sent, self._life)
        if message is None or not message["type"].endswith(".complete"):
            await self._life  # and raises, if that is why
            raise RuntimeError(f"{name}: {message}")

    def _scope(self, kind: str, target: str, headers: Mapping[str, str]) -> Scope:
        """ASGI www, "HTTP Connection Scope": the path decoded, the raw path and the query as they were."""
        parts = urlsplit(target)
        # RFC 9112 §3.2: one Host; the test's own takes the place of ours.
        fields = {"host": "testserver", **headers}
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "http" if kind == "http" else "ws",
            "path": unquote(parts.path),
            "raw_path": parts.path.encode(),
            "query_string": parts.query.encode(),
            "root_path": "",
            "headers": [encoded_header(name, value) for name, value in fields.items()],
            "client": ("testclient", 50000),
            "server": ("testserver", 80),
            # ASGI lifespan, "Lifespan State": each scope has a shallow copy.
            "state": dict(self.state),
        }

    def request(
        self,
        method: str,
        target: str,
        *,
        json: Any = None,
        content: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """One request, answered to its end."""
        # RFC 9110 §5.1: names are compared without case.
        fields = {name.lower(): value for name, value in (headers or {}).items()}
        if json is not None:
            content = json_text.dumps(json).encode()
            fields.setdefault("content-type", "application/json")
        if content:
            fields["content-length"] = str(len(content))
        scope = {**self._scope("http", target, fields), "method": method}
        return self._runner.run(self._exchange(scope, content))

    async def _exchange(self, scope: Scope, content: bytes) -> Answer:
        waiting: list[Message] = [{"type": "http.request", "body": content, "more_body": False}]
        sent: list[Message] = []
        complete = asyncio.Event()

        async def receive() -> Message:
            if not waiting:
                # ASGI www, "Disconnect": it comes when the answer is complete, too.
                await complete.wait()
                return {"type": "http.disconnect"}
            return waiting.pop()

        async def send(message: Message) -> None:
            # ASGI www, "Response Start": one answer has one.
            if message["type"] == "http.response.start" and sent:
                raise RuntimeError("a second http.response.start")
            sent.append(message)
            if message["type"] == "http.response.body" and not message.get("more_body", False):
                complete.set()

        await self.app(scope, receive, send)
        if not complete.is_set():
            raise RuntimeError(f"no whole answer: {[message['type'] for message in sent]}")
        pairs = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in sent[0].get("headers", [])
        ]
        # RFC 9110 §9.3.2: a server leaves out the content of an answer to HEAD.
        body = b"".join(one.get("body", b"") for one in sent[1:] if scope["method"] != "HEAD")
        return Answer(sent[0]["status"], Headers(pairs), body)

    def get(self, target: str, **more: Any) -> Answer:
        return self.request("GET", target, **more)

    def post(self, target: str, **more: Any) -> Answer:
        return self.request("POST", target, **more)

    def patch(self, target: str, **more: Any) -> Answer:
        return self.request("PATCH", target, **more)

    def delete(self, target: str, **more: Any) -> Answer:
        return self.request("DELETE", target, **more)

    def websocket_connect(self, target: str) -> Session:
        """`with client.websocket_connect("/chat/tea?name=Ada") as ada:`"""
        return Session(self._runner, self.app, {**self._scope("websocket", target, {}), "subprotocols": []})


class Session:
    """A WebSocket as its client sees it. Every method may raise WebSocketDisconnect, with the close code."""

    def __init__(self, runner: asyncio.Runner, app: ASGI, scope: Scope) -> None:
        self._runner, self._app, self._scope = runner, app, scope
        self._events: asyncio.Queue[Message] = asyncio.Queue()
        self._sent: asyncio.Queue[Message] = asyncio.Queue()

    def __enter__(self) -> Self:
        """Shake hands. Raises WebSocketDisconnect when the application refuses."""
        self._runner.run(self._begin())
        return self

    async def _begin(self) -> None:
        self._call = asyncio.ensure_future(self._app(self._scope, self._events.get, self._sent.put))
        self._events.put_nowait({"type": "websocket.connect"})
        await self._next("websocket.accept")

    def __exit__(self, *_: object) -> None:
        self.close()
        self._runner.run(self._end())

    async def _end(self) -> None:
        await self._call

    async def _next(self, kind: str) -> Message:
        message = await next_of(self._sent, self._call)
        if message is None:
            await self._call  # raises what the application has raised
            raise WebSocketDisconnect(1006)
        if message["type"] == "websocket.close":
            raise WebSocketDisconnect(message.get("code", 1000), message.get("reason") or "")
        if message["type"] != kind:
            raise RuntimeError(f"{message['type']} where {kind} was awaited")
        return message

    def receive_text(self) -> str:
        return str(self._runner.run(self._next("websocket.send"))["text"])

    def receive_bytes(self) -> bytes:
        return bytes(self._runner.run(self._next("websocket.send"))["bytes"])

    def receive_json(self) -> Any:
        return json_text.loads(self.receive_text())

    def send_text(self, text: str) -> None:
        self._events.put_nowait({"type": "websocket.receive", "text": text})

    def close(self, code: int = 1000) -> None:
        self._events.put_nowait({"type": "websocket.disconnect", "code": code})


async def next_of(sent: asyncio.Queue[Message], call: asyncio.Future[None]) -> Message | None:
    """What an application sends next; None when its call ends without."""
    getting: asyncio.Future[Message] = asyncio.ensure_future(sent.get())
    both: set[asyncio.Future[Any]] = {getting, call}
    await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    if not getting.done() and sent.empty():
        getting.cancel()
        return None
    return await getting
