"""The documents are true: links, names, figures, commands and the functions that lessons point to."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from tests import judging
from tests.documents import README, with_table
from workshop.labs import Lab, all_labs, find
from workshop.paths import ROOT

DOCUMENTS = [
    README,
    ROOT / "CONTRIBUTING.md",
    ROOT / "AGENTS.md",
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
PACKAGES |= {"wsgiref", "asgiref", "websockets", "wsproto", "socketserver", "http", "httptools", "waitress"}
LESSON_WORDS = range(700, 1201)
BLOCK_LINES = 25

each_document = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
each_lab = pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)


def prose(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)


def test_table_of_labs_is_what_the_labs_say() -> None:
    text = README.read_text(encoding="utf-8")
    assert text == with_table(text), "run `python -m tests.documents`"


def test_first_command_is_within_a_hundred_words() -> None:
    words = README.read_text(encoding="utf-8").split("make test")[0].split()
    assert "lab-1" in words
    assert len(words) <= 110, len(words)


def test_transcript_in_readme_is_real(tmp_path: Path) -> None:
    """The failure that README shows is what a WSGI server gets that does not decode the path."""
    lab = find("wsgi-server")
    mistake = next(one for one in judging.mistakes(lab) if one.name == "the path is not decoded")
    target = str(judging.with_mistake(lab, mistake, tmp_path))
    done = judging.run("check", str(lab.number), "--target", target, "--seed", "7", "-k", "path_is_decoded")
    shown = done.stdout.strip().split("\n\n")[0]
    assert shown in README.read_text(encoding="utf-8"), done.stdout


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
    for word in re.findall(r"\bmake ([a-z]+(?:-[N\d]+)?)", path.read_text(encoding="utf-8")):
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
