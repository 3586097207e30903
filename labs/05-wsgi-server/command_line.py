"""Given: the command line of a server, and what it does before the first connection.

python server.py module:attribute --host 127.0.0.1 --port 8000
"""

from __future__ import annotations

import argparse
import importlib
import signal
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

BACKLOG = 1024  # connections that the system may hold until somebody accepts them


def load(name: str) -> Any:
    """The application that "module:attribute" names; the current directory is on the path."""
    sys.path.insert(0, str(Path.cwd()))
    module, _, attribute = name.partition(":")
    found: Any = importlib.import_module(module)
    for part in (attribute or "application").split("."):
        found = getattr(found, part)
    return found


def main(serve: Callable[[socket.socket, Any, argparse.Namespace], object]) -> None:
    """Listen, and call `serve(listener, application, options)`; SIGTERM and Ctrl-C raise SystemExit in it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("application", help="module:attribute")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--keep-alive", type=float, default=5.0, help="seconds an idle connection is kept")
    parser.add_argument("--time-out", type=float, default=10.0, help="seconds a silent client is waited for")
    options = parser.parse_args()
    application = load(options.application)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    family = socket.AF_INET6 if ":" in options.host else socket.AF_INET
    with socket.create_server((options.host, options.port), family=family, backlog=BACKLOG) as listener:
        print(f"Listening on http://{options.host}:{listener.getsockname()[1]}", flush=True)
        serve(listener, application, options)
