"""Calls at the same time have a probe each; which one, goes by what it has imported."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from workshop.run.probe_pool import ProbePool


def probe() -> Any:
    return SimpleNamespace(imported=set(), is_over=False)


def test_two_calls_at_once_have_two_probes_and_the_next_has_one_of_them() -> None:
    pool = ProbePool(probe)
    with pool.one([]) as first:
        with pool.one([]) as second:
            assert first is not second
        with pool.one([]) as third:
            assert third is second


def test_probe_is_the_one_that_has_the_least_to_import_and_then_the_least_imported() -> None:
    pool = ProbePool(probe)
    with pool.one([]) as small, pool.one([]) as large:
        small.imported.add("app")
        large.imported |= {"app", "frameworks"}
    with pool.one(["app"]) as used:
        assert used is small
    with pool.one(["frameworks"]) as used:
        assert used is large


def test_probe_that_is_over_is_not_used_again() -> None:
    pool = ProbePool(probe)
    with pool.one([]) as first:
        first.is_over = True
    with pool.one([]) as second:
        assert second is not first
