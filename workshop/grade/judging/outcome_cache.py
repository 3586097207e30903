"""Outcomes by what they depend on: a file each, written whole or not at all."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from workshop.errors import InfraError
from workshop.grade.judging.outcome import Outcome


def canonical(value: Any) -> str:
    """JSON with one way to write it: sorted, two spaces, ASCII, a line end."""
    return json.dumps(value, indent=2, sort_keys=True, ensure_ascii=True, allow_nan=False) + "\n"


def write_whole(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a file so that nobody ever sees half of it, even when the machine stops.

    Raises InfraError, with what to do, when it can't be written: a full disk, no right to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, draft = tempfile.mkstemp(dir=path.parent, prefix=".draft-")
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            Path(draft).chmod(mode)
            Path(draft).replace(path)
        except BaseException:
            Path(draft).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise InfraError(
            f"{path} can't be written: {error.strerror or error}. What was graded before is kept: "
            "put that right, and run the same command again."
        ) from error


class Store:
    """A folder of outcomes. What can't be read is as good as not there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def get(self, key: str) -> Outcome | None:
        try:
            data = json.loads((self.folder / f"{key}.json").read_text(encoding="utf-8"))
            return Outcome.of_dict(data)
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def put(self, key: str, outcome: Outcome) -> None:
        write_whole(self.folder / f"{key}.json", canonical(outcome.as_dict()))
