"""How a value reads in a report: the same each time."""

from __future__ import annotations

from workshop.judge.checks import shown


def test_sets_have_one_order_whatever_the_hashes_are() -> None:
    words = {f"x-{number}" for number in range(20)}
    assert shown(words) == f"{{{', '.join(sorted(map(repr, words)))}}}"
    assert shown({1, "a"}) == "{'a', 1}"
    assert shown(set()) == "set()"


def test_long_values_are_cut_in_the_middle() -> None:
    text = shown("a" * 1000)
    assert len(text) < 400 and " … " in text
