"""One red does not make another: of a mistake, each check that is red is red alone, too.

A mistake may break what several checks ask for. What only goes red after another check has failed (its
connections, processes and streams are still there) accuses innocent code. One mistake of each lab is drawn,
and all of the lab's checks judge it; the kill matrix lists what else was red.
"""

from __future__ import annotations

import random
import shutil
import zlib
from pathlib import Path

import pytest

from tests import judging, proof_parts
from tests.kill_matrix import note_kills
from workshop.labs import Lab, all_labs, find
from workshop.paths import SOLUTIONS

RED = ("FAIL", "TIMEOUT", "CRASH", "NO_START")


def drawn(lab: Lab) -> judging.Mistake:
    seen = [one for one in judging.mistakes(lab) if one.counts_here()]
    return random.Random(f"{proof_parts.seed()}:{lab.name}").choice(seen)


POISONED = [
    ("04-wsgi-app", "the last surrogate is taken for a character"),  # a task that no later check can write
    ("13-websockets", "one count for all rooms"),
]


@pytest.mark.parametrize(("name", "mistake"), POISONED, ids=[name for name, _ in POISONED])
def test_what_a_failed_check_leaves_in_a_service_is_not_the_next_one_s(
    name: str, mistake: str, tmp_path: Path
) -> None:
    """A service that a failed check has used begins anew, when nginx showed it, too."""
    lab = find(name)
    (chosen,) = [one for one in judging.mistakes(lab) if one.name == mistake]
    whole = judging.judge(lab, judging.with_mistake(lab, chosen, tmp_path), "--seed", "7")
    red = [check["name"] for check in whole["checks"] if check["verdict"] in RED]
    assert red == [chosen.check], judging.failures(whole)


# In lab 13: changes of the solution, and what the trace of "close_codes" ends with ("" for no trace).
AFTER_ITS_CLOSE = (
    "        await close(send, closing)\n    except Left:",
    '        await close(send, closing)\n        raise LookupError("after its close")\n    except Left:',
)
AT_ITS_END = ('raise Left(event["code"])', 'raise LookupError("at its end")')
CHARACTERS = ("message.encode() if isinstance(message, str) else message", "message")
TRACES = {
    "an earlier call raised after its close": ([AFTER_ITS_CLOSE, CHARACTERS], ""),
    "an earlier call raised when its client had gone": (
        [AT_ITS_END, ("> MESSAGE_LIMIT", ">= MESSAGE_LIMIT")],
        "",
    ),
    "the call that is shown raised": (
        [AFTER_ITS_CLOSE, ('message == "bye"', 'message in ("bye", b"bye")')],
        "LookupError: after its close",
    ),
}


@pytest.mark.parametrize("case", TRACES)
def test_a_trace_is_of_the_websocket_that_is_shown(case: str, tmp_path: Path) -> None:
    lab, (changes, ends_with) = find("13"), TRACES[case]
    shutil.copytree(SOLUTIONS / lab.name, tmp_path / "target")
    text = (tmp_path / "target" / "app.py").read_text(encoding="utf-8")
    for before, after in changes:
        assert text.count(before) == 1
        text = text.replace(before, after)
    (tmp_path / "target" / "app.py").write_text(text, encoding="utf-8")
    (check,) = judging.judge(lab, tmp_path / "target", "-k", "close_codes")["checks"]
    trace = check["finding"]["trace"]
    assert check["verdict"] == "FAIL" and (trace[-1:] or [""])[0] == ends_with, judging.report(check)


def test_a_call_that_hangs_in_one_lane_ends_nothing_in_another(tmp_path: Path) -> None:
    """After a TIMEOUT every service and probe is ended: the checks of other lanes are through before."""
    lab = find("8")
    target = tmp_path / "target"
    shutil.copytree(SOLUTIONS / lab.name, target)
    text = (target / "wrappers.py").read_text(encoding="utf-8")
    for line, more in (
        ("    cookies: dict[str, str] = {}\n", "    while field.count(';'):\n        pass\n"),
        ("        status, headers, body = self._chosen(environ)\n", "        threading.Event().wait(0.12)\n"),
    ):
        assert text.count(line) == 1
        text = text.replace(line, line + more)
    (target / "wrappers.py").write_text(text, encoding="utf-8")
    whole = judging.judge(lab, target, "--seed", "1")
    red = [check["name"] for check in whole["checks"] if check["verdict"] in RED]
    assert red == ["test_task1_cookies_are_pairs"], judging.failures(whole)


@pytest.mark.whole("one mistake, all checks")
@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_what_is_red_is_red_alone(lab: Lab, tmp_path: Path) -> None:
    mistake = drawn(lab)
    target = judging.with_mistake(lab, mistake, tmp_path)
    seed = ("--seed", str(zlib.crc32(mistake.name.encode()) % 10**6))
    whole = judging.judge(lab, target, *seed)
    note_kills(lab.name, mistake, whole)
    red = [check for check in whole["checks"] if check["verdict"] in RED]
    assert mistake.check in [check["name"] for check in red], judging.failures(whole)
    for check in red:
        alone = judging.judge(lab, target, *seed, "-k", check["name"])["by_name"][check["name"]]
        assert alone["verdict"] in RED, (
            f"{mistake.name!r}: {check['name']} is green alone, and was red after other checks:\n"
            f"{judging.report(check)}"
        )
