"""`python -m workshop`, and the command `workshop` in .venv/bin, which bootstrap.py writes."""

import gc
import signal
import sys

# Imports leave next to no garbage, and looking for it takes a fifth of their time.
gc.set_threshold(100_000)
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
    code = main()
    gc.freeze()  # nor is there any need to look through all of it at the end
    return code


if __name__ == "__main__":
    sys.exit(run())
