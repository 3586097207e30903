"""nginx as the agent has it: files written, checked, and run. In Docker a container of its own runs it."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from workshop import environment
from workshop.labs import Lab
from workshop.run import nginx_config, nginx_log, process, tcp_ports

PATIENCE = 10.0  # seconds for a container to see that there is another configuration
ERRORS_KEPT = 16 << 10  # bytes
TEST_SECONDS = 10.0  # for `nginx -t`: a configuration can make it wait, for a name or a file
LISTEN_SECONDS = 10.0  # until an nginx that runs listens, or never will


class NginxProcess:
    """The nginx of one stack: a process, or two where each side of a load run writes its own configuration.

    `program` is "" where a container runs it. `refused` is what `nginx -t` has against a configuration that
    was handed in, in one line, and "" when there is nothing. With `record` it logs each request, with `page`
    it shows the lab page. `written` is where what it reads stands already, for nobody to change.
    """

    def __init__(
        self,
        lab: Lab,
        fronts: list[nginx_config.Front],
        host: str,
        run: Path,
        tmp: Path,
        program: str,
        record: bool = False,
        page: bool = False,
        written: Path | None = None,
    ) -> None:
        self.written = written
        self.lab, self.fronts, self.host = lab, fronts, host
        self.run, self.tmp, self.program = run, tmp, program
        self.serial = 0
        self.refused = ""
        self.running: list[process.Process] = []
        self.moves = False  # to another port, where somebody else has its own
        self.log = nginx_log.NginxLog(run) if record else None
        self.page = page
        self.main: dict[
            str, str
        ] = {}  # the files that nginx is started with, where somebody has rendered them
        self._lock = threading.RLock()

    def write(self) -> None:
        """Write what nginx reads: the files of the target as they are now; the main file comes last."""
        if self.written is not None:
            return
        log = self.run / nginx_log.SOCKET if self.log is not None else None
        with self._lock:
            where = (self.lab, self.fronts, self.host, self.run)
            main = self.main or nginx_config.main_files(*where, self.tmp, log, self.page)
            found = main | nginx_config.own_files(*where)
            for name in sorted(found, key=lambda name: name in nginx_config.MAIN):
                write_whole(self.run / name, found[name])
            if nginx_config.is_own(self.lab):
                self.serial += 1
                write_whole(self.run / "serial", str(self.serial))

    def open(self) -> None:
        """Start it, where it is ours to start, and does not run. Who asks for it meanwhile waits."""
        with self._lock:
            for conf in nginx_config.MAIN if self.program and not self.running else ():
                path = (self.written or self.run) / conf
                if path.exists() and not (nginx_config.is_own(self.lab) and self._is_refused(path)):
                    words = [self.program, "-e", "stderr", "-c", str(path), "-g", "daemon off;"]
                    self.running.append(
                        process.Process(words, cwd=self.run, env=environment.of_program(os.environ))
                    )

    def _is_refused(self, path: Path) -> bool:
        words = [self.program, "-t", "-q", "-e", "stderr", "-c", str(path)]
        env = environment.of_program(os.environ)
        try:
            with process.own_program(
                words, cwd=self.run, env=env, stderr=subprocess.PIPE, errors="replace"
            ) as tried:
                said = tried.communicate(timeout=TEST_SECONDS)[1]
        except subprocess.TimeoutExpired:
            self.refused = f"{self.lab.nginx['file']}: `nginx -t` did not end within {TEST_SECONDS:g} s"
            return True
        if tried.returncode:
            self.refused = nginx_config.complaint(said, self.run)
        return bool(tried.returncode)

    def _see_that_it_listens(self) -> None:
        """A lab's own configuration may be accepted, and listen elsewhere than it is asked for."""
        if self.refused or not nginx_config.is_own(self.lab):
            return
        for front, one in zip(self.fronts, self.running, strict=False):
            host, _, port = front.listen.rpartition(":")
            if one.exit_code() is not None:
                one.drain(0.5)
                self.refused = nginx_config.complaint(one.output(), self.run)
                return
            if tcp_ports.is_listening(host, int(port)):
                continue
            # It listens before it has any worker.
            waited = time.monotonic() - one.started > LISTEN_SECONDS or process.descendants(one.pid)
            if waited and not tcp_ports.is_listening(host, int(port)):
                file = self.lab.nginx["file"]
                self.refused = f"{file}: nginx runs with it, and does not listen on @listen@"

    def renew(self) -> None:
        """Begin anew with the files as they are now; returns when the new ones are in force, or refused."""
        if nginx_config.is_own(self.lab):
            self.follow()

    def follow(self) -> None:
        """Begin anew: a file or a port is another one."""
        with self._lock:
            self.close()
            self.write()
            self.open()

    def is_ready(self) -> bool:
        """Whether an nginx of ours listens on every front's port. Where somebody else does, it may move."""
        with self._lock:
            owners = [self._owner(front.port) for front in self.fronts]
            if tcp_ports.Owner.OTHER in owners and self.moves:
                for front, owner in zip(self.fronts, owners, strict=True):
                    if owner is tcp_ports.Owner.OTHER:
                        front.listen = f"127.0.0.1:{tcp_ports.free_port()}"
                self.follow()
            return all(owner is tcp_ports.Owner.OURS for owner in owners)

    def _owner(self, port: int) -> tcp_ports.Owner:
        """Whose the port is. As a rule nginx's first process has its socket: then no other need be found."""
        pids = [one.pid for one in self.running if one.exit_code() is None]
        found = tcp_ports.owner("127.0.0.1", port, pids)
        if found is not tcp_ports.Owner.OTHER:
            return found
        return tcp_ports.owner("127.0.0.1", port, [*pids, *process.descendants(*pids)])

    def status(self, since: int = 0) -> dict[str, Any]:
        """Its exit code (null: it runs, or a container does), what it said, what it refused, and where it is.

        `ready`: whether it listens; null where a container runs it. `errors` is what it has logged as errors
        after the mark `since`, and `mark` where that ends.
        """
        if not self.program and nginx_config.is_own(self.lab):
            self.refused = self._said_in_container()
        with (
            self._lock
        ):  # while another thread begins anew, the one before has been ended, and listens nowhere
            ready = self.is_ready() if self.program and not self.refused else None
            self._see_that_it_listens()
            ended = [one for one in self.running if one.exit_code() is not None]
            for one in ended:
                one.drain(0.5)
            return {
                "code": ended[0].exit_code() if ended else None,
                "output": ended[0].output().strip()[-400:] if ended else "",
                "refused": self.refused,
                "ready": ready,
                "ports": {front.name: front.port for front in self.fronts},
                **self._logged(since),
            }

    def _logged(self, since: int) -> dict[str, Any]:
        """The end of nginx's own log of errors, which both modes have in the run's folder."""
        try:
            with (self.run / nginx_config.ERRORS).open("rb") as log:
                end = log.seek(0, os.SEEK_END)
                log.seek(max(since, end - ERRORS_KEPT))
                return {"errors": log.read(ERRORS_KEPT).decode("utf-8", "replace"), "mark": end}
        except OSError:
            return {"errors": "", "mark": 0}

    def _said_in_container(self) -> str:
        """What the container's `nginx -t` said of the files with this serial, once it has said something."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            try:
                serial, _, said = (self.run / "nginx.said").read_text(encoding="utf-8").partition("\n")
            except OSError:
                serial, said = "", ""
            if serial == str(self.serial):
                return nginx_config.complaint(said, self.run) if said.strip() else ""
            time.sleep(process.POLL)
        return ""

    def close(self) -> None:
        with self._lock:
            process.end_all(self.running)
            self.running.clear()
            self.refused = ""


def clear(run: Path) -> None:
    """Take away what an earlier agent left in the folder."""
    for name in (*nginx_config.MAIN, nginx_config.ERRORS, "serial", "nginx.said"):
        (run / name).unlink(missing_ok=True)


def write_whole(path: Path, text: str) -> None:
    """Write a file so that nobody sees half of it."""
    path.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as draft:
        draft.write(text)
    Path(draft.name).chmod(0o644)
    Path(draft.name).rename(path)
