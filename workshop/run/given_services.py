"""Services that a lab gives, beside a stranger's code: what answers for the lab must not be the stranger.

Their sockets are bound by the agent, and their processes are there, before any code of the stranger's runs:
nobody can take the port first, and the agent keeps the socket when such a service is killed, so that nobody
can take it then. The processes are undumpable: one of the same user reads neither their memory nor their
files, and takes no descriptor of theirs. Nothing on their path is the stranger's.

Such a process waits until a check asks for its service, which costs next to nothing where none does. The
service runs in it: what is executed anew could be looked into again.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from workshop.labs import Lab
from workshop.paths import APPS, LABS, SOLUTIONS

ADDRESS = ("--host", "--port")
WAITS = b"."
# Its standard input is a socket: it says that it is undumpable, and begins when it is told to.
UNDUMPABLE = f"""
import ctypes, os, sys
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(4, 0, 0, 0, 0)  # PR_SET_DUMPABLE
os.write(0, {WAITS!r})
if not os.read(0, 1):
    sys.exit()
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
import runpy
del sys.argv[0]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""


def bound(host: str, port: int) -> socket.socket:
    """A socket that has the port and does not listen yet. Without SO_REUSEADDR: nobody else binds there."""
    made = socket.socket()
    # asyncio does so for what it knows to be TCP, and uvicorn takes a descriptor for something else.
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind((host, port))
    made.set_inheritable(True)
    return made


def is_waiting(told: socket.socket, seconds: float) -> bool:
    """Whether the process at the other end has said within that time that it waits."""
    told.settimeout(seconds)
    try:
        return told.recv(1) == WAITS
    except OSError:
        return False


def argv(words: Sequence[str], descriptor: int) -> list[str]:
    """The service's own command, on a socket that is there already."""
    program, *rest = words
    name = Path(program).name
    if name.startswith("python"):  # python -m NAME …
        name, rest = rest[1], rest[2:]
    kept = [word for n, word in enumerate(rest) if not {word, rest[max(n - 1, 0)]} & {*ADDRESS, "--bind"}]
    here = ["--bind", f"fd://{descriptor}"] if name == "gunicorn" else ["--fd", str(descriptor)]
    return [sys.executable, "-s", "-P", "-c", UNDUMPABLE, name, *kept, *here]


def environment(lab: Lab, state: Path) -> dict[str, str]:
    """As serve.environment has it, without any place of the learner's."""
    earlier = [place for name in lab.on for place in (SOLUTIONS / name, LABS / name / "apps")]
    path = [lab.folder, lab.apps, APPS, *earlier]
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("WORKSHOP_", "PYTHON"))}
    more = {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONUNBUFFERED": "1", "TMPDIR": str(state)}
    return {**kept, "PYTHONPATH": os.pathsep.join(map(str, path)), **more}
