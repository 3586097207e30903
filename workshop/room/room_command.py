"""`make room`: start the room, export what it knows, or wipe it."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ipaddress
import resource
import socket
import sys
from pathlib import Path

from workshop.errors import EXIT_PASSED, Refusal
from workshop.paths import ROOT
from workshop.room import room_export
from workshop.room.room_database import RoomDatabase, held, remove
from workshop.room.room_report import LAB_LINE
from workshop.room.room_server import AT, Room, run

BACKLOG = 512
OPEN_FILES = 4096
NOWHERE = ("192.0.2.1", 9)  # for documents (RFC 5737): no packet is sent to find the way there


def room(options: argparse.Namespace) -> int:
    """Run a room until Ctrl-C; or do with its file what was asked."""
    path = options.database.resolve()
    if options.export is not None:
        print(room_export.write(_existing(path), options.export))
    elif options.wipe:
        print(_wipe(path, options.yes))
    else:
        with held(path):
            _serve(path, options)
    return EXIT_PASSED


def _existing(path: Path) -> Path:
    if not path.exists():
        raise Refusal(f"There is no room at {shown(path)}.")
    return path


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def _wipe(path: Path, sure: bool) -> str:
    """Delete a room's files, once the host has typed the word."""
    with held(_existing(path)):
        known = RoomDatabase(path)  # nothing but a room's file is deleted
        count = known.count()
        known.close()
        what = f"{shown(path)}: {count} learner{'' if count == 1 else 's'}, and the token"
        if not sure and not sys.stdin.isatty():
            raise Refusal(f"Nothing was deleted. To delete {what}: make room ARGS='--wipe --yes'")
        if not sure and _typed(f"This deletes {what}. Type wipe to go on: ") != "wipe":
            raise Refusal("Nothing was deleted.")
        remove(path)
    return f"Deleted {what}. The next `make room` begins with a new one."


def _typed(question: str) -> str:
    with contextlib.suppress(EOFError):
        return input(question).strip()
    return ""


# --- serving


def _serve(path: Path, options: argparse.Namespace) -> None:
    _raise_open_files()
    beside = (options.port + 1) % 65536 if options.port else 0  # 0: whichever is free
    page_port = beside if options.page_port is None else options.page_port
    with (
        _listener(options.bind, options.port, "--port") as reports,
        _listener("127.0.0.1", page_port, "--page-port") as page,
    ):
        database = RoomDatabase(path)
        port = reports.getsockname()[1]
        addresses = [f"{one}:{port}" for one in _addresses(options.bind)]
        lines = [LAB_LINE.format(address=one, token=database.token()) for one in addresses]
        url = f"http://127.0.0.1:{page.getsockname()[1]}{AT}/"
        for line in _greeting(path, database.count(), lines, url):
            _say(line)
        asyncio.run(run(Room(database, lines[0], _say), reports, page))
    _say(f"\nThe room has ended; all that was reported is in {shown(path)}.")


def _say(line: str) -> None:
    with contextlib.suppress(OSError):  # a terminal that has gone ends no room
        print(line, flush=True)


def _greeting(path: Path, count: int, lines: list[str], url: str) -> list[str]:
    known = f", which knows {count} learner{'' if count == 1 else 's'} already" if count else ""
    return [
        f"The room is open. What it is told is kept in {shown(path)}{known}.",
        "",
        "Learners type, each with the number of their lab:",
        f"    {lines[0]}",
        *(["This machine may have another address for them:"] if len(lines) > 1 else []),
        *(f"    {line}" for line in lines[1:]),
        "",
        f"Who is stuck where (only on this machine):   {url}",
        f"How many are through, for the projector:     {url}projector",
        "",
        "Ctrl-C ends it; the next `make room` goes on with the same token.",
    ]


def _listener(address: str, port: int, option: str) -> socket.socket:
    """A socket that listens there; port 0 takes any. Raises Refusal in one line where it can't."""
    if not 0 <= port <= 65535:
        raise Refusal(f"{option} {port} can't be used: give a number from 1024 to 65535.")
    try:
        return socket.create_server((address, port), backlog=BACKLOG)
    except OSError as error:
        why = str(error.strerror or error).split(" (while")[0]
        raise Refusal(
            f"The room can't listen on {address}:{port} ({why}). Another port: make room ARGS='{option} 8710'"
        ) from error


def _addresses(bind: str) -> list[str]:
    """What learners may reach this machine by; the likeliest first."""
    if bind != "0.0.0.0":
        return [bind]
    found = [_outward(), *_by_name()]
    usable = [one for one in dict.fromkeys(found) if one and not ipaddress.ip_address(one).is_loopback]
    return usable or ["127.0.0.1"]


def _outward() -> str:
    """This machine's address on the network that leads on."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking, contextlib.suppress(OSError):
        asking.connect(NOWHERE)
        return str(asking.getsockname()[0])
    return ""


def _by_name() -> list[str]:
    with contextlib.suppress(OSError):
        return socket.gethostbyname_ex(socket.gethostname())[2]
    return []


def _raise_open_files() -> None:
    """Each learner who reports is an open file for a moment; macOS allows 256 at first."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
