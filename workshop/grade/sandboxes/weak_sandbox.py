"""A weak sandbox: another user where we are root, limits, and a session. No namespace: the network is open.

It is for machines that allow nothing better, and used only when asked for. One submission at a time: there
is no other to be met on the network. As root each has a user id of its own, which reaches what everybody may
read and nothing else, and everything of that user is ended and removed afterwards. Otherwise it is the
grader's own user, and can do to the grader whatever that user can.
"""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from pathlib import Path

from workshop.errors import EXIT_INFRA, InfraError, Refusal
from workshop.grade.sandboxes.bubblewrap import family, note_use, processor_time
from workshop.grade.sandboxes.hidden_from_sandbox import KERNEL, fresh_keyring
from workshop.grade.sandboxes.sandbox import CHECKED, START_SECONDS, Facts, not_up, rlimits
from workshop.grade.sandboxes.sandbox_files import SandboxFiles, nginx_conf
from workshop.grade.sandboxes.sandbox_sockets import PREFIX, SandboxSockets, is_gone, own_name, owned
from workshop.grade.sandboxes.sandbox_sockets import sweep as sweep_folders
from workshop.grade.sandboxes.user_leftovers import (
    END_SECONDS,
    as_user,
    clear,
    clear_strays,
    clear_unheld,
    is_ours,
    marked,
    pids_of,
    take_user,
    tasks_of,
)
from workshop.labs import Lab
from workshop.run import nginx_config, process, tcp_ports

CPU_SECONDS = 900  # of each process
WATCH = 0.1
TRIES = 3  # ports that were free may be taken by the time that they are needed
WINDOW = range(20000, 30000)


