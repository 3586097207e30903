"""What the adapters of lab 15 share: its command line and exception, and a program where main() is called."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from server_command import become

SECONDS = 6.0  # a comparison gives a call nine


class ImportFromStringError(Exception):
    pass


def options(argv=None):
    """The lab's command line, with its values as text: the program itself refuses what it does not like.

    `rest` is the application, and words that no option has.
    """
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--host")
    parser.add_argument("--port")
    parser.add_argument("--workers")
    parser.add_argument("--reload", action="store_true")
    parser.add_argument("--timeout-graceful-shutdown", dest="limit")
    given, given.rest = parser.parse_known_args(argv)
    given.bind = f"{given.host or '127.0.0.1'}:{given.port or 8000}"
    return given


def words(values):
    """An option's name before each value, without those that nobody has given."""
    return [word for name, value in values.items() if value is not None for word in (name, value)]


def run(argv, program, *given):
    """Become this program; or, where a check calls main(argv), its exit code: None while it still runs."""
    if argv is None:
        become(program, *given)
    code, output = ended(program, *given)
    print(output, file=sys.stderr)
    return code


def ended(program, *given):
    command = [Path(sys.executable).with_name(program), *map(str, given)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    ) as process:
        try:
            output, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            output, _ = process.communicate()
            return None, output
    return process.returncode, output
