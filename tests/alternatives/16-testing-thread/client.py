"""Lab 16 in another shape: an event loop in a thread of its own, which goes on while the test computes.

Between the two threads are `queue.Queue`s: what an application sends is put there, and the test blocks on it.
Nothing holds an application back that sends without end, so its sends are counted, and wait for the reader.
"""

import asyncio
import contextlib
import email.utils
import http.cookies
import io
import json as json_
import queue
import sys
import threading
import time
import urllib.parse
from collections import namedtuple

WAIT = 5.0
AHEAD = 8  # messages that an application may be ahead of its reader
END = {"type": "end"}


class Response(namedtuple("Response", "status headers body")):
    def header(self, name):
        for key, value in self.headers:
            if key.lower() == name.lower():
                return value
        return None

    text = property(lambda self: self.body.decode())

    def json(self):
        return json_.loads(self.body)


class Closed(Exception):
    def __init__(self, code=1000, reason=""):
        super().__init__(code, reason)
        self.code, self.reason = code, reason


def fields_of(headers, body):
    given = dict.fromkeys(name.lower() for name, _ in headers)
    more = [] if "host" in given else [("host", "test.example")]
    more += [("content-length", f"{len(body)}")] if body and "content-length" not in given else []
    return [*((name.lower(), value) for name, value in headers), *more]


def make_environ(method="GET", target="/", headers=(), body=b""):
    parts = urllib.parse.urlsplit(f"http://x{target}")
    environ = {f"wsgi.{key}": False for key in ("multithread", "multiprocess", "run_once")}
    environ |= {"wsgi.version": (1, 0), "wsgi.url_scheme": "http", "wsgi.errors": sys.stderr}
    environ |= {"wsgi.input": io.BufferedReader(io.BytesIO(body)), "SERVER_PROTOCOL": "HTTP/1.1"}
    environ |= {"REQUEST_METHOD": method, "SCRIPT_NAME": "", "QUERY_STRING": parts.query}
    environ |= {"PATH_INFO": urllib.parse.unquote(parts.path, "latin-1"), "CONTENT_TYPE": ""}
    environ |= {"CONTENT_LENGTH": "", "SERVER_NAME": "test.example", "SERVER_PORT": "8080"}
    lists = {}
    for name, value in fields_of(list(headers), body):
        lists.setdefault(name.replace("-", "_").upper(), []).append(value)
    for name, values in lists.items():
        joint = ";" if name == "COOKIE" else ","
        prefix = "" if name in ("CONTENT_TYPE", "CONTENT_LENGTH") else "HTTP_"
        environ[prefix + name] = joint.join(values)
    return environ


def make_scope(method="GET", target="/", headers=(), body=b""):
    path, _, query = target.partition("?")
    pairs = [[n.encode("latin-1"), v.encode("latin-1")] for n, v in fields_of(list(headers), body)]
    scope = {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method}
    # scheme and root_path are optional, and http and "" where they are missing.
    scope |= {"path": urllib.parse.unquote(path), "query_string": query.encode()}
    return {**scope, "headers": pairs, "client": None, "server": None}


class Client:
    def __init__(self, app):
        self.app, self.jar = app, {}

    def request(self, method, target="/", headers=(), body=b"", json=None):
        headers = [*headers, *self.cookies()]
        if json is not None:
            headers, body = [*headers, ("Content-Type", "application/json")], json_.dumps(json).encode()
        response = self.call(method, target, headers, body)
        self.keep(response.headers)
        return response

    def cookies(self):
        return (
            [("Cookie", ";".join(f"{name}={value}" for name, value in self.jar.items()))] if self.jar else []
        )

    def keep(self, headers):
        for name, value in headers:
            if name.lower() == "set-cookie":
                for key, morsel in http.cookies.SimpleCookie(value).items():
                    self.jar[key] = morsel.coded_value
                    if over(morsel["max-age"], morsel["expires"]):
                        self.jar.pop(key)

    def get(self, target="/", **more):
        return self.request("GET", target, **more)

    def post(self, target="/", **more):
        return self.request("POST", target, **more)

    def patch(self, target="/", **more):
        return self.request("PATCH", target, **more)

    def delete(self, target="/", **more):
        return self.request("DELETE", target, **more)


def over(age, date):
    if age.removeprefix("-").isdecimal():
        return age[0] == "-" or not age.strip("0")
    if date:
        with contextlib.suppress(ValueError):
            return email.utils.parsedate_to_datetime(date).timestamp() <= time.time()
    return False


class WSGIClient(Client):
    def call(self, method, target, headers, body):
        head, out = {}, io.BytesIO()

        def start_response(status, fields, exc_info=None):
            head.update(status=int(status[:3]), headers=fields)
            return out.write

        with contextlib.ExitStack() as stack:
            result = self.app(make_environ(method, target, headers, body), start_response)
            if hasattr(result, "close"):
                stack.callback(result.close)
            out.writelines(result)
        return Response(head["status"], head["headers"], out.getvalue())


