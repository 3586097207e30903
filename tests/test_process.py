"""Processes of a target: what one wrote is known to whoever asks after it was written, and who starts it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from workshop.labs import find
from workshop.paths import ROOT, SOLUTIONS
from workshop.run.process import OUTPUT_KEPT, POLL, Process, at_rest
from workshop.run.target_processes import TargetProcesses

SECONDS = 60.0  # for what happens at once on an idle machine

SAYS = """
import os, sys
for line in sys.stdin:
    print("before", line.strip(), flush=True)
    os.write(int(sys.argv[1]), b"done\\n")
"""


@pytest.mark.parametrize("reader", ["in time", "too late"])
def test_output_is_whole_once_the_answer_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str
) -> None:
    if reader == "too late":
        monkeypatch.setattr(Process, "_read", lambda self: None)
    answers, answers_in = os.pipe()
    asked, asking = os.pipe()
    words = [sys.executable, "-c", SAYS, str(answers_in)]
    one = Process(words, cwd=tmp_path, env={}, stdin=asked, pass_fds=(answers_in,))
    os.close(answers_in)
    os.close(asked)
    for number in range(50):
        mark = one.written
        os.write(asking, b"%d\n" % number)
        assert os.read(answers, 100) == b"done\n"
        assert one.output(mark) == f"before {number}\n"
    os.close(asking)
    os.close(answers)
    assert one.popen.wait(SECONDS) == 0
    one.output()
    one.end(grace=0)


def test_the_last_words_are_kept(tmp_path: Path) -> None:
    count = OUTPUT_KEPT + 10_000
    one = Process([sys.executable, "-c", f"print('a' * {count} + 'the end')"], cwd=tmp_path, env={})
    one.popen.wait(SECONDS)
    one.drain(SECONDS)
    assert one.output().endswith("athe end\n")
    assert len(one.output()) == OUTPUT_KEPT
    assert one.written == count + len("the end\n")
    one.end(grace=0)


THREADS = (
    "import threading, time; t = threading.Thread(target={}); t.start(); print('up', flush=True); t.join()"
)


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="only Linux says what a thread is doing")
@pytest.mark.parametrize(
    ("work", "rests"),
    [("lambda: time.sleep(60)", True), ("lambda: [None for _ in iter(int, 1)]", False)],
    ids=["a thread that waits", "a thread that works"],
)
def test_a_process_rests_when_all_of_its_threads_wait(tmp_path: Path, work: str, rests: bool) -> None:
    one = Process([sys.executable, "-c", THREADS.format(work)], cwd=tmp_path, env={})
    try:
        deadline = time.monotonic() + SECONDS
        while one.output() != "up\n" or at_rest([one.pid]) is not rests:
            assert time.monotonic() < deadline, one.output()
        assert rests or not any(at_rest([one.pid]) for _ in range(100))
    finally:
        one.end(grace=0)


def test_a_process_that_is_gone_rests() -> None:
    assert at_rest([2**22 + 1]) is Path("/proc/self").exists()


def test_a_service_that_a_check_has_ended_is_not_started_early() -> None:
    """Services are started before anybody asks; a check that was quicker must find what it did itself."""
    targets = TargetProcesses(find("12"), SOLUTIONS / "12-lifespan", "127.0.0.1")
    try:
        assert targets.start("brisk")["state"] == "ready"
        targets.send_signal("brisk", signal.SIGTERM)
        targets.start_early("brisk")
        deadline = time.monotonic() + SECONDS
        while targets.status("brisk")["state"] == "running" and time.monotonic() < deadline:
            time.sleep(POLL)
        assert "witness: shutdown" in targets.status("brisk")["output"]
    finally:
        targets.end()
        shutil.rmtree(targets.state)


ADOPTS = """
import signal, sys, time
from pathlib import Path
from workshop.run import process

process.adopt_orphans()
one = process.Process([sys.executable, "-c", sys.argv[1]], cwd=Path("."), env={})
while "ready" not in one.output():
    time.sleep(process.POLL)
one.end(grace=0)
left = process.orphans()
looks = []
table = process._process_table
process._process_table = lambda: looks.append(1) or table()
process.end_orphans()
print(len(left), len(looks), process.orphans())
"""
# As a pre-fork server whose workers end at once, and that waits for none of them.
FORKS = """
import os, time
for _ in range(300):
    if os.fork() == 0:
        os.setsid()
        if _ % 30 == 0:
            time.sleep(60)
        os._exit(0)
