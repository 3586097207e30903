"""Hypercorn on trio."""

from shared_hypercorn import import_from_string, parse, serve

__all__ = ["import_from_string", "main", "parse"]


def main(argv=None):
    return serve(argv, "trio")


if __name__ == "__main__":
    main()
