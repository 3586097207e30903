"""Sandboxes by bubblewrap: no network, no other process, no file but the system's programs and the tool.

As root each slot has a user id of its own, and a second user namespace inside keeps the submission from
making any more of them; otherwise bubblewrap's own user namespace does both. Memory and processes are held
by cgroups where the kernel lets us, and watched from outside in any case.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path
from typing import IO

from workshop.errors import InfraError
from workshop.grade.sandboxes import cgroup_limits, excluded_packages, system_calls
from workshop.grade.sandboxes.hidden_from_sandbox import KERNEL, fresh_keyring
from workshop.grade.sandboxes.orphaned_processes import strays
from workshop.grade.sandboxes.sandbox import (
    CHECKED,
    DISK,
    MEMORY,
    PROCESSES,
    START_SECONDS,
    Facts,
    Room,
    not_up,
    rlimits,
)
from workshop.grade.sandboxes.sandbox_files import SandboxFiles, nginx_conf
from workshop.grade.sandboxes.sandbox_sockets import SandboxSockets, own_name
from workshop.grade.sandboxes.sandbox_sockets import sweep as sweep_folders
from workshop.grade.sandboxes.user_ids import Users
from workshop.labs import Lab

USER = 1000
WATCH = 0.1
END_SECONDS = 10.0
RESIDENT = re.compile(r"^Rss(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
SHARED_OUT = re.compile(r"^Pss_(?:Anon|Shmem):\s+(\d+) kB$", re.MULTILINE)
SYSTEM = ("bin", "lib", "lib32", "lib64", "sbin")


class Bubblewrap:
    """Starts sandboxes of one lab."""

    name = "bubblewrap"
    room = CHECKED
    one_at_a_time = False

    def __init__(self, lab: Lab) -> None:
        program = shutil.which("bwrap")
        if program is None:
            raise InfraError("bubblewrap is not installed.")
        self.program, self.lab = program, lab
        self.is_root = os.geteuid() == 0
        self._users = Users()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{own_name()}lab-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.sandbox_files = SandboxFiles(lab, self.folder / "sandbox_files")
        self.sandbox_files.write_etc(USER)
        self.nginx_conf = nginx_conf(lab, Path("/tmp"))
        nothing = excluded_packages.Empty(self.folder)
        self.left_out = {str(path): nothing.over(path) for path in excluded_packages.here(lab)}
        self.has_cgroup = self._has_cgroup()
        user = "a user of its own" if self.is_root else "a user namespace"
        limits = "cgroup" if self.has_cgroup else "rlimits and a watch, no cgroup"
        lacks = system_calls.missing()
        self._filter = b"" if lacks else system_calls.program()
        calls = "no list of system calls" if lacks else "system calls by a list"
        self.isolation = f"namespaces (all, no network), {user}, {limits}, {calls}"
        self.gaps = [KERNEL]
        if lacks:
            self.gaps.append(f"every system call is there: a filter needs {lacks}")
        if not self.has_cgroup:
            self.gaps.append("no cgroup: memory and processes are counted from outside, ten times a second")
        if not fresh_keyring():
            self.gaps.append("the session keyring is the grader's")

    def _has_cgroup(self) -> bool:
        try:
            cgroup_limits.Cgroup(f"try-{id(self)}", MEMORY, PROCESSES).close()
        except (OSError, KeyError):
            return False
        return True

    def filter_file(self) -> IO[bytes] | None:
        """The list of system calls, to be read once; None where none can be made."""
        if not self._filter:
            return None
        file = tempfile.TemporaryFile()  # noqa: SIM115  (closed by who starts the sandbox)
        file.write(self._filter)
        file.flush()
        os.lseek(file.fileno(), 0, os.SEEK_SET)
        return file

    def mounted(self) -> list[Path]:
        """The host's folders that every sandbox sees, all that is below them included."""
        return [Path("/usr"), *_system(), *_prefixes(), *(one.source for one in self.sandbox_files.mounts())]

    def start(self, files: Path, slot: int) -> Wrapped:
        sockets = SandboxSockets(self.lab)
        try:
            sockets.lay_conf(self.nginx_conf)
            shutil.copytree(files, sockets.target, dirs_exist_ok=True)
            return Wrapped(self, sockets, slot)
        except BaseException:
            sockets.close()
            raise

    def words(self, sockets: SandboxSockets, slot: int) -> list[str]:
        """The whole command, up to the descriptors."""
        words = [self.program, "--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
        words += ["--unshare-cgroup-try", "--die-with-parent", "--new-session", "--hostname", "sandbox"]
        if self.is_root:
            words += ["--cap-drop", "ALL", "--cap-add", "CAP_SETUID", "--cap-add", "CAP_SETGID"]
        else:
            words += ["--unshare-user", "--disable-userns", "--uid", str(USER), "--gid", str(USER)]
        words += self._files(sockets)
        words += ["--clearenv"]
        more = {"NPROC": self.room.processes} if self.is_root or counts_by_namespace() else {}
        limits = rlimits(NOFILE=self.room.files, **more)
        for key, value in self._environment(limits).items():
            words += ["--setenv", key, value]
        words += ["--chdir", "/workshop"]
        return words

    def _files(self, sockets: SandboxSockets) -> list[str]:
        links: list[str] = []
        binds = {"/usr": Path("/usr"), "/etc": self.sandbox_files.etc}
        for path in (Path("/", name) for name in SYSTEM):
            if path.is_symlink():
                links += ["--symlink", str(path.readlink()), str(path)]
        binds |= {str(one): one for one in (*_system(), *_prefixes())}
        binds |= {mount.inside: mount.source for mount in self.sandbox_files.mounts()}
        binds |= {"/target": sockets.target, "/run/door": sockets.door}
        words = ["--proc", "/proc", "--dev", "/dev"]
        for place in ("/tmp", "/dev/shm"):  # first: a checkout may itself be below /tmp
            words += ["--perms", "1777", "--size", str(DISK), "--tmpfs", place]
        words += links
        parents = {parent for inside in binds for parent in Path(inside).parents} - {Path("/"), Path("/tmp")}
        for parent in sorted(parents):  # those that bubblewrap makes by itself only root could pass through
            if not parent.is_relative_to("/usr"):
                words += ["--perms", "0755", "--dir", str(parent)]
        for inside, source in [*binds.items(), *self.left_out.items()]:
            words += ["--ro-bind", str(source), inside]
        return [*words, "--remount-ro", "/dev", "--remount-ro", "/"]

    @staticmethod
    def _environment(limits: str) -> dict[str, str]:
        return {
            "PATH": f"{sys.prefix}/bin:/usr/bin:/bin:/usr/sbin",
            "HOME": "/tmp",
            "TMPDIR": "/tmp",
            "LANG": "C.UTF-8",
            "PYTHONDONTWRITEBYTECODE": "1",
            "SANDBOX_LIMITS": limits,
        }

    def inner(self, slot: int, seccomp: list[str]) -> list[str]:
        """What runs inside: as root, a change of user first, and a namespace that allows no further ones.

        The list of system calls is for what comes after all that.
        """
        words = [sys.executable, "-m", "workshop.grade.sandboxes.sandbox_init", str(self.lab.number)]
        if not self.is_root:
            return words
        uid = str(self.uid(slot))
        drop = [
            "setpriv",
            "--reuid",
            uid,
            "--regid",
            uid,
            "--clear-groups",
            "--inh-caps=-all",
            "--no-new-privs",
        ]
        again = ["bwrap", "--unshare-user", "--disable-userns", "--uid", str(USER), "--gid", str(USER)]
        return [
            *drop,
            *again,
            "--dev-bind",
            "/",
            "/",
            "--die-with-parent",
            "--chdir",
            "/workshop",
            *seccomp,
            "--",
            *words,
        ]

    def uid(self, slot: int) -> int:
        """The user id that a slot's processes have on the host; no two graders at once share one."""
        return self._users.of(slot) if self.is_root else os.geteuid()

    def sweep(self) -> list[str]:
        return [*sweep_processes(), *cgroup_limits.sweep(), *sweep_folders()]

    def close(self) -> None:
        self._users.close()
        self._remove()


class Wrapped:
    """One sandbox that runs."""

    def __init__(self, engine: Bubblewrap, sockets: SandboxSockets, slot: int) -> None:
        self.wire = sockets.wire
        self._sockets = sockets
        self.facts = Facts()
        self.room = engine.room
        self._group = self._new_group(engine, slot)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed in end)
        info, info_in = os.pipe()
        block_out, block = os.pipe()
        words = [*engine.words(sockets, slot), "--info-fd", str(info_in), "--block-fd", str(block_out)]
        calls = engine.filter_file()
        seccomp = ["--seccomp", str(calls.fileno())] if calls else []
        words += [] if engine.is_root else seccomp
        fresh_keyring()
        try:
            self.popen = subprocess.Popen(
                [*words, "--", *engine.inner(slot, seccomp)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=self._stderr,
                env={},
                pass_fds=(info_in, block_out, *([calls.fileno()] if calls else [])),
                start_new_session=True,
            )
        finally:
            os.close(info_in)
            os.close(block_out)
            if calls is not None:
                calls.close()
        try:
            with os.fdopen(info, "rb") as said:
                self.first = int(json.loads(said.read() or b'{"child-pid": 0}')["child-pid"])
            self._known = Known(self.first)
            if self._group is not None and self.first:
                self._group.add(self.first)
        finally:
            with contextlib.suppress(OSError):
                os.write(block, b"!")
            os.close(block)
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._watched, daemon=True)
        self._watch.start()
        try:
            sockets.complete(START_SECONDS, lambda: self.popen.poll() is None)
        except InfraError as error:
            said_inside = self._said()
            raise not_up(engine.lab, self.end(), error, said_inside) from error

    @staticmethod
    def _new_group(engine: Bubblewrap, slot: int) -> cgroup_limits.Cgroup | None:
        if not engine.has_cgroup:
            return None
        return cgroup_limits.Cgroup(f"{slot}-{time.monotonic_ns()}", MEMORY, engine.room.processes)

    def _said(self) -> str:
        self._stderr.seek(0)
        return self._stderr.read(2000).decode("utf-8", "replace").strip()[-300:]

    def _watched(self) -> None:
        """Look at all processes together; too many of them, or too much memory, ends the sandbox."""
        while not self._over.wait(WATCH):
            if note_use(self.facts, self.room, family(self._known.there())):
                self._kill()
                return

    def _kill(self) -> None:
        """End the first process inside: the kernel ends the others of its namespace, bubblewrap follows."""
        if self._group is not None:
            self._group.unleash()
        if not self.first:
            self.popen.kill()
        with contextlib.suppress(ProcessLookupError):
            if first := self._known.there():
                os.kill(first, signal.SIGKILL)

    def end(self) -> Facts:
        self._over.set()
        self._watch.join()
        code = self.popen.poll()
        if self._group is not None and self._group.out_of_memory():
            self.facts.limits = sorted({*self.facts.limits, "memory"})
        if code is not None and not self.facts.limits:
            self.facts.ended = f"exit code {code}" if code >= 0 else f"signal {-code}"
            self.facts.taken = code < 0  # this process of bubblewrap's is outside
        if code is None:
            self.facts.cpu = processor_time(self._known.there())
        self._kill()
        try:
            self.popen.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            self.facts.ended = "it did not end when it was killed"
        if self._group is not None:
            self._group.close()
        self._stderr.close()
        self._sockets.close()
        return self.facts


