"""Which sandbox a class is graded in: the strongest that this machine has, and never a weak one unasked."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from workshop.errors import EXIT_INFRA, Refusal
from workshop.grade.sandboxes import docker, weak_sandbox
from workshop.grade.sandboxes.bubblewrap import Bubblewrap
from workshop.grade.sandboxes.hidden_from_sandbox import see_that_nothing_shows
from workshop.grade.sandboxes.sandbox import Engine
from workshop.labs import Lab
from workshop.paths import SOLUTIONS

TRY_SECONDS = 60.0  # on a busy machine; an idle one needs a hundredth of one


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


@dataclass(frozen=True)
class Exposed:
    """What a weak sandbox may be used for: the folders of a class, and that of its hidden checks."""

    folders: tuple[Path, ...] = ()
    hidden: Path | None = None


def choose(
    lab: Lab,
    wanted: str = "auto",
    runtime: str = "",
    weakly: Exposed | None = None,
    private: Sequence[Path] = (),
) -> Engine:
    """An engine for a lab's sandboxes; a weak one only with `weakly`, and where there is no other.

    `private` are the folders of a class that no sandbox may see.

    Raises Refusal, with what to install, when there is none.
    """
    troubles = []
    for name, trouble in available():
        if wanted not in ("auto", name):
            continue
        if not trouble:
            return _bubblewrap(lab, private) if name == "bubblewrap" else docker.Docker(lab, runtime)
        troubles.append(trouble)
    if weakly is not None and wanted in ("auto", "weak"):
        return _weak(lab, weakly)
    if wanted == "weak":
        troubles.append("the weak sandbox is used only with --allow-weak-isolation")
    raise Refusal(
        f"There is no sandbox for other people's code here: {'; '.join(troubles) or 'none was asked for'}. "
        "Install bubblewrap or Docker.",
        EXIT_INFRA,
    )


def _bubblewrap(lab: Lab, private: Sequence[Path]) -> Engine:
    """Raises Refusal where a folder that is mounted whole would show what is private."""
    engine = Bubblewrap(lab)
    try:
        see_that_nothing_shows(engine.mounted(), private)
    except Refusal:
        engine.close()
        raise
    return engine


def _weak(lab: Lab, exposed: Exposed) -> Engine:
    """The weak sandbox, after saying what it does not hold back. Raises Refusal where that is a secret."""
    engine = weak_sandbox.Weak(lab)
    if exposed.hidden is not None:
        try:
            weak_sandbox.guard(exposed.hidden)
        except Refusal:
            engine.close()
            raise
    folders = [path for path in (*exposed.folders, SOLUTIONS) if weak_sandbox.is_open(path)]
    print(weak_sandbox.warning(folders), file=sys.stderr, flush=True)
    return engine
