"""Says which process answered, and does what a request tells it to: for servers with several workers.

    GET /                      {"pid": 42, "parent": 41, "edition": "first"}
    GET /slow?seconds=0.5      the same, half a second later
    GET /hang                  never answers, and holds off every signal that can be held off
    POST /wait                 the same as /, as soon as the whole body has come: the client decides when
    GET /once?mark=Ada         the first one kills the process that serves it, the next one is answered;
                               /once?forget=1&mark=Ada is answered, and the next one is the first again
    POST /edition?text=Ada     what the next import of this module calls itself; an empty text: "first"

`edition` stands for new code. It is read when this module is imported, as code is, from a file that belongs
to the session that the server was started in. An edition that begins with "broken" can't be imported.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote


def _file(kind: str) -> Path:
    return Path(tempfile.gettempdir()) / f"workshop-which-process-{os.getsid(0)}-{kind}"


def _read_edition() -> str:
    try:
        return _file("edition").read_text(encoding="utf-8")
    except FileNotFoundError:
        return "first"


def _tidy_up() -> None:
    """Remove what servers left behind that have ended since."""
    for file in Path(tempfile.gettempdir()).glob("workshop-which-process-*"):
        with contextlib.suppress(OSError, ValueError):
            try:
                os.kill(int(file.name.split("-")[2]), 0)
            except ProcessLookupError:
                file.unlink()


_tidy_up()
EDITION = _read_edition()
if EDITION.startswith("broken"):
    raise ImportError(f"this code does not import: its edition is {EDITION!r}")


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """A WSGI application: every answer is JSON, and says who gave it."""
    query = {key: values[0] for key, values in parse_qs(environ.get("QUERY_STRING", "")).items()}
    match environ["PATH_INFO"]:
        case "/slow":
            time.sleep(float(query.get("seconds", "0.1")))
        case "/wait":
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        case "/hang":
            signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
            time.sleep(3600)
        case "/once":
            _live_once(query.get("mark", ""), "forget" in query)
        case "/edition" if environ["REQUEST_METHOD"] == "POST":
            _write_edition(query.get("text", ""))
    body = json.dumps({"pid": os.getpid(), "parent": os.getppid(), "edition": EDITION}).encode() + b"\n"
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


def _live_once(mark: str, forget: bool) -> None:
    """Die at a new mark. One that is there, or that is to be forgotten, is forgotten."""
    file = _file(f"once-{quote(mark, safe='')}")
    if forget or file.exists():
        file.unlink(missing_ok=True)
        return
    file.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _write_edition(text: str) -> None:
    if text:
        _file("edition").write_text(text, encoding="utf-8")
    else:
        _file("edition").unlink(missing_ok=True)
