import signal
import sys

# Until the command line is loaded, Ctrl-C ends this process without a word.
signal.signal(signal.SIGINT, signal.SIG_DFL)

from workshop.cli import main  # noqa: E402

if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.exit(main())
