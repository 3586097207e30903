"""Processes that may misbehave: started, watched, heard to a limit, and ended with everything they left.

A learner's program may fork and return, ignore signals, start a session of its own or print without end.
The agent adopts what such programs leave behind (a subreaper, on Linux) and ends it by ancestry.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

OUTPUT_KEPT = 64 * 1024
OUTPUT_LIMIT = 16 * 1024 * 1024
PIECES = 16  # that are read at once: who prints without end must not hold up who asks
POLL = 0.01
PROC = Path("/proc")
PR_SET_CHILD_SUBREAPER = 36


_started: set[int] = set()
_starting = threading.Lock()


class Process:
    """A child with its output collected: the last 64 KiB are kept, and 16 MiB end it."""

    def __init__(
        self,
        argv: list[str],
        *,
        cwd: Path,
        env: dict[str, str],
        stdin: int = subprocess.DEVNULL,
        pass_fds: tuple[int, ...] = (),
    ) -> None:
        self.argv = argv
        self.started = time.monotonic()
        self.flooded = False
        self._kept = bytearray()
        self._total = 0
        self._at_end = False
        self._lock = threading.Lock()
        with _starting:
            self.popen = subprocess.Popen(
                argv,
                cwd=cwd,
                env=env,
                stdin=stdin,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                pass_fds=pass_fds,
            )
            _started.add(self.popen.pid)
        assert self.popen.stdout is not None
        self._pipe = self.popen.stdout.fileno()
        os.set_blocking(self._pipe, False)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def drain(self, seconds: float) -> None:
        """Wait for the last of its output."""
        self._reader.join(timeout=seconds)

    @property
    def pid(self) -> int:
        return self.popen.pid

    @property
    def written(self) -> int:
        """How many bytes it has written so far: a mark for `output`."""
        with self._lock:
            self._take()
            return self._total

    def exit_code(self) -> int | None:
        """None while it runs; negative for a signal."""
        return self.popen.poll()

    def output(self, since: int = 0) -> str:
        """What it wrote after the mark `since`, to this moment, as far as it is kept."""
        with self._lock:
            self._take()
            skipped = max(0, since - (self._total - len(self._kept)))
            return bytes(self._kept[skipped:]).decode("utf-8", "replace")

    def _read(self) -> None:
        ready = select.poll()
        ready.register(self._pipe, select.POLLIN)
        while not self._at_end:
            ready.poll()
            with self._lock:
                self._take()
            if self._total > OUTPUT_LIMIT and not self.flooded:
                self.flooded = True
                end_tree(self.pid, grace=0)

    def _take(self) -> None:
        """Keep what lies in the pipe: whoever asks for output must not depend on when the reader runs."""
        for _ in range(PIECES):
            if self._at_end:
                return
            try:
                data = os.read(self._pipe, 1 << 16)
            except BlockingIOError:
                return
            self._at_end = not data
            self._kept += data
            self._total += len(data)
            del self._kept[:-OUTPUT_KEPT]

    def end(self, grace: float = 3.0) -> None:
        """End it and everything that it started: SIGTERM, then SIGKILL after `grace` seconds."""
        end_tree(self.pid, grace=grace)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=5)
        self._reader.join(timeout=0.5)
        if self.popen.stdout is not None and self._at_end:
            self.popen.stdout.close()


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, and every one of its session (forked and orphaned ones included)."""
    parents, sessions = _process_table()
    found = [one for one, session in sessions.items() if session == pid and one != pid]
    queue = [pid, *found]
    while queue:
        parent = queue.pop()
        for child, its_parent in parents.items():
            if its_parent == parent and child not in found:
                found.append(child)
                queue.append(child)
    return found


def _process_table() -> tuple[dict[int, int], dict[int, int]]:
    """Parents and sessions of every process; from /proc, or from ps where there is none."""
    parents, sessions = {}, {}
    with contextlib.suppress(FileNotFoundError), os.scandir(PROC) as entries:
        for one in (int(entry.name) for entry in entries if entry.name.isdigit()):
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = _stat(one).rpartition(b")")[2].split()
                parents[one], sessions[one] = int(fields[1]), int(fields[3])
    if not parents:
        table = subprocess.run(
            ["ps", "-axo", "pid=,ppid=,sess="], capture_output=True, text=True, check=False
        )
        for row in table.stdout.splitlines():
            pid, ppid, *_ = row.split()
            parents[int(pid)] = int(ppid)
    return parents, sessions


def _stat(pid: int) -> bytes:
    """A process's line in /proc. Read without ado: checks look at all of them many times a second."""
    descriptor = os.open(f"{PROC}/{pid}/stat", os.O_RDONLY)
    try:
        return os.read(descriptor, 4096)
    finally:
        os.close(descriptor)


def zombies(pids: Iterable[int]) -> list[int]:
    """Those that have ended, but that their parent has not waited for."""
    return [pid for pid in pids if _state(str(pid)).startswith("Z")]


