"""A temporary folder of a run's, which goes with the process that made it, whatever interrupts that."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from pathlib import Path

from workshop.paths import TEMPORARY
from workshop.run.process import interrupts_deferred


class RunFolder:
    """Made at once; removed by `remove`, when nobody has this object any more, or when its process ends.

    A fork of that process has the object, too, and removes nothing.
    """

    def __init__(self) -> None:
        with interrupts_deferred():
            self.path = Path(tempfile.mkdtemp(prefix=TEMPORARY))
            self._finalizer = weakref.finalize(self, _remove, self.path, os.getpid())

    def remove(self) -> None:
        self._finalizer()


def _remove(path: Path, maker: int) -> None:
    if os.getpid() == maker:
        shutil.rmtree(path, ignore_errors=True)
