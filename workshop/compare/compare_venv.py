"""The environment of the real implementations, `.workshop/compare-venv`: made when it is first needed.

It holds the course's own packages, too, at the course's versions, so that the judge runs in it as well. Two
packages are built from source; where that does not work, the others are compared without them.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import shutil
import subprocess
import sys
from pathlib import Path

from workshop import bootstrap
from workshop.errors import Refusal
from workshop.paths import SERVICES, STATE

VENV = STATE / "compare-venv"
LOCKED = SERVICES / "compare" / "requirements.lock"
BUILT = SERVICES / "compare" / "built.lock"
VERSIONS = (
    "import json, importlib.metadata as m; "
    "print(json.dumps({one.metadata['Name'].lower(): one.version for one in m.distributions()}))"
)


def python() -> Path:
    """Its interpreter; installed first when it is not there. Raises Refusal when it can't be had."""
    ready = VENV / "ready"
    stamp = hashlib.sha256(LOCKED.read_bytes() + BUILT.read_bytes()).hexdigest()
    VENV.parent.mkdir(parents=True, exist_ok=True)
    with VENV.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # a second run waits for the first one's installation
        if not ready.exists() or ready.read_text(encoding="utf-8") != stamp:
            _install()
            ready.write_text(stamp, encoding="utf-8")
    return VENV / "bin" / "python"


def versions() -> dict[str, str]:
    """What is installed, by package; "python" is the interpreter."""
    done = subprocess.run([str(python()), "-c", VERSIONS], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return {**found, "python": platform.python_version()}


def _install() -> None:
    _say("Installing the real implementations beside the course (once; a minute with a network) ...")
    uv = shutil.which("uv", path=str(Path(sys.prefix) / "bin")) or shutil.which("uv")
    if uv is None:
        raise Refusal("There is no uv in .venv: `make doctor` says what is missing.")
    shutil.rmtree(VENV, ignore_errors=True)
    # Compiled here, once: services are started without writing bytecode, and daphne's start takes seconds.
    install = [uv, "pip", "install", "-q", "--compile-bytecode", "--require-hashes"]
    install += ["--python", str(VENV / "bin" / "python")]
    for words in ([uv, "venv", "-q", "--python", sys.executable, str(VENV)], [*install, "-r", str(LOCKED)]):
        if said := _trouble(words):
            raise Refusal(
                f"The real implementations can't be installed ({said}). They are needed once from the "
                "network; ARGS=--recorded shows what they did when it was last recorded, beside yours."
            )
    if said := _trouble([*install, "-r", str(BUILT)]):
        _say(f"uWSGI and bjoern can't be built here ({said}): the others are compared without them.")


def _trouble(words: list[str]) -> str:
    """Why a step failed, and which index it has asked; "" when it did not."""
    env = {"UV_HTTP_TIMEOUT": "15", **bootstrap.installing_env(sys.executable)}
    done = subprocess.run(words, capture_output=True, text=True, env=env, check=False)
    if done.returncode == 0:
        return ""
    said = " / ".join(line.strip(" ×├╰─▶") for line in done.stderr.strip().splitlines()[:3])
    return f"{said[:200]}; asked: {bootstrap.asked(env)}"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