def _state(pid: str) -> str:
    """The letter for the state of a process, or of a thread (PID/task/TID), and more; "" when it is gone."""
    if (PROC / "self").exists():
        with contextlib.suppress(OSError):
            return (PROC / pid / "stat").read_text().rpartition(")")[2].strip()
        return ""
    row = subprocess.run(["ps", "-o", "stat=", "-p", pid], capture_output=True, text=True, check=False)
    return row.stdout.strip()


def at_rest(pids: Iterable[int]) -> bool:
    """Whether every thread of these processes waits for something; False where there is no /proc to tell."""
    if not (PROC / "self").exists():
        return False
    return not any(_state(f"{pid}/task/{task}")[:1] in ("R", "D") for pid in pids for task in _tasks(pid))


def _tasks(pid: int) -> list[str]:
    with contextlib.suppress(OSError):
        return [path.name for path in (PROC / str(pid) / "task").iterdir()]
    return []


def cpu_ticks(pids: Iterable[int]) -> int:
    """The processor time that these processes have used, in clock ticks (0 where there is no /proc)."""
    used = 0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
            used += int(fields[11]) + int(fields[12])
    return used


def orphans() -> list[int]:
    """Processes that this one has adopted: their own parents are gone (see `adopt_orphans`)."""
    with _starting:
        parents = _process_table()[0]
        return [pid for pid, parent in parents.items() if parent == os.getpid() and pid not in _started]


def end_orphans() -> None:
    """End what was left behind, with all that is below it, and reap it."""
    for pid in orphans():
        end_tree(pid, grace=0)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(pid, 0)


def end_tree(pid: int, grace: float) -> None:
    """End `pid` and its descendants: SIGTERM to the top, SIGKILL to what is left after `grace` seconds."""
    below = descendants(pid)
    _send([pid], signal.SIGTERM if grace else signal.SIGKILL)
    deadline = time.monotonic() + grace
    while time.monotonic() < deadline and _running(pid):
        time.sleep(POLL)
    _send({pid, *below, *descendants(pid)}, signal.SIGKILL)


def _running(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _send(pids: Iterable[int], number: int) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


@contextlib.contextmanager
def interrupts_deferred() -> Iterator[None]:
    """Let no Ctrl-C come in between: it is raised at the end of the block."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: seen.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if seen:
        raise KeyboardInterrupt


def adopt_orphans() -> None:
    """Make this process the parent of what its children leave behind (Linux; elsewhere nothing)."""
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


# --- ports ------------------------------------------------------------------------------------------


def free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nothing listens on, below the range that the kernel hands to clients."""
    for _ in range(200):
        port = random.randint(15000, 32000)
        if can_bind(host, port):
            return port
    raise OSError(f"no free port on {host} between 15000 and 32000")


def can_bind(host: str, port: int) -> bool:
    with socket.socket() as attempt:
        attempt.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            attempt.bind((host, port))
        except OSError:
            return False
        return True


def listening_ports() -> dict[int, int]:
    """The TCP ports that something listens on in this network namespace, with the socket's inode (Linux)."""
    return dict(_listening())


def _listening() -> list[tuple[int, int]]:
    """Every socket that listens, as its port and inode: several may have one port."""
    try:
        return [pair for family in (socket.AF_INET, socket.AF_INET6) for pair in _asked(family)]
    except OSError:  # a kernel that has no such answer
        return _read_listening_ports()


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


def _read_listening_ports() -> list[tuple[int, int]]:
    found = []
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for row in (PROC / "net" / table).read_text().splitlines()[1:]:
                fields = row.split()
                if fields[3] == "0A":
                    found.append((int(fields[1].rpartition(":")[2], 16), int(fields[9])))
    return found


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
        return port in listening_ports()
    with socket.socket() as attempt:
        attempt.settimeout(0.2)
        return attempt.connect_ex((host, port)) == 0


def owns(port: int, pids: Iterable[int]) -> bool:
    """Whether all that listens on a port belongs to these processes; True where nobody can tell."""
    if not (PROC / "self" / "fd").exists():
        return True
    listening = {inode for one, inode in _listening() if one == port}
    return bool(listening) and listening <= set(_sockets(pids))


def listener(port: int, pids: Iterable[int]) -> str:
    """The command line of the first of these processes that listens on a port; "" where nobody can tell."""
    inodes = {inode for one, inode in _listening() if one == port} if PROC.exists() else set[int]()
    for pid in pids:
        if inodes & set(_sockets([pid])):
            with contextlib.suppress(OSError):
                words = (PROC / str(pid) / "cmdline").read_bytes().rstrip(b"\0").split(b"\0")
                return " ".join(word.decode("utf-8", "replace") for word in words)
    return ""


def _sockets(pids: Iterable[int]) -> Iterator[int]:
    """The inodes of the sockets that these processes have open."""
    for pid in pids:
        for link in PROC.glob(f"{pid}/fd/*"):
            with contextlib.suppress(OSError, ValueError):
                yield int(str(link.readlink()).removeprefix("socket:[").removesuffix("]"))


def ports_of(pids: Iterable[int]) -> list[int]:
    """The ports that these processes listen on (Linux; elsewhere none)."""
    inodes = set(_sockets(pids))
    return [port for port, inode in listening_ports().items() if inode in inodes]
