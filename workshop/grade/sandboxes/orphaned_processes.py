"""Processes of graders that are gone: what they were started with names a folder of such a grader's.

A grader that is killed takes along what it started, nearly always: a bubblewrap that dies right after clone
leaves a first process, which waits for a word of its parent for ever.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path

from workshop.grade.sandboxes.sandbox_sockets import OWNER, PREFIX, is_gone, is_told_here

NAMED = re.compile(f"/{PREFIX}{OWNER}".encode())


def strays(file: str) -> Iterator[Path]:
    """The folders in /proc of such processes, by their `cmdline` or `environ`, as far as we may look."""
    for path in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            found = {one.groups() for one in NAMED.finditer((path / file).read_bytes())}
            if any(is_told_here(where) and is_gone(int(owner)) for owner, where in found):
                yield path
