"""What the adapters of lab 9 share: its command line."""

import argparse
import math


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--timeout", type=float, default=30)
    parser.add_argument("--graceful-timeout", type=float, default=30)
    given = parser.parse_args()
    given.bind = f"{given.host}:{given.port}"
    given.seconds, given.grace = math.ceil(given.timeout), math.ceil(given.graceful_timeout)
    return given
