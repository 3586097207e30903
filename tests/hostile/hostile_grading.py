"""What the hostile suite grades with: a manifest of a known check and a hidden one, and little patience."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import socket
import tempfile
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from pathlib import Path

from tests.hostile.cases import Case
from workshop.grade.judging.judge_process import JudgeProcess
from workshop.grade.judging.manifest import Manifest, digest_of
from workshop.grade.judging.one_submission import grade_one
from workshop.grade.judging.outcome import Outcome
from workshop.grade.judging.outcome_cache import canonical
from workshop.grade.sandboxes import choose_sandbox, docker, user_leftovers, weak_sandbox
from workshop.grade.sandboxes.bubblewrap import Bubblewrap
from workshop.grade.sandboxes.cgroup_limits import PREFIX, TREE
from workshop.labs import Lab, find, load
from workshop.paths import SOLUTIONS
from workshop.run import process

CANARY = "CANARY-31415926"
# Enough for what is right, also on a busy machine: what still works gets three times as long to start, and
# whatever a crowded machine may have caused is asked once more, alone.
START_SECONDS = 4.0
CHECK_SECONDS = 5.0
BUDGET = 60.0  # seconds for one submission
PAIRS = 3  # hostile submissions at a time, each with an honest one beside it
TRIES = 3  # of what is honest, alone, on a machine that others use as well
HIDDEN = "test_task9_hidden"


def impatient(toml: str) -> str:
    """A lab.toml with the suite's own budget."""
    budget = f"[budget]\nstart_seconds = {START_SECONDS}\ncheck_seconds = {CHECK_SECONDS}\n\n"
    without = re.sub(r"^\[budget\]\n(?:(?!\[).*\n)*", "", toml, flags=re.MULTILINE)
    return without.replace("[[tasks]]", f"{budget}[[tasks]]", 1)


def secret(lab: Lab, folder: Path) -> Path:
    """An instructor's folder with a hidden check, which has the canary in it."""
    folder.mkdir()
    (folder / "extra.toml").write_text(f'[[tasks]]\ntitle = "Hidden"\n[tasks.checks]\n{HIDDEN} = 1\n')
    (folder / "test_extra.py").write_text(
        "from workshop.judge.checks import check, that\n"
        '@check(task=2, rule="none")\n'
        f"def {HIDDEN}(service):\n"
        f'    answer = service("{next(iter(lab.services))}").get("/{CANARY}")\n'
        f'    service("{next(iter(lab.services))}")\n'  # it may be another program now
        f'    that(answer.status == 404 and isinstance(answer.json(), dict), "{CANARY}", "404, and why")\n'
    )
    return folder


def manifest(lab: Lab, check: str, folder: Path) -> Manifest:
    """A manifest of `check`, as the lab has it, and of the hidden one."""
    made = Manifest.make(lab, folder / "manifest", 7, secret(lab, folder / "extra"))
    toml = made.folder / "lab.toml"
    head, *tasks = re.split(r"^(?=\[\[tasks\]\])", impatient(toml.read_text()), flags=re.MULTILINE)
    chosen = f'[[tasks]]\ntitle = "One"\n[tasks.checks]\n{check} = 1\n\n'
    toml.write_text(head + chosen + tasks[-1])
    (of_lab,) = (path for path in made.folder.glob("test_*.py") if path.name != "test_extra.py")
    (made.folder / "checks").mkdir(exist_ok=True)  # what a check file may import
    of_lab.rename(made.folder / "checks" / "of_the_lab.py")
    (made.folder / "test_one.py").write_text(f"from of_the_lab import {check}  # noqa: F401\n")
    judged = load(made.folder)
    return Manifest(judged, made.folder, 7, digest_of(made.folder), made.grader, made.hidden)


def solution(lab: Lab) -> dict[str, bytes]:
    return {name: (SOLUTIONS / lab.name / name).read_bytes() for name in lab.edit}


class Weakly(weak_sandbox.Weak):
    """The weak sandbox; remembers as which users its submissions ran, and holds these until somebody looks.

    Otherwise another grader of this machine could have one of them by then.
    """

    def __init__(self, lab: Lab) -> None:
        self.users: dict[int, socket.socket] = {}
        super().__init__(lab)

    def take_user(self) -> tuple[int, socket.socket | None]:
        uid, held = super().take_user()
        if held is not None:
            self.users[uid] = held.dup()
        return uid, held

    def close(self) -> None:
        while self.users:
            self.users.popitem()[1].close()
        super().close()


def given(engine: Bubblewrap | docker.Docker | Weakly) -> Path:
    """The lab's own files as a sandbox sees them."""
    return (
        engine.root / "labs" / engine.lab.name if isinstance(engine, Weakly) else engine.sandbox_files.given
    )


class Room:
    """A lab's sandboxes of one engine, a manifest, and what the lab's own solution gets there when alone."""

    def __init__(self, engine: str, lab: str, check: str) -> None:
        self.lab = find(lab)
        self._place = tempfile.TemporaryDirectory(prefix="hostile-")
        self.folder = Path(self._place.name)
        chosen = Weakly(self.lab) if engine == Weakly.name else choose_sandbox.choose(self.lab, engine)
        assert isinstance(chosen, Bubblewrap | docker.Docker | Weakly)
        self.engine = chosen
        try:
            toml = given(self.engine) / "lab.toml"
            toml.write_text(impatient(toml.read_text()))
            self.manifest = manifest(self.lab, check, self.folder)
        except BaseException:
            self.close()
            raise
        self.judge_process = JudgeProcess(self.manifest.folder)
        self.honest = solution(self.lab)
        self.alone = ""

    def close(self) -> None:
        self.engine.close()
        self._place.cleanup()


