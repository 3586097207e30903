"""Lab 15 over uvicorn: its importer, its Config, its supervisors, its exit codes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass

import click
import uvicorn
from uvicorn.importer import import_from_string

__all__ = ["import_from_string"]

# A worker that failed to start does not answer; uvicorn asks it for this long, five seconds by default.
IMPATIENT = ["--timeout-worker-healthcheck", "2"]


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


def main(argv: Sequence[str] | None = None) -> int:
    try:
        uvicorn.main([*(sys.argv[1:] if argv is None else argv), *IMPATIENT], standalone_mode=False)
    except click.UsageError as problem:
        problem.show()
        return problem.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
