"""The process that judges: the lab's own checks, under pytest, against a sandbox that it only talks to.

`python -m workshop.grade.judging.judge_process` imports pytest once and forks for every submission. One JSON
request a line on standard input, one reply a line; a check's result is a line in the file `out` as soon as it
is known, so that a run that is cut short has lost nothing. It never sees a file of the submission.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from workshop.errors import InfraError
from workshop.grade.judging import exchange_log, judge_limits
from workshop.judge import http_wire, patience, plugin
from workshop.judge.stack import SANDBOX
from workshop.judge.verdict import Finding
from workshop.paths import ROOT
from workshop.run import unix_to_tcp

POLL = 0.01
TEXT_CAP = 64 * 1024  # characters of each text in a finding; a report shows fewer
PUBLIC = "http://127.0.0.1:8000"
Line = dict[str, Any]


class Recorder:
    """Writes each check's result to a file, a line each; leaves out the checks that were not asked for."""

    def __init__(self, out: Path, only: list[str] | None) -> None:
        self._out, self._only = out, only
        self._transcript = exchange_log.Recorder(transcript_of(out))
        http_wire.observers.append(self._transcript)
        self._config: pytest.Config | None = None
        self._began = 0.0

    def pytest_configure(self, config: pytest.Config) -> None:
        self._config = config

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        if self._only is not None:
            items[:] = [item for item in items if item.name in self._only]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self) -> Iterator[None]:
        with judge_limits.bound_check():
            yield

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._transcript.begin(nodeid.rpartition("::")[2])
        self._began = time.monotonic()

    @pytest.hookimpl(trylast=True)
    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        assert self._config is not None
        run = self._config.pluginmanager.get_plugin("workshop-lab-run")
        result = run.results.get(nodeid.rpartition("::")[2]) if run is not None else None
        if run is not None and run._stack is not None and run._stack.listeners:
            listened_of(self._out).write_text(json.dumps(run._stack.listeners), encoding="utf-8")
        if run is not None and result is not None:
            with self._out.open("a", encoding="utf-8") as file:
                seconds = round(time.monotonic() - self._began, 3)
                more = {"seconds": seconds, "short": result.name in run.patience.short}
                file.write(json.dumps({**asdict(result), "finding": bounded(result.finding), **more}) + "\n")


def bounded(finding: Finding) -> dict[str, Any]:
    """A finding as data, its texts cut: an answer of megabytes may be shown in one."""
    found = asdict(finding)
    return {
        key: [one[:TEXT_CAP] for one in text] if isinstance(text, list) else text[:TEXT_CAP]
        for key, text in found.items()
    }


def transcript_of(out: Path) -> Path:
    """Where the transcript of a run stands whose results are in `out`."""
    return out.with_suffix(".transcript")


def listened_of(out: Path) -> Path:
    """Where it stands which program listened for each service."""
    return out.with_suffix(".listened")


def judge(request: Line) -> int:
    """In the fork: run the checks of one folder against one sandbox."""
    folder, out = request["folder"], Path(request["out"])
    sys.dont_write_bytecode = False  # the next fork need not compile again
    sys.pycache_prefix = f"{folder}.compiled"
    os.environ.update(
        WORKSHOP_STACK=SANDBOX,
        WORKSHOP_RUN=request["wire"],
        WORKSHOP_FRONT=f"http://{http_wire.UNIX}{request['wire']}:{unix_to_tcp.FRONT}",
        WORKSHOP_PUBLIC=PUBLIC,
        PYTEST_DISABLE_PLUGIN_AUTOLOAD="1",
        **{patience.VARIABLE: json.dumps(request["patience"])},
    )
    words = ["-c", str(ROOT / "pyproject.toml"), f"--rootdir={folder}", folder]
    words += ["--target=submission", "--all", "--json", "--seed", str(request["seed"])]
    return int(pytest.main(words, plugins=[plugin, Recorder(out, request["only"])]))


def run_in_fork(request: Line, grader: int) -> Line:
    """{"code": exit code, or null when it was cut short, "memory": bytes at most}.

    That is when the time is over, or `grader`, our parent, is gone.
    """
    pid = os.fork()
    if pid == 0:
        os.setpgid(0, 0)
        said = os.open(f"{request['out']}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        for descriptor in (1, 2):
            os.dup2(said, descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        code = 70
        try:
            judge_limits.bound_memory()
            code = judge(request)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    deadline = time.monotonic() + request["budget"]
    while time.monotonic() < deadline and os.getppid() == grader:
        ended, status, used = os.wait4(pid, os.WNOHANG)
        if ended:
            return {
                "code": os.waitstatus_to_exitcode(status),
                "memory": used.ru_maxrss * 1024,
                "cpu": (used.ru_utime, used.ru_stime),
            }
        time.sleep(POLL)
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    _, _, used = os.wait4(pid, 0)
    return {"code": None, "memory": used.ru_maxrss * 1024}


def serve() -> None:
    """Answer requests until standard input ends, or the grader does."""
    grader = os.getppid()
    gc.freeze()  # what all forks have is no garbage in any of them
    for line in sys.stdin:
        reply = run_in_fork(json.loads(line), grader)
        if os.getppid() != grader:
            return
        print(json.dumps(reply), flush=True)


class JudgeProcess:
    """The grader's end of one such process."""

    def __init__(self) -> None:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("WORKSHOP_", "PYTEST_"))}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "workshop.grade.judging.judge_process"],
            cwd=ROOT,
            env={**env, "PYTHONDONTWRITEBYTECODE": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._lock = threading.Lock()

    def judge(
        self,
        folder: Path,
        wire: Path,
        out: Path,
        seed: int,
        budget: float,
        only: list[str] | None,
        usual: Mapping[str, float],
    ) -> Line:
        """Run the checks; the results are lines in `out`. `budget` is in seconds, `usual` the solution's.

        Raises InfraError when the process is gone.
        """
        request = {
            "folder": str(folder),
            "wire": str(wire),
            "out": str(out),
            "seed": seed,
            "budget": budget,
            "only": only,
            "patience": {"usual": dict(usual), "again": only is not None},
        }
        with self._lock:
            assert self._process.stdin is not None and self._process.stdout is not None
            try:
                self._process.stdin.write(json.dumps(request) + "\n")
                self._process.stdin.flush()
                line = self._process.stdout.readline()
            except (OSError, ValueError) as error:
                raise InfraError("The judge process is gone.") from error
        if not line:
            raise InfraError("The judge process ended in the middle of a run.")
        reply: Line = json.loads(line)
        return reply

    def is_alive(self) -> bool:
        return self._process.poll() is None

    def end(self) -> None:
        """End it, and the fork that it may have."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            for pid in self._forks():
                os.kill(pid, signal.SIGKILL)
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.close()

    def _forks(self) -> list[int]:
        path = Path("/proc", str(self._process.pid), "task", str(self._process.pid), "children")
        with contextlib.suppress(OSError):
            return [int(word) for word in path.read_text().split()]
        return []


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        serve()
