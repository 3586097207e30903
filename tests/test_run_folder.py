"""A run's temporary folders go with who made them, also when Ctrl-C comes before anybody could end it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.judging import environment
from workshop.paths import ROOT
from workshop.run.run_folder import RunFolder

# Each makes a folder, and is interrupted at the next thing that it does.
MAKERS = {
    "a stack": "tcp_ports.free_port = stop\nwith stack.embedded(find('1'), 'solution', load=True): pass",
    "debugging": "tcp_ports.free_port = stop\nwith debug.debugging(find('1'), 'solution'): pass",
    "the learner's processes": "given_services.bound = stop\n"
    "TargetProcesses(find('16'), ROOT, '127.0.0.1').hold_given()",
    "the lab page": "LabPage._listener = stop\nLabPage(None, 'solution')",
}
BEFORE = """
from workshop.judge import stack
from workshop.labs import find
from workshop.learn import debug
from workshop.learn.lab_page import LabPage
from workshop.paths import ROOT
from workshop.run import given_services, tcp_ports
from workshop.run.target_processes import TargetProcesses

def stop(*_):
    raise KeyboardInterrupt

"""


@pytest.mark.parametrize("maker", MAKERS)
def test_an_interrupt_leaves_no_folder(maker: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", BEFORE + MAKERS[maker]],
        cwd=ROOT,
        env={**environment(), "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "KeyboardInterrupt" in done.stderr, done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_fork_removes_nothing() -> None:
    folder = RunFolder()
    pid = os.fork()
    if pid == 0:
        folder.remove()
        os._exit(0)
    os.waitpid(pid, 0)
    assert folder.path.is_dir()
    folder.remove()
    assert not folder.path.exists()
