"""A grader that is ended in the middle: nothing is lost, nothing is graded twice, nothing is left behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.grade.test_batch import LAB
from tests.judging import environment
from workshop.errors import InfraError
from workshop.grade.sandboxes import choose_sandbox, docker, sandbox_sockets, user_leftovers
from workshop.grade.sandboxes.bubblewrap import family, sweep_processes
from workshop.grade.sandboxes.cgroup_limits import PREFIX, TREE
from workshop.grade.sandboxes.weak_sandbox import Weak
from workshop.paths import ROOT, SOLUTIONS

SECONDS = 180.0
STUDENTS = 5

pytestmark = [
    pytest.mark.whole("classes in sandboxes"),
    pytest.mark.skipif(bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()),
]


def words(folder: Path, out: str) -> list[str]:
    command = [sys.executable, "-m", "workshop", "grade", str(folder / "in"), "--lab", "5", "--seed", "3"]
    return [*command, "--workers", "2", "--out", str(folder / out)]


def to_its_end(folder: Path, out: str) -> dict[str, bytes]:
    """Grade, and read everybody's results."""
    done = subprocess.run(
        words(folder, out), cwd=ROOT, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return {path.parent.name: path.read_bytes() for path in (folder / out).glob("students/*/results.json")}


def kept(folder: Path) -> dict[str, tuple[int, bytes]]:
    """What the store holds, and since when."""
    return {
        path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (folder / "store").glob("*.json")
    }


def folders_of(pid: int) -> list[str]:
    return [path.name for path in Path(tempfile.gettempdir()).glob(f"wg-{pid}-*")]


def groups_of(pid: int) -> list[Path]:
    return [path for tree in ("memory", "pids", "cpu", "") for path in (TREE / tree).glob(f"{PREFIX}{pid}-*")]


def await_true(what: Callable[[], object], otherwise: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not what():
        assert time.monotonic() < deadline, otherwise
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_next_run_goes_on(number: signal.Signals, tmp_path: Path) -> None:
    solution = (SOLUTIONS / LAB.name / "server.py").read_text(encoding="utf-8")
    for student in range(STUDENTS):
        (tmp_path / "in" / f"s{student}").mkdir(parents=True)
        (tmp_path / "in" / f"s{student}" / "server.py").write_text(f"{solution}\n# {student}\n")
    grader = subprocess.Popen(
        words(tmp_path, "out"),
        cwd=ROOT,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        await_true(lambda: len(kept(tmp_path / "out")) > 1 or grader.poll() is not None, "nothing is graded")
        await_true(lambda: len(family(grader.pid)) > 3 or grader.poll() is not None, "nothing is at work")
        everything = family(grader.pid)
        grader.send_signal(number)
        said = "".join(grader.communicate(timeout=SECONDS))
    finally:
        grader.kill()
        grader.wait()
    before = kept(tmp_path / "out")
    assert 1 < len(before) < STUDENTS, f"it was not in the middle: {said}"
    assert len(everything) > 3
    await_true(
        lambda: not [pid for pid in everything if Path("/proc", str(pid)).exists()], "processes are left"
    )
    if number is signal.SIGINT:
        assert grader.returncode == 130 and "the same command goes on" in said and "Traceback" not in said
        assert not folders_of(grader.pid) and not groups_of(grader.pid)

    results = to_its_end(tmp_path, "out")

    assert not folders_of(grader.pid) and not groups_of(grader.pid)
    after = kept(tmp_path / "out")
    assert len(after) == len(results) == STUDENTS
    assert {name: after[name] for name in before} == before, "something was graded twice"
    assert results == to_its_end(tmp_path, "at-once")


def name_of_a_dead_grader() -> str:
    """A folder's name as a grader's that is gone."""
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return f"/tmp/wg-{ended.pid}-stray"


def test_a_first_process_that_waits_for_ever_is_ended() -> None:
    """What bubblewrap leaves when its parent dies right after clone; nobody else is touched."""
    words = ["--ro-bind", "/", "/", "--setenv", "FROM"]
    gone, alive = name_of_a_dead_grader(), f"/tmp/wg-{os.getpid()}-mine"
    sandboxes = [["bwrap", *words, name, "sleep", "60"] for name in (gone, alive)]
    bystander = [sys.executable, "-c", "import time; time.sleep(60)", gone]
    stray, mine, other = (subprocess.Popen(command) for command in (*sandboxes, bystander))
    try:
        await_true(lambda: len(family(stray.pid)) > 1, "the stray did not start")
        await_true(lambda: sweep_processes() or stray.poll() is not None, "nothing was swept")
        assert stray.wait(SECONDS) == -signal.SIGKILL
        assert mine.poll() is None and other.poll() is None
    finally:
        for one in (stray, mine, other):
            one.kill()
            one.wait()


# A grader in a container: its process id is nobody's here. It goes on when its standard input ends.
ELSEWHERE = """
import subprocess, sys
from workshop.grade.sandboxes.sandbox_sockets import SandboxSockets
from workshop.labs import find

sockets = SandboxSockets(find("5"))
words = ["--ro-bind", "/", "/", "--setenv", "FROM", str(sockets.folder), "--unshare-pid", "cat"]
sandbox = subprocess.Popen(["bwrap", *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
sandbox.stdin.write(b"up")
sandbox.stdin.flush()
sandbox.stdout.read(2)
print(sockets.folder, flush=True)
sys.stdin.read()
print(sandbox.communicate(b"still there")[0].decode(), sockets.folder.exists())
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes such a namespace without ado")
def test_nobody_takes_a_grader_in_a_container_for_one_that_is_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as short:  # a socket's name has room for a hundred bytes
        nobody_takes_it_for_gone(short, monkeypatch)


def nobody_takes_it_for_gone(folder_of_both: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", folder_of_both)
    free = int(name_of_a_dead_grader().split("-")[1])
    begin = f'echo {free - 1} > /proc/sys/kernel/ns_last_pid; "$@"; true'
    command = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", begin, "sh"]
    env = {**os.environ, "TMPDIR": folder_of_both}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([*command, sys.executable, "-c", ELSEWHERE], cwd=ROOT, env=env, **pipes) as grader:
        assert grader.stdout is not None
        folder = Path(grader.stdout.readline().strip())
        assert folder.name.startswith(f"wg-{free}-") and sandbox_sockets.is_gone(free)
        swept = [*sweep_processes(), *sandbox_sockets.sweep()]
        said = grader.communicate()[0]
    assert (said.strip(), swept) == ("still there True", [])


@pytest.mark.skipif(os.geteuid() != 0, reason="only root starts programs as somebody else")
def test_what_a_weak_sandbox_left_is_found_without_its_folder() -> None:
    """A grader of another kind may have removed the folder by which it was known."""
    env = {"TMPDIR": f"{name_of_a_dead_grader()}/tmp"}
    uid, held = user_leftovers.take_user()
    stray = subprocess.Popen(["/bin/sleep", "60"], env=env, **user_leftovers.as_user(uid))
    other = subprocess.Popen(["/bin/sleep", "60"], env=env)
    held.close()  # as with the grader that is gone
    try:
        user_leftovers.clear_strays()
        assert stray.wait(SECONDS) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        for one in (stray, other):
            one.kill()
            one.wait()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has submissions of other users")
def test_what_was_left_of_a_user_ends_nobody_who_is_that_user_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A grader had the user, and is gone; another one has it now, while a third one sweeps."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    left = tmp_path / "wg-999999999-left"
    (left / "tmp").mkdir(parents=True)
    uid, held = user_leftovers.take_user()
    os.chown(left / "tmp", uid, uid)
    now_its = tmp_path / f"{sandbox_sockets.own_name()}now"
    (now_its / "tmp").mkdir(parents=True)
    os.chown(now_its / "tmp", uid, uid)
    env = {"TMPDIR": f"{name_of_a_dead_grader()}/tmp"}  # or it was there when the third one looked
    now = subprocess.Popen(["/bin/sleep", "60"], env=env, **user_leftovers.as_user(uid))
    engine = Weak.__new__(Weak)
    engine.is_root = True
    try:
        with held:
            engine.sweep()
            assert now.poll() is None and not left.exists()
        left.mkdir()
        (left / "tmp").mkdir()
        os.chown(left / "tmp", uid, uid)
        engine.sweep()
        assert now.wait(SECONDS) == -signal.SIGKILL
    finally:
        now.kill()
        now.wait()


@pytest.mark.parametrize("name", ["wg-1x-lab-", "wg-", "wg--", "wg-99999999999999999999-x", "wg-²-x"])
def test_a_folder_of_a_strange_name_is_nobody_s(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (tmp_path / name).mkdir()
    (tmp_path / "wg-999999999-lab-x").mkdir()
    assert sandbox_sockets.sweep() == ["folder wg-999999999-lab-x"]
    assert [path.name for path in tmp_path.iterdir()] == [name]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has submissions of other users")
def test_what_a_submission_calls_like_a_grader_s_folder_ends_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its `tmp` would be whose processes and files are cleared: here those of somebody else's."""
    (uid, held), (other, held_too) = user_leftovers.take_user(), user_leftovers.take_user()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    made, link = tmp_path / "wg-999999999-made", tmp_path / "wg-999999999-link"
    (made / "tmp").mkdir(parents=True)
    os.chown(made / "tmp", other, other)
    os.chown(made, uid, uid)
    link.symlink_to(made)
    beside = subprocess.Popen(["/bin/sleep", "60"], env={}, **user_leftovers.as_user(other))
    engine = Weak.__new__(Weak)
    engine.is_root = True
    try:
        assert engine.sweep() == []
        assert beside.poll() is None
    finally:
        beside.kill()
        beside.wait()
        held.close()
        held_too.close()


@pytest.mark.skipif(bool(docker.trouble()), reason=docker.trouble())
def test_a_container_of_a_grader_in_another_container_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its grader's process id says nothing here: nobody has it, and the grader may be at work."""
    monkeypatch.setattr(
        docker, "LABEL", f"{docker.LABEL}-{os.getpid()}"
    )  # other graders sweep by the usual one
    engine = docker.Docker(LAB)
    names = {place: f"{docker.LABEL}-999999999-{place}-{os.getpid()}" for place in ("here", "elsewhere")}
    try:
        for place, name in names.items():
            of = docker.here() if place == "here" else "another-4026531836"
            labels = [f"--label={docker.LABEL}=999999999", f"--label={docker.PLACE}={of}"]
            docker.call(["create", "--name", name, *labels, "--network", "none", engine.image, "true"])
        assert f"container {names['here']}" in engine.sweep()
        left = docker.call(["ps", "-a", "--filter", f"label={docker.LABEL}", "--format", "{{.Names}}"])
        assert names["elsewhere"] in left and names["here"] not in left
    finally:
        docker.call(["rm", "-f", "-v", *names.values()])
        engine.close()


def test_two_graders_may_remove_the_same_container(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine refuses the one that comes second while the first one is at it: that one can grade, too."""

    def call(words: Sequence[str]) -> str:
        if words[0] == "rm":
            raise InfraError("docker rm: removal of container left is already in progress")
        return "left 999999999\n"

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(docker, "call", call)
    assert docker.Docker.sweep(docker.Docker.__new__(docker.Docker)) == ["container left"]
