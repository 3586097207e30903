"""Commands run where every user can reach the workshop and its Python, wherever they are on this machine."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.judging import environment
from workshop.paths import ROOT

SECONDS = 600.0


def closed(path: Path) -> Path | None:
    """The first folder on the way to a path that only its owner can pass through."""
    way = [*reversed(path.parents), path]
    return next((one for one in way if not one.stat().st_mode & stat.S_IXOTH), None)


def reachable() -> list[str]:
    """Words to put before a command that root runs; none where nothing is in the way.

    In a mount namespace of its own, folders in the way are empty but for what is needed.
    """
    needed = dict.fromkeys([ROOT, Path(sys.prefix).resolve(), Path(sys.base_prefix)])
    hidden = dict.fromkeys(one for one in map(closed, needed) if one is not None)
    words = [shutil.which("bwrap") or "bwrap", "--dev-bind", "/", "/", "--cap-add", "ALL"]
    for folder in hidden:
        words += ["--tmpfs", str(folder)]
        for path in (one for one in needed if one.is_relative_to(folder)):
            for parent in reversed([one for one in path.parents if one.is_relative_to(folder)][:-1]):
                words += ["--perms", "0755", "--dir", str(parent)]
            words += ["--bind", str(path), str(path)]
    return [*words, "--"] if hidden else []


def place() -> Path:
    """A new folder that every user can pass through; whoever made it removes it."""
    folder = Path(tempfile.mkdtemp(prefix="reach-", dir="/tmp"))
    folder.chmod(0o755)
    return folder


def command(*words: str, user: int = 0, path: str | None = None) -> list[str]:
    """The words of `workshop grade WORDS`, as a user, with `path` for its PATH."""
    become = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"] if user else []
    inner = ["env", f"PATH={os.environ['PATH'] if path is None else path}", sys.executable]
    return [*reachable(), *become, *inner, "-m", "workshop", "grade", *words]


def grade(
    *words: str, user: int = 0, home: Path | None = None, path: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run it to its end; `home` is where that user may write."""
    environ = environment() | {"PYTHONDONTWRITEBYTECODE": "1"}
    if home is not None:
        environ |= {"HOME": str(home), "TMPDIR": str(home)}
    return subprocess.run(
        command(*words, user=user, path=path),
        cwd=ROOT,
        env=environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
