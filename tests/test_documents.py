"""The documents are true: links, names, figures, commands and the functions that lessons point to."""

from __future__ import annotations

import importlib
import re
import subprocess
from pathlib import Path

import pytest

from tests import recording
from tests.documents import (
    INSTRUCTORS,
    PLANS,
    README,
    SHOWN,
    TERM,
    TERM_HOURS,
    Plan,
    made,
    plans,
    readme,
    report,
    total,
)
from workshop.judge.verdict import Verdict
from workshop.labs import Lab, all_labs, find
from workshop.markdown_links import unlinked
from workshop.paths import LABS, ROOT

CONTRIBUTING = ROOT / "CONTRIBUTING.md"
DOCUMENTS = [
    README,
    CONTRIBUTING,
    ROOT / "AGENTS.md",
    INSTRUCTORS,
    LABS / "README.md",
    *sorted(ROOT.glob("labs/*/README.md")),
    *sorted(ROOT.glob("labs/*/MAP.md")),
    *sorted(ROOT.glob("labs/*/COMPARED.md")),
    ROOT / "findings" / "README.md",
    *sorted(ROOT.glob("labs/*/hints.md")),
    *sorted(ROOT.glob("solutions/*/NOTES.md")),
]
SOFT = re.compile(r"\b(simply|just|easy|easily|obviously|of course|trivial(?:ly)?)\b", re.IGNORECASE)
NAMED = re.compile(r"`((?:[a-z_]\w*\.)*[a-z_]\w*:[A-Za-z_][\w.]*)`")
PACKAGES = {"gunicorn", "uvicorn", "hypercorn", "werkzeug", "flask", "django", "starlette", "fastapi", "h11"}
PACKAGES |= {"wsgiref", "websockets", "wsproto", "socketserver", "http", "httptools", "waitress"}
PACKAGES |= {"a2wsgi", "asgiref", "httpx"}
LESSON_WORDS = range(700, 1201)
BLOCK_LINES = 25

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
each_lab = pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", unlinked(text), flags=re.DOTALL | re.MULTILINE)


# --- README and INSTRUCTORS -------------------------------------------------------------------------


def test_what_is_made_in_readme_is_of_today() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == readme(text), "run `python -m tests.documents`"


def test_what_is_made_in_instructors_is_of_today() -> None:
    text = INSTRUCTORS.read_text(encoding="utf-8")
    assert text == made(text, "plans", plans()), "run `python -m tests.documents`"


@pytest.mark.parametrize("plan", PLANS, ids=lambda plan: plan.name)
def test_a_class_has_the_time_that_its_labs_take(plan: Plan) -> None:
    assert total(plan.labs)[1] <= plan.hours * 60


def test_a_term_has_the_time_that_its_labs_take() -> None:
    assert all(total((number,))[1] <= TERM_HOURS * 60 for number in TERM)


def test_the_first_screen_of_readme_says_what_it_is_and_how_to_begin() -> None:
    """What and for whom in a hundred words, the commands, a recording; then how long, where, licence."""
    screen = README.read_text(encoding="utf-8").split("\n## ")[0]
    what, commands, rest = screen.split("```")
    assert len(what.split()) <= 110, len(what.split())
    assert re.findall(r"^\$ (git clone|make [a-z0-9-]+)", commands, re.MULTILINE) == [
        "git clone",
        "make lab-1",
        "make test",
    ]
    for wanted in ("recording.svg", "How long", "Where it runs", "Written against", "Licence"):
        assert wanted in rest, wanted


def test_the_report_in_readme_is_real() -> None:
    """It is what a solution gets with one mistake in it, and no more than a glance long."""
    text = README.read_text(encoding="utf-8")
    shown = report()
    assert text == made(text, "report", shown), "run `python -m tests.documents`"
    assert len(shown.splitlines()) <= 12
    assert find(SHOWN[0]).number == 1


def test_the_recording_in_readme_is_real() -> None:
    """`make recording` says the same, but for the time of day; nothing in it is fetched from elsewhere."""
    kept = recording.RECORDING.read_text(encoding="utf-8")
    assert recording.words(kept) == recording.words(recording.picture(*recording.run())), (
        "run `make recording`"
    )
    assert re.findall(r"(?:https?:)?//[\w.-]+", kept.replace("http://127.0.0.1", "")) == ["http://www.w3.org"]
    assert len(kept) < 40_000
    assert "prefers-reduced-motion" in kept


