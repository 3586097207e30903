"""daphne, over Twisted: one process, and no options for others."""

from daphne.utils import import_by_path as import_from_string
from shared_main import options, run, words

__all__ = ["import_from_string", "main"]


def main(argv=None):
    o = options(argv)
    return run(argv, "daphne", *o.rest, *words({"-b": o.host, "-p": o.port, "--workers": o.workers}))


if __name__ == "__main__":
    main()
