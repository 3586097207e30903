"""Keeps a socket and a journal while the program that uses them is restarted.

    python -m socket_across_restarts lifespan.py app:app --host 127.0.0.1 --port 8000

The keeper binds the socket; the program gets it as `--fd N`, and the journal's place as JOURNAL in its
environment. The first program that listens opens it: until then a connection is refused. At SIGHUP the
program is told to end (SIGTERM), waited for, and started again. The keeper still holds the socket, so it goes
on listening: connections that come meanwhile wait in its queue, and to them it looks like a slow answer.
systemd does much the same under the name of socket activation.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

TOLD = {signal.SIGHUP, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD}


def start(words: list[str], sock: socket.socket, journal: Path) -> subprocess.Popen[bytes]:
    """Run the program, with the socket as an open file."""
    return subprocess.Popen(
        [sys.executable, *words, "--fd", str(sock.fileno())],
        pass_fds=[sock.fileno()],
        env={**os.environ, "JOURNAL": str(journal)},
        preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, TOLD),
    )


def keep(words: list[str], sock: socket.socket, journal: Path) -> int:
    """Run the program until SIGTERM, or until it ends by itself; its exit code."""
    program = start(words, sock, journal)
    while True:
        number = signal.sigwait(TOLD)
        if number == signal.SIGHUP and program.poll() is None:
            program.terminate()
            program.wait()
            program = start(words, sock, journal)
        elif number in (signal.SIGTERM, signal.SIGINT):
            program.terminate()
            return program.wait()
        elif program.poll() is not None:
            return program.returncode


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("application")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    # Before the program exists: a signal that comes early waits.
    signal.pthread_sigmask(signal.SIG_BLOCK, TOLD)
    with socket.socket() as sock, tempfile.TemporaryDirectory() as folder:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((options.host, options.port))
        return keep([options.program, options.application], sock, Path(folder, "journal.txt"))


if __name__ == "__main__":
    sys.exit(main())
