"""`python -m workshop`, and the command `workshop` in .venv/bin, which bootstrap.py writes."""

import signal
import sys

# Until the command line is loaded, Ctrl-C ends this process without a word.
if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def run() -> int:
    """Run a command, in an environment of which only what is on a list is left. Its exit code."""
    from workshop import environment

    environment.clean_own()
    from workshop.cli import main
    from workshop.plain_signs import say_plainly

    say_plainly()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()


if __name__ == "__main__":
    sys.exit(run())
