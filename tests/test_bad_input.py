"""Bad input gets one clear line, an exit code, and loses nothing."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import judging
from tests.test_broken import left_running
from workshop.grade.sandboxes.bubblewrap import processor_time
from workshop.labs import all_labs, find
from workshop.paths import ROOT
from workshop.run.process import PROC

SECONDS = 60.0  # for what happens at once on an idle machine
BEGUN = 0.1  # seconds of a processor: three times what Python needs to come to the first line of a program


def launch(*words: str, cwd: Path = ROOT, **env: str) -> subprocess.CompletedProcess[str]:
    """What `make` runs, embedded unless the environment says otherwise."""
    with judging.checkout_to_ourselves() if cwd == ROOT else contextlib.nullcontext():
        return subprocess.run(
            ["sh", "workshop/launch.sh", *words],
            cwd=cwd,
            env={**judging.environment(), "MODE": "embedded", **env},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


def said(done: subprocess.CompletedProcess[str]) -> str:
    """The one line that was said, besides the line that names the mode; never a traceback."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("embedded:")]
    assert len(lines) == 1, text
    return lines[0]


@pytest.fixture(name="checkout")
def checkout_fixture(tmp_path: Path) -> Iterator[Path]:
    """A copy of the workshop in a folder with spaces and letters beyond ASCII, using this one's .venv."""
    folder = tmp_path / "Kurs für Ada"
    # What is compiled comes along, as it would be there after the first run.
    ignore = shutil.ignore_patterns(
        *(".git", ".venv", ".workshop", ".*_cache", ".hypothesis", "findings", "recording.svg"),
        "*.pyc.*",  # the draft of one that another test compiles just now
    )
    shutil.copytree(ROOT, folder, ignore=ignore)
    (folder / ".venv").symlink_to(ROOT / ".venv")
    yield folder
    assert left_running(folder) == []


@pytest.mark.parametrize("number", ["99", "x", "0", "1.5"])
def test_no_such_lab(number: str) -> None:
    done = launch("lab", number)
    assert done.returncode == 2
    assert f"There is no lab {number!r}" in said(done)


@pytest.mark.parametrize("port", ["banana", "80", "99999"])
def test_port_that_is_none(port: str) -> None:
    done = launch("lab", "1", PORT=port)
    assert done.returncode == 2
    assert port in said(done)


def test_taken_port_is_said_and_the_next_one_used() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = launch("lab", "1", "--target", "solution", PORT=str(port))
    assert done.returncode == 0
    assert f"Port {port} is taken; using " in done.stdout + done.stderr


def test_no_such_target() -> None:
    done = launch("check", "1", "--target", "/no/such/folder")
    assert done.returncode == 2
    assert "/no/such/folder" in said(done)


def test_target_without_the_file(tmp_path: Path) -> None:
    done = launch("check", "1", "--target", str(tmp_path))
    assert done.returncode == 2
    assert "has no app.py" in said(done)


def test_no_such_check() -> None:
    done = launch("check", "1", "--target", "solution", "-k", "nothing_like_it")
    assert done.returncode == 2
    assert "no check that matches 'nothing_like_it'" in said(done)


def test_no_such_mode() -> None:
    done = launch("lab", "1", MODE="cloud")
    assert done.returncode == 2
    assert "cloud" in said(done)


def test_deleted_starter_comes_back(checkout: Path) -> None:
    lab = find("1")
    file = checkout / "labs" / lab.name / lab.edit[0]
    file.unlink()
    done = launch("lab", "1", cwd=checkout)
    assert done.returncode == 2
    assert "`make reset-1` brings the starter back" in said(done)
    assert launch("reset", "1", cwd=checkout).returncode == 0
    assert file.read_bytes() == (judging.starter(lab) / lab.edit[0]).read_bytes()


def test_reset_and_solution_keep_the_learners_work(checkout: Path) -> None:
    """Nothing that a learner wrote is ever overwritten: each step leaves it in the attic."""
    lab = find("1")
    file = checkout / "labs" / lab.name / lab.edit[0]
    file.write_text("mine = 1\n", encoding="utf-8")
    assert launch("solution", "1", "--apply", cwd=checkout).returncode == 0
    assert file.read_bytes() == (ROOT / "solutions" / lab.name / lab.edit[0]).read_bytes()
    file.write_text("mine = 2\n", encoding="utf-8")
    assert launch("reset", "1", cwd=checkout).returncode == 0
    again = launch("reset", "1", cwd=checkout)
    assert "nothing changed" in said(again)
    kept = sorted(path.read_text() for path in (checkout / ".workshop" / "attic").rglob(lab.edit[0]))
    assert kept == ["mine = 1\n", "mine = 2\n"]


def test_checkout_with_spaces_and_letters(checkout: Path) -> None:
    done = launch("check", "1", "--target", "solution", cwd=checkout)
    assert done.returncode == 0, done.stdout + done.stderr
    done = launch("check", "1", cwd=checkout)
    assert done.returncode == 1
    assert "NotImplementedError: lab 1 task 1" in done.stdout


