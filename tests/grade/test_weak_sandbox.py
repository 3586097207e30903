"""The weak sandbox: the same verdicts, nothing of a submission's left, and never unasked."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.grade.run_as_anyone import command, grade, place
from tests.judging import environment, mistakes, starter
from workshop.grade.sandboxes import choose_sandbox, user_ids, user_leftovers
from workshop.labs import find
from workshop.paths import ROOT, SOLUTIONS

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a submission a user of its own")
BUBBLEWRAP = pytest.mark.skipif(
    bool(choose_sandbox.bubblewrap_trouble()), reason=choose_sandbox.bubblewrap_trouble()
)
pytestmark = pytest.mark.whole("classes in sandboxes")
LAB = find("5")
FILE = LAB.edit[0]
SOLUTION = (SOLUTIONS / LAB.name / FILE).read_text(encoding="utf-8")
CANARY = "CANARY-27182818"
STUDENT = 1234
# It answers as the solution does, and leaves a child in a session of its own that ignores what can be
# ignored, holds the pipe, and has left a file and shared memory.
FUTURE = "from __future__ import annotations\n"
DAEMON = SOLUTION.replace(
    FUTURE,
    f"""{FUTURE}
import os, signal
if os.fork() == 0:
    os.setsid()
    for number in range(1, 32):
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        for folder in ("/tmp", "/dev/shm"):
            with open(folder + "/MARK", "w") as file:
                file.write("left")
        held = os.open("PIPE", os.O_WRONLY)
        os.write(held, b"alive")
        while True:
            signal.pause()
    os._exit(0)
""",
)
# It looks for the hidden checks wherever they could be, and tells what it could read.
HUNTER = """
import glob, os
told = os.open("PIPE", os.O_WRONLY)
os.write(told, b"looked")
places = ("/tmp/wg-*", "/proc/[0-9]*/cwd", "/proc/[0-9]*/fd/*")
for start in ("HIDDEN", *(found for place in places for found in glob.glob(place))):
    for folder, _, names in os.walk(start):
        for name in names:
            try:
                with open(os.path.join(folder, name), "rb") as file:
                    if b"CAN" + b"ARY" in file.read(1 << 20):
                        os.write(told, os.path.join(folder, name).encode())
            except OSError:
                pass
