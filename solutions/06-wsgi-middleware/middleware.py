"""Five layers that go around any WSGI application, and `stack`, which puts them there.

How it works. A layer is a function from an application to an application. Towards the server it is the
application; towards the application it is the server. So it owes both sides everything that lab 1 and lab 5
asked for. Three things cross it, and each is passed on by one rule:

    environ ───────▶ [ layer ] ───────▶ application      add to it; don't read wsgi.input
    start_response ◀─[ layer ]◀─ (status, headers, …)    change a copy; all arguments on, and `write` back
    chunks ◀─────────[ layer ]◀──────── the body         untouched, or one out for one in; close when closed

A layer that changes only the header returns the application's own iterable, so there is no loop and no
`close` to forget. `access_log` alone wraps the body: it must see the last byte. Nothing about a request is
kept on a layer: it serves many requests at the same time, so all of that lives in the call's own variables.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, TypeAlias
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

from tasks_wsgi import application as tasks

Headers: TypeAlias = list[tuple[str, str]]
Layer: TypeAlias = Callable[[WSGIApplication], WSGIApplication]
Write: TypeAlias = Callable[[bytes], object]

USERS = {"Ada": "lovelace"}
ORIGINS = ["https://tasks.example"]

# What a client may call its request. Anything else could forge a line of the log, or a header.
REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")


# --- task 1: timing and request id --------------------------------------------------------------------


def timing(app: WSGIApplication, clock: Callable[[], float] = time.perf_counter) -> WSGIApplication:
    """Say in Server-Timing how many milliseconds `app` took until it started its response.

    `clock` gives seconds. What comes after the header (the body) can't be in the header: see `access_log`.
    """

    def timed(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        began = clock()

        # PEP 3333, "The start_response() Callable": two or three arguments, passed on as they came …
        def start(status: str, headers: Headers, *exc_info: Any) -> Write:
            milliseconds = (clock() - began) * 1000
            # … the list of headers is the application's: a new one is made. What the server returns is
            # `write`, and the application may want it.
            return start_response(
                status, [*headers, ("Server-Timing", f"app;dur={milliseconds:.3f}")], *exc_info
            )

        # "Buffering and Streaming": the application's own iterable, chunks, close and all.
        return app(environ, start)

    return timed


def request_id(app: WSGIApplication) -> WSGIApplication:
    """Give every request one name: the client's X-Request-ID where it is usable, else a new one.

    The application finds it in environ["HTTP_X_REQUEST_ID"], the client in the response.
    """

    def identified(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = environ.get("HTTP_X_REQUEST_ID", "")
        mine = given if REQUEST_ID.fullmatch(given) else uuid.uuid4().hex
        # PEP 3333, "The Application/Framework Side": the environ is the application's to change.
        environ["HTTP_X_REQUEST_ID"] = mine

        def start(status: str, headers: Headers, *exc_info: Any) -> Write:
            return start_response(
                status, [*without(headers, "X-Request-ID"), ("X-Request-ID", mine)], *exc_info
            )

        return app(environ, start)

    return identified


def without(headers: Headers, *names: str) -> Headers:
    """A copy without some fields. RFC 9110 §5.1: names compare without case."""
    left_out = {name.lower() for name in names}
    return [(name, value) for name, value in headers if name.lower() not in left_out]


# --- task 2: basic authentication ---------------------------------------------------------------------


def basic_auth(app: WSGIApplication, users: Mapping[str, str], realm: str = "tasks") -> WSGIApplication:
    """Let in who gives a name and password of `users` (RFC 7617); everybody else gets a 401.

    The application finds the name in environ["REMOTE_USER"]. Nothing that a client sends makes this raise.
    """

    def guarded(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        name = who(environ.get("HTTP_AUTHORIZATION", ""), users)
        if name is None:
            return challenge(environ, start_response, realm)
        # RFC 3875 §4.1.1, §4.1.11: the names that CGI gave these two.
        environ.update(REMOTE_USER=name, AUTH_TYPE="Basic")
        return app(environ, start_response)

    return guarded


def who(authorization: str, users: Mapping[str, str]) -> str | None:
    """The user whom a value of Authorization proves; None when it proves nobody."""
    given = credentials(authorization)
    if given is None:
        return None
    name, password = given
    # An unknown name costs a comparison, too: the time of an answer must not tell which names exist.
    # compare_digest takes as long for an early difference as for a late one. Of text it takes ASCII only,
    # so it gets bytes.
    same = hmac.compare_digest(password.encode(), users.get(name, "").encode())
    # An unknown name with an empty password has just been "the same".
    return name if same and name in users else None


def credentials(authorization: str) -> tuple[str, str] | None:
    """Name and password from "Basic QWRhOmxvdmVsYWNl"; None when that is not what it says."""
    scheme, _, token = authorization.partition(" ")
    # RFC 9110 §11.1: a scheme's name has no case.
    if scheme.lower() != "basic":
        return None
    try:
        # RFC 7617 §2.1: the bytes are UTF-8, as our challenge asked for.
        text = base64.b64decode(token.strip(), validate=True).decode("utf-8")
    except ValueError:
        # Neither base64 nor UTF-8: binascii.Error and UnicodeDecodeError are ValueErrors.
        return None
    # RFC 7617 §2: the first colon ends the name; a password may contain more of them.
    name, colon, password = text.partition(":")
    return (name, password) if colon else None


def challenge(environ: WSGIEnvironment, start_response: StartResponse, realm: str) -> list[bytes]:
    """RFC 9110 §15.5.2: a 401 says in WWW-Authenticate how to ask again."""
    body = b"Who are you?\n"
    start_response(
        "401 Unauthorized",
        [
            ("WWW-Authenticate", f'Basic realm="{realm}", charset="UTF-8"'),
            ("Content-Type", "text/plain; charset=utf-8"),
            ("Content-Length", str(len(body))),
        ],
    )
    return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]


# --- task 3: CORS -------------------------------------------------------------------------------------


def cors(
    app: WSGIApplication,
    origins: Iterable[str],
    methods: Iterable[str] = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"),
    headers: Iterable[str] = ("Authorization", "Content-Type"),
    max_age: int = 600,
) -> WSGIApplication:
    """Tell browsers that pages of these origins may read the answers (Fetch, "CORS protocol").

    It keeps nobody out: a request from elsewhere is answered, and the browser keeps the answer from the page.
    `max_age` is seconds, for which a browser may remember the answer to a preflight.
    """
    allowed = frozenset(origins)
    permission = [
        ("Access-Control-Allow-Methods", ", ".join(methods)),
        ("Access-Control-Allow-Headers", ", ".join(headers)),
        ("Access-Control-Max-Age", str(max_age)),
    ]

    def shared(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        origin = environ.get("HTTP_ORIGIN", "")
        grant = [("Access-Control-Allow-Origin", origin)] if origin in allowed else []
        if is_preflight(environ):
            # RFC 9110 §15.3.5: a 204 has no content, and so no type of content.
            start_response("204 No Content", [*grant, *(permission if grant else ()), ("Vary", "Origin")])
            return []

        def start(status: str, headers: Headers, *exc_info: Any) -> Write:
            # Two values would be none: whatever the application said here itself goes. The answer depends
            # on Origin, and a cache must know (RFC 9110 §12.5.5), also when this request had none.
            kept = without(headers, "Access-Control-Allow-Origin")
            return start_response(status, [*kept, *grant, ("Vary", "Origin")], *exc_info)

        return app(environ, start)

    return shared


def is_preflight(environ: WSGIEnvironment) -> bool:
    """Fetch, "CORS-preflight request": OPTIONS alone is not one; it may be meant for the application."""
    return (
        environ["REQUEST_METHOD"] == "OPTIONS"
        and "HTTP_ORIGIN" in environ
        and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in environ
    )


# --- task 4: the log ----------------------------------------------------------------------------------


def access_log(app: WSGIApplication, log: Callable[[str], object] | None = None) -> WSGIApplication:
    """Log one line for each request, after its last byte, whichever way it ends.

    `log` is called with the line, without a newline; the default writes it to wsgi.errors.
    """

    def logged(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        entry = Entry(environ, log or partial(to_errors, environ["wsgi.errors"]))

        def start(status: str, headers: Headers, *exc_info: Any) -> Write:
            # First the server, then the note: it raises when it is too late for another status.
            write = start_response(status, headers, *exc_info)
            entry.status = status.partition(" ")[0]
            return partial(entry.written, write)

        try:
            return LoggedBody(app(environ, start), entry)
        except BaseException as error:
            # There is no body, so nobody will close one.
            entry.end(error)
            raise

    return logged


def to_errors(stream: Any, line: str) -> None:
    """PEP 3333, "Input and Error Streams": lines end with a newline; nothing is sure before a flush."""
    stream.write(line + "\n")
    stream.flush()


class Entry:
    """One line of the log, until its request is over."""

    def __init__(self, environ: WSGIEnvironment, log: Callable[[str], object]) -> None:
        self._environ, self._log = environ, log
        self.status = "-"
        self.bytes = 0
        self.error: BaseException | None = None

    def written(self, write: Write, data: bytes) -> None:
        write(data)
        self.bytes += len(data)

    def end(self, error: BaseException | None = None) -> None:
        """Log it: 127.0.0.1 7f3a "GET /tasks?done=1" 200 51, and the exception's name if there was one."""
        environ, error = self._environ, error or self.error
        target = environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")
        if environ.get("QUERY_STRING"):
            target += f"?{environ['QUERY_STRING']}"
        client, name = environ.get("REMOTE_ADDR") or "-", environ.get("HTTP_X_REQUEST_ID") or "-"
        asked = f"{printable(environ['REQUEST_METHOD'])} {printable(target)}"
        said = f" {type(error).__name__}" if error else ""
        self._log(f'{printable(client)} {printable(name)} "{asked}" {self.status} {self.bytes}{said}')


