"""The given half of an adapter: a request in the words of the other interface, and what carries it.

environ_of(scope, body)   WSGI's words for an HTTP scope      scope_of(environ)    and the other way
Input(read)               a wsgi.input over a `read()`        status_line(404)     "404 Not Found"
LoopThread().get()        an event loop that runs in a thread of its own

The two dictionaries hold the same facts. What differs is text against bytes, and where a prefix is kept.
"""

import asyncio
import io
import os
import sys
import threading
from collections.abc import Callable, MutableMapping
from http import HTTPStatus
from typing import Any

PLAIN = {"content-type": "CONTENT_TYPE", "content-length": "CONTENT_LENGTH"}


def environ_of(scope: MutableMapping[str, Any], body: Any) -> dict[str, Any]:
    """The environ of an HTTP scope; `body` becomes wsgi.input (PEP 3333, "environ Variables").

    A field line whose name has an underscore is left out: it would pass for one with a hyphen.
    """
    # ASGI, "HTTP Connection Scope": path includes root_path; PEP 3333 splits the two.
    root, path = scope.get("root_path", "").rstrip("/"), scope["path"]
    # RFC 3875 §4.1.5: where a segment ends. "/apiary/1" is not below "/api", though it begins with it.
    path = path[len(root) :] if path == root or path.startswith(f"{root}/") else path
    host, port = scope.get("server") or ("localhost", None)
    environ: dict[str, Any] = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": root.encode().decode("latin-1"),
        "PATH_INFO": path.encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": host or "localhost",
        "SERVER_PORT": str(port or (443 if scope.get("scheme") == "https" else 80)),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope.get("scheme", "http"),
        "wsgi.input": body,
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    if scope.get("client"):
        environ["REMOTE_ADDR"] = scope["client"][0]
    for raw, value in scope["headers"]:
        name = raw.decode("latin-1").lower()
        if "_" not in name:
            key = PLAIN.get(name) or "HTTP_" + name.upper().replace("-", "_")
            text = value.decode("latin-1")
            between = "; " if name == "cookie" else ","
            environ[key] = f"{environ[key]}{between}{text}" if key in environ else text
    return environ


def scope_of(environ: dict[str, Any]) -> dict[str, Any]:
    """The HTTP scope of an environ (ASGI, "HTTP Connection Scope")."""
    root = environ.get("SCRIPT_NAME", "").encode("latin-1").decode("utf-8", "replace")
    path = environ.get("PATH_INFO", "").encode("latin-1").decode("utf-8", "replace")
    fields = {key[5:]: value for key, value in environ.items() if key.startswith("HTTP_")}
    fields |= {key: environ[key] for key in PLAIN.values() if environ.get(key)}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": environ["SERVER_PROTOCOL"].partition("/")[2],
        "method": environ["REQUEST_METHOD"],
        "scheme": environ["wsgi.url_scheme"],
        "path": root + path,
        "query_string": environ.get("QUERY_STRING", "").encode("latin-1"),
        "root_path": root,
        "headers": [
            (key.lower().replace("_", "-").encode("latin-1"), str(value).encode("latin-1"))
            for key, value in fields.items()
        ],
        "client": (environ["REMOTE_ADDR"], 0) if environ.get("REMOTE_ADDR") else None,
        "server": (environ["SERVER_NAME"], int(environ["SERVER_PORT"])),
    }


class Input(io.RawIOBase):
    """What io.BufferedReader makes a wsgi.input of: io.BufferedReader(Input(read)).

    `read()` gives the next piece of a body, of any size, and b"" at its end.
    """

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read, self._rest = read, b""

    def readable(self) -> bool:
        return True

    def readinto(self, into: Any) -> int:
        data = self._rest or self._read()
        taken, self._rest = data[: len(into)], data[len(into) :]
        into[: len(taken)] = taken
        return len(taken)


class LoopThread:
    """An event loop that runs in a daemon thread, from the first request on, in each process that forks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pid = 0
        self._loop: asyncio.AbstractEventLoop

    def get(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            # A fork copies the loop, and leaves its thread behind.
            if self._pid != os.getpid():
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, daemon=True, name="asgi").start()
                self._pid = os.getpid()
            return self._loop


def status_line(status: int) -> str:
    """ASGI has no reason phrase, WSGI wants one: 404 is "404 Not Found"."""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"{status} Unknown"