class Weak:
    """Starts one sandbox after the other."""

    name = "weak"
    room = CHECKED
    one_at_a_time = True

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.is_root = os.geteuid() == 0
        self.turn = threading.Lock()
        self.folder = Path(tempfile.mkdtemp(prefix=f"{own_name()}lab-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.folder.chmod(0o755)
        self.root = self.folder / "workshop"
        sandbox_files = SandboxFiles(lab, self.folder / "sandbox_files")
        ignore = shutil.ignore_patterns("*.pyc.*")  # drafts: another process compiles what it imports
        for mount in sandbox_files.mounts():
            place = self.root / mount.inside.removeprefix("/workshop/")
            shutil.copytree(mount.source, place, ignore=ignore)
        open_up(self.root)
        user = "a user of its own" if self.is_root else "the grader's own user"
        self.isolation = f"weak: {user}, rlimits; no namespaces, the network is open"
        self.gaps = not_promised(lab, self.is_root)
        if self.is_root:
            self._try()

    def _try(self) -> None:
        """See that another user can run the tool at all. Raises Refusal when it can't."""
        words = [sys.executable, "-c", "import workshop.grade.sandboxes.sandbox_init"]
        uid, held = take_user()
        try:
            done = subprocess.run(
                words,
                cwd=self.root,
                env=environment(self.folder, {}),
                capture_output=True,
                text=True,
                check=False,
                **as_user(uid),
            )
            said = done.stderr.strip()[-200:] if done.returncode else ""
        except OSError as error:
            said = str(error)
        finally:
            held.close()
        if said:
            self.close()
            raise Refusal(
                f"Another user can't run the workshop here ({said}): {sys.prefix} and {self.folder.parent} "
                "must be readable by all. Copy the workshop to a folder that is.",
                EXIT_INFRA,
            )

    def start(self, files: Path, slot: int) -> WeakSandbox:
        self.turn.acquire()
        try:
            for again in reversed(range(TRIES)):
                try:
                    return self._start(files)
                except InfraError:
                    if not again:
                        raise
            raise AssertionError("unreachable")
        except BaseException:
            self.turn.release()
            raise

    def _start(self, files: Path) -> WeakSandbox:
        sockets = SandboxSockets(self.lab)
        try:
            shutil.copytree(files, sockets.target, dirs_exist_ok=True)
            return WeakSandbox(self, sockets)
        except BaseException:
            sockets.close()
            raise

    def take_user(self) -> tuple[int, socket.socket | None]:
        """A user id for a sandbox, and what holds it; the grader's own where there is no choice."""
        return take_user() if self.is_root else (os.geteuid(), None)

    def sweep(self) -> list[str]:
        """End and remove what graders that are gone left behind."""
        clear_strays()
        for folder, owner in owned(Path(tempfile.gettempdir()).glob(f"{PREFIX}*")):
            with contextlib.suppress(OSError):  # another grader sweeps, too
                uid = (folder / "tmp").stat().st_uid
                if self.is_root and is_gone(owner) and is_ours(uid):
                    clear_unheld(uid)
        return sweep_folders()

    def close(self) -> None:
        self._remove()


class WeakSandbox:
    """One sandbox that runs."""

    def __init__(self, engine: Weak, sockets: SandboxSockets) -> None:
        self.wire = sockets.wire
        self._engine, self._sockets = engine, sockets
        self.facts = Facts()
        self.uid, self._held = engine.take_user()
        tmp = sockets.folder / "tmp"
        tmp.mkdir(mode=0o700)
        if engine.is_root:
            os.chown(tmp, self.uid, self.uid)
            sockets.folder.chmod(0o711)
            sockets.wire.chmod(0o700)
            sockets.door.chmod(0o755)
            open_up(sockets.target)
            os.chown(sockets.target, -1, self.uid)  # and nobody else's, of another grader's submissions
            sockets.target.chmod(0o750)
        self._stderr = tempfile.TemporaryFile()  # noqa: SIM115  (closed in end)
        ports = [port for port in sockets.ports if port > 1]
        shift = free_shift(ports)
        self._ports = [port + shift for port in ports]
        sockets.lay_conf(nginx_conf(engine.lab, tmp, shift))
        tasks = tasks_of(self.uid) + CHECKED.processes
        at = {
            "SANDBOX_TARGET": str(sockets.target),
            "SANDBOX_DOOR": str(sockets.door / "sock"),
            "SANDBOX_SHIFT": str(shift),
            "SANDBOX_LIMITS": rlimits(NPROC=tasks, CPU=CPU_SECONDS, MSGQUEUE=0),
        }
        fresh_keyring()
        self.popen = subprocess.Popen(
            [sys.executable, "-m", "workshop.grade.sandboxes.sandbox_init", str(engine.lab.number)],
            cwd=engine.root,
            env=environment(tmp, at),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._stderr,
            start_new_session=True,
            umask=0o077,
            **(as_user(self.uid) if engine.is_root else {}),
        )
        self._over = threading.Event()
        self._watch = threading.Thread(target=self._watched, daemon=True)
        self._watch.start()
        try:
            sockets.complete(START_SECONDS, lambda: self.popen.poll() is None)
        except InfraError as error:
            self._stderr.seek(0)
            said = self._stderr.read(2000).decode("utf-8", "replace").strip()[-300:]
            raise not_up(engine.lab, self._end(), error, said) from error

    def _watched(self) -> None:
        """Too much memory, or too many processes, end the sandbox; so does the end of its first process."""
        while not self._over.wait(WATCH):
            if note_use(self.facts, CHECKED, self._family()) or self.popen.poll() is not None:
                with contextlib.suppress(InfraError):  # `end` tries again, and says so
                    self._kill()
                return

    def _family(self) -> list[int]:
        """Its processes; none once the first has been waited for, whose number may be anybody's then."""
        return family(self.popen.pid) if self.popen.poll() is None else []

    def _kill(self) -> None:
        if self._engine.is_root:
            clear(self.uid)
            return
        mark = str(self._sockets.folder).encode()
        deadline = time.monotonic() + END_SECONDS
        while left := {*self._family(), *marked(mark)} - set(process.zombies(pids_of(self.uid))):
            for pid in left:
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            self.popen.poll()
            if time.monotonic() > deadline:
                self.facts.ended = "it did not end when it was killed"
                return
            time.sleep(process.POLL)

    def end(self) -> Facts:
        try:
            return self._end()
        finally:
            self._engine.turn.release()

    def _end(self) -> Facts:
        self._over.set()
        self._watch.join()
        code = self.popen.poll()
        if code is None:
            self.facts.cpu = processor_time(self.popen.pid)
        elif not self.facts.limits:
            self.facts.ended = f"exit code {code}" if code >= 0 else f"signal {-code}"
        try:
            self._kill()
            self.popen.wait(END_SECONDS)
        finally:
            self._stderr.close()
            self._sockets.close()
            if self._held:
                self._held.close()
            tcp_ports.release(*self._ports)
        return self.facts


def not_promised(lab: Lab, is_root: bool) -> list[str]:
    """What a submission of a lab can do, in words for its result; each has hostile programs that do it."""
    found = [
        KERNEL,
        "the network is open, and every service of this machine's can be reached",
        "files that all users of this machine may read can be read",
        "files are limited in size, not in number, and can be written where all users may write",
        "every system call is there, and the machine's processes can be seen",
        "memory and processes are counted from outside, ten times a second",
    ]
    if not nginx_config.is_own(lab):
        found.append("nginx's configuration can be changed")
    if lab.without:
        found.append(f"{', '.join(lab.without)}, which the lab leaves out, are there")
    if not fresh_keyring():
        found.append("the session keyring is the grader's")
    if not is_root:
        found.append("it runs as the grader's own user, and can read and change all that is the grader's")
    return found


def warning(exposed: list[Path]) -> str:
    """What the weak sandbox does not hold back. `exposed` are folders that every user here can read."""
    words = (
        "WEAK ISOLATION: submissions can use this machine's network, reach whatever listens on it, "
        "and read every file that all users may read."
    )
    if os.geteuid() != 0:
        return (
            f"{words} You are not root: they run as you, and can read and CHANGE ALL YOUR FILES, results too."
        )
    if exposed:
        words += f" These are open to them, until you chmod 700 them: {', '.join(map(str, exposed))}."
    return words


def guard(hidden: Path) -> None:
    """See that no submission can read the hidden checks. Raises Refusal when one could."""
    if os.geteuid() != 0:
        raise Refusal(
            "Hidden checks can't be hidden by the weak sandbox unless you are root: "
            "install bubblewrap or Docker, or grade as root.",
            EXIT_INFRA,
        )
    if is_open(hidden):
        raise Refusal(f"All users of this machine can read {hidden}: chmod 700 it.", EXIT_INFRA)


def open_up(folder: Path) -> None:
    """Let every user read a folder of ours, whatever the umask was."""
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)


def is_open(path: Path) -> bool:
    """Whether every user of this machine can read a file or folder."""
    path = path.resolve()
    try:
        reaches = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
        mode = path.stat().st_mode
    except OSError:
        return False
    return reaches and bool(mode & (stat.S_IXOTH if path.is_dir() else stat.S_IROTH))


def environment(tmp: Path, more: dict[str, str]) -> dict[str, str]:
    """All that a sandbox's first process has for an environment."""
    return {
        "PATH": f"{sys.prefix}/bin:/usr/bin:/bin:/usr/sbin",
        "HOME": str(tmp),
        "TMPDIR": str(tmp),
        "LANG": "C.UTF-8",
        "PYTHONDONTWRITEBYTECODE": "1",
        **more,
    }


def free_shift(ports: list[int]) -> int:
    """What to add to ports so that all of them are free on this host; they are reserved then."""
    for _ in range(200):
        shift = random.choice(WINDOW) - min(ports)
        shifted = [port + shift for port in ports]
        if tcp_ports.reserve_free("127.0.0.1", shifted):
            return shift
    raise InfraError(f"There are no {len(ports)} free ports from {WINDOW.start} to {WINDOW.stop}.")
