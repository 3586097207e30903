"""What the adapters of lab 16 share: the half of a client that the lab gives, and what catches a request."""

import json as json_
from dataclasses import dataclass


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


class Client:
    """Cookies are kept by the real client that a subclass asks in `call`."""

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


def encoded(headers):
    return [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]


def decoded(headers):
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]


class Caught:
    """An application of either kind that answers nothing, and keeps what it was called with."""

    def wsgi(self, environ, start_response):
        self.seen = environ
        start_response("204 No Content", [])
        return []

    async def asgi(self, scope, receive, send):
        self.seen = scope
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body"})