def _system() -> list[Path]:
    """The folders of programs that are no links into /usr."""
    found = (Path("/", name) for name in SYSTEM)
    return [one for one in found if one.exists() and not one.is_symlink()]


def _prefixes() -> list[Path]:
    """Python's own folders outside of /usr.

    A venv's programs name it by its real path, whatever link led here.
    """
    found = map(Path, (sys.base_prefix, str(Path(sys.prefix).resolve()), sys.prefix))
    return [one for one in found if not one.is_relative_to("/usr")]


def sweep_processes() -> list[str]:
    """End what graders that are gone have left of bubblewrap; the kernel ends what is inside."""
    swept = []
    for path in strays("cmdline"):
        with contextlib.suppress(OSError):
            if (path / "exe").readlink().name == "bwrap":
                os.kill(int(path.name), signal.SIGKILL)
                swept.append(f"process {path.name}")
    return swept


def counts_by_namespace() -> bool:
    """Whether RLIMIT_NPROC counts a user namespace, and not all that a user has: Linux from 5.14 on."""
    major, minor = map(int, re.findall(r"\d+", os.uname().release)[:2])
    return (major, minor) >= (5, 14)


# --- what the kernel knows ----------------------------------------------------------------------------


def family(pid: int) -> list[int]:
    """A process and all below it."""
    found, queue = [], [pid] if pid else []
    while queue:
        one = queue.pop()
        found.append(one)
        with contextlib.suppress(OSError):
            for task in Path("/proc", str(one), "task").iterdir():
                with contextlib.suppress(OSError):
                    queue += map(int, (task / "children").read_text().split())
    return found


