"""Lab 9 over gunicorn: its arbiter, its sync workers, its signals."""

from __future__ import annotations

import argparse
import math
import os
import sys


def whole(seconds: float) -> str:
    """gunicorn takes whole seconds only."""
    return str(math.ceil(seconds))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--graceful-timeout", type=float, default=30)
    options = parser.parse_args()
    words = [sys.executable, "-m", "gunicorn", options.application, "--no-control-socket"]
    words += ["--bind", f"{options.host}:{options.port}", "--workers", str(options.workers)]
    words += ["--timeout", whole(options.timeout), "--graceful-timeout", whole(options.graceful_timeout)]
    os.execv(sys.executable, words)


if __name__ == "__main__":
    main()
