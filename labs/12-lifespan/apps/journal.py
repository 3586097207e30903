"""A file of lines on a slow disk. It has to be opened before it is used, and closed after.

PATH is where: the environment's JOURNAL, else a file without a name that is gone when it is closed.
HISTORY is what was done to journals in this process, for whoever wants to look: "opened",
"writing Ada, Grace", "wrote Ada, Grace", "closed".
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO

PATH = os.environ.get("JOURNAL", "")
HISTORY: list[str] = []


async def _spin() -> None:
    await asyncio.sleep(0.02)


# The disk: awaited before a write takes place, and once more before `write` returns.
disk: Callable[[], Awaitable[None]] = _spin


class Journal:
    """Open it with `await Journal.open()`."""

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        file.seek(0)
        self._lines = file.read().splitlines()

    @classmethod
    async def open(cls) -> Journal:
        """Raises OSError when there is no such place, or when somebody else has it open."""
        file = Path(PATH).open("a+") if PATH else tempfile.TemporaryFile("w+")  # noqa: SIM115, ASYNC230
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise OSError(f"the journal {PATH} is open in another process") from error
        HISTORY.append("opened")
        return cls(file)

    def lines(self) -> list[str]:
        """What has been written, the oldest first."""
        return self._lines.copy()

    async def write(self, lines: list[str]) -> None:
        """Append lines: all of them, or none when it raises OSError. It takes its time.

        When it is cancelled, nobody knows whether it has taken place.
        """
        names = ", ".join(lines)
        HISTORY.append(f"writing {names}")
        await disk()
        if self._file.closed:
            HISTORY.append(f"a write after the end: {names}")
        self._file.writelines(f"{line}\n" for line in lines)
        self._file.flush()
        self._lines += lines
        HISTORY.append(f"wrote {names}")
        await disk()

    async def close(self) -> None:
        """Let go of the file."""
        HISTORY.append("closed")
        self._file.close()
