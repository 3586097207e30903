"""granian: a parent, and workers that each have a listening socket of their own."""

from types import SimpleNamespace

from granian._internal import load_target as import_from_string
from granian.cli import cli
from shared_main import options, run, words

__all__ = ["import_from_string", "main", "parse"]


def command(o):
    given = words({"--host": o.host, "--port": o.port, "--workers": o.workers})
    given += words({"--workers-kill-timeout": o.limit, "--interface": "asgi"})
    return [*o.rest, *given, *(["--reload", "--reload-ignore-worker-failure"] if o.reload else [])]


def parse(argv):
    given = cli.make_context("granian", command(options(argv))).params
    return SimpleNamespace(**given, timeout_graceful_shutdown=given["workers_kill_timeout"])


def main(argv=None):
    o = options(argv)
    # Unless told so, the parent ends when a worker has.
    return run(argv, "granian", *command(o), *(["--respawn-failed-workers"] if o.workers else []))


if __name__ == "__main__":
    main()
