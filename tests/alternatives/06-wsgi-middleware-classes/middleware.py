"""Every layer is a class with two hooks, over one base class that does what all of them owe."""

import base64
import binascii
import secrets
import time
import urllib.parse
from functools import partial

import tasks_wsgi

tasks = tasks_wsgi.application
USERS = {"Ada": "lovelace"}
ORIGINS = ["https://tasks.example"]
SAFE = "/:@!$&'()*+,;=~?%"
ALPHABET = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")


class Exchange:
    """One request on its way through one layer: what the hooks may look at and change."""

    def __init__(self, layer, environ, start_response):
        self.layer, self.environ, self._start = layer, dict(environ), start_response
        self.status = None
        self.size = 0
        self.error = None
        self.notes = {}

    def start_response(self, status, headers, exc_info=None):
        fields = self.layer.fields(self, status, list(headers))
        write = self._start(status, fields, exc_info) if exc_info else self._start(status, fields)
        self.status = status

        def counted(data):
            self.size += len(data)
            return write(data)

        return counted


class Body:
    """An iterator around the application's; `iter` is called when the server asks for it, not before."""

    def __init__(self, exchange, inner):
        self.exchange, self.inner, self.chunks = exchange, inner, None

    def __iter__(self):
        return self

    def __next__(self):
        try:
            if self.chunks is None:
                self.chunks = iter(self.inner)
            chunk = next(self.chunks)
        except StopIteration:
            raise
        except BaseException as error:
            self.exchange.error = error
            raise
        self.exchange.size += len(chunk)
        return chunk

    def close(self):
        try:
            if hasattr(self.inner, "close"):
                self.inner.close()
        except BaseException as error:
            self.exchange.error = error
            raise
        finally:
            self.exchange.layer.over(self.exchange)


class Layer:
    def __init__(self, app):
        self.app = app

    def __call__(self, environ, start_response):
        exchange = Exchange(self, environ, start_response)
        answer = self.before(exchange)
        if answer is not None:
            status, headers, body = answer
            start_response(status, headers)
            return body
        try:
            return Body(exchange, self.app(exchange.environ, exchange.start_response))
        except BaseException as error:
            exchange.error = error
            self.over(exchange)
            raise

    def before(self, exchange):
        """An answer of the layer's own, or None."""

    def fields(self, exchange, status, headers):
        return headers

    def over(self, exchange):
        """The request has ended, one way or another."""


class timing(Layer):
    def __init__(self, app, clock=time.perf_counter):
        super().__init__(app)
        self.clock = clock

    def before(self, exchange):
        exchange.notes["began"] = self.clock()

    def fields(self, exchange, status, headers):
        spent = self.clock() - exchange.notes["began"]
        return [*headers, ("server-timing", f"app;dur={spent * 1000:.2f}")]


class request_id(Layer):
    def before(self, exchange):
        given = exchange.environ.get("HTTP_X_REQUEST_ID", "")
        if not 1 <= len(given) <= 64 or not set(given) <= ALPHABET:
            given = secrets.token_urlsafe(12)
        exchange.environ["HTTP_X_REQUEST_ID"] = given

    def fields(self, exchange, status, headers):
        kept = [pair for pair in headers if pair[0].lower() != "x-request-id"]
        return [*kept, ("X-Request-ID", exchange.environ["HTTP_X_REQUEST_ID"])]


class basic_auth(Layer):
    def __init__(self, app, users, realm="tasks"):
        super().__init__(app)
        # Whole pairs are compared, each of them each time.
        self.pairs = {f"{user}:{password}".encode(): user for user, password in users.items()}
        self.challenge = f'Basic charset="UTF-8", realm="{realm}"'

    def before(self, exchange):
        words = exchange.environ.get("HTTP_AUTHORIZATION", "").split(None, 1)
        given = b""
        if len(words) == 2 and words[0].upper() == "BASIC":
            try:
                given = base64.b64decode(words[1].encode("latin-1"), validate=True)
            except binascii.Error:
                given = b""
        found = [user for pair, user in self.pairs.items() if secrets.compare_digest(pair, given)]
        if found:
            exchange.environ["REMOTE_USER"] = found[0]
            return None
        headers = [("Content-Type", "text/plain"), ("WWW-Authenticate", self.challenge)]
        return "401 Unauthorized", headers, [b"Your name", b" and password, please.\n"]


class cors(Layer):
    def __init__(
        self,
        app,
        origins,
        methods=("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
        headers=("Authorization", "Content-Type"),
        max_age=600,
    ):
        super().__init__(app)
        self.origins = set(origins)
        self.more = [("Access-Control-Allow-Methods", method) for method in methods]
        self.more += [("Access-Control-Allow-Headers", name) for name in headers]
        self.more += [("Access-Control-Max-Age", str(max_age))]

    def before(self, exchange):
        environ = exchange.environ
        asked = environ["REQUEST_METHOD"] == "OPTIONS" and environ.get("HTTP_ACCESS_CONTROL_REQUEST_METHOD")
        if not asked or environ.get("HTTP_ORIGIN") is None:
            return None
        more = self.more if environ["HTTP_ORIGIN"] in self.origins else []
        return "204 No Content", self.fields(exchange, "", list(more)), []

    def fields(self, exchange, status, headers):
        origin, vary, kept = exchange.environ.get("HTTP_ORIGIN"), ["Origin"], []
        for name, value in headers:
            if name.lower() == "vary":
                vary.append(value)
            elif name.lower() != "access-control-allow-origin":
                kept.append((name, value))
        if origin in self.origins:
            kept.append(("access-control-allow-origin", origin))
        return [*kept, ("vary", ", ".join(vary))]


class access_log(Layer):
    def __init__(self, app, log=None):
        super().__init__(app)
        self.log = log

    def over(self, exchange):
        environ = exchange.environ
        path = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        target = urllib.parse.quote(path, safe=SAFE, encoding="latin-1")
        if environ.get("QUERY_STRING"):
            target += "?" + urllib.parse.quote(environ["QUERY_STRING"], safe=SAFE, encoding="latin-1")
        parts = [
            environ.get("REMOTE_ADDR", "-"),
            urllib.parse.quote(environ.get("HTTP_X_REQUEST_ID", "-"), encoding="latin-1"),
            f'"{environ["REQUEST_METHOD"]} {target}"',
            (exchange.status or "-")[:3],
            str(exchange.size),
        ]
        if exchange.error is not None:
            parts.append(type(exchange.error).__name__)
        if self.log is not None:
            self.log(" ".join(parts))
        else:
            print(*parts, file=environ["wsgi.errors"])


class stack:
    """A chain that is an application itself; it is linked from the inside out, once."""

    def __init__(self, app, layers):
        self.app = app
        for layer in list(layers)[::-1]:
            self.app = layer(self.app)

    def __call__(self, environ, start_response):
        return self.app(environ, start_response)


application = stack(
    tasks,
    (timing, request_id, access_log, partial(cors, origins=ORIGINS), partial(basic_auth, users=USERS)),
)
