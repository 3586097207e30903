"""The oracle of lab 11: uvicorn, behind the lab's command line. HTTP=h11 has it parse with h11."""

import argparse
import os
import sys
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--keep-alive", type=float, default=5.0)
    parser.add_argument("--time-out", type=float, default=10.0)
    options = parser.parse_args()
    words = [str(Path(sys.executable).with_name("uvicorn")), options.application]
    words += ["--host", options.host, "--port", str(options.port), "--lifespan", "off"]
    words += ["--http", os.environ.get("HTTP", "auto"), "--no-access-log", "--log-level", "error"]
    words += ["--timeout-keep-alive", str(int(options.keep_alive)), "--no-proxy-headers"]
    # Without it the context of a pipelined request is that of the request before.
    words += ["--reset-contextvars"]
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
