"""uvicorn, with h11 as its parser."""

from shared_uvicorn import import_from_string, parse, serve

__all__ = ["import_from_string", "main", "parse"]


def main(argv=None):
    return serve(argv, "h11")


if __name__ == "__main__":
    main()
