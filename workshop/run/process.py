"""Processes that may misbehave: started, watched, heard to a limit, and ended with everything they left.

A learner's program may fork and return, ignore signals, start a session of its own or print without end.
The agent adopts what such programs leave behind (a subreaper, on Linux) and ends it by ancestry.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import select
import signal
import subprocess
import sys
import threading
import time
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

OUTPUT_KEPT = 64 * 1024
OUTPUT_LIMIT = 16 * 1024 * 1024
MOMENTS = 500  # of pieces of output, that are kept
PIECES = 16  # that are read at once: who prints without end must not hold up who asks
POLL = 0.01
ROUNDS = 10  # of ending orphans: what they started meanwhile is adopted when they have ended
PROC = Path("/proc")
PR_SET_CHILD_SUBREAPER = 36
PR_SET_PDEATHSIG = 1


_adopts = False
_started: set[int] = set()
_not_ended: set[int] = set()  # sessions of processes that nobody has ended yet: what is in them is theirs
_starting = threading.RLock()


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
        self.ended = False  # by us, with all that was below it
        self._kept = bytearray()
        self._total = 0
        self._moments: deque[tuple[float, int]] = deque(maxlen=MOMENTS)
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
            _not_ended.add(self.popen.pid)
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

    def printed(self, since: float) -> list[tuple[float, str]]:
        """What it wrote after a moment of the monotonic clock, piece by piece, each with when it came."""
        with self._lock:
            self._take()
            first = self._total - len(self._kept)
            pieces = [one for one in self._moments if one[0] >= since and one[1] >= first]
            ends = [offset for _, offset in pieces[1:]] + [self._total]
            cut = [
                (when, bytes(self._kept[start - first : end - first]))
                for (when, start), end in zip(pieces, ends, strict=False)
            ]
        return [(when, data.decode("utf-8", "replace")) for when, data in cut if data]

    def _read(self) -> None:
        ready = select.poll()
        ready.register(self._pipe, select.POLLIN)
        while not self._at_end:
            ready.poll()
            with self._lock:
                self._take()
            if self._total > OUTPUT_LIMIT and not self.flooded:
                self.flooded = True
                self._end(grace=0)

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
            self._moments.append((time.monotonic(), self._total))
            self._kept += data
            self._total += len(data)
            del self._kept[:-OUTPUT_KEPT]

    def end(self, grace: float = 3.0) -> None:
        """End it and everything that it started: SIGTERM, then SIGKILL after `grace` seconds."""
        self._end(grace)
        self.reap()

    def _end(self, grace: float) -> None:
        if self.exit_code() is None:
            end_tree(self.pid, grace=grace)
        else:
            send(below(self), signal.SIGKILL)

    def reap(self) -> None:
        """Once it has been ended: take its exit code, and the last of its output."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(timeout=5)
        self._reader.join(timeout=0.5)
        if self.popen.stdout is not None and self._at_end:
            self.popen.stdout.close()
        self.ended = True
        _not_ended.discard(self.pid)


def below(*these: Process) -> list[int]:
    """Their descendants. The number of one that was waited for may be somebody else's by now."""
    waited_for = [one.pid for one in these if one.popen.returncode is not None]
    return descendants(*(one.pid for one in these), waited_for=waited_for)


def descendants(*pids: int, waited_for: Collection[int] = ()) -> list[int]:
    """Every process below these, and every one of their sessions (forked and orphaned ones included).

    A number of `waited_for` that a process has again is a stranger's: nobody has it as long as its session is
    there.
    """
    parents, sessions = _process_table()
    pids = tuple(pid for pid in pids if pid not in waited_for or pid not in parents)
    children: dict[int, list[int]] = defaultdict(list)
    for child, parent in parents.items():
        children[parent].append(child)
    found = dict.fromkeys(one for one, session in sessions.items() if session in pids and one not in pids)
    queue = [*pids, *found]
    while queue:
        new = [child for child in children[queue.pop()] if child not in found and child not in pids]
        found.update(dict.fromkeys(new))
        queue += new
    return list(found)


def children(pid: int) -> list[int]:
    """The processes that a process's threads have started and that have not been waited for."""
    found: list[int] = []
    for task in _tasks(pid):
        with contextlib.suppress(OSError, ValueError):
            found += map(int, (PROC / str(pid) / "task" / task / "children").read_text().split())
    return found


def left_behind() -> list[int]:
    """As `orphans`, for who looks often: by the kernel's list of children, where it keeps one."""
    if not _adopts:
        return []
    with _starting:  # what is being started is nobody's orphan, and has this process's memory until then
        return [pid for pid in children(os.getpid()) if pid not in _started]


def family(pid: int) -> Iterator[int]:
    """A process, then all below it: the table of processes is read where somebody asks for more than one."""
    yield pid
    yield from descendants(pid)


