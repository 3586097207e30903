"""gunicorn with its own ASGI worker."""

import re
from types import SimpleNamespace

from gunicorn.errors import AppImportError
from gunicorn.util import import_app
from shared_main import ImportFromStringError, ended, options, run, words


def import_from_string(text):
    try:
        return import_app(text)
    except AppImportError as error:
        raise ImportFromStringError(str(error)) from error


def command(o):
    given = words({"--bind": o.bind, "--workers": o.workers, "--graceful-timeout": o.limit})
    given += ["--worker-class", "asgi", "--no-control-socket"]
    return [*o.rest, *given, *(["--reload"] if o.reload else [])]


def parse(argv):
    o = options(argv)
    # gunicorn reads WEB_CONCURRENCY where it is imported: a process of its own sees what there is now.
    _, output = ended("gunicorn", *command(o), "--print-config")
    said = dict(re.findall(r"^(\w+) += (.*)$", output, re.MULTILINE))
    host, _, port = said["bind"].strip("[]'").rpartition(":")
    return SimpleNamespace(
        app=o.rest[0],
        host=host,
        port=int(port),
        workers=int(said["workers"]),
        reload=said["reload"] == "True",
        timeout_graceful_shutdown=int(said["graceful_timeout"]),
    )


def main(argv=None):
    return run(argv, "gunicorn", *command(options(argv)))


if __name__ == "__main__":
    main()
