"""werkzeug: its EnvironBuilder, and its Client."""

from shared_client import Client, Response
from werkzeug.test import Client as Werkzeug
from werkzeug.test import EnvironBuilder


def make_environ(method="GET", target="/", headers=(), body=b""):
    return EnvironBuilder(target, method=method, headers=list(headers), data=body or None).get_environ()


class WSGIClient(Client):
    def __init__(self, app):
        self.client = Werkzeug(app)

    def call(self, method, target, headers, body):
        with self.client.open(target, method=method, headers=headers, data=body or None) as answer:
            return Response(answer.status_code, list(answer.headers), answer.data)
