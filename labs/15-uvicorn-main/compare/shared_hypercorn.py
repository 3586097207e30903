"""What both adapters of Hypercorn share."""

from types import SimpleNamespace

from hypercorn import __main__ as program
from hypercorn.utils import NoAppError, load_application
from shared_main import ImportFromStringError, options, run, words


def import_from_string(text):
    try:
        return load_application(text, 0).app
    except NoAppError as error:
        raise ImportFromStringError(str(error)) from error


def command(o):
    given = words({"--bind": o.bind, "--workers": o.workers, "--graceful-timeout": o.limit})
    return [*o.rest, *given, *(["--reload"] if o.reload else [])]


def parse(argv):
    kept = []
    program.run = kept.append  # Hypercorn reads its options where it runs what they say
    program.main(command(options(argv)))
    (config,) = kept
    host, _, port = config.bind[0].rpartition(":")
    return SimpleNamespace(
        app=config.application_path,
        host=host,
        port=int(port),
        workers=config.workers,
        reload=config.use_reloader,
        timeout_graceful_shutdown=config.graceful_timeout,
    )


def serve(argv, kind):
    o = options(argv)
    # Where the lab's command line has no limit there is none; Hypercorn's own is three seconds.
    o.limit = o.limit or 60
    return run(argv, "hypercorn", *command(o), "--worker-class", kind)