# --- CONTRIBUTING -----------------------------------------------------------------------------------


def test_files_that_contributing_names_are_there() -> None:
    """By path, or by name alone where its folder was named before; NN, slug and the like stand for others."""
    text = CONTRIBUTING.read_text(encoding="utf-8")
    suffixes = r"\.(?:py|sh|toml|j2|css|html|yaml|md|in)\b"
    named = set(re.findall(rf"(?<![\w/.-])[\w/.-]+{suffixes}", prose(text)))
    named |= set(re.findall(rf"`([\w/.-]+{suffixes})`", text))
    placeholders = re.compile(r"NN|slug|NAME|shape")
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
    missing = [
        one
        for one in sorted(named)
        if not placeholders.search(one) and not any(f"/{path}".endswith(f"/{one}") for path in tracked)
    ]
    assert not missing


def test_the_drawing_has_every_room() -> None:
    drawing = CONTRIBUTING.read_text(encoding="utf-8").split("```")[1]
    rooms = {path.parent.name for path in ROOT.glob("workshop/*/__init__.py")}
    assert rooms == set(re.findall(r"workshop/(\w+)", drawing))


def test_words_are_in_order_and_verdicts_are_all_there() -> None:
    rows = re.search(r"\| word \|.*?\n\n", CONTRIBUTING.read_text(encoding="utf-8"), re.DOTALL)
    assert rows
    words = dict(re.findall(r"^\| ([a-z ]+) \| (.*) \|$", rows[0], re.MULTILINE))
    words.pop("word")
    assert list(words) == sorted(words) and len(words) >= 20
    assert set(re.findall(r"[A-Z_]{4,}", words["verdict"])) == set(Verdict)


# --- all of them ------------------------------------------------------------------------------------


@each_document
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", prose(path.read_text(encoding="utf-8"))):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (path.parent / target).exists(), f"{path.name} links to {target}"


@pytest.mark.parametrize("path", DOCUMENTS[2:], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_soft_words(path: Path) -> None:
    found = SOFT.findall(prose(path.read_text(encoding="utf-8")))
    assert not found, found


@each_document
def test_named_functions_exist(path: Path) -> None:
    """`package.module:Qualified.name` in a document is there in the installed version."""
    for name in NAMED.findall(path.read_text(encoding="utf-8")):
        module, _, attributes = name.partition(":")
        if module.split(".")[0] not in PACKAGES:
            continue
        found = importlib.import_module(module)
        for attribute in attributes.split("."):
            assert hasattr(found, attribute), f"{path.name} names {name}"
            found = getattr(found, attribute)


@each_document
def test_make_targets_exist(path: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+(?:%)?):", makefile, re.MULTILINE))
    for word in re.findall(r"\bmake ([a-z]+(?:-[a-z]+)*(?:-[N\d]+)?)", path.read_text(encoding="utf-8")):
        assert re.sub(r"-[N\d]+$", "-%", word) in targets, f"{path.name}: make {word}"


@each_lab
def test_lesson_has_its_shape(lab: Lab) -> None:
    """A lesson's length, its blocks, its head line and the parts that every lesson has."""
    text = (lab.folder / "README.md").read_text(encoding="utf-8")
    assert text.startswith(f"# Lab {lab.number} · {lab.title}\n")
    words = len(re.findall(r"\w[\w'-]*", prose(text)))
    assert words in LESSON_WORDS, f"{words} words"
    longest = max(
        len(block.splitlines()) for block in re.findall(r"^```[^\n]*\n(.*?)^```", text, re.DOTALL | re.M)
    )
    assert longest <= BLOCK_LINES, f"a block of {longest} lines"
    for part in (
        "You will be able to",
        "Predict",
        "Load it",
        "How the real ones do it",
        "Questions",
        "<details>",
    ):
        assert part in text, part
    for task in lab.tasks:
        assert re.search(rf"^## Task {task.number}\b", text, re.MULTILINE), f"Task {task.number}"
    for name in lab.edit:
        assert f"`{name}`" in text


@each_lab
def test_hints_have_three_levels_a_task(lab: Lab) -> None:
    from workshop.learn.hints import sections

    found = sections(lab)
    for task in lab.tasks:
        mine = [one for one in found if one.task == task.number]
        assert any(not one.when for one in mine), f"task {task.number} has no general hints"
        assert all(len(one.levels) == 3 for one in mine), f"task {task.number}"
