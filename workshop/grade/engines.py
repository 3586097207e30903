"""Which sandbox a class is graded in: the strongest that this machine has, and never a weak one unasked."""

from __future__ import annotations

import shutil
import subprocess

from workshop.errors import EXIT_INFRA, Refusal
from workshop.grade import docker
from workshop.grade.bubblewrap import Bubblewrap
from workshop.grade.sandbox import Engine
from workshop.labs import Lab

TRY_SECONDS = 10.0


def bubblewrap_trouble() -> str:
    """Why bubblewrap can't be used here; "" when it can."""
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed (apt install bubblewrap)"
    words = [program, "--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "true"]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=TRY_SECONDS, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not start ({error})"
    return f"bubblewrap does not start ({done.stderr.strip()[-200:]})" if done.returncode else ""


def available() -> list[tuple[str, str]]:
    """The engines that there can be, strongest first for its cost, each with its trouble ("" for none)."""
    return [("bubblewrap", bubblewrap_trouble()), ("docker", docker.trouble())]


def choose(lab: Lab, wanted: str = "auto", runtime: str = "") -> Engine:
    """An engine for a lab's sandboxes. Raises Refusal, with what to install, when there is none."""
    troubles = []
    for name, trouble in available():
        if wanted not in ("auto", name):
            continue
        if not trouble:
            return Bubblewrap(lab) if name == "bubblewrap" else docker.Docker(lab, runtime)
        troubles.append(trouble)
    raise Refusal(
        f"There is no sandbox for other people's code here: {'; '.join(troubles) or 'none was asked for'}. "
        "Install bubblewrap or Docker.",
        EXIT_INFRA,
    )