def _process_table() -> tuple[dict[int, int], dict[int, int]]:
    """Parents and sessions of every process; from /proc, or from ps where there is none."""
    parents, sessions = {}, {}
    with contextlib.suppress(FileNotFoundError), os.scandir(PROC) as entries:
        for one in (int(entry.name) for entry in entries if entry.name.isdigit()):
            with contextlib.suppress(OSError, ValueError, IndexError):
                fields = _stat(one).rpartition(b")")[2].split()
                parents[one], sessions[one] = int(fields[1]), int(fields[3])
    if not parents:
        own, table = _ps("-axo", "pid=,ppid=,sess=")
        rows = (row.split() for row in table.splitlines())
        parents = {int(pid): int(ppid) for pid, ppid, *_ in rows if int(pid) != own}
    return parents, sessions


def parent(pid: int) -> int:
    """The parent of a process; 0 where there is none, or nobody can tell."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(_stat(pid).rpartition(b")")[2].split()[1])
    return 0


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
    return _ps("-o", "stat=", "-p", pid)[1].strip()


def _ps(*words: str) -> tuple[int, str]:
    """Its process id, and what it says."""
    with own_program(["ps", *words], stderr=subprocess.DEVNULL) as run:
        return run.pid, run.communicate()[0]


@contextlib.contextmanager
def own_program(words: list[str], **more: Any) -> Iterator[subprocess.Popen[str]]:
    """A program that is asked something: while it runs, other threads must not take it for an orphan."""
    with _starting:
        run = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, **more)
        _started.add(run.pid)
    try:
        with run:
            try:
                yield run
            except BaseException:
                run.kill()
                raise
    finally:
        with _starting:
            _started.discard(run.pid)


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
            fields = _stat(pid).rpartition(b")")[2].split()
            used += int(fields[11]) + int(fields[12])
    return used


def waits(pid: int) -> int:
    """How often the threads of a process have given up the processor by themselves, to wait for something.

    Where /proc does not say it: as often as one that never runs on, so that nobody takes it for another.
    """
    found = 0
    for task in _tasks(pid):
        with contextlib.suppress(OSError):
            status = (PROC / str(pid) / "task" / task / "status").read_text()
            told = re.search(r"^voluntary_ctxt_switches:\s*(\d+)", status, re.MULTILINE)
            found += int(told[1]) if told else cpu_ticks([pid])
    return found


def orphans() -> list[int]:
    """Processes that this one has adopted: their own parents are gone (see `adopt_orphans`).

    Those in the session of a service that is still to be ended are that service's, and are ended with it.
    """
    if not _adopts:
        return []
    with _starting:
        parents, sessions = _process_table()
        adopted = [pid for pid, parent in parents.items() if parent == os.getpid() and pid not in _started]
        return [pid for pid in adopted if sessions.get(pid) not in _not_ended]


def end_orphans() -> None:
    """End what was left behind, with all that is below it, and reap it: thousands at a time, if need be."""
    for _ in range(ROUNDS):
        pids = orphans()
        if not pids:
            break
        send({*pids, *descendants(*pids)}, signal.SIGKILL)
        for pid in pids:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, 0)


def end_all(these: Iterable[Process]) -> None:
    """End these and all that is below them at once, by SIGKILL, then what they have left behind.

    The table of processes is read once for all of them, and once more at the end.
    """
    left = [one for one in these if not one.ended]
    if not left:
        return
    send([one.pid for one in left if one.exit_code() is None], signal.SIGKILL)
    send(below(*left), signal.SIGKILL)
    for one in left:
        one.reap()
    if not _adopts:
        send(below(*left), signal.SIGKILL)
    end_orphans()


def end_tree(pid: int, grace: float) -> None:
    """End `pid` and its descendants: SIGTERM to the top, SIGKILL to what is left after `grace` seconds."""
    below = descendants(pid)
    send([pid], signal.SIGTERM if grace else signal.SIGKILL)
    await_exit(pid, grace)
    send({pid, *below, *descendants(pid)}, signal.SIGKILL)


def await_exit(pid: int, seconds: float) -> None:
    """Wait until a child has ended, at most so long; it may still have to be reaped."""
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # not Linux, a sandbox that has no such call, or it is gone
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and _running(pid):
            time.sleep(POLL)
        return
    ready = select.poll()
    ready.register(descriptor, select.POLLIN)
    ready.poll(seconds * 1000)
    os.close(descriptor)


def _running(pid: int) -> bool:
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def send(pids: Iterable[int], number: int) -> None:
    """Send a signal to each that is still there."""
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
    global _adopts
    _adopts = True
    _prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_with_parent() -> None:
    """End this process when the thread that forked it ends (Linux; elsewhere nothing)."""
    _prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)
