"""Lab 3's recordings: the files are what the stacks give, and who explains them is never told how."""

from __future__ import annotations

import ast
import importlib
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from workshop.paths import LABS, ROOT, SOLUTIONS

LAB = "03-inside-the-frameworks"
TRAFFIC = LABS / LAB / "traffic"
SEEDS = range(40)


@pytest.fixture(scope="module")
def stacks() -> Any:
    """The reference's stacks.py, with its X-ray."""
    return imported(SOLUTIONS / LAB, "stacks")


def imported(folder: Path, name: str) -> Any:
    """A module by this name from this folder, whatever another folder has."""
    sys.path.insert(0, str(folder))
    try:
        sys.modules.pop(name, None)
        return importlib.import_module(name)
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop(name, None)


def test_examples_are_what_the_stacks_give(stacks: Any, tmp_path: Path) -> None:
    """`python stacks.py labs/03-…/traffic` writes the files that are there, byte by byte."""
    stacks.write(tmp_path)
    made = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert made == {path.name: path.read_bytes() for path in TRAFFIC.iterdir()}


@pytest.mark.parametrize("folder", ["labs/03-inside-the-frameworks/.starter", f"solutions/{LAB}"])
def test_files_say_the_same_as_the_events(stacks: Any, folder: str) -> None:
    """`read`, which learners are given, makes of a file the events that were recorded."""
    findings = imported(ROOT / folder, "findings")
    for name, recording in stacks.examples().items():
        text = (TRAFFIC / f"{name}.txt").read_text(encoding="utf-8")
        assert findings.read(text) == recording.events, name
    for recording in drawn(stacks, SEEDS[0]):
        assert findings.read(stacks.as_text(recording.events)) == recording.events


@pytest.mark.parametrize("folder", [f"solutions/{LAB}", f"tests/alternatives/{LAB}-classes"])
def test_two_ways_to_explain_agree_with_the_truth(stacks: Any, folder: str) -> None:
    findings = imported(ROOT / folder, "findings")
    for seed in SEEDS:
        for recording in drawn(stacks, seed):
            layer, rule, line = findings.finding(recording.events)
            told = (layer, rule) == (recording.layer, recording.rule) and line in recording.lines
            assert told, f"seed {seed}: {layer}, {rule}, {line} for\n{stacks.as_text(recording.events)}"


def test_drawn_recordings_differ_by_seed_and_have_every_fault(stacks: Any) -> None:
    """No recording comes twice but those that say nothing of their own; every rule is broken in each draw."""
    rules = {recording.rule for recording in drawn(stacks, 1)}
    for seed in SEEDS:
        recordings = stacks.drawn(random.Random(seed))
        assert {recording.rule for recording in recordings} == rules
        assert stacks.drawn(random.Random(seed)) == recordings
    orders = {tuple(one.rule for one in stacks.drawn(random.Random(seed))) for seed in SEEDS}
    assert len(orders) == len(SEEDS)
    texts = [stacks.as_text(one.events) for seed in SEEDS for one in stacks.drawn(random.Random(seed))]
    assert len(set(texts)) > len(texts) * 0.98
    assert not set(texts) & {path.read_text(encoding="utf-8") for path in TRAFFIC.iterdir()}


def test_events_are_plain_data(stacks: Any) -> None:
    """What the probe hands on can be written down and read again: nothing of the stacks is in it."""
    for recording in drawn(stacks, 3):
        assert ast.literal_eval(repr(recording.events)) == recording.events


def drawn(stacks: Any, seed: int) -> list[Any]:
    rng = random.Random(seed)
    recordings: list[Any] = [*stacks.drawn(rng), *stacks.all_healthy(stacks.Draw(rng))]
    return recordings
