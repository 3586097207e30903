"""Who is asked once more beside whom, with how much time; how many submissions a machine grades at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, sleep
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.grade.test_results import manifest  # noqa: F401
from workshop.grade.judging import idle_time, second_pass, worker_pools
from workshop.grade.judging.idle_time import IdleTime
from workshop.grade.judging.local_pool import Files
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome import Outcome, blank
from workshop.grade.judging.second_pass import SecondPass
from workshop.grade.judging.worker_pools import SEATS, Pool, Threads
from workshop.grade.sandboxes.sandbox import MEMORY, Engine
from workshop.judge.patience import Time
from workshop.judge.verdict import Verdict

SECONDS = 60.0  # for what is asked side by side to have begun


@dataclass
class Asked:
    """One call of `alone`: whose, which checks, whether one had hung, and when."""

    who: str
    names: list[str]
    time: Time
    began: float
    ended: float = 0.0

    def overlaps(self, other: Asked) -> bool:
        return self.began < other.ended and other.began < self.ended


class FakePool(Pool):
    """Programs whose second check hangs, and whose others pass; `cpu` is what each uses of a processor.

    Where `others` have so much of the machine, it is through with more time; and so is the third, which says
    itself what it waited for when its time is cut short.
    """

    image = "fake"

    def __init__(self, manifest: Manifest, together: int = 8, cpu: float = 0.0, hangs: bool = True) -> None:  # noqa: F811
        self.manifest, self.room, self.cpu, self.hangs = manifest, together, cpu, hangs
        self.others = 0.0
        self.asked: list[Asked] = []
        self._lock = threading.Lock()
        self._meet: Callable[[Asked], bool] = lambda call: False
        self._meeting = threading.Barrier(1)

    def expect_at_once(self, count: int, whom: Callable[[Asked], bool]) -> None:
        """None of so many calls ends before all of them have begun, however late the machine begins one."""
        self._meet, self._meeting = whom, threading.Barrier(count)

    @property
    def together(self) -> int:
        return self.room

    def alone(self, files: Files, only: list[str], time: Time = Time.ALL) -> Outcome:
        call = Asked(files["who"].decode(), only, time, monotonic())
        with self._lock:
            self.asked.append(call)
        if self._meet(call):
            self._meeting.wait(SECONDS)
        sleep(0.05)
        call.ended = monotonic()
        outcome = blank(self.manifest, Verdict.PASS, "", "", "", only)
        outcome.run = {"seconds": 0.05, "facts": {"cpu": self.cpu}, "others": self.others}
        bad = self.manifest.lab.checks[1]
        if self.hangs and bad in only and not (time is Time.MORE and self.others):
            outcome.checks[only.index(bad)]["verdict"] = "TIMEOUT"
            if time is Time.ALL:
                outcome.short = only[only.index(bad) + 1 :]
                for check in outcome.checks[only.index(bad) + 1 :]:
                    check["verdict"] = "TIMEOUT"
        cut = self.manifest.lab.checks[2]
        if self.others and cut in only and time is Time.LESS:
            outcome.checks[only.index(cut)]["verdict"] = "FAIL"
            outcome.short = [cut]
        return outcome

    def open(self, manifest: Manifest) -> None: ...  # noqa: F811

    def grade(self, files: Mapping[str, Files]) -> Iterator[tuple[str, Outcome]]:
        raise NotImplementedError

    def end(self) -> None: ...

    def close(self) -> None: ...


def first_pass(manifest: Manifest, cpu: float) -> Outcome:  # noqa: F811
    """All checks were asked in vain, which used so much of a processor in ten seconds."""
    outcome = blank(manifest, Verdict.TIMEOUT, "", "", "")
    outcome.run = {"seconds": 10.0, "facts": {"cpu": cpu}}
    outcome.short = [check["name"] for check in outcome.checks]
    return outcome


def run(pool: FakePool, **cpu: float) -> dict[str, Outcome]:
    files = {key: {"who": key.encode()} for key in cpu}
    return dict(SecondPass(pool, files, {key: first_pass(pool.manifest, cpu[key]) for key in cpu}).run())


def verdicts(outcome: Outcome) -> list[str]:
    return [check["verdict"] for check in outcome.checks if check["verdict"] != "PASS"]


def test_what_comes_after_the_first_that_hangs_is_asked_in_parts(manifest: Manifest) -> None:  # noqa: F811
    pool = FakePool(manifest)
    pool.expect_at_once(second_pass.PARTS, lambda call: call.time is Time.LESS)
    found = run(pool, waits=0.1)["waits"]
    first, *parts = pool.asked
    names = manifest.lab.checks
    assert first.names == names and first.time is Time.ALL
    assert len(parts) == second_pass.PARTS and all(part.time is Time.LESS for part in parts)
    assert sorted(name for part in parts for name in part.names) == sorted(names[2:])
    assert all(one.overlaps(other) for one in parts for other in parts)
    assert sorted(check["name"] for check in found.checks) == sorted(names)
    assert verdicts(found) == ["TIMEOUT"]


def test_programs_that_wait_are_beside_each_other_and_one_that_works(manifest: Manifest) -> None:  # noqa: F811
    pool = FakePool(manifest)
    pool.expect_at_once(2, lambda call: call.who in ("one", "two") and call.time is Time.ALL)
    found = run(pool, one=0.1, two=0.1, works=9.0, too=9.0)
    assert all(verdicts(outcome) == ["TIMEOUT"] for outcome in found.values())
    by = {key: [call for call in pool.asked if call.who == key] for key in found}
    assert by["one"][0].overlaps(by["two"][0])
    assert not any(one.overlaps(other) for one in by["works"] for other in by["too"])
    for call in (*by["works"], *by["too"]):  # all processors, but for its first, are for those that wait
        beside = [other for key in ("one", "two") for other in by[key] if call.overlaps(other)]
        assert not (beside and call.time is Time.LESS)


@pytest.mark.parametrize("cpu", [0.0, 90.0], ids=["they only wait", "they work after all"])
def test_who_was_in_each_other_s_way_is_asked_again_alone(manifest: Manifest, cpu: float) -> None:  # noqa: F811
    pool = FakePool(manifest, cpu=cpu)
    found = run(pool, one=0.1, two=0.1)
    assert all(verdicts(outcome) == ["TIMEOUT"] for outcome in found.values())
    again = [call for call in pool.asked if call.names == [manifest.lab.checks[1]]]
    assert len(again) == (2 if cpu else 0)
    assert not any(one is not other and one.overlaps(other) for one in again for other in pool.asked)


def test_where_one_at_a_time_is_asked_nothing_overlaps(manifest: Manifest) -> None:  # noqa: F811
    pool = FakePool(manifest, together=1)
    found = run(pool, one=0.1, two=0.1, works=9.0)
    assert all(verdicts(outcome) == ["TIMEOUT"] for outcome in found.values())
    assert not any(one is not other and one.overlaps(other) for one in pool.asked for other in pool.asked)


def test_what_was_through_is_not_asked_a_third_time(manifest: Manifest) -> None:  # noqa: F811
    pool = FakePool(manifest, hangs=False)
    assert verdicts(run(pool, slow=0.1)["slow"]) == [] and len(pool.asked) == 1


@pytest.mark.parametrize("cpu", [0.1, 9.0], ids=["it waits", "it works"])
def test_on_a_machine_that_others_keep_busy_there_is_more_time(manifest: Manifest, cpu: float) -> None:  # noqa: F811
    pool = FakePool(manifest)
    pool.others = 0.9
    found = run(pool, late=cpu)["late"]
    assert verdicts(found) == []
    assert [call.names for call in pool.asked if call.time is Time.MORE] == [manifest.lab.checks[1:3]]


# --- the first pass ----------------------------------------------------------------------------------------


def seats(
    monkeypatch: pytest.MonkeyPatch,
    more: float,
    memory: int = 64 * MEMORY,
    workers: int | None = None,
    one_at_a_time: bool = False,
) -> int:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    monkeypatch.setattr(worker_pools, "free_memory", lambda: memory)
    engine: Any = SimpleNamespace(name="some", one_at_a_time=one_at_a_time)
    threads = Threads(cast(Engine, engine), workers)
    threads._desk = cast(Any, SimpleNamespace(more=more))
    return threads.seats


def test_as_many_are_graded_as_there_was_time_for(monkeypatch: pytest.MonkeyPatch) -> None:
    assert seats(monkeypatch, 0.0) == 2  # one a core, also where others use the machine
    assert seats(monkeypatch, 1.4) == 3
    assert seats(monkeypatch, 9.7) == 11
    assert seats(monkeypatch, 1000.0) == 2 * SEATS
    assert seats(monkeypatch, 9.7, memory=5 * MEMORY) == 5
    assert seats(monkeypatch, 9.7, memory=0) == 2
    assert seats(monkeypatch, 9.7, workers=1) == 1
    assert seats(monkeypatch, 9.7, one_at_a_time=True) == 1


def test_idle_processors_are_counted() -> None:
    idle = IdleTime()
    sleep(0.2)
    assert 0.0 <= idle.seconds() < 0.2 * 1024
    assert 0.0 <= idle.others(own=0.0) <= 1.0
    assert idle.others(own=0.2 * 1024) == 0.0


def test_where_nobody_can_tell_nobody_else_is_blamed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(idle_time, "STAT", tmp_path / "nothing")
    idle = IdleTime()
    assert (idle.seconds(), idle.others(own=0.0)) == (0.0, 0.0)
