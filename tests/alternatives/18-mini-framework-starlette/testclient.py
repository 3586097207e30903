"""Another shape: an event loop in a thread of its own, and plain queues between the two threads."""

import asyncio
import json as json_text
import queue
import threading
import types
from urllib.parse import unquote, urlsplit

from starlette.datastructures import Headers
from starlette.websockets import WebSocketDisconnect


class Call:
    """One call of the application, going on in the loop's thread."""

    def __init__(self, client, scope):
        self.loop = client.loop
        self.events, self.sent = asyncio.Queue(), queue.Queue()
        self.future = asyncio.run_coroutine_threadsafe(self.run(client.app, scope), client.loop)

    async def run(self, app, scope):
        async def send(message):
            self.sent.put(message)

        try:
            await app(scope, self.events.get, send)
        finally:
            self.sent.put(None)

    def tell(self, **event):
        self.loop.call_soon_threadsafe(self.events.put_nowait, event)

    def next(self):
        message = self.sent.get()
        if message is None:
            self.future.result()
        return message


class TestClient:
    __test__ = False

    def __init__(self, app):
        self.app, self.state, self.loop = app, {}, asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)

    def __enter__(self):
        self.thread.start()
        self.life = Call(self, {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state})
        try:
            self.phase("startup")
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        try:
            self.phase("shutdown")
        finally:
            self.stop()

    def phase(self, name):
        self.life.tell(type=f"lifespan.{name}")
        if (self.life.next() or {}).get("type") != f"lifespan.{name}.complete":
            self.life.future.result()

    def stop(self):
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.run_until_complete(self.loop.shutdown_default_executor())
        self.loop.close()

    def scope(self, kind, target, headers):
        url = urlsplit(target)
        pairs = {"host": "test", **{name.lower(): value for name, value in headers.items()}}
        return {
            "type": kind,
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": {"websocket": "ws"}.get(kind, "http"),
            "path": unquote(url.path),
            "raw_path": url.path.encode(),
            "query_string": url.query.encode(),
            "root_path": "",
            "headers": [(name.encode(), value.encode()) for name, value in pairs.items()],
            "client": ("127.0.0.1", 1),
            "server": ("test", 80),
            "state": dict(self.state),
            "subprotocols": [],
        }

    def request(self, method, target, json=None, content=b"", headers=None):
        headers = dict(headers or {})
        if json is not None:
            content = json_text.dumps(json).encode()
            headers["content-type"] = "application/json"
        call = Call(self, {**self.scope("http", target, headers), "method": method})
        call.tell(type="http.request", body=content)
        messages = []
        while not messages or messages[-1].get("more_body") or len(messages) < 2:
            messages.append(call.next())
        call.tell(type="http.disconnect")
        call.future.result()
        if [one["type"] for one in messages].count("http.response.start") != 1:
            raise RuntimeError("one answer has one start")
        body = b"".join(one.get("body", b"") for one in messages[1:])
        return types.SimpleNamespace(
            status_code=messages[0]["status"],
            headers=Headers(raw=messages[0]["headers"]),
            content=body,
            text=body.decode(),
            json=lambda: json_text.loads(body),
        )

    def __getattr__(self, name):
        if name not in ("get", "post", "patch", "delete"):
            raise AttributeError(name)
        return lambda target, **more: self.request(name.upper(), target, **more)

    def websocket_connect(self, target):
        return Session(self, self.scope("websocket", target, {}))


class Session:
    def __init__(self, client, scope):
        self.client, self.scope = client, scope

    def __enter__(self):
        self.call = Call(self.client, self.scope)
        self.call.tell(type="websocket.connect")
        self.message()
        return self

    def __exit__(self, *_):
        self.close()
        self.call.future.result()

    def message(self):
        message = self.call.next()
        if message is None or message["type"] == "websocket.close":
            raise WebSocketDisconnect((message or {}).get("code", 1000))
        return message

    def receive_text(self):
        return self.message()["text"]

    def receive_bytes(self):
        return self.message()["bytes"]

    def send_text(self, text):
        self.call.tell(type="websocket.receive", text=text)

    def close(self, code=1000):
        self.call.tell(type="websocket.disconnect", code=code)
