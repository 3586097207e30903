"""A check's time while a class is graded: what is not through in less than all of it has no verdict yet."""

from __future__ import annotations

import pytest

from tests.grade.test_results import manifest, passing  # noqa: F401
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome import joined
from workshop.judge.patience import VARIABLE, Patience, Time
from workshop.judge.verdict import Verdict

USUAL = {"quick": 0.1, "slow": 6.0}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [100.0]
    monkeypatch.setattr("workshop.judge.patience.time.monotonic", lambda: now[0])
    return now


def test_without_the_solution_s_times_all_is_given() -> None:
    nobody_knows = Patience({}, again=False, hung=5)
    assert nobody_knows.seconds("quick", 20.0) == 20.0
    assert not nobody_knows.is_enough and not nobody_knows.is_short_for_starts


def test_a_first_pass_is_short_and_says_nothing_final(clock: list[float]) -> None:
    first = Patience(USUAL, again=False)
    assert first.seconds("slow", 20.0) == 14.0
    assert first.seconds("slow", 12.0) == 12.0  # all that it has: final
    clock[0] += 12.0
    assert not first.decides("slow", True) and not first.short
    assert first.seconds("quick", 20.0) == pytest.approx(2.2)
    clock[0] += 1.0
    assert not first.decides("quick", False)
    clock[0] += 1.2
    assert first.decides("quick", True) and first.decides("quick", False)
    assert first.short == {"quick"}


def test_a_start_is_not_a_check_s_time(clock: list[float]) -> None:
    first = Patience(USUAL, again=False)
    first.seconds("quick", 20.0)
    clock[0] += 3.0
    first.forgive(2.5)
    assert not first.decides("quick", True)


def test_a_second_pass_gives_all_until_one_has_hung(clock: list[float]) -> None:
    second = Patience(USUAL, again=True)
    assert second.seconds("quick", 20.0) == 20.0
    clock[0] += 20.0
    assert not second.decides("quick", False)
    second.note(timed_out=True)
    assert second.is_enough  # the rest may be asked side by side
    rest = Patience(USUAL, again=True, hung=1)
    assert rest.seconds("quick", 20.0) == pytest.approx(2.3)
    clock[0] += 2.3
    assert rest.decides("quick", True) and not rest.short  # it may have seen less than it should
    assert not rest.decides("quick", False) and rest.short == {"quick"}  # its own words stay
    rest.note(timed_out=True)
    assert not rest.is_enough


def test_on_a_busy_machine_every_check_has_more_time_whatever_has_hung() -> None:
    busy = Patience.alone(USUAL, Time.MORE)
    busy.note(timed_out=True)
    assert busy.seconds("quick", 20.0) == 60.0 and not busy.is_enough and not busy.is_short_for_starts


def test_after_a_start_that_hung_the_others_are_asked_at_once() -> None:
    """All that needs it is known to fail; what does not has less time."""
    second = Patience(USUAL, again=True)
    second.note(timed_out=False)
    assert not second.is_enough and second.is_short_for_starts
    assert second.seconds("quick", 20.0) == pytest.approx(2.3)


def test_who_judges_is_told_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, Patience(USUAL, again=False, hung=1).told())
    assert Patience.of_environment() == Patience(USUAL, again=False, hung=1)
    monkeypatch.delenv(VARIABLE)
    assert Patience.of_environment() == Patience()
    nobody_s = Patience()
    nobody_s.note(timed_out=True)
    assert not nobody_s.is_enough  # a learner's run goes on


def test_what_had_not_all_of_its_time_counts_by_the_second_run(manifest: Manifest) -> None:  # noqa: F811
    name = next(iter(manifest.lab.checks))
    first = passing(manifest, name, verdict=Verdict.TIMEOUT)
    first.short = [name]
    second = first.better(passing(manifest, name, verdict=Verdict.CRASH))
    assert second.checks[0]["verdict"] == Verdict.CRASH and second.run["flaky"] == []
    assert first.better(passing(manifest)).points == manifest.lab.points


def test_parts_are_joined(manifest: Manifest) -> None:  # noqa: F811
    whole = passing(manifest)
    one, two = passing(manifest), passing(manifest)
    one.checks, two.checks = whole.checks[0::2], whole.checks[1::2]
    one.run, two.run = {"seconds": 1.0}, {"seconds": 2.0}
    both = joined([one, two])
    assert both.run == two.run
    assert sorted(check["name"] for check in both.checks) == sorted(manifest.lab.checks)
