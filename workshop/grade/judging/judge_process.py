"""The process that judges: the lab's own checks, under pytest, against sandboxes that it only talks to.

`python -m workshop.grade.judging.judge_process FOLDER` reads the checks in a folder once. Each submission is
judged by a fork of it, as many at once as it is asked to. One JSON request a line on standard input, one
reply a line, by the request's number; a check's result is a line in the file `out` as soon as it is known, so
that a run that is cut short has lost nothing. It never sees a file of the submission.
"""

from __future__ import annotations

import contextlib
import gc
import itertools
import json
import os
import queue
import select
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

from workshop.errors import InfraError
from workshop.grade.judging import exchange_log, judge_limits
from workshop.judge import http_wire, patience, plugin
from workshop.judge.stack import SANDBOX
from workshop.judge.verdict import Finding
from workshop.paths import ROOT
from workshop.run import process, unix_to_tcp

READY = -1  # in the place of a request's number: the checks have been read
LOOK = 1.0  # seconds, at most, until somebody sees that the grader is gone
TEXT_CAP = 64 * 1024  # characters of each text in a finding; a report shows fewer
PUBLIC = "http://127.0.0.1:8000"
Line = dict[str, Any]


class Recorder:
    """Writes each check's result to a file, a line each, and what was said on the way beside it."""

    def __init__(self, out: Path, run: plugin.LabRun) -> None:
        self._out, self._run = out, run
        self._transcript = exchange_log.Recorder(transcript_of(out))
        http_wire.observers.append(self._transcript)
        self._began = 0.0
        self._listeners: dict[str, dict[str, str]] = {}

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        with judge_limits.bound_check():
            yield

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._transcript.begin(nodeid.rpartition("::")[2])
        self._began = time.monotonic()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        run, name = self._run, nodeid.rpartition("::")[2]
        result = run.results.get(name)
        if run._stack is not None and run._stack.listeners:
            self._listeners[name] = dict(run._stack.listeners)
            listened_of(self._out).write_text(json.dumps(self._listeners), encoding="utf-8")
        if result is not None:
            with self._out.open("a", encoding="utf-8") as file:
                seconds = round(time.monotonic() - self._began, 3)
                more = {"seconds": seconds, "short": result.name in run.patience.short}
                file.write(json.dumps({**vars(result), "finding": bounded(result.finding), **more}) + "\n")


def bounded(finding: Finding) -> dict[str, Any]:
    """A finding as data, its texts cut: an answer of megabytes may be shown in one."""
    return {
        key: [one[:TEXT_CAP] for one in text] if isinstance(text, list) else text[:TEXT_CAP]
        for key, text in vars(finding).items()
    }


def transcript_of(out: Path) -> Path:
    """Where the transcript of a run stands whose results are in `out`."""
    return out.with_suffix(".transcript")


def listened_of(out: Path) -> Path:
    """Where it stands, for each check, which program had listened for each service when it was over."""
    return out.with_suffix(".listened")


@dataclass
class Run:
    """A submission that a fork judges: the request's number, and when its time is over."""

    number: int
    deadline: float


