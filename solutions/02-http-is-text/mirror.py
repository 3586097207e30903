"""Given: what is served, and the command line."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial

from messages import Fields, Request

Handler = Callable[[Request, int, int], tuple[int, Fields, bytes]]


def mirror(request: Request, connection: int, nth: int, close: bool = False) -> tuple[int, Fields, bytes]:
    """The request as text again, and on which connection it came, as which one."""
    lines = [f"{request.method} {request.target} {request.version}"]
    lines += [f"{name}: {value}" for name, value in request.fields]
    text = "".join(f"{line}\r\n" for line in lines).encode("latin-1")
    fields = [("Content-Type", "text/plain"), ("X-Connection", str(connection)), ("X-Nth", str(nth))]
    return 200, [*fields, ("Connection", "close")] if close else fields, text + b"\r\n" + request.body


def main(serve: Callable[[str, int, Handler], None]) -> None:
    """Serve the mirror at --host and --port; --close ends the connection after each answer."""
    parser = argparse.ArgumentParser(description="Serve a mirror of requests.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--close", action="store_true", help="end the connection after each answer")
    options = parser.parse_args()
    serve(options.host, options.port, partial(mirror, close=options.close))
