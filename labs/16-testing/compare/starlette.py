"""Starlette: its TestClient, which is httpx2's, with a transport of its own."""

from contextlib import contextmanager

from shared_client import Caught, Client, Response, decoded, encoded
from starlette.testclient import TestClient


def make_scope(method="GET", target="/", headers=(), body=b""):
    caught = Caught()
    TestClient(caught.asgi).request(method, target, headers=encoded(headers), content=body)
    return caught.seen


class ASGIClient(Client):
    def __init__(self, app):
        self.client = TestClient(app)

    def __enter__(self):
        self.client.__enter__()
        return self

    def __exit__(self, *error):
        self.client.__exit__(*error)

    def call(self, method, target, headers, body):
        answer = self.client.request(method, target, headers=encoded(headers), content=body)
        return Response(answer.status_code, decoded(answer.headers.raw), answer.content)

    @contextmanager
    def stream(self, method, target, headers=(), body=b""):
        with self.client.stream(method, target, headers=encoded(headers), content=body) as answer:
            yield Stream(answer)

    def websocket(self, target, subprotocols=(), headers=()):
        return Session(
            self.client.websocket_connect(target, list(subprotocols) or None, headers=dict(headers))
        )


class Stream:
    def __init__(self, answer):
        self.status, self.headers = answer.status_code, decoded(answer.headers.raw)
        self.chunks = answer.iter_raw()

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)


class Session:
    def __init__(self, session):
        self.session = session

    def __enter__(self):
        self.session.__enter__()
        self.subprotocol = self.session.accepted_subprotocol
        self.close = self.session.close
        return self

    def __exit__(self, *error):
        return self.session.__exit__(*error)

    def send(self, data):
        self.session.send_text(data) if isinstance(data, str) else self.session.send_bytes(data)

    def receive(self):
        message = self.session.receive()
        self.session._raise_on_close(message)  # as its receive_text and its receive_bytes do
        return message["bytes"] if message.get("bytes") is not None else message["text"]
