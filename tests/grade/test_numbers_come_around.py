"""A sandbox that has ended by itself: its first process's number may be somebody else's when it is ended."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from workshop.grade.sandboxes import choose_sandbox
from workshop.grade.sandboxes.sandbox import Facts
from workshop.grade.sandboxes.weak_sandbox import WeakSandbox
from workshop.paths import ROOT

# In a namespace of its own, where it can be said which number is next.
COMES_AROUND = """
import os, subprocess, sys
from pathlib import Path
from workshop.grade.sandboxes.bubblewrap import Bubblewrap
from workshop.labs import find
from workshop.paths import SOLUTIONS

lab = find("5")
engine = Bubblewrap(lab)
sandbox = engine.start(SOLUTIONS / lab.name, 0)
os.kill(sandbox.first, 9)
sandbox.popen.wait()
Path("/proc/sys/kernel/ns_last_pid").write_text(str(sandbox.first - 1))
stranger = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
assert stranger.pid == sandbox.first
facts = sandbox.end()
print(stranger.communicate(b"is there")[0], facts.cpu, facts.limits)
engine.close()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes such a namespace without ado")
@pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble())
def test_who_has_the_number_of_a_sandbox_s_first_process_is_not_ended() -> None:
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", sys.executable, "-c", COMES_AROUND]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "b'is there' 0.0 []", done.stderr


def test_a_weak_sandbox_that_has_ended_by_itself_is_not_waited_for(tmp_path: Path) -> None:
    """Where the grader is not root: the process that was waited for is not among those that are left."""
    sandbox = WeakSandbox.__new__(WeakSandbox)
    sandbox._engine = SimpleNamespace(is_root=False)  # type: ignore[assignment]
    sandbox._sockets = SimpleNamespace(folder=tmp_path)  # type: ignore[assignment]
    sandbox.uid, sandbox.facts = os.geteuid(), Facts()
    sandbox.popen = subprocess.Popen(["true"])
    sandbox.popen.wait()
    sandbox._kill()
    assert sandbox.facts.ended == "", "it waited for a process that was gone"
