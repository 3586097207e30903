"""What the way a sandbox is started keeps from it: the grader's keys, and folders that nobody may see."""

from __future__ import annotations

import ctypes
import platform
import tempfile
from collections.abc import Iterable
from pathlib import Path

from workshop.errors import EXIT_INFRA, Refusal
from workshop.paths import ROOT

KERNEL = "the kernel is this machine's own: a fault in it is open to every submission"
KEYCTL = {"x86_64": 250, "aarch64": 219, "riscv64": 219}
JOIN_SESSION_KEYRING = 1


def fresh_keyring() -> bool:
    """Give this thread, and what it starts, an empty session keyring; whether there is one now."""
    number = KEYCTL.get(platform.machine())
    if number is None:
        return False
    return bool(ctypes.CDLL(None).syscall(number, JOIN_SESSION_KEYRING, None) > 0)


def see_that_nothing_shows(mounted: Iterable[Path], private: Iterable[Path]) -> None:
    """Raises Refusal where a sandbox would see the checkout, or a folder of the class's.

    `mounted` are the host's folders that every sandbox sees whole; `private` those with hidden checks,
    submissions and results. The checkout may have what is mounted in it: its tool, and its environment.
    """
    places = [one.resolve() for one in mounted]
    for path in (ROOT, Path(tempfile.gettempdir()), *private):
        for place in places:
            below = path.resolve().is_relative_to(place)
            if below or (path in private and place.is_relative_to(path.resolve())):
                how = "is below" if below else "has in it"
                raise Refusal(
                    f"{path} {how} {place}, which every sandbox sees: move it elsewhere. Nothing was graded.",
                    EXIT_INFRA,
                )