def test_python_too_old() -> None:
    code = "import runpy, sys; sys.version_info = (3, 9, 2); sys.argv = ['bootstrap.py', 'none']\n"
    code += "sys.path.insert(0, 'workshop'); import bootstrap; bootstrap.LOCKS['none'] = bootstrap.UV_LOCK\n"
    code += "sys.exit(bootstrap.main(['none']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "Python 3.9 is too old: the workshop needs 3.11 or newer" in said(done)


def test_no_venv_module() -> None:
    code = "import sys; sys.modules['ensurepip'] = None\n"
    code += "sys.path.insert(0, 'workshop'); import bootstrap; bootstrap.LOCKS['none'] = bootstrap.UV_LOCK\n"
    code += "sys.exit(bootstrap.main(['none']))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "apt-get install python3-venv" in said(done)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a full disk needs root")
def test_full_disk(checkout: Path) -> None:
    """`reset` with no room for the attic: one line, and the learner's file is as it was."""
    state, lab = checkout / ".workshop", find("1")
    file = checkout / "labs" / lab.name / lab.edit[0]
    file.write_text("mine = 1\n" * 1000, encoding="utf-8")
    state.mkdir(exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "tmpfs", str(state)], check=True)
    try:
        with pytest.raises(OSError, match="No space left"):
            (state / "filler").write_bytes(b"x" * 65536)
        done = launch("reset", "1", cwd=checkout)
    finally:
        subprocess.run(["umount", str(state)], check=True)
    assert done.returncode == 3
    assert "No space left on device" in said(done)
    assert file.read_text(encoding="utf-8") == "mine = 1\n" * 1000


@pytest.mark.skipif(os.geteuid() != 0, reason="becoming another user needs root")
def test_read_only_checkout(checkout: Path) -> None:
    for path in [checkout, *checkout.parents[:-2]]:
        path.chmod(0o755)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "sh", "workshop/launch.sh"]
    done = subprocess.run(
        [*command, "lab", "1"],
        cwd=checkout,
        env={**judging.environment(), "MODE": "embedded", "HOME": "/tmp"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "can't be written to" in said(done)


def assert_all_gone(target: Path) -> None:
    """Within seconds no service, no agent and no nginx of this target is left."""
    deadline = time.monotonic() + SECONDS
    while (left := [*left_running(target), *agents_of(target)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert left == []


def agents_of(target: Path) -> list[str]:
    """Agents, and the nginx processes below them, that serve this target."""
    table = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    agents = [row for row in table.splitlines() if "workshop.run.agent" in row and str(target) in row]
    folders = [row.split("--run ")[1].split()[0] for row in agents]
    return agents + [row for row in table.splitlines() if any(f"{f}/nginx.conf" in row for f in folders)]


def has_begun(pid: int) -> bool:
    """Whether a process is past the start of Python itself, which on a busy machine takes longer than usual.

    An interrupt before the first line of the tool's is Python's to report.
    """
    return not PROC.exists() or processor_time(pid) > BEGUN


@pytest.mark.parametrize("moment", [0.4, 0.8, 1.4, 2.0])
def test_interrupt_at_any_moment(moment: float, tmp_path: Path) -> None:
    """Ctrl-C ends the whole run, whenever it comes: no traceback, nothing left running."""
    lab = find("5")  # whose checks wait for time-outs: it runs for longer than that on any machine
    target = tmp_path / "target"
    shutil.copytree(ROOT / "solutions" / lab.name, target)
    run = subprocess.Popen(
        [sys.executable, "-m", "workshop", "lab", "5", "--target", str(target), "--port", "0"],
        cwd=ROOT,
        env=judging.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    deadline = time.monotonic() + moment
    while time.monotonic() < deadline or not has_begun(run.pid):
        assert run.poll() is None
        os.sched_yield()
    os.killpg(run.pid, signal.SIGINT)
    output, _ = run.communicate(timeout=SECONDS)
    assert "Traceback" not in output, output
    assert run.returncode in (0, 130, -signal.SIGINT), output
    assert_all_gone(target)


def test_killed_tool_leaves_nothing(tmp_path: Path) -> None:
    """SIGKILL of the tool: the agent notices that its standard input ended, and ends everything."""
    lab = find("1")
    target = tmp_path / "target"
    shutil.copytree(ROOT / "solutions" / lab.name, target)
    words = [sys.executable, "-m", "workshop", "serve", "1", "--target", str(target), "--port", "0"]
    with subprocess.Popen(
        words, cwd=ROOT, env=judging.environment(), stdout=subprocess.PIPE, text=True
    ) as run:
        assert run.stdout is not None
        assert "gunicorn" in run.stdout.readline()
        run.kill()
    assert_all_gone(target)


def test_every_lab_is_known() -> None:
    assert [lab.number for lab in all_labs()] == sorted({lab.number for lab in all_labs()})