class LoggedBody:
    """The application's body on its way out: counted, and closed."""

    def __init__(self, body: Iterable[bytes], entry: Entry) -> None:
        self._body, self._entry = body, entry

    def __iter__(self) -> Iterator[bytes]:
        # PEP 3333, "Middleware Handling of Block Boundaries": one chunk out for one chunk in, also b"".
        try:
            for chunk in self._body:
                self._entry.bytes += len(chunk)
                yield chunk
        except Exception as error:
            self._entry.error = error
            raise

    def close(self) -> None:
        """PEP 3333, "Specification Details": called in every ending, so it is the place for the line."""
        error: BaseException | None = None
        try:
            close = getattr(self._body, "close", None)
            if close is not None:
                close()
        except BaseException as raised:
            error = raised
            raise
        finally:
            self._entry.end(error)


def printable(text: str) -> str:
    """Text from a client as one word: whatever could end a line or a quotation is percent-encoded."""
    return re.sub(r'[^\x21-\x7e]|["\\]', lambda found: f"%{ord(found[0]):02X}", text)


# --- task 5: the stack --------------------------------------------------------------------------------


def stack(app: WSGIApplication, layers: Iterable[Layer]) -> WSGIApplication:
    """Put layers around an application, the first one outermost: stack(app, [a, b]) is a(b(app))."""
    for layer in reversed(list(layers)):
        app = layer(app)
    return app


# From the outside in. The id first: every answer has one. The log next: it counts what really leaves, also
# of a preflight or a 401. CORS outside of the password: a preflight carries none (Fetch, "CORS-preflight
# fetch"), and a page can read a 401 only if it carries Access-Control-Allow-Origin.
application = stack(
    tasks,
    [request_id, access_log, timing, partial(cors, origins=ORIGINS), partial(basic_auth, users=USERS)],
)
