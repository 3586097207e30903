"""What every lesson has for a learner who works alone: where to begin and stop, first cases, answers."""

from __future__ import annotations

import re

import pytest

from tests.documents import minutes_of
from workshop.labs import Lab, all_labs
from workshop.markdown_links import unlinked
from workshop.paths import SOLUTIONS

LABS = all_labs()
LONG = {2, 5, 8, 11, 14, 16, 17, 18, 19}
ANSWER = re.compile(r"<details><summary>(\d+)\. (.*?)</summary>\n\n(.*?)\n\n</details>", re.DOTALL)
ANSWER_WORDS = range(15, 121)

each_lab = pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.name)


def lesson(lab: Lab) -> str:
    return unlinked((lab.folder / "README.md").read_text(encoding="utf-8"))


def part(lab: Lab, title: str) -> str:
    """What stands under `## title…`, up to the next heading or the line at the foot."""
    found = re.search(rf"^## {title}[^\n]*\n(.*?)(?=^## |^---$)", lesson(lab), re.DOTALL | re.MULTILINE)
    assert found, title
    return found[1]


@each_lab
def test_its_head_says_what_you_need_what_you_get_and_where_to_stop(lab: Lab) -> None:
    head = lesson(lab).split("\n## ")[0]
    first, *items = re.split(r"^- \*\*", head, flags=re.MULTILINE)
    assert [one.split(":**")[0] for one in items] == ["You need", "At the end", "Stop and come back"]
    assert f"`make lab-{lab.number}`" in first
    assert ("in two sittings" in first) == (lab.number in LONG)
    assert (minutes_of(lab)[0] >= 120) == (lab.number in LONG), "long labs are those of two hours or more"
    stop = re.search(r"after task (\d)", items[2])
    if lab.number in LONG:
        assert stop and int(stop[1]) < len(lab.tasks), "a natural stop between two tasks"
    else:
        assert "after any task" in items[2]


@each_lab
def test_each_task_begins_with_its_command_and_first_case(lab: Lab) -> None:
    for task in lab.tasks:
        block = re.search(r"^```\n(run .*?)^```", part(lab, f"Task {task.number}"), re.DOTALL | re.MULTILINE)
        assert block, task.number
        words = re.findall(r"^(\w+) ", block[1], re.MULTILINE)
        assert words[:3] == ["run", "sent", "expected"], task.number
        assert f'make lab-{lab.number} ARGS="-k task{task.number}"' in block[1]


@each_lab
def test_each_rule_is_named_where_it_is_needed(lab: Lab) -> None:
    """ "Rules 2 to 4" or "rule 10", in a task; a task that puts the others together may name none."""
    rules = {int(one) for one in re.findall(r"^(\d+)\. ", part(lab, "Rules that must hold"), re.MULTILINE)}
    named = set[int]()
    for task in lab.tasks:
        for said in re.findall(r"\(?\brules? ([\d, toand]+)", part(lab, f"Task {task.number}")):
            for first, last in re.findall(r"(\d+)(?: to (\d+))?", said):
                named |= set(range(int(first), int(last or first) + 1))
    assert named <= rules
    assert not rules - named, f"rules that no task names: {sorted(rules - named)}"


@each_lab
def test_each_question_has_a_short_answer_folded_away(lab: Lab) -> None:
    asked = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |\Z)", part(lab, "Questions"), re.DOTALL | re.MULTILINE)
    notes = unlinked((SOLUTIONS / lab.name / "NOTES.md").read_text(encoding="utf-8"))
    answers = ANSWER.findall(notes.split("\n## Answers to the lesson's questions\n")[1])
    assert [number for number, *_ in answers] == [number for number, _ in asked]
    for number, _, answer in answers:
        assert len(re.findall(r"\w[\w'-]*", answer)) in ANSWER_WORDS, number
        sentences = re.findall(r"[.?!](?=[”)]?(?:\s|$))", re.sub(r"`[^`]*`", "code", answer))
        assert len(sentences) in (2, 3), f"question {number}: {len(sentences)} sentences"
    assert f"`solutions/{lab.name}/NOTES.md`" in part(lab, "Questions")


@each_lab
def test_its_foot_leads_to_the_lessons_before_and_after(lab: Lab) -> None:
    foot = lesson(lab).split("\n---\n")[-1]
    near = [one for one in LABS if abs(one.number - lab.number) == 1]
    wanted = [f"[{one.number} · {one.title}](../{one.name}/README.md)" for one in near]
    assert [link for link in re.findall(r"\[[^\]]*\]\([^)]*\)", foot) if "../../" not in link] == wanted
