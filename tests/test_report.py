"""What of a long report stands on a terminal."""

from __future__ import annotations

from workshop.judge.report import explain
from workshop.judge.verdict import CheckResult, Finding, Verdict


def test_of_what_was_sent_the_end_is_shown() -> None:
    """What a long conversation failed at is the last that was sent."""
    sent = "\n".join(f"message {number}" for number in range(40))
    got = "\n".join(f"line {number}" for number in range(40))
    result = CheckResult(
        "test_task1_x", 1, "x", Verdict.FAIL, 0, 2, Finding(sent=sent, got=got, expected="c")
    )
    text = "\n".join(line.plain for line in explain(result, 80))
    assert "message 0 …" in text and "message 39\n" in text and "message 20" not in text
    assert "line 0\n" in text and "line 39" not in text
