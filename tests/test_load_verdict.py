"""What makes a run PASS, FAIL or INCONCLUSIVE."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest

from workshop.labs import Load
from workshop.load.load_verdict import (
    CROWDED,
    REFERENCE,
    YOURS,
    FactResult,
    Limit,
    LoadVerdict,
    Run,
    Series,
    compare,
    is_worth_repeating,
    judge,
)

LIMITS = Load(users=10, seconds=6, at_least=100, ratio=2.0)
BLOCKS = 12


def series(side: str, mean: float, way: str = "", each: int = 50, wobble: float = 0.0) -> Series:
    """Twelve half seconds of `each` requests; every second one is slower by `wobble`."""
    blocks = [
        (100 + number, each, each * mean * (1 + (wobble if number % 2 else -wobble)))
        for number in range(BLOCKS)
    ]
    return Series(side, way, each * BLOCKS, 0, sum(ms for *_, ms in blocks), tuple(blocks))


def run_of(yours: float, reference: float = 4.0, wobble: float = 0.0, **more: Any) -> Run:
    pair = (series(YOURS, yours, wobble=wobble), series(REFERENCE, reference))
    return Run(("",), pair, **more)


def test_equal_sides_pass() -> None:
    assert judge([run_of(4.1)], LIMITS).verdict is LoadVerdict.PASS


def test_ratio_over_its_limit_fails_and_names_it() -> None:
    outcome = judge([run_of(20.0), run_of(20.0)], LIMITS)
    assert outcome.verdict is LoadVerdict.FAIL
    assert outcome.reasons == (
        "yours takes 5.0 times as long as the reference; the limit is 2 (measured twice).",
    )


def test_the_second_run_counts() -> None:
    assert is_worth_repeating(run_of(9.0), LIMITS)
    assert judge([run_of(9.0), run_of(4.0)], LIMITS).verdict is LoadVerdict.PASS


def test_ratio_that_chance_may_explain_is_inconclusive() -> None:
    outcome = judge([run_of(8.4, wobble=0.9)], LIMITS)
    assert outcome.verdict is LoadVerdict.INCONCLUSIVE
    assert "chance" in outcome.reasons[0]


def test_ratio_has_no_range_when_the_run_was_too_short() -> None:
    few = Series(YOURS, "", 10, 0, 100.0, ((1, 10, 100.0),))
    ratio = compare(few, Series(REFERENCE, "", 10, 0, 10.0, ((1, 10, 10.0),)), 2.0)
    assert ratio is not None and ratio.is_over and not ratio.is_clearly_over and math.isinf(ratio.high)


def test_fault_fails_however_fast() -> None:
    run = run_of(1.0, faults={YOURS: {"status 500 instead of 200": 1}, REFERENCE: {}})
    assert judge([run], LIMITS).verdict is LoadVerdict.FAIL
    assert judge([run], LIMITS).reasons == ("1 × status 500 instead of 200",)
    assert not is_worth_repeating(run, LIMITS)


def test_fact_that_does_not_hold_fails() -> None:
    fact = FactResult("no id was given twice", YOURS, "given twice: 7")
    outcome = judge([run_of(4.0, facts=(fact,))], LIMITS)
    assert outcome.verdict is LoadVerdict.FAIL
    assert outcome.reasons == ("no id was given twice: given twice: 7",)
    holds = replace(fact, instead="")
    assert judge([run_of(4.0, facts=(holds,))], LIMITS).verdict is LoadVerdict.PASS


def test_trouble_of_the_reference_is_nobody_s_fault() -> None:
    faults = {YOURS: {"no answer within 3 s": 9}, REFERENCE: {"no answer within 3 s": 2}}
    outcome = judge([run_of(4.0, faults=faults)], LIMITS)
    assert outcome.verdict is LoadVerdict.INCONCLUSIVE
    assert "reference" in outcome.reasons[0]


@pytest.mark.parametrize("yours", ["no answer within 3 s", "more than 512 KiB of answer"])
def test_who_holds_up_the_visitors_is_to_blame(yours: str) -> None:
    """They come less often to the reference then, or late: a fact of its may not hold."""
    fact = FactResult("four ran at once", REFERENCE, "2 at once")
    run = run_of(4.0, faults={YOURS: {yours: 9}}, facts=(fact,))
    assert judge([run], LIMITS).reasons == (f"9 × {yours}",)
    both_late = replace(run, faults={YOURS: {yours: 9}, REFERENCE: {"no answer within 3 s": 1}})
    late = yours.startswith("no answer")
    assert (judge([both_late], LIMITS).verdict is LoadVerdict.INCONCLUSIVE) == late
    worse = replace(run, faults={YOURS: {yours: 9}, REFERENCE: {"a wrong body": 1}})
    assert judge([worse], LIMITS).verdict is LoadVerdict.INCONCLUSIVE


def test_nothing_completed_is_no_pass() -> None:
    assert judge([Run(("",), ())], LIMITS).verdict is LoadVerdict.INCONCLUSIVE


def test_too_few_completed_is_no_pass() -> None:
    run = Run(("",), (series(YOURS, 4.0, each=2), series(REFERENCE, 4.0, each=2)))
    outcome = judge([run], LIMITS)
    assert outcome.verdict is LoadVerdict.INCONCLUSIVE
    assert outcome.reasons == ("Only 24 requests were completed; 100 are needed to tell.",)


def test_few_slow_requests_are_enough_to_fail() -> None:
    """A service so slow that it never gets to `at_least` is not excused by that."""
    run = Run(("",), (series(YOURS, 400.0, each=2), series(REFERENCE, 4.0, each=2)))
    assert judge([run], LIMITS).verdict is LoadVerdict.FAIL


@pytest.mark.parametrize("yours", [4.0, 40.0])
def test_crowded_machine_tells_nothing_about_speed(yours: float) -> None:
    run = run_of(yours, crowding=CROWDED + 1)
    assert judge([run], LIMITS).verdict is LoadVerdict.INCONCLUSIVE
    assert not is_worth_repeating(run, LIMITS)


def test_crowded_machine_excuses_no_fault() -> None:
    run = run_of(4.0, crowding=CROWDED + 1, faults={YOURS: {"status 500 instead of 200": 3}})
    assert judge([run], LIMITS).verdict is LoadVerdict.FAIL


def test_limit_between_two_ways_of_one_side() -> None:
    pairs = [series(side, mean, way) for side in (YOURS, REFERENCE) for way, mean in WAYS.items()]
    limits = (Limit("last route", 2.0, "first route"),)
    outcome = judge([Run(tuple(WAYS), tuple(pairs), limits=limits)], LIMITS)
    assert outcome.verdict is LoadVerdict.FAIL
    assert outcome.reasons == ("last route takes 3.0 times as long as first route; the limit is 2.",)


WAYS = {"first route": 4.0, "last route": 12.0}
