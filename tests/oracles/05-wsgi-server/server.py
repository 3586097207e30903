"""The oracle of lab 5: gunicorn with its threaded worker, behind the lab's command line."""

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--keep-alive", type=float, default=5.0)
    parser.add_argument("--time-out", type=float, default=10.0)
    options = parser.parse_args()
    words = [str(Path(sys.executable).with_name("gunicorn")), options.application]
    words += ["--bind", f"{options.host}:{options.port}", "--no-control-socket"]
    words += ["--worker-class", "gthread", "--threads", str(options.threads)]
    words += ["--keep-alive", str(int(options.keep_alive))]
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
