"""What the adapters of servers share: the lab's command line, and how a program takes this one's place."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from pathlib import Path
from typing import Any, NoReturn


def options() -> argparse.Namespace:
    """What the command lines of labs 5 and 11 say."""
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--keep-alive", type=float, default=5.0)
    parser.add_argument("--time-out", type=float, default=10.0)
    given = parser.parse_args()
    given.bind = f"{given.host}:{given.port}"
    given.idle = str(int(given.keep_alive))
    return given


def application(name: str) -> Any:
    """The application that "module:attribute" names; the current folder is on the path."""
    module, _, attribute = name.partition(":")
    return getattr(importlib.import_module(module), attribute)


def become(program: str, *words: object) -> NoReturn:
    """Run a program of this Python's environment in this process."""
    path = Path(sys.executable).with_name(program)
    os.execv(path, [str(path), *map(str, words)])
