r"""Test clients: they call a WSGI or an ASGI application as a server would, with no server.

    client = WSGIClient(application)
    client.post("/tasks", json={"title": "Call Ada"}).status        201

    with ASGIClient(app) as client:                                 lifespan.startup … lifespan.shutdown
        with client.stream("GET", "/events") as events:             leaving it: http.disconnect
            next(events)                                            b": welcome\n\n"
        with client.websocket("/rooms/ada") as session:             leaving it: websocket.disconnect
            session.send("hello")
            session.receive()                                       "hello"

A test has no `await`: your ASGIClient owns an event loop, and runs it while one of its methods waits.
"""

import json as json_
from dataclasses import dataclass


@dataclass
class Response:
    """Given: the application's response; headers in its order, repeats kept."""

    status: int
    headers: list  # [("Content-Type", "text/plain"), ...]
    body: bytes

    def header(self, name):
        """The first header of that name, in any case; None when there is none."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)

    @property
    def text(self):
        return self.body.decode()

    def json(self):
        return json_.loads(self.body)


def make_environ(method="GET", target="/", headers=(), body=b""):
    r"""The environ of one request. `target` is as on the wire: "/caf%C3%A9?x=1"; `headers` are pairs of text.

    make_environ("GET", "/caf%C3%A9?x=a%26b")["PATH_INFO"] == "/caf\xc3\xa9", ["QUERY_STRING"] == "x=a%26b"
    """
    # TODO task 1: Host, and Content-Length for a body, when `headers` has none; join repeated headers.
    raise NotImplementedError("lab 16 task 1: build an environ")


def make_scope(method="GET", target="/", headers=(), body=b""):
    r"""The http scope of the same request. The body is not in it; its length is, in a header.

    make_scope("GET", "/caf%C3%A9?x=1")["path"] == "/café", ["headers"] == [(b"host", b"localhost")]
    """
    # TODO task 1: the same request, in ASGI's form.
    raise NotImplementedError("lab 16 task 1: build a scope")


class Client:
    """Requests with cookies: {"session": "42"}. A subclass says in `call` how one request is made."""

    def __init__(self, app):
        self.app = app
        self.cookies = {}

    def call(self, method, target, headers, body):
        raise NotImplementedError("a subclass of Client says how to call")

    def request(self, method, target="/", headers=(), body=b"", json=None):
        """Given: one request, one Response. Raises what the application raises."""
        fields = list(headers)
        if json is not None:
            body = json_.dumps(json).encode()
            fields.append(("Content-Type", "application/json"))
        response = self.call(method, target, self.with_cookies(fields), body)
        self.remember(response.headers)
        return response

    def get(self, target="/", **more):
        return self.request("GET", target, **more)

    def post(self, target="/", **more):
        return self.request("POST", target, **more)

    def patch(self, target="/", **more):
        return self.request("PATCH", target, **more)

    def delete(self, target="/", **more):
        return self.request("DELETE", target, **more)

    def with_cookies(self, headers):
        """`headers`, and one Cookie header for all cookies: ("Cookie", "session=42; lang=is")."""
        # TODO task 2
        return headers

    def remember(self, headers):
        """Keep the cookies that a response sets; drop those that it deletes: "lang=; Max-Age=0".

        An Expires in the past deletes one, too. Max-Age counts before Expires.
        """
        # TODO task 2


class WSGIClient(Client):
    """Calls a WSGI application."""

    def call(self, method, target, headers, body):
        """One call, as a server makes it: a Response. `close` is called however the call ends."""
        # TODO task 2: `write`, a start_response that comes late, an application that raises.
        raise NotImplementedError("lab 16 task 2: call a WSGI application")


class ASGIClient(Client):
    """Calls an ASGI application. `with ASGIClient(app) as client` is its lifespan, on one event loop.

    Streams and WebSockets send the cookies, too.
    """

    def __enter__(self):
        """Startup; returns the client. Raises RuntimeError for lifespan.startup.failed."""
        # TODO task 3: an application that raises for a lifespan has none; serve it all the same.
        raise NotImplementedError("lab 16 task 3: begin a lifespan")

    def __exit__(self, *error):
        """Shutdown; then no task of the application runs, and the loop is closed."""
        raise NotImplementedError("lab 16 task 3: end a lifespan")

    def call(self, method, target, headers, body):
        """One request, until the application has returned: a Response. Each scope has a copy of the state."""
        raise NotImplementedError("lab 16 task 3: call an ASGI application")

    def stream(self, method, target, headers=(), body=b""):
        """For `with`: a response that has started, with status, headers and an iterator of chunks."""
        raise NotImplementedError("lab 16 task 3: stream a response")

    def websocket(self, target, subprotocols=(), headers=()):
        """A session, for `with`: send(str or bytes), receive(), close(code, reason), subprotocol.

        Raises Closed when the application refuses it; receive() raises Closed when it has closed, each time.
        """
        raise NotImplementedError("lab 16 task 4: open a WebSocket session")


class Closed(Exception):
    """Given: the application refused or closed a session, with a code and a reason."""

    def __init__(self, code=1000, reason=""):
        super().__init__(f"{code} {reason}".strip())
        self.code, self.reason = code, reason
