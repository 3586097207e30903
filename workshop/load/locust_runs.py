"""locust, in an environment of its own: how it is made, and one bounded run of it.

locust needs Flask, gevent and an older pytest. It lives in `.workshop/load-venv` (in Docker: /opt/load), so
that no lab can lean on what came with it.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop import bootstrap, environment
from workshop.errors import InfraError, Refusal
from workshop.judge.stack import Stack
from workshop.labs import Lab
from workshop.paths import SERVICES, STATE
from workshop.run import process, tcp_ports

VENV = STATE / "load-venv"
LOCK = SERVICES / "load" / "requirements.lock"
BUNDLE = STATE / "bundle" / "wheels"
UI_PORT = 8089
STOP_SECONDS = 12
SLACK_SECONDS = 30


def program() -> Path:
    """The locust to run; installed first when it is not there. Raises Refusal when it can't be had."""
    named = os.environ.get("WORKSHOP_LOCUST")
    if named:
        if not Path(named).exists():
            raise Refusal(f"There is no locust at {named} (WORKSHOP_LOCUST).")
        return Path(named)
    ready = VENV / "ready"
    stamp = hashlib.sha256(LOCK.read_bytes()).hexdigest()
    VENV.parent.mkdir(parents=True, exist_ok=True)
    with VENV.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits for the first one's installation
        if not ready.exists() or ready.read_text(encoding="utf-8") != stamp:
            _install()
            ready.write_text(stamp, encoding="utf-8")
    return VENV / "bin" / "locust"


def _install() -> None:
    print("Installing locust beside the course (once; a few seconds with a network) ...", file=sys.stderr)
    uv = shutil.which("uv", path=str(Path(sys.prefix) / "bin")) or shutil.which("uv")
    if uv is None:
        raise Refusal("There is no uv in .venv: `make doctor` says what is missing.")
    wheels = ["--no-index", "--find-links", str(BUNDLE)] if BUNDLE.is_dir() else []
    shutil.rmtree(VENV, ignore_errors=True)
    _step([uv, "venv", "-q", "--python", sys.executable, str(VENV)])
    python = str(VENV / "bin" / "python")
    install = [uv, "pip", "install", "-q", "--python", python, "--require-hashes"]
    _step([*install, *wheels, "-r", str(LOCK)])


def _step(words: list[str]) -> None:
    env = {"UV_HTTP_TIMEOUT": "15", **bootstrap.installing_env(sys.executable)}
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    if done.returncode != 0:
        said = " / ".join(line.strip(" ×├╰─▶") for line in done.stderr.strip().splitlines()[:3])
        asked = bootstrap.asked(env)
        raise Refusal(
            f"locust can't be installed ({said[:200]}; asked: {asked}). A load run needs it once "
            "from the network, or from `make bundle`; everything else works without."
        )


class NoResult(InfraError):
    """locust ended, or had to be ended, before it had written anything down."""


@dataclass(frozen=True)
class Plan:
    """How locust is run: how many users for how many seconds, in how many further processes."""

    users: int
    seconds: int
    workers: int = 0


def run(lab: Lab, stack: Stack, plan: Plan, folder: Path) -> dict[str, Any]:
    """One headless run, to its end; what two_sides.py wrote down. Raises NoResult when it wrote nothing."""
    result = folder / "result.json"
    result.unlink(missing_ok=True)
    longest = plan.seconds + SLACK_SECONDS  # two_sides.py ends it after plan.seconds with all users there
    words = ["--headless", "--only-summary", "--users", str(plan.users), "--run-time", f"{longest}s"]
    words += ["--spawn-rate", str(min(100, plan.users)), "--stop-timeout", str(STOP_SECONDS)]
    env = _environment(stack, plan, folder) | {"FAIR_RESULT": str(result)}
    with _started(lab, words, plan, env, folder) as main:
        deadline = time.monotonic() + longest + STOP_SECONDS + SLACK_SECONDS
        while main.exit_code() is None and time.monotonic() < deadline:
            time.sleep(process.POLL * 5)
        main.drain(1)
        said = main.output()
    try:
        measured: dict[str, Any] = json.loads(result.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        _keep(said)
        last = [line for line in said.strip().splitlines() if line.strip()][-1:]
        raise NoResult(
            f"locust gave no result: {''.join(last)[-200:]} (the rest is in .workshop/reports/locust.log)"
        ) from error
    return measured


def page(lab: Lab, stack: Stack, plan: Plan, folder: Path, say: Callable[[str], None]) -> None:
    """locust's own page, until Ctrl-C."""
    in_container = stack.mode == "docker"
    port = UI_PORT if in_container else _page_port()
    words = ["--web-host", "0.0.0.0" if in_container else "127.0.0.1", "--web-port", str(port)]
    words += ["--users", str(plan.users), "--spawn-rate", str(min(100, plan.users))]
    words += ["--run-time", f"{plan.seconds}s"]
    with _started(lab, words, plan, _environment(stack, plan, folder), folder) as main:
        while main.exit_code() is None and not tcp_ports.is_listening("127.0.0.1", port):
            time.sleep(process.POLL * 5)
        if main.exit_code() is None:
            say(f"locust's page: http://127.0.0.1:{port}   (Ctrl-C ends it)")
        while main.exit_code() is None:
            time.sleep(process.POLL * 10)
        main.drain(1)
        _keep(main.output())
    raise InfraError("locust ended: the reason is in .workshop/reports/locust.log")


def _page_port() -> int:
    for port in range(UI_PORT, UI_PORT + 20):
        if tcp_ports.can_bind("127.0.0.1", port) and not tcp_ports.is_listening("127.0.0.1", port):
            return port
    return tcp_ports.free_port()


@contextmanager
def _started(
    lab: Lab, words: list[str], plan: Plan, env: dict[str, str], folder: Path
) -> Iterator[process.Process]:
    """locust as one process, or as a master with workers; all of them end with the block."""
    base = [str(program()), "--locustfile", str(lab.folder / "locustfile.py"), "--loglevel", "WARNING"]
    if plan.workers:
        port = str(tcp_ports.free_port())
        words = [*words, "--master", "--master-bind-host", "127.0.0.1", "--master-bind-port", port]
        words += ["--expect-workers", str(plan.workers)]
        joining = [*base, "--worker", "--master-host", "127.0.0.1", "--master-port", port]
    running = [process.Process([*base, *words], cwd=folder, env=env)]
    try:
        for _ in range(plan.workers):
            running.append(process.Process(joining, cwd=folder, env=env))
        yield running[0]
    finally:
        for one in running:
            one.end(grace=2)


def _environment(stack: Stack, plan: Plan, folder: Path) -> dict[str, str]:
    """What locust sees: both fronts, the agent's socket, and none of the user's own locust settings."""
    assert stack.front is not None and stack.reference_front is not None
    return {
        **environment.of_program(os.environ),
        "HOME": str(folder),
        "PYTHONPATH": str(SERVICES / "load"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "FAIR_YOURS": stack.front.url,
        "FAIR_REFERENCE": stack.reference_front.url,
        "FAIR_RUN": str(stack.run),
        "FAIR_SECONDS": str(plan.seconds),
    }


def _keep(said: str) -> None:
    reports = STATE / "reports"
    reports.mkdir(parents=True, exist_ok=True)
    (reports / "locust.log").write_text(said, encoding="utf-8")