class Forks:
    """Reads requests, and answers each with a fork of this process and what became of it."""

    def __init__(self, requests: int, answers: IO[bytes]) -> None:
        self._requests, self._answers = requests, answers
        self._running: dict[int, Run] = {}
        self._read = b""

    def say(self, answer: Line) -> None:
        self._answers.write(json.dumps(answer).encode() + b"\n")

    def next(self) -> Line | None:
        """The next request, in a fork that is to judge by it; None, in this process, when all have come."""
        grader = os.getppid()
        gc.freeze()  # what all forks have is no garbage in any of them
        ended, ends = os.pipe()
        for end in (ended, ends):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(ends)
        while os.getppid() == grader:
            ready = select.select([self._requests, ended], [], [], self._patience())[0]
            if ended in ready:
                os.read(ended, 1 << 12)
            self._reap()
            lines = self._lines() if self._requests in ready else []
            if lines is None:
                break
            for request in map(json.loads, lines):
                if self._fork(request):
                    signal.set_wakeup_fd(-1)
                    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                    for end in (ended, ends):
                        os.close(end)
                    asked: Line = request
                    return asked
        for pid in self._running:
            os.kill(pid, signal.SIGKILL)
        return None

    def _patience(self) -> float:
        now = time.monotonic()
        return max(0.0, min([LOOK, *(run.deadline - now for run in self._running.values())]))

    def _lines(self) -> list[bytes] | None:
        """The whole lines that have come; None at the end."""
        data = os.read(self._requests, 1 << 16)
        *lines, self._read = (self._read + data).split(b"\n")
        return lines if data else None

    def _fork(self, request: Line) -> bool:
        """Fork for a request; True in the fork, whose output goes to a log beside the results."""
        judge = os.getpid()
        pid = os.fork()
        if pid:
            self._running[pid] = Run(request["number"], time.monotonic() + request["budget"])
            return False
        process.end_with_parent()  # without it nobody would end this fork, nor hear of it
        if os.getppid() != judge:
            os._exit(70)
        os.setpgid(0, 0)
        said = os.open(f"{request['out']}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor in (1, 2):
            os.dup2(said, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        self._answers.close()
        judge_limits.bound_memory()
        return True

    def _reap(self) -> None:
        """Say what became of the forks that have ended, and end those whose time is over."""
        for pid, run in list(self._running.items()):
            late = time.monotonic() >= run.deadline
            if late:
                os.kill(pid, signal.SIGKILL)
            ended, status, used = os.wait4(pid, 0 if late else os.WNOHANG)
            if not ended:
                continue
            del self._running[pid]
            reply = {
                "number": run.number,
                "code": None if late else os.waitstatus_to_exitcode(status),
                "memory": used.ru_maxrss * 1024,
                "cpu": (used.ru_utime, used.ru_stime),
            }
            self.say(reply)


class Judging:
    """The plug-in: when the checks have been read, forks of this process run them, one a submission."""

    def __init__(self, forks: Forks) -> None:
        self._forks = forks
        self.waited = self.is_fork = False

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool | None:
        request = self.wait()
        if request is None:
            return True
        run = session.config.pluginmanager.get_plugin("workshop-lab-run")
        assert run is not None
        session.config.pluginmanager.register(Recorder(Path(request["out"]), run))
        if request["only"] is not None:
            session.items[:] = [item for item in session.items if item.name in request["only"]]
        run.begin(request["seed"], session.items)
        return None

    def wait(self) -> Line | None:
        """Wait for a request; in the fork that is to answer it the environment says where the sandbox is."""
        self.waited = True
        self._forks.say({"number": READY})
        request = self._forks.next()
        if request is not None:
            self.is_fork = True
            os.environ.update(
                WORKSHOP_STACK=SANDBOX,
                WORKSHOP_RUN=request["wire"],
                WORKSHOP_FRONT=f"http://{http_wire.UNIX}{request['wire']}:{unix_to_tcp.FRONT}",
                WORKSHOP_PUBLIC=PUBLIC,
                **{patience.VARIABLE: request["patience"]},
            )
        return request


def serve(folder: str) -> None:
    """Judge by the checks in a folder until standard input ends, or the grader does.

    Checks that can't be read are said so to each request.
    """
    gc.set_threshold(100_000)  # a fork leaves next to no garbage, and ends soon
    with tempfile.TemporaryFile() as said, os.fdopen(os.dup(1), "wb", buffering=0) as answers:
        for descriptor in (1, 2):
            os.dup2(said.fileno(), descriptor)
        judging = Judging(Forks(0, answers))
        os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
        words = ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", folder]
        words += ["--target=submission", "--all", "--json", "--seed=0", "--capture=no"]
        code = 70
        try:
            code = int(pytest.main(words, plugins=[plugin, judging]))
            if not judging.waited and judging.wait() is not None:
                said.seek(0)
                sys.stderr.write(said.read().decode("utf-8", "replace"))
        except BaseException:
            traceback.print_exc()
        if judging.is_fork:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)


class JudgeProcess:
    """The grader's end of such a process, for any number of threads: judges by the checks in `folder`."""

    def __init__(self, folder: Path) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("WORKSHOP_", "PYTEST_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workshop.grade.judging.judge_process", str(folder)],
            cwd=ROOT,
            env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._asked: dict[int, queue.SimpleQueue[Line | None]] | None = {}
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._hear, daemon=True)
        self._reader.start()

    def judge(
        self,
        wire: Path,
        out: Path,
        seed: int,
        budget: float,
        only: list[str] | None,
        has: patience.Patience,
    ) -> Line:
        """Run the checks; the results are lines in `out`. `budget` is in seconds, for all of them.

        {"code": exit code, or None when it was cut short, "memory": bytes at most, "cpu": seconds}.
        Raises InfraError when the process is gone.
        """
        reply: queue.SimpleQueue[Line | None] = queue.SimpleQueue()
        with self._lock:
            number = next(self._numbers)
            request = {
                "number": number,
                "wire": str(wire),
                "out": str(out),
                "seed": seed,
                "budget": budget,
                "only": only,
                "patience": has.told(),
            }
            try:
                assert self._process.stdin is not None
                if self._asked is None:
                    raise BrokenPipeError
                self._asked[number] = reply
                self._process.stdin.write(json.dumps(request).encode() + b"\n")
                self._process.stdin.flush()
            except (OSError, ValueError) as error:
                raise InfraError("The judge process is gone.") from error
        answer = reply.get()
        if answer is None:
            raise InfraError("The judge process ended in the middle of a run.")
        return answer

    def await_ready(self) -> None:
        """Wait until it has read the checks, or has ended."""
        self._ready.wait()

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """End it, and the forks that it may have."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            for pid in self._forks():
                os.kill(pid, signal.SIGKILL)
            self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()

    def _hear(self) -> None:
        """Give each answer to who waits for it; at the end, say to all who wait that there is none."""
        assert self._process.stdout is not None
        with contextlib.suppress(ValueError):  # half a line: it was ended while it wrote
            for line in self._process.stdout:
                answer: Line = json.loads(line)
                number = answer.pop("number")
                if number == READY:
                    self._ready.set()
                    continue
                with self._lock:
                    assert self._asked is not None
                    reply = self._asked.pop(number)
                reply.put(answer)
        self._ready.set()
        with self._lock:
            left, self._asked = self._asked, None
        for reply in (left or {}).values():
            reply.put(None)

    def _forks(self) -> list[int]:
        path = Path("/proc", str(self._process.pid), "task", str(self._process.pid), "children")
        with contextlib.suppress(OSError):
            return [int(word) for word in path.read_text().split()]
        return []


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve(sys.argv[1])
