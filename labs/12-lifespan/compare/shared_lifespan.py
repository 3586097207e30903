"""What the adapters of lab 12 share: its two exceptions, and its command line for a program of another's."""

import argparse


class StartupFailed(Exception):
    pass


class ShutdownFailed(Exception):
    pass


def options():
    parser = argparse.ArgumentParser()
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--grace", type=float)
    return parser.parse_args()
