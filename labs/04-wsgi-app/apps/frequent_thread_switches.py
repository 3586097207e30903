"""Configuration for gunicorn: threads take turns every few microseconds, not every five milliseconds.

    gunicorn app:application --worker-class gthread --threads 16 --config python:frequent_thread_switches

The interpreter may change threads between any two instructions; how often it looks whether to is a setting.
An application that is right at one value is right at every other. One that is wrong once in a week at the
default is wrong within seconds here.
"""

import sys

SECONDS = 1e-6


def post_worker_init(worker: object) -> None:
    """gunicorn calls this in each worker before it serves."""
    sys.setswitchinterval(SECONDS)