class Known:
    """A process that others wait for: its number comes around again, and may be anybody's then."""

    def __init__(self, pid: int) -> None:
        self._pid, self._began = pid, began(pid)

    def there(self) -> int:
        """Its number, as long as it is still that process; 0 afterwards."""
        return self._pid if self._began and began(self._pid) == self._began else 0


def began(pid: int) -> str:
    """When a process began, in clock ticks since the machine did; "" when there is none."""
    with contextlib.suppress(OSError, IndexError):
        return Path("/proc", str(pid), "stat").read_text(errors="replace").rpartition(")")[2].split()[19]
    return ""


def note_use(facts: Facts, room: Room, pids: list[int]) -> bool:
    """Note how much processes use, and what they have too much of; whether they have."""
    if len(pids) > room.most:  # the memory of so many takes a while to add up
        facts.limits.append("processes")
        return True
    used = memory_of(pids)
    facts.memory = max(facts.memory, used)
    facts.limits += ["memory"] if used > MEMORY else []
    return used > MEMORY


def memory_of(pids: list[int]) -> int:
    """Bytes of memory that processes have for themselves, or share with each other and no file.

    What forked processes still share counts once for each of them, which is quick to know and never too
    little; only when that is over the limit is it shared out among them.
    """
    at_most = sum(map(_resident, pids))
    return at_most if at_most <= MEMORY else sum(map(_shared_out, pids))


def _resident(pid: int) -> int:
    return _bytes_in(pid, "status", RESIDENT)


def _shared_out(pid: int) -> int:
    """All of what it has, where the kernel does not say its share: to another user, or an old kernel."""
    return _bytes_in(pid, "smaps_rollup", SHARED_OUT) or _resident(pid)


def _bytes_in(pid: int, name: str, sizes: re.Pattern[str]) -> int:
    try:
        text = Path("/proc", str(pid), name).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    return sum(map(int, sizes.findall(text))) << 10


def processor_time(pid: int) -> float:
    """Seconds that a process, all below it, and all that these have waited for have used."""
    ticks = 0
    for one in family(pid):
        with contextlib.suppress(OSError, ValueError, IndexError):
            fields = Path("/proc", str(one), "stat").read_text().rpartition(")")[2].split()
            ticks += sum(map(int, fields[11:15]))
    return ticks / os.sysconf("SC_CLK_TCK")
