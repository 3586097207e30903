"""Lab 15 over uvicorn: its importer, its Config, its supervisors, its exit codes.

What uvicorn lets through, or answers with a traceback (a port above 65535, no worker, WEB_CONCURRENCY that is
no number), is refused here first: the lab asks for a line. A parent whose workers could not start
ends with 0; here it ends with 3, as one process alone does.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click
import uvicorn
from uvicorn.config import STARTUP_FAILURE
from uvicorn.importer import import_from_string
from uvicorn.supervisors.multiprocess import Multiprocess

__all__ = ["import_from_string"]

# A worker that failed to start does not answer; uvicorn asks it for this long, five seconds by default.
IMPATIENT = ["--timeout-worker-healthcheck", "3"]


class Parent(Multiprocess):
    """uvicorn's own, and its exit code says when it gave up."""

    def keep_subprocess_alive(self) -> None:
        was_told = self.should_exit.is_set()
        super().keep_subprocess_alive()
        self.gave_up = self.should_exit.is_set() and not was_told

    def run(self) -> None:
        self.gave_up = False
        super().run()
        if self.gave_up:
            sys.exit(STARTUP_FAILURE)


# By its name in sys.modules: the package's attribute `main` is the command.
sys.modules["uvicorn.main"].Multiprocess = Parent  # type: ignore[attr-defined]


@dataclass
class Config:
    """What uvicorn's own Config says, as far as this lab asks."""

    app: str
    host: str
    port: int
    workers: int
    reload: bool
    timeout_graceful_shutdown: int | None


def parse(argv: Sequence[str]) -> Config:
    options = uvicorn.main.make_context("main.py", list(argv)).params
    config = uvicorn.Config(
        options["app"],
        host=options["host"],
        port=options["port"],
        workers=options["workers"],
        reload=options["reload"],
        timeout_graceful_shutdown=options["timeout_graceful_shutdown"],
        log_level="critical",
    )
    return Config(
        str(config.app),
        config.host,
        config.port,
        config.workers,
        config.reload,
        config.timeout_graceful_shutdown,
    )


def check(argv: Sequence[str]) -> None:
    """Raises click.UsageError for numbers that uvicorn does not look at."""
    options = uvicorn.main.make_context("main.py", list(argv)).params
    workers = options["workers"] if options["workers"] is not None else os.environ.get("WEB_CONCURRENCY", "1")
    if not str(workers).isdigit() or int(workers) < 1:
        raise click.UsageError(f"workers: {workers}")
    if not 0 <= options["port"] <= 65535:
        raise click.UsageError(f"port: {options['port']}")


def main(argv: Sequence[str] | None = None) -> int:
    try:
        check(sys.argv[1:] if argv is None else argv)
        uvicorn.main([*(sys.argv[1:] if argv is None else argv), *IMPATIENT], standalone_mode=False)
    except click.UsageError as problem:
        problem.show()
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
