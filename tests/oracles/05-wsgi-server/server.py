"""The oracle of lab 5: gunicorn with its threaded worker, behind the lab's command line.

In four things gunicorn 27 does not do what it must; `application` stands in between:
- it sends the head with an empty first chunk (PEP 3333, "The start_response() Callable");
- it adds the headers of a second start_response to those of the first, in place of replacing them (the same);
- it keeps the connection after a body that is shorter than its Content-Length (RFC 9110 §8.6), so that the
  client takes the next response for the rest of it;
- it sends the page of its own 500 to HEAD, too (RFC 9110 §9.3.2).
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any


class Chunks:
    """An iterable's chunks that are not empty; raises at the end when there were too few bytes."""

    def __init__(self, inner: Iterable[bytes], promised: list[int]) -> None:
        self._inner, self._promised = inner, promised

    def __iter__(self) -> Iterator[bytes]:
        sent = 0
        for chunk in self._inner:
            if chunk != b"":
                yield chunk
                sent += len(chunk)
        if self._promised and sent < self._promised[-1]:
            raise ValueError("the body is shorter than its Content-Length")

    def close(self) -> None:
        if hasattr(self._inner, "close"):
            self._inner.close()


def application(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    promised: list[int] = []

    def started(status: str, headers: list[tuple[str, str]], exc_info: Any = None) -> Any:
        if exc_info and not start_response.__self__.headers_sent:
            start_response.__self__.headers.clear()
        promised[:] = [int(value) for name, value in headers if name.lower() == "content-length"]
        return start_response(status, headers, *[exc_info] if exc_info else [])

    try:
        result: Iterable[bytes] = load()(environ, started)
    except Exception:
        if environ["REQUEST_METHOD"] != "HEAD" or start_response.__self__.headers_sent:
            raise
        traceback.print_exc()
        start_response("500 Internal Server Error", [], sys.exc_info())
        return []
    return result if isinstance(result, list) else Chunks(result, promised)


def load() -> Any:
    module, _, attribute = os.environ["SERVED"].partition(":")
    return getattr(importlib.import_module(module), attribute)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--keep-alive", type=float, default=5.0)
    parser.add_argument("--time-out", type=float, default=10.0)
    options = parser.parse_args()
    os.environ["SERVED"] = options.application
    words = [str(Path(sys.executable).with_name("gunicorn")), "server:application"]
    words += ["--bind", f"{options.host}:{options.port}", "--no-control-socket"]
    words += ["--worker-class", "gthread", "--threads", str(options.threads)]
    words += ["--keep-alive", str(int(options.keep_alive))]
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
else:
    load()  # in the worker, before it says that it is ready
