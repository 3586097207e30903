"""WebTest: its TestApp, and the request of WebOb's that it makes."""

from shared_client import Client, Response
from webtest import TestApp
from webtest.app import TestRequest


def make_environ(method="GET", target="/", headers=(), body=b""):
    return TestRequest.blank(target, method=method, headers=list(headers), body=body).environ


class WSGIClient(Client):
    def __init__(self, app):
        self.app = TestApp(app)

    def call(self, method, target, headers, body):
        answer = self.app.request(target, method=method, headers=headers, body=body, status="*")
        return Response(answer.status_int, answer.headerlist, answer.body)
