"""Lab 9's reference where no check looks: what real servers get wrong, too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from workshop.paths import APPS, LABS, SOLUTIONS
from workshop.run import process, tcp_ports

ARBITER = SOLUTIONS / "09-prefork" / "arbiter.py"
PAGE = """
def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"{}"]
"""
MOMENT = 1_700_000_000_000_000_000  # nanoseconds: the beginning of a second
SECONDS = 60.0  # for what happens at once on an idle machine


def save(path: Path, text: str, moment: int) -> None:
    """Save the page at this moment of one and the same second."""
    path.write_text(PAGE.format(text), encoding="utf-8")
    os.utime(path, ns=(MOMENT + moment, MOMENT + moment))


def becomes(url: str, text: str) -> bool:
    """Whether that is answered before time is over."""
    deadline = time.monotonic() + SECONDS
    while httpx.get(url, timeout=SECONDS).text != text:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_two_saves_within_a_second_serve_the_new_text(tmp_path: Path) -> None:
    """Bytecode is compared with its source by seconds and size: a worker keeps none."""
    page, port = tmp_path / "page.py", tcp_ports.free_port()
    save(page, "Ada", 1)
    env = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(map(str, [tmp_path, APPS, LABS / "09-prefork" / "apps"])),
    }
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    words = [sys.executable, str(ARBITER), "page:application", "--port", str(port), "--workers", "1"]
    with subprocess.Popen(words, cwd=tmp_path, env=env) as arbiter:
        try:
            deadline = time.monotonic() + SECONDS
            while not tcp_ports.is_listening("127.0.0.1", port) and time.monotonic() < deadline:
                time.sleep(0.02)
            assert becomes(f"http://127.0.0.1:{port}/", "Ada")
            for moment, text in enumerate(("Eve", "Ida", "Ada"), 2):
                save(page, text, moment)
                arbiter.send_signal(signal.SIGHUP)
                assert becomes(f"http://127.0.0.1:{port}/", text)
        finally:
            process.end_tree(arbiter.pid, grace=3.0)