@dataclass
class Done:
    """A hostile submission's outcome, the honest one's beside it, and what was found after both."""

    outcome: Outcome
    honest: Outcome
    left: set[str]
    seconds: float


class Bench:
    """Grades cases in one kind of sandbox, two at a time, while the tests read what became of them."""

    def __init__(self, engine: str) -> None:
        self.name = engine
        self.rooms: dict[tuple[str, str], Room] = {}
        self._made: list[Room] = []  # those that can't be used among them
        self._lock = threading.Lock()
        pairs = 1 if engine == Weakly.name else PAIRS
        self._free: queue.SimpleQueue[int] = queue.SimpleQueue()
        for pair in range(pairs):
            self._free.put(pair)
        self._pool = ThreadPoolExecutor(pairs)
        self._closed = False
        self._futures: dict[str, Future[Done]] = {}

    def begin(self, cases: list[Case]) -> None:
        self._futures = {case.id: self._pool.submit(self._both, case) for case in cases}

    def result(self, case: Case) -> Done:
        """What became of a case.

        What a crowded machine may have done to the honest one is asked again.
        """
        done = self._futures.pop(case.id).result()
        tries = TRIES
        while done.honest.doubtful and tries:
            tries -= 1
            wait(self._futures.values())
            again = self._grade(self.room(case), self.room(case).honest, 0, done.honest.doubtful)
            done.honest = done.honest.better(again)
        return done

    def room(self, case: Case) -> Room:
        """The room of a case's lab; made, and tried with the lab's own solution, when it is first needed."""
        with self._lock:
            key = case.lab, case.check
            if key not in self.rooms:
                self._must_be_open()
                room = Room(self.name, *key)
                self._made.append(room)
                room.alone = self._alone(room)
                self.rooms[key] = room
            return self.rooms[key]

    def _alone(self, room: Room) -> str:
        """What the lab's own solution gets when nothing runs beside it."""
        outcome = self._grade(room, room.honest, 0)
        for _ in range(TRIES):
            if outcome.doubtful:
                outcome = outcome.better(self._grade(room, room.honest, 0, outcome.doubtful))
        assert outcome.checks[0]["verdict"] == "PASS" and not outcome.infra, outcome.checks
        return canonical(outcome.checks)

    def close(self) -> None:
        """End it at once, whatever is being graded: who pressed Ctrl-C does not wait for its time-outs."""
        self._closed = True
        self._pool.shutdown(wait=False, cancel_futures=True)
        try:
            for room in self._made:
                room.judge_process.end()
            self._pool.shutdown()
        finally:  # execnet interrupts a second time what has not ended within a few seconds
            for room in self._made:
                room.close()

    def _must_be_open(self) -> None:
        """Nothing more is begun once it is being closed."""
        if self._closed:
            raise RuntimeError("the bench is closed")

    def _grade(
        self, room: Room, files: dict[str, bytes], slot: int, only: list[str] | None = None
    ) -> Outcome:
        self._must_be_open()
        return grade_one(files, room.manifest, room.engine, room.judge_process, slot, BUDGET, only)

    def _both(self, case: Case) -> Done:
        """The hostile submission and an honest one beside it, graded as a batch grades them."""
        room, pair = self.room(case), self._free.get()
        try:
            began = time.monotonic()
            for _ in range(case.times):
                outcome, honest = self._side_by_side(room, {**room.honest, **case.files}, 2 * pair)
            seconds = time.monotonic() - began
            return Done(outcome, honest, self.traces(2 * pair + 1), seconds / case.times)
        finally:
            self._free.put(pair)

    def _side_by_side(self, room: Room, files: dict[str, bytes], slot: int) -> tuple[Outcome, Outcome]:
        beside: list[Outcome] = []
        honest = threading.Thread(target=lambda: beside.append(self._grade(room, room.honest, slot)))
        honest.start()
        try:
            outcome = self._grade(room, files, slot + 1)
        finally:
            honest.join()
        return outcome, beside[0]

    def traces(self, slot: int) -> set[str]:
        """What a slot's sandbox could leave: containers, control groups, processes of the slot's user."""
        found = {
            f"group {path}"
            for tree in ("memory", "pids", "cpu", "")
            for path in (TREE / tree).glob(f"{PREFIX}{os.getpid()}-{slot}-*")
        }
        if self.name == "docker":
            named = f"name={docker.LABEL}-{os.getpid()}-{slot}-"
            words = docker.call(["ps", "-a", "--filter", named, "--format", "{{.Names}}"])
            found |= {f"container {name}" for name in words.split()}
        for uid, held in self._new_users(slot).items():
            pids = user_leftovers.pids_of(uid)
            for pid in set(pids) - set(process.zombies(pids)):  # dead ones are init's to bury
                with contextlib.suppress(OSError):
                    words = Path(f"/proc/{pid}/cmdline").read_text(errors="replace").replace("\0", " ")
                    found.add(f"process {pid} {words[:80]}")
            found |= {
                f"file {path}"
                for place in user_leftovers.SHARED
                for path in user_leftovers.left_in(Path(place), uid)
            }
            if held is not None:
                held.close()
        return found

    def _new_users(self, slot: int) -> dict[int, socket.socket | None]:
        """The user ids that a slot's submissions have had, those of the weak sandbox since the last look.

        With what holds these, to be closed after the look. Each has new ones there: what has gone leaves
        nothing later, and a look at hundreds takes seconds.
        """
        if os.geteuid() != 0:
            return {}
        found: dict[int, socket.socket | None] = {}
        for engine in (room.engine for room in self.rooms.values()):
            if isinstance(engine, Weakly):
                while engine.users:
                    uid, held = engine.users.popitem()
                    found[uid] = held
            elif isinstance(engine, Bubblewrap):
                found[engine.uid(slot)] = None
        return found
