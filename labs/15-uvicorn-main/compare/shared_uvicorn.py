"""What both adapters of uvicorn share. Its command line is the lab's."""

import sys

import uvicorn
from shared_main import run
from uvicorn.importer import import_from_string

__all__ = ["import_from_string", "parse", "serve"]


def parse(argv):
    options = uvicorn.main.make_context("uvicorn", list(argv)).params
    names = ("app", "host", "port", "workers", "reload", "timeout_graceful_shutdown")
    return uvicorn.Config(**{name: options[name] for name in names})


def serve(argv, parser):
    words = sys.argv[1:] if argv is None else argv
    # A parent asks a worker that has failed to start whether it lives: for five seconds, unless told so.
    return run(argv, "uvicorn", *words, "--http", parser, "--timeout-worker-healthcheck", 3)
