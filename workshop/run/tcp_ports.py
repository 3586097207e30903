"""TCP ports on this machine: reserved, found free, and whose they are.

A port that was found free may be somebody else's by the time that it is needed. So two things hold. Every
run of the workshop reserves its ports by a name that the kernel gives to one process only, until that ends:
no run takes another one's. And a port is a service's when one of its processes holds the socket that listens
there (/proc says which): whoever waits for a service is never answered by a stranger.
"""

from __future__ import annotations

import atexit
import contextlib
import enum
import os
import random
import socket
import struct
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
CHOICE = range(15000, 32000)  # below the range that the kernel hands to clients
_reserved: dict[int, socket.socket] = {}


class Owner(enum.Enum):
    """Who listens on a port, as seen from a group of processes."""

    NOBODY = enum.auto()
    OURS = enum.auto()
    OTHER = enum.auto()


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nothing listens on, reserved until this process ends or releases it."""
    for _ in range(200):
        port = random.choice(CHOICE)
        if reserve_free(host, [port]):
            return port
    raise OSError(f"no free port on {host} between {CHOICE.start} and {CHOICE.stop}")


def reserve(port: int) -> bool:
    """Whether no run of the workshop has this port; then it is this process's (Linux; elsewhere always)."""
    if sys.platform != "linux":
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0workshop-port-{port}")
    except OSError:
        name.close()
        return False
    _reserved[port] = name
    return True


def reserve_all(ports: list[int]) -> bool:
    """Reserve all of them, or none."""
    mine = [port for port in ports if reserve(port)]
    if len(mine) == len(ports):
        return True
    release(*mine)
    return False


def reserve_free(host: str, ports: list[int]) -> bool:
    """Reserve all of them where nothing has any, or none.

    They are reserved first: to try whether a port can be bound keeps others from it for that moment, and
    the run that has it reserved may be starting its service there.
    """
    if not reserve_all(ports):
        return False
    if all(can_bind(host, port) and not is_listening(host, port) for port in ports):
        return True
    release(*ports)
    return False


def release(*ports: int) -> None:
    for port in ports:
        if name := _reserved.pop(port, None):
            name.close()


@atexit.register
def _release_all() -> None:
    release(*_reserved)


def can_bind(host: str, port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError:
            return False
        return True


def listening() -> list[tuple[int, int]]:
    """The TCP ports that something listens on in this network namespace, with the sockets' inodes (Linux)."""
    try:
        return [pair for family in (socket.AF_INET, socket.AF_INET6) for pair in _asked(family)]
    except OSError:  # a kernel that has no such answer
        return list(_read())


def _asked(family: int) -> Iterator[tuple[int, int]]:
    """The kernel's answer to sock_diag(7): only what listens, so a busy machine's table costs nothing."""
    sock_diag_by_family, dump_request, done, tcp, listen = 20, 0x301, 3, 6, 1 << 10
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 4) as link:
        link.settimeout(1.0)
        wanted = struct.pack("=BBBBI48x", family, tcp, 0, 0, listen)
        link.send(struct.pack("=IHHII", 16 + len(wanted), sock_diag_by_family, dump_request, 1, 0) + wanted)
        while True:
            answer, at = link.recv(1 << 16), 0
            while at < len(answer):
                length, kind = struct.unpack_from("=IH", answer, at)
                if kind == done:
                    return
                if kind != sock_diag_by_family:
                    raise OSError("sock_diag is refused")
                (port,) = struct.unpack_from("!H", answer, at + 20)
                (inode,) = struct.unpack_from("=I", answer, at + 84)
                yield port, inode
                at += length + 3 & ~3


def _read() -> Iterator[tuple[int, int]]:
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for row in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = row.split()
                if fields[3] == "0A":
                    yield int(fields[1].rpartition(":")[2], 16), int(fields[9])