print("ready", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_hundreds_that_were_left_behind_are_ended_in_a_few_looks_at_the_process_table() -> None:
    words = [sys.executable, "-c", ADOPTS, FORKS]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    left, looks, orphans = done.stdout.split(maxsplit=2)
    assert int(left) >= 290
    assert int(looks) < 10
    assert orphans.strip() == "[]"


TWO_SERVICES = """
import os, signal, sys, time
from pathlib import Path
from workshop.run import process

process.adopt_orphans()
code = "import os, time; os.fork(); print('ready', flush=True); time.sleep(60)"
services = [process.Process([sys.executable, "-c", code], cwd=Path("."), env={}) for _ in range(2)]
while not all(one.output().count("ready") == 2 for one in services):
    time.sleep(process.POLL)
for one in services:  # each leaves a child, which this process adopts
    os.kill(one.pid, signal.SIGKILL)
    one.popen.wait()
children = [process.below(one) for one in services]
process.end_all(services[:1])
first, second = ([pid for pid in pids if process.parent(pid)] for pids in children)
print(len(children[0]), len(first), len(second), process.orphans())
process.end_all(services[1:])
print([pid for pid in children[1] if process.parent(pid)])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_who_ends_one_service_does_not_end_what_another_has_left() -> None:
    """A check that looks at what is left of it would find nothing."""
    words = [sys.executable, "-c", TWO_SERVICES]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["1 0 1 []", "[]"]


ASKS_PS = """
import os, threading
from pathlib import Path
from workshop.run import process

process.PROC = Path("/nowhere")
process.adopt_orphans()
ended = threading.Event()


def ask():
    while not ended.is_set():
        process.zombies([os.getpid()])
        process.descendants(os.getpid())


threads = [threading.Thread(target=ask) for _ in range(3)]
for thread in threads:
    thread.start()
seen = [one for _ in range(30) for one in process.orphans()]
ended.set()
for thread in threads:
    thread.join()
print(seen)
"""


def test_where_ps_is_asked_it_is_not_taken_for_an_orphan() -> None:
    words = [sys.executable, "-c", ASKS_PS]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


SEES_WHAT_STARTS = """
import subprocess, sys, threading
from pathlib import Path
from workshop.run import process

process.adopt_orphans()
seen = []
asker = threading.Thread(target=lambda: seen.append(process.left_behind()))


def start(*words, **more):
    made = popen(*words, **more)
    asker.start()
    asker.join(0.5)  # long enough for who does not wait
    return made


popen, subprocess.Popen = subprocess.Popen, start
one = process.Process(["sleep", "60"], cwd=Path("."), env={"PATH": "/bin:/usr/bin"})
asker.join()
one.end(grace=0)
print(seen)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has subreapers")
def test_what_is_being_started_was_not_left_behind() -> None:
    """A call of a check's would be told that it has the memory of a service that starts meanwhile."""
    words = [sys.executable, "-c", SEES_WHAT_STARTS]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[[]]"


# Numbers of processes come around. Here at once: it runs in a namespace of its own, and says which is next.
COMES_AROUND = """
import subprocess, sys
from pathlib import Path
from workshop.labs import find
from workshop.run import process
from workshop.run.target_processes import TargetProcesses

targets = TargetProcesses(find("12"), Path("."), "127.0.0.1")
one = process.Process(["true"], cwd=Path("."), env={"PATH": "/bin:/usr/bin"})
targets.running["brisk"] = one
one.drain(10)
while one.exit_code() is None:
    pass
Path("/proc/sys/kernel/ns_last_pid").write_text(str(one.pid - 1))
asks = "sleep 60 >/dev/null & echo; read line; kill $!; wait $!; echo $?"
stranger = subprocess.Popen(["sh", "-c", asks], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
assert stranger.pid == one.pid
stranger.stdout.readline()
eval(sys.argv[1])
print(stranger.communicate("go on")[0].strip(), stranger.returncode, flush=True)
targets.temporary.remove()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes such a namespace without ado")
@pytest.mark.parametrize(
    "act",
    [
        "process.end_all([one])",
        "one.end()",
        "targets.send_signal('brisk', 9)",
        "targets.stacks('brisk')",
        "targets.end()",
    ],
)
def test_who_has_the_number_of_one_that_has_ended_is_left_alone(act: str) -> None:
    words = ["unshare", "--pid", "--fork", "--mount-proc", "--kill-child"]
    words += [sys.executable, "-c", COMES_AROUND, act]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "143 0", "it, or its child, was ended by somebody else"
