"""Lab 3's checks record stacks with faults, and ask the learner's `finding` what is wrong with them."""

import contextlib
import importlib
import sys
from typing import Any

from recorded_events import ended_well, plain

from workshop.judge.checks import Thing, Transcript, fail, made
from workshop.paths import SOLUTIONS, STATE

LOOK = {
    "01": "between which two lines should another one stand?",
    "02": "clients may leave: that is no fault. Which layer must call close first?",
    "03": "compare the arguments of the inner start_responses with the outer ones, item by item",
    "04": "a strange order may be a legal one: compare it with each rule",
    "05": "which layers were closed, and which were not?",
    "06": "compare Content-Length with the bytes that follow, inside first",
    "07": "the first two lines should have the same path, however it is split",
    "08": "how does a client see that a body is complete? Which layer sent something else?",
    "09": "which message has one line where it should have two?",
    "10": "read the first line again: which type of scope is it?",
}


def stacks() -> Any:
    """Stacks with faults, recorded here and now by the reference's X-ray: never by the learner's."""
    folder = str(SOLUTIONS / "03-inside-the-frameworks")
    sys.path.insert(0, folder)
    try:
        return importlib.import_module("stacks")
    finally:
        sys.path.remove(folder)


def kept(recording: Any) -> str:
    """Put a recording where the learner can read it whole and try it again; the words for the report."""
    text = stacks().as_text(recording.events)
    with contextlib.suppress(OSError):  # a grader's folder may be read-only
        (STATE / "recording.txt").write_text(text, encoding="utf-8")
        return (
            f"finding(events), with the events of {STATE.name}/recording.txt ({len(recording.events)} lines)"
        )
    return f"finding(events) of:\n{text}"


def explained(probe: Any, recordings: list[Any]) -> None:
    """Fail at the first recording for which the learner's `finding` is not what happened."""
    ask = [made("findings:finding", recording.events) for recording in recordings]
    seen = [probe.steps(one) for one in ask]
    right = [is_right(one, recording) for one, recording in zip(seen, recordings, strict=True)]
    if all(right):
        return
    first = right.index(False)
    recording = recordings[first]
    answer = probe.steps(ask[first], sent=kept(recording))
    ended_well(answer)
    said = f"{plain(answer.values[-1])!r} for one like traffic/{recording.like}.txt"
    fail(
        f"{said}: not the fault in this recording ({sum(right)} of {len(right)} are right)",
        f"layer, rule and line, all three     {LOOK[recording.like]}",
    )


def is_right(seen: Transcript, recording: Any) -> bool:
    """Whether a finding has the layer, the rule and a line that will do."""
    answer = seen.values[-1] if seen.values and not seen.raised else None
    items = list(answer.attributes.values()) if isinstance(answer, Thing) else answer
    if not isinstance(items, list | tuple) or len(items) != 3:
        return False
    return items[0] == recording.layer and items[1] == recording.rule and items[2] in recording.lines
