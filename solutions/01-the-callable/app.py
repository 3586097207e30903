"""One greeting, two calling conventions.

How it works. `answer` is the application: a pure function from what was asked to what is answered. It knows
neither WSGI nor ASGI, so both faces below are translations and cannot disagree:

    environ ─▶ application ─▶ start_response(status, headers), then chunks
                    │
                 answer(method, path, query) ─▶ Answer(status, headers, body)
                    │
    scope ───▶ asgi ────────▶ send({"http.response.start"}), then send({"http.response.body"})

`call` is the other half of WSGI: the server's. Whatever survives `call` is a WSGI application, whichever
framework's name is on it.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Awaitable, Callable, Iterable
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import parse_qs, unquote_to_bytes
from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Headers = list[tuple[str, str]]
Message = dict[str, Any]


class Answer(NamedTuple):
    """What is answered, in nobody's calling convention. `body` is that of a GET, for a HEAD too."""

    status: HTTPStatus
    headers: Headers
    body: bytes


def answer(method: str, path: str, query: str) -> Answer:
    """The greeting for one request.

    `path` is decoded, `query` is not ("name=Zo%C3%AB"). Bytes that are no UTF-8 are greeted as U+FFFD.
    """
    if path != "/":
        return text(HTTPStatus.NOT_FOUND, "There is nothing here.\n")
    if method not in ("GET", "HEAD"):
        # RFC 9110 §15.5.6: a 405 says in Allow which methods the resource has.
        return text(HTTPStatus.METHOD_NOT_ALLOWED, "Ask with GET.\n", ("Allow", "GET, HEAD"))
    # URL Standard, "application/x-www-form-urlencoded": split first, then decode, and decode as UTF-8.
    name = parse_qs(query).get("name", ["world"])[0]
    return text(HTTPStatus.OK, f"Hello, {name}!\n")


def text(status: HTTPStatus, words: str, *more: tuple[str, str]) -> Answer:
    """An answer of plain text. RFC 9110 §8.6: Content-Length counts bytes, so encode before you count."""
    body = words.encode("utf-8")
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body))), *more]
    return Answer(status, headers, body)


# --- WSGI, the application's side -------------------------------------------------------------------


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """PEP 3333, "The Application/Framework Side": two positional arguments, an iterable of bytes."""
    method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
    # PEP 3333, "environ Variables": QUERY_STRING may be empty or absent.
    status, headers, body = answer(method, path, environ.get("QUERY_STRING", ""))
    # The same: start_response before the first chunk; the status is "200 OK", code and reason.
    start_response(f"{status.value} {status.phrase}", headers)
    # RFC 9110 §9.3.2: HEAD has the header of a GET, and no content.
    return [] if method == "HEAD" else [body]


# --- WSGI, the server's side ------------------------------------------------------------------------


def call(
    app: WSGIApplication, method: str = "GET", path: str = "/", body: bytes = b""
) -> tuple[str, Headers, bytes]:
    """Call a WSGI application once: its status ("200 OK"), its headers, its whole body.

    `path` is as on the wire, with its query: "/caf%C3%A9?x=1". Raises what the application raises, and
    RuntimeError when it never called start_response.
    """
    started: list[tuple[str, Headers]] = []
    sent: list[bytes] = []

    def start_response(status: str, headers: Headers, exc_info: Any = None, /) -> Callable[[bytes], object]:
        # PEP 3333, "Error Handling": with exc_info and nothing sent, the new answer replaces the old.
        started[:] = [(status, list(headers))]
        # PEP 3333, "The start_response() Callable": it returns write(bytes). Chunks land in the same list,
        # so that what was written before them stays before them.
        return sent.append

    result = app(environ_for(method, path, body), start_response)
    try:
        # A generator has run no line before its first chunk is asked for: no status is known until then.
        for chunk in result:
            sent.append(chunk)
    finally:
        # PEP 3333, "Specification Details": close, if there is one, whether the loop ended or raised.
        if hasattr(result, "close"):
            result.close()
    if not started:
        raise RuntimeError(f"{app!r} did not call start_response")
    return *started[0], b"".join(sent)


def environ_for(method: str, target: str, body: bytes) -> WSGIEnvironment:
    """The smallest environ that Flask and Django accept. Lab 5 makes it from bytes on a socket."""
    path, _, query = target.partition("?")
    return {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        # PEP 3333, "Unicode Issues": the path's bytes, each as the character of the same number.
        "PATH_INFO": unquote_to_bytes(path).decode("latin-1"),
        "QUERY_STRING": query,
        "CONTENT_LENGTH": str(len(body)),
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": False,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
    }


# --- ASGI -------------------------------------------------------------------------------------------


async def asgi(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[Message]],
    send: Callable[[Message], Awaitable[None]],
) -> None:
    """ASGI, "Applications": one awaitable call per connection; here, per request."""
    # ASGI, "Applications": raise on a type of scope that you don't know. uvicorn asks for "lifespan" first,
    # and takes the exception for "not supported".
    if scope["type"] != "http":
        raise ValueError(f"this application does not speak {scope['type']!r}")
    # ASGI, "HTTP Connection Scope": path is decoded text, query_string is bytes as they came.
    reply = answer(scope["method"], scope["path"], scope["query_string"].decode("latin-1"))
    # ASGI, "Response Start": names and values are bytes, names in lower case.
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
    await send({"type": "http.response.start", "status": reply.status.value, "headers": headers})
    # ASGI, "Response Body": to a HEAD the server drops it, so there is no case for it here.
    await send({"type": "http.response.body", "body": reply.body})