os.close(told)
"""


@dataclass
class Pipe:
    """A named pipe that every user may write to: what was written, and whether anybody still holds it."""

    path: Path

    def __post_init__(self) -> None:
        os.mkfifo(self.path)
        self.path.chmod(0o666)
        self._end = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)

    def read(self) -> bytes:
        """All of it. Raises BlockingIOError while somebody holds the other end."""
        found = b""
        while piece := os.read(self._end, 1 << 16):
            found += piece
        return found

    def wait(self, seconds: float) -> bool:
        """Whether something was written within this time."""
        return bool(select.select([self._end], [], [], seconds)[0])

    def close(self) -> None:
        os.close(self._end)


@pytest.fixture(name="here")
def here_fixture() -> Iterator[Path]:
    folder = place()
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@pytest.fixture(name="pipe")
def pipe_fixture(here: Path) -> Iterator[Pipe]:
    made = Pipe(here / "pipe")
    try:
        yield made
    finally:
        made.close()


def mistaken() -> str:
    first = mistakes(LAB)[0]
    return SOLUTION.replace(first.find, first.replace)


def hand_in(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / "in" / name).mkdir(parents=True)
        (folder / "in" / name / FILE).write_text(text, encoding="utf-8")
    return folder / "in"


def results(out: Path) -> dict[str, str]:
    return {path.parent.name: path.read_text() for path in out.glob("students/*/results.json")}


def isolation(out: Path, student: str) -> str:
    run = json.loads((out / "students" / student / "run.json").read_text())
    found: str = run["attempts"][0]["run"].get("isolation", "")
    return found


def hidden_checks(folder: Path) -> Path:
    extra = folder / "hidden"
    extra.mkdir()
    (extra / "extra.toml").write_text('[[tasks]]\ntitle = "Hidden"\n[tasks.checks]\ntest_task6_secret = 1\n')
    (extra / "test_secret.py").write_text(
        "from workshop.judge.checks import check, that\n"
        '@check(task=6, rule="none")\n'
        "def test_task6_secret(service):\n"
        f'    that(service("tasks").get("/{CANARY}").status == 404, "{CANARY}", "404")\n'
    )
    return extra


@ROOT_ONLY
@BUBBLEWRAP
def test_verdicts_are_those_of_bubblewrap_and_nothing_is_left(here: Path, pipe: Pipe) -> None:
    mark = f"{here.name}-left"
    daemon = DAEMON.replace("PIPE", str(pipe.path)).replace("MARK", mark)
    submissions = hand_in(
        here,
        right=SOLUTION,
        starter=(starter(LAB) / FILE).read_text(encoding="utf-8"),
        mistaken=mistaken(),
        exits="import os; os._exit(0)",
        daemonises=daemon,
    )
    words = [str(submissions), "--lab", str(LAB.number), "--seed", "3"]
    done = grade(*words, "--sandbox", "weak", "--allow-weak-isolation", "--out", str(here / "weak"))
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WEAK ISOLATION" in done.stderr and str(submissions) in done.stderr
    assert b"alive" in pipe.read()
    assert not [one for one in (Path("/tmp", mark), Path("/dev/shm", mark)) if one.exists()]
    done = grade(*words, "--sandbox", "bubblewrap", "--out", str(here / "strong"))
    assert done.returncode == 0, done.stdout + done.stderr
    found = results(here / "weak")
    assert len(found) == 5 and found == results(here / "strong")
    verdicts = {name: json.loads(text)["verdict"] for name, text in found.items()}
    assert verdicts["right"] == "PASS" and verdicts["mistaken"] == verdicts["starter"] == "FAIL"
    assert verdicts["exits"] == "NO_START"
    assert isolation(here / "weak", "right").startswith("weak: a user of its own")


@ROOT_ONLY
def test_a_hidden_check_can_not_be_read(here: Path, pipe: Pipe) -> None:
    extra = hidden_checks(here)
    hunter = HUNTER.replace("PIPE", str(pipe.path)).replace("HIDDEN", str(extra))
    words = [str(hand_in(here, ada=hunter)), "--lab", str(LAB.number), "--extra", str(extra)]
    words += ["--sandbox", "weak", "--allow-weak-isolation"]
    done = grade(*words)
    assert done.returncode == 3 and "chmod 700" in done.stderr, done.stderr
    assert not (here / "in-graded" / "students").exists()
    extra.chmod(0o700)
    done = grade(*words)
    assert done.returncode == 0, done.stdout + done.stderr
    told = pipe.read()
    assert told.startswith(b"looked") and set(told.split(b"looked")) == {b""}, told
    assert CANARY not in "".join(results(here / "in-graded").values())


@ROOT_ONLY
def test_it_is_never_used_unasked(here: Path) -> None:
    submissions = hand_in(here, ada="def x(:")
    words = [str(submissions), "--lab", str(LAB.number)]
    nowhere = str(here / "no-programs")
    done = grade(*words, path=nowhere)
    assert done.returncode == 3 and "Install bubblewrap or Docker." in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1 and not (here / "in-graded" / "students").exists()
    done = grade(*words, "--sandbox", "weak")
    assert done.returncode == 3 and "--allow-weak-isolation" in done.stderr
    done = grade(*words, "--allow-weak-isolation", path=nowhere)
    assert done.returncode == 0 and "WEAK ISOLATION" in done.stderr, done.stderr
    assert isolation(here / "in-graded", "ada").startswith("weak")


@ROOT_ONLY
@BUBBLEWRAP
def test_a_better_one_is_used_where_there_is_one(here: Path) -> None:
    done = grade(str(hand_in(here, ada="def x(:")), "--lab", str(LAB.number), "--allow-weak-isolation")
    assert done.returncode == 0 and "WEAK" not in done.stderr, done.stderr
    assert isolation(here / "in-graded", "ada").startswith("namespaces")


@ROOT_ONLY
def test_without_root_it_says_so_and_hides_nothing(here: Path, pipe: Pipe) -> None:
    home = here / "home"
    home.mkdir()
    mark = f"{here.name}-left"
    daemon = DAEMON.replace("PIPE", str(pipe.path)).replace("MARK", mark)
    extra = hidden_checks(here)
    words = [str(hand_in(home, ada=daemon)), "--lab", str(LAB.number), "--sandbox", "weak"]
    for path in (home, *home.rglob("*")):
        os.chown(path, STUDENT, STUDENT)
    try:
        done = grade(*words, "--allow-weak-isolation", "--extra", str(extra), user=STUDENT, home=home)
        assert done.returncode == 3 and "unless you are root" in done.stderr, done.stderr
        done = grade(*words, "--allow-weak-isolation", user=STUDENT, home=home)
        assert done.returncode == 0 and "You are not root" in done.stderr, done.stdout + done.stderr
        assert json.loads(results(home / "in-graded")["ada"])["verdict"] == "PASS"
        assert isolation(home / "in-graded", "ada").startswith("weak: the grader's own user")
        assert b"alive" in pipe.read()
    finally:
        for folder in ("/tmp", "/dev/shm"):  # without a user of its own, files in shared places stay
            Path(folder, mark).unlink(missing_ok=True)


@ROOT_ONLY
def test_what_a_killed_grader_left_is_ended_by_the_next(here: Path, pipe: Pipe) -> None:
    holds = f"import os, time\nheld = os.open({str(pipe.path)!r}, os.O_WRONLY)\nos.write(held, b'alive')\n"
    submissions = hand_in(here, ada=f"{holds}time.sleep(3600)\n")
    words = ["--lab", str(LAB.number), "--sandbox", "weak", "--allow-weak-isolation"]
    tmp = here / "tmp"  # graders of other tests sweep /tmp, and have folders of their own there
    tmp.mkdir()
    grader = subprocess.Popen(
        command(str(submissions), *words),
        cwd=ROOT,
        env=environment() | {"TMPDIR": str(tmp)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        assert pipe.wait(120), "the submission did not start"
    finally:
        os.killpg(grader.pid, signal.SIGKILL)
        grader.wait()
    with pytest.raises(BlockingIOError):  # it lives on: nobody ended it
        pipe.read()
    left = [one for one in tmp.glob("wg-*/tmp") if user_leftovers.is_ours(one.stat().st_uid)]
    assert left
    done = grade(str(hand_in(here / "next", bob="def x(:")), *words, home=tmp)
    assert done.returncode == 0, done.stdout + done.stderr
    assert pipe.read() == b"", "somebody still holds the pipe"
    assert not [one for one in left if one.exists()]


@ROOT_ONLY
def test_only_what_is_a_submissions_is_cleared() -> None:
    with pytest.raises(AssertionError):
        user_leftovers.as_user(0)
    assert not user_leftovers.is_ours(os.geteuid()) and not user_leftovers.is_ours(STUDENT)


@contextmanager
def ender(uid: int) -> Iterator[subprocess.Popen[bytes]]:
    """What ends a user's processes, as it is before it does; on its standard input it is told to."""
    code = f"{user_leftovers.AS_ANOTHER}; print(os.getresuid(), flush=True); sys.stdin.read(); os.kill(-1, 9)"
    words = [sys.executable, "-I", "-S", "-c", code, str(uid)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as popen:
        assert popen.stdout is not None and str(uid).encode() in popen.stdout.readline()
        yield popen
        popen.kill()


@ROOT_ONLY
def test_who_ends_a_submission_s_processes_can_not_be_ended_by_them() -> None:
    uid, held = user_leftovers.take_user()
    with held, ender(uid) as one:
        kill = ["/bin/sh", "-c", f"kill -9 {one.pid}"]
        tried = subprocess.run(kill, stderr=subprocess.DEVNULL, check=False, **user_leftovers.as_user(uid))
        assert tried.returncode and one.poll() is None
    assert not user_leftovers.is_ours(uid + user_leftovers.UIDS)


@ROOT_ONLY
def test_two_graders_that_end_two_users_do_not_end_each_other_s_enders() -> None:
    (uid, held), (other, held_too) = user_leftovers.take_user(), user_leftovers.take_user()
    with held, held_too, ender(uid) as one, ender(other) as two:
        assert one.stdin is not None
        one.stdin.close()
        assert one.wait(60) == 0 and two.poll() is None


@ROOT_ONLY
def test_a_user_is_one_grader_s_at_a_time() -> None:
    uid, held = user_leftovers.take_user()
    with held:
        assert user_ids.hold(uid) is None
    again = user_ids.hold(uid)
    assert again is not None
    again.close()


@ROOT_ONLY
def test_a_submission_that_holds_its_own_user_s_id_is_cleared_all_the_same() -> None:
    uid, held = user_leftovers.take_user()
    held.close()
    become = f"os.setgroups([]); os.setresgid({uid}, {uid}, {uid}); os.setresuid({uid}, {uid}, {uid})"
    code = f"import os; from workshop.grade.sandboxes import user_ids; {become}; held = user_ids.hold({uid})"
    words = [sys.executable, "-u", "-c", f"{code}; print('held'); input()"]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as left:
        assert left.stdout is not None and left.stdout.readline() == b"held\n"
        user_leftovers.clear_unheld(uid)
        assert left.wait(60) == -signal.SIGKILL


@ROOT_ONLY
def test_folders_that_everybody_may_write_to_are_looked_through() -> None:
    lock = Path("/run/lock")  # Debian's, in a container's image too
    usual = {"/tmp", "/var/tmp", "/dev/shm", *([str(lock)] if lock.exists() else [])}
    assert {one for one in usual if Path(one).stat().st_mode & 0o002} <= {*user_leftovers.SHARED}
