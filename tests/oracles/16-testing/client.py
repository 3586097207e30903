"""Lab 16 over werkzeug's test client, Starlette's, and asgiref's communicator for streams.

What they don't have in common with the lab is bridged here, and said. Starlette's client raises for an
application that has no lifespan, or that returns at once, goes on after lifespan.startup.failed when the
application returns quietly, cancels a stream that is left, where asgiref can tell it of the disconnect, and
takes a response that breaks off for a whole one. asgiref's communicator keeps any number of messages.
Werkzeug's client, when it buffers, loses what was given to write(), joins Cookie fields by commas, and
deletes a cookie only for a Max-Age of 0.
"""

import asyncio
import contextlib
import io
import json as json_
import re
import warnings
from dataclasses import dataclass
from urllib.parse import unquote

from asgiref.testing import ApplicationCommunicator
from werkzeug.test import Client as WerkzeugClient
from werkzeug.test import EnvironBuilder

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient
    from starlette.websockets import WebSocketDisconnect


@dataclass
class Response:
    status: int
    headers: list
    body: bytes

    def header(self, name):
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json_.loads(self.body)


def builder(method, target, headers, body):
    path, _, query = target.partition("?")
    cookies = [value for name, value in headers if name.lower() == "cookie"]
    headers = [(name, value) for name, value in headers if name.lower() != "cookie"]
    headers += [("Cookie", "; ".join(cookies))] if cookies else []
    stream = io.BytesIO(body) if body else None
    made = EnvironBuilder(
        unquote(path), method=method, query_string=query, headers=headers, input_stream=stream
    )
    made.content_length = len(body) or None
    return made


def make_environ(method="GET", target="/", headers=(), body=b""):
    return builder(method, target, list(headers), body).get_environ()


def make_scope(method="GET", target="/", headers=(), body=b""):
    """The scope that Starlette's client hands to an application."""
    seen = {}

    async def app(scope, receive, send):
        seen.update(scope)
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    TestClient(app).request(method, target, headers=encoded(headers), content=body)
    return {"asgi": {"version": "3.0"}, **seen}


def encoded(headers):
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


class Client:
    def request(self, method, target="/", headers=(), body=b"", json=None):
        fields = list(headers)
        if json is not None:
            body = json_.dumps(json).encode()
            fields.append(("Content-Type", "application/json"))
        return self.call(method, target, fields, body)

    def get(self, target="/", **more):
        return self.request("GET", target, **more)

    def post(self, target="/", **more):
        return self.request("POST", target, **more)

    def patch(self, target="/", **more):
        return self.request("PATCH", target, **more)

    def delete(self, target="/", **more):
        return self.request("DELETE", target, **more)


def readable(cookie):
    """A Set-Cookie without the attributes that can't be read: RFC 6265 §5.2 ignores those.

    Werkzeug's client raises for Max-Age=soon; http.cookiejar, under Starlette's, ignores the whole cookie.
    """
    first, *attributes = cookie.split(";")
    return ";".join(
        [
            first,
            *(
                re.sub("=-.*", "=0", one) if "age" in one.lower() else one
                for one in attributes
                if not re.match(" *(max-age=[^-0-9]|expires=never)", one, re.I)
            ),
        ]
    )


def with_readable_cookies(app):
    def wrapped(environ, start_response):
        def start(status, headers, exc_info=None):
            pairs = [(k, readable(v) if k.lower() == "set-cookie" else v) for k, v in headers]
            return start_response(status, pairs, exc_info)

        return app(environ, start)

    return wrapped


def with_readable_cookies_asgi(app):
    async def wrapped(scope, receive, send):
        async def sending(message):
            if message["type"] == "http.response.start":
                pairs = [
                    (k, readable(v.decode("latin-1")).encode("latin-1") if k == b"set-cookie" else v)
                    for k, v in message.get("headers", [])
                ]
                message = {**message, "headers": pairs}
            await send(message)

        await app(scope, receive, sending if scope["type"] == "http" else send)

    return wrapped


class WSGIClient(Client):
    def __init__(self, app):
        self.client = WerkzeugClient(with_readable_cookies(app))

    def call(self, method, target, headers, body):
        answer = self.client.open(builder(method, target, headers, body))
        with contextlib.closing(answer):
            return Response(answer.status_code, list(answer.headers), answer.data)


