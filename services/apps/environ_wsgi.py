"""Answers with the environ it was called with: what a server, and a proxy before it, made of a request."""

from collections.abc import Iterable
from wsgiref.types import StartResponse, WSGIEnvironment


def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
    """One line `KEY = 'value'` for each text in the environ, sorted by key."""
    lines = [f"{key} = {value!r}\n" for key, value in sorted(environ.items()) if isinstance(value, str)]
    body = "".join(lines).encode("utf-8")
    headers = [("Content-Type", "text/plain; charset=utf-8"), ("Content-Length", str(len(body)))]
    start_response("200 OK", headers)
    return [body]
