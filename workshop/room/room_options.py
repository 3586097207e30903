"""What `make room` can be told; by itself, as every command reads it."""

from __future__ import annotations

import argparse
from pathlib import Path

from workshop.paths import STATE

FILE = STATE / "room.sqlite3"
PORT = 8700


def options(command: argparse.ArgumentParser) -> None:
    command.add_argument("--port", type=int, default=PORT, help=f"where learners report to ({PORT})")
    command.add_argument("--page-port", type=int, help="the host's page, on 127.0.0.1 (the port after it)")
    command.add_argument("--bind", default="0.0.0.0", metavar="ADDRESS", help="of which network (every one)")
    command.add_argument("--database", type=Path, default=FILE, metavar="FILE", help="what it knows")
    what = command.add_mutually_exclusive_group()
    what.add_argument("--export", type=Path, metavar="FILE", help="write what it knows: .csv or .json")
    what.add_argument("--wipe", action="store_true", help="delete all that it knows, and the token")
    command.add_argument("--yes", action="store_true", help="with --wipe: don't ask")
