# apps_to_test says an echo. Here it is; no application, no event loop.
import json
import sys
from typing import NamedTuple


class Closed(Exception):
    def __init__(self, code=1000, reason=""):
        super().__init__(f"{code} {reason}")
        self.code, self.reason = code, reason


class Response(NamedTuple):
    status: int
    headers: list
    body: bytes


def log(line):
    sys.modules["apps_to_test"].LOG.append(line)


class Session:
    def __init__(self, cookies, target, subprotocols=(), headers=()):
        self.path, _, query = target.partition("?")
        self.waiting, self.end, self.late = [], None, False
        self.subprotocol = next(reversed(subprotocols), None)
        fields = [[name.lower(), value] for name, value in [*headers, ("Cookie", cookies)]]
        scope = {"type": "websocket", "scheme": "ws", "path": self.path, "query": query}
        scope |= {"subprotocols": list(subprotocols), "headers": fields, "state": ["letters"]}
        self.waiting += [json.dumps(scope)] if self.path == "/scope" else []

    def __enter__(self):
        if self.path == "/closed":
            raise Closed(4403, "members only")
        return self

    def send(self, message):
        words = message.split() if isinstance(message, str) else []
        self.late = self.late or words == ["raise", "later"]
        if words[:1] == ["close"]:
            self.end = Closed(int(words[1]), "as asked") if words[1:] else Closed()
        elif words == ["raise"]:
            self.end = LookupError("raised in the conversation")
        elif words == ["return"]:
            self.end = Closed(1006)
        elif not self.late:
            self.waiting.append(message)

    def receive(self):
        if self.waiting:
            return self.waiting.pop(0)
        raise self.end or Closed(1006)

    def close(self, code=1000, reason=""):
        log(f"disconnect {code}")

    def __exit__(self, *error):
        if self.late:
            raise LookupError("raised after the disconnect")
        if self.end is None and self.path == "/echo":
            log("disconnect 1000")


class ASGIClient:
    def __init__(self, app):
        self.cookies = ""

    def __enter__(self):
        log("startup")
        return self

    def __exit__(self, *error):
        log("shutdown")

    def get(self, target):
        path, _, query = target.partition("?")
        self.cookies = query if path == "/cookies" else self.cookies
        return Response(200, [], json.dumps({"state": ["letters"]}).encode())

    def websocket(self, target, **more):
        return Session(self.cookies, target, **more)