class ASGIClient(Client):
    def __init__(self, app):
        self.app = with_readable_cookies_asgi(app)

    def __enter__(self):
        self.client = TestClient(whole(self.app))
        try:
            self.client.__enter__()
        except (ValueError, TypeError):  # no lifespan: Starlette's client takes that for a fault
            self.client = TestClient(with_lifespan(whole(self.app)))
            self.client.__enter__()
        if self.client.task.done():
            self.client.wait_shutdown = nothing
            self.client.__exit__()
            raise RuntimeError("the application did not start")
        return self

    def __exit__(self, *error):
        self.client.__exit__(*error)

    def call(self, method, target, headers, body):
        answer = self.client.request(method, target, headers=encoded(headers), content=body)
        return Response(answer.status_code, list(answer.headers.multi_items()), answer.content)

    @contextlib.contextmanager
    def stream(self, method, target, headers=(), body=b""):
        jar = "; ".join(f"{one.name}={one.value}" for one in self.client.cookies.jar if one.value)
        headers = [*headers, *([("Cookie", jar)] if jar else [])]
        scope = {**make_scope(method, target, headers, body), "state": self.client.app_state.copy()}
        with contextlib.closing(Stream(self, scope, body)) as stream:
            yield stream

    def websocket(self, target, subprotocols=(), headers=()):
        return Session(self, target, list(subprotocols), dict(headers))


async def nothing():
    """There is nothing to shut down."""


def with_lifespan(app):
    async def wrapped(scope, receive, send):
        if scope["type"] != "lifespan":
            await app(scope, receive, send)
            return
        for phase in ("startup", "shutdown"):
            await receive()
            await send({"type": f"lifespan.{phase}.complete"})

    return wrapped


def whole(app):
    """Says that a response broke off, where Starlette's client does not."""

    async def wrapped(scope, receive, send):
        more = False

        async def noted(message):
            nonlocal more
            if message["type"].startswith("http.response."):
                more = message["type"] == "http.response.start" or message.get("more_body", False)
            await send(message)

        await app(scope, receive, noted)
        if more:
            raise ValueError("the application returned in the middle of its response")

    return wrapped


class Stream:
    """asgiref's communicator, on the loop of Starlette's client."""

    def __init__(self, client, scope, body):
        self.run = client.client.portal.call
        self.run(self._open, client.app, scope, body)

    async def _open(self, app, scope, body):
        self.app = ApplicationCommunicator(app, scope)
        self.app._output_queue = asyncio.Queue(1)
        await self.app.send_input({"type": "http.request", "body": body, "more_body": False})
        start = await self.app.receive_output(5)
        self.status = start["status"]
        self.headers = [
            (name.decode("latin-1"), value.decode("latin-1")) for name, value in start.get("headers", [])
        ]
        self.complete = False

    def __iter__(self):
        return self

    def __next__(self):
        while not self.complete:
            event = self.run(self.app.receive_output, 5)
            self.complete = not event.get("more_body", False)
            if event.get("body"):
                return event["body"]
        raise StopIteration

    def close(self):
        self.run(self._close)

    async def _close(self):
        await self.app.send_input({"type": "http.disconnect"})
        with contextlib.suppress(TimeoutError):
            await self.app.wait(0.5)


class Session:
    def __init__(self, client, target, subprotocols, headers):
        self.ended = asyncio.Event()
        starlette = client.client
        before = starlette._transport.app

        async def told(scope, receive, send):
            try:
                await before(scope, receive, send)
            finally:
                self.ended.set()

        starlette._transport.app = told
        self.session = starlette.websocket_connect(target, subprotocols or None, headers=headers)
        starlette._transport.app = before
        self.run = starlette.portal.call
        self.over = None

    def __enter__(self):
        self.session.__enter__()
        self.subprotocol = self.session.accepted_subprotocol
        return self

    def send(self, data):
        if self.over:
            raise self.over
        self.session.send_text(data) if isinstance(data, str) else self.session.send_bytes(data)

    def receive(self):
        if self.over:
            raise self.over
        message = self.run(self._message)
        if message is None:
            self.session.__exit__(None, None, None)
            self.over = WebSocketDisconnect(1006, "the application returned")
            raise self.over
        if message["type"] == "websocket.close":
            self.over = WebSocketDisconnect(message.get("code", 1000), message.get("reason"))
            raise self.over
        return message["bytes"] if message.get("bytes") is not None else message["text"]

    async def _message(self):
        """Starlette's session waits for ever for an application that has ended."""
        getting = asyncio.ensure_future(self.session._send_rx.receive())
        ending = asyncio.ensure_future(self.ended.wait())
        await asyncio.wait({getting, ending}, return_when=asyncio.FIRST_COMPLETED)
        ending.cancel()
        return getting.result() if getting.done() and not getting.exception() else None

    def close(self, code=1000, reason=""):
        if not self.over:
            self.over = WebSocketDisconnect(code, reason)
            self.session.close(code, reason)
            self.run(self._settle)

    async def _settle(self):
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.5):
                await self.ended.wait()

    def __exit__(self, *error):
        self.close()
        return self.session.__exit__(*error)
