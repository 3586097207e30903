"""How a sandbox without a network is reached: listening sockets, made outside and handed in once.

Their names live in a folder that no sandbox sees. Inside there is one door, a Unix socket on a read-only
mount; the first who knocks gets the listening sockets as descriptors, and then the door is gone. The
sandbox's own program knocks before any code of the submission runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import stat
import subprocess
import tempfile
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from workshop.errors import InfraError
from workshop.labs import Lab
from workshop.run import unix_to_tcp

DOOR_INSIDE = "/run/door/sock"
CONF = "nginx.conf"  # beside the door
READY = b"ready\n"
WORD_CAP = 4096
BACKLOG = 128
PREFIX = "wg-"
# After the prefix: whose it is, a process id, and the namespace that this counts in.
OWNER = r"([0-9]{1,9})-(?:n([0-9]+)-)?"


class SandboxSockets:
    """A private folder: `target` and `door` are mounted in the sandbox, `wire` is for what judges.

    Beside the door lies what nginx is started with (sandbox_files.nginx_conf), by `lay_conf`.
    """

    def __init__(self, lab: Lab) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=own_name()))
        self._remove = weakref.finalize(self, remove, self.folder)
        self.wire, self.door, self.target = (self.folder / name for name in ("wire", "door", "target"))
        for part in (self.wire, self.door, self.target):
            part.mkdir()
        self.ports = [unix_to_tcp.AGENT, unix_to_tcp.FRONT, *unix_to_tcp.ports(lab).values()]
        self._listeners = [_listening(self.wire / f"{port}.sock") for port in self.ports]
        self._knock = _listening(self.door / "sock")
        (self.door / "sock").chmod(0o666)

    def lay_conf(self, text: str) -> None:
        (self.door / CONF).write_text(text, encoding="utf-8")
        (self.door / CONF).chmod(0o644)

    def complete(self, seconds: float, alive: Callable[[], bool]) -> None:
        """Wait for the knock, hand the sockets in, and wait until nginx listens inside.

        `alive()` says whether the sandbox still runs. Raises InfraError when it does not come up: nothing of
        the submission has run by then, but nginx may have read its configuration.
        """
        deadline = time.monotonic() + seconds
        self._knock.settimeout(0.2)
        while True:
            try:
                link, _ = self._knock.accept()
                break
            except TimeoutError:
                if time.monotonic() > deadline or not alive():
                    raise InfraError("The sandbox did not come up.") from None
        self._knock.close()
        (self.door / "sock").unlink()
        with link:
            link.settimeout(max(0.1, deadline - time.monotonic()))
            words = json.dumps(self.ports).encode()
            socket.send_fds(link, [words], [one.fileno() for one in self._listeners])
            said = _word(link)
        for listener in self._listeners:
            listener.close()
        if said != READY:
            raise InfraError(f"The sandbox did not come up: {said.decode('utf-8', 'replace').strip()[:300]}")

    def close(self) -> None:
        for one in (*self._listeners, self._knock):
            one.close()
        self._remove()


def sweep() -> list[str]:
    """Remove the folders of graders that are gone."""
    swept = []
    for folder, owner in owned(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
        if is_gone(owner):
            remove(folder)
            swept.append(f"folder {folder.name}")
    return swept


def remove(folder: Path) -> None:
    """Remove a folder with all that is in it, also where a stranger made more levels than Python can go."""
    with contextlib.suppress(RecursionError):
        shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        subprocess.run(["rm", "-rf", "--", str(folder)], stderr=subprocess.DEVNULL, check=False)


def own_name(prefix: str = PREFIX) -> str:
    """What the names of all begin with that this grader makes on the machine."""
    return f"{prefix}{os.getpid()}-n{namespace()}-"


def namespace() -> int:
    """Where this process has its id. A grader in a container has one that is nobody's, or another's, here."""
    with contextlib.suppress(OSError):
        return Path("/proc/self/ns/pid").stat().st_ino
    return 0  # where there is no /proc there are no such containers, either


def is_told_here(where: str | bytes | None) -> bool:
    """Whether an owner's process id counts in this process's namespace; without a word it does."""
    return where is None or int(where) == namespace()


def owned(folders: Iterable[Path], prefix: str = PREFIX) -> Iterator[tuple[Path, int]]:
    """Those that a grader of this user has made, with its process id; what else is called alike is not ours.

    Neither are those of graders in other containers: from here nobody can tell whether they are gone.

    In the weak sandbox a submission can make some, too, in /tmp: they are another user's.
    """
    for folder in folders:
        found = re.fullmatch(rf"{re.escape(prefix)}{OWNER}.*", folder.name, re.ASCII | re.DOTALL)
        with contextlib.suppress(OSError):
            about = folder.lstat()
            ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.geteuid()
            if found and ours and is_told_here(found[2]):
                yield folder, int(found[1])


def is_gone(owner: int) -> bool:
    """Whether the grader with this process id has ended."""
    return not Path("/proc", str(owner)).exists()


def _listening(path: Path) -> socket.socket:
    made = socket.socket(socket.AF_UNIX)
    made.bind(str(path))
    made.listen(BACKLOG)
    return made


def _word(link: socket.socket) -> bytes:
    said = b""
    with contextlib.suppress(OSError):
        while not said.endswith(b"\n") and len(said) < WORD_CAP:
            piece = link.recv(WORD_CAP)
            if not piece:
                break
            said += piece
    return said


def receive(door: str) -> tuple[socket.socket, dict[int, socket.socket]]:
    """Inside: knock, and take the listening sockets, by port. The link stays open for one word."""
    link = socket.socket(socket.AF_UNIX)
    link.connect(door)
    words, descriptors, _, _ = socket.recv_fds(link, WORD_CAP, 64)
    for descriptor in descriptors:
        os.set_inheritable(descriptor, False)
    sockets = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    return link, dict(zip(json.loads(words), sockets, strict=True))