def peers(port: int) -> list[str] | None:
    """The other ends of the connections that a port here has had in the last minute, open or in TIME_WAIT.

    Some may be missing (a reset leaves nothing behind, and TIME_WAIT stays at the end that closed first), so
    this is "at least". None where the kernel does not say (elsewhere than on Linux).
    """
    tables = [PROC / "net" / name for name in ("tcp", "tcp6")]
    if not tables[0].exists():
        return None
    found = set()
    for table in tables:
        with contextlib.suppress(OSError):
            for row in table.read_text().splitlines()[1:]:
                _, mine, other, state, *_ = row.split()
                ends = [end.rpartition(":") for end in (mine, other)]
                if state == "0A" or port not in (numbers := [int(end[2], 16) for end in ends]):
                    continue
                host, _, number = ends[1 - numbers.index(port)]
                found.add(f"{host[-8:]}:{number}")
    return sorted(found)


def is_listening(host: str, port: int) -> bool:
    """Whether something listens there: read from the kernel, so that no connection disturbs a server."""
    if PROC.joinpath("net/tcp").exists():
        return any(one == port for one, _ in listening())
    with socket.socket() as attempt:
        attempt.settimeout(0.2)
        return attempt.connect_ex((host, port)) == 0


def owner(host: str, port: int, pids: Iterable[int]) -> Owner:
    """Whose a port is. Where nobody can tell, whatever listens there is taken for these processes'."""
    if not PROC.joinpath("net/tcp").exists():
        return Owner.OURS if is_listening(host, port) else Owner.NOBODY
    there = {inode for one, inode in listening() if one == port}
    if not there:
        return Owner.NOBODY
    held, all_seen = _sockets(pids)
    return Owner.OURS if there <= held or not all_seen else Owner.OTHER


def ports_of(pids: Iterable[int]) -> list[int]:
    """The ports that these processes listen on (Linux; elsewhere none)."""
    held, _ = _sockets(pids)
    return [port for port, inode in listening() if inode in held]


@dataclass(frozen=True)
class Listener:
    """The process that holds the socket which listens on a port; `link` is where /proc shows that."""

    port: int
    inode: int
    pid: int
    link: str

    def still_listens(self) -> bool:
        """Whether it still holds that socket, and nothing else listens on the port."""
        there = {inode for one, inode in listening() if one == self.port}
        return there == {self.inode} and _inode(self.link) == self.inode

    def command(self) -> str:
        """Its command line as it is now; "" when it has gone."""
        with contextlib.suppress(OSError):
            words = (PROC / str(self.pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
            return " ".join(word.decode("utf-8", "replace") for word in words)
        return ""


def listener(port: int, pids: Iterable[int]) -> Listener | None:
    """The first of these processes that listens on a port; None where there is none, or nobody can tell."""
    inodes = {inode for one, inode in listening() if one == port} if PROC.exists() else set[int]()
    for pid in pids if inodes else ():
        with contextlib.suppress(OSError):
            for link in _links(pid):
                inode = _inode(link)
                if inode in inodes:
                    return Listener(port, inode, pid, link)
    return None


def _sockets(pids: Iterable[int]) -> tuple[set[int], bool]:
    """The inodes of these processes' sockets, and whether all of them let us look."""
    inodes, all_seen = set(), True
    for pid in pids:
        try:
            inodes |= {inode for link in _links(pid) if (inode := _inode(link))}
        except PermissionError:
            all_seen = False
        except OSError:  # it has gone
            continue
    return inodes, all_seen


def _links(pid: int) -> list[str]:
    """A process's descriptors, as /proc shows them. Raises OSError where it has gone, or nobody may look."""
    with os.scandir(f"{PROC}/{pid}/fd") as entries:
        return [entry.path for entry in entries]


def _inode(link: str) -> int:
    """The inode of the socket behind a descriptor; 0 when it is none, or closed."""
    try:
        what = os.readlink(link)  # noqa: PTH115  (a hundred of them for one answer)
    except OSError:
        return 0
    return int(what[8:-1]) if what.startswith("socket:[") else 0