class Talk:
    """One call of the application in the loop's thread; `sent` is read in the test's."""

    def __init__(self, client, scope, *events):
        self.loop, self.sent = client.loop, queue.Queue()
        self.gone = self.over = False
        self.started = threading.Event()
        self.loop.call_soon_threadsafe(self._start, client.app, scope, events)
        self.started.wait(WAIT)

    def _start(self, app, scope, events):
        self.events, self.room = asyncio.Queue(), asyncio.Semaphore(AHEAD)
        for event in events:
            self.events.put_nowait(event)
        self.task = self.loop.create_task(self._call(app, scope))
        self.started.set()

    async def _call(self, app, scope):
        try:
            await app(scope, self.events.get, self._send)
            self.sent.put(END)
        except BaseException as error:
            self.sent.put({**END, "error": error})

    async def _send(self, message):
        await self.room.acquire()
        if self.gone:
            raise ConnectionResetError("nobody is there any more")
        self.sent.put(message)

    def tell(self, event):
        self.loop.call_soon_threadsafe(self.events.put_nowait, event)

    def next(self):
        """What it sends next, or END; raises what it raised."""
        message = END if self.over else self.sent.get(timeout=WAIT)
        self.over = message["type"] == "end"
        if "error" in message:
            raise message["error"]
        if message is not END:
            self.loop.call_soon_threadsafe(self.room.release)
        return message

    def leave(self, event):
        self.gone = True
        self.tell(event)
        try:
            while self.next() is not END:
                pass
        except (ConnectionResetError, asyncio.CancelledError):
            pass
        except queue.Empty:
            self.loop.call_soon_threadsafe(self.task.cancel)


class ASGIClient(Client):
    def __enter__(self):
        self.loop, self.state = asyncio.new_event_loop(), {}
        self.thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self.thread.start()
        self.life = Talk(self, {"type": "lifespan", "asgi": {"version": "3.0"}, "state": self.state})
        self.life.tell({"type": "lifespan.startup"})
        try:
            answer = self.life.next()
        except Exception:
            answer, self.life = END, None
        if answer["type"] == "lifespan.startup.failed":
            self.stop()
            raise RuntimeError(answer.get("message"))
        return self

    def __exit__(self, *error):
        if self.life:
            self.life.tell({"type": "lifespan.shutdown"})
            while self.life.next() is not END:
                pass
        self.stop()

    def stop(self):
        asyncio.run_coroutine_threadsafe(self.cancel_the_rest(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    async def cancel_the_rest(self):
        rest = asyncio.all_tasks() - {asyncio.current_task()}
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)

    def call(self, method, target, headers, body):
        with self.open(method, target, headers, body) as stream:
            return Response(stream.status, stream.headers, b"".join(stream))

    def stream(self, method, target, headers=(), body=b""):
        return self.open(method, target, [*headers, *self.cookies()], body)

    @contextlib.contextmanager
    def open(self, method, target, headers, body):
        scope = {**make_scope(method, target, headers, body), "state": dict(self.state)}
        event = {"type": "http.request", "body": body}
        talk = Talk(self, scope, event)
        stream = Stream(talk)
        yield stream
        if stream.complete:
            talk.tell({"type": "http.disconnect"})
            while talk.next() is not END:
                pass
        else:
            talk.leave({"type": "http.disconnect"})

    @contextlib.contextmanager
    def websocket(self, target, subprotocols=(), headers=()):
        scope = {**make_scope("GET", target, [*headers, *self.cookies()]), "state": dict(self.state)}
        scope |= {"type": "websocket", "scheme": "ws", "subprotocols": list(subprotocols)}
        del scope["method"]
        session = Session(Talk(self, scope, {"type": "websocket.connect"}))
        yield session
        session.close()


class Stream:
    def __init__(self, talk):
        self.talk, self.complete = talk, False
        start = talk.next()
        if start["type"] != "http.response.start":
            raise ValueError(f"no response: {start['type']}")
        self.status = start["status"]
        self.headers = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in start.get("headers", [])]
        self.chunks = self.read()

    def read(self):
        while not self.complete:
            message = self.talk.next()
            if message is END:
                raise ValueError("the application returned in the middle of its response")
            self.complete = not message.get("more_body")
            if message.get("body"):
                yield message["body"]

    def __iter__(self):
        return self.chunks

    def __next__(self):
        return next(self.chunks)


class Session:
    def __init__(self, talk):
        self.talk, self.ended = talk, None
        self.subprotocol = self.take().get("subprotocol")

    def take(self):
        if self.ended:
            raise self.ended
        message = self.talk.next()
        if message["type"] in ("websocket.close", "end"):
            self.ended = Closed(message.get("code", 1000), message.get("reason", ""))
            self.talk.leave({"type": "websocket.disconnect", "code": self.ended.code})
            raise self.ended
        return message

    def receive(self):
        message = self.take()
        return message["text"] if message.get("text") is not None else message["bytes"]

    def send(self, data):
        if self.ended:
            return  # a browser, too, drops it in silence
        self.talk.tell({"type": "websocket.receive", "text" if isinstance(data, str) else "bytes": data})

    def close(self, code=1000, reason=""):
        if not self.ended:
            self.ended = Closed(code, reason)
            self.talk.leave({"type": "websocket.disconnect", "code": code, "reason": reason})
