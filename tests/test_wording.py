"""Words that must not come back, in what a learner or an instructor reads: wording.toml has them."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest

from tests.documents import LINKED, README
from workshop.markdown_links import DEFINITION
from workshop.paths import LABS, ROOT

AVOID: list[dict[str, Any]] = tomllib.loads(
    Path(__file__).with_name("wording.toml").read_text(encoding="utf-8")
)["avoid"]
PROSE = [
    README,
    *(ROOT / name for name in ("AGENTS.md", "CONTRIBUTING.md", "INSTRUCTORS.md", "findings/README.md")),
    LABS / "README.md",
    *LINKED,
    *sorted(LABS.glob("*/COMPARED.md")),
]
CHECKS = sorted([*LABS.glob("*/test_*.py"), *LABS.glob("*/checks/*.py")])
TOOL = sorted((ROOT / "workshop").rglob("*.py"))
# Code, quoted words and addresses: what others wrote.
QUOTED = re.compile(
    r"^( *)```[^\n]*\n.*?^\1```$|`[^`]*`|[\"“][^\"“”\n]{0,90}[\"”]|\]\([^)]*\)|<[^>\n]*>",
    re.DOTALL | re.MULTILINE,
)


def prose(path: Path) -> list[tuple[int, str]]:
    """A document from its first line on, without code, quoted words and what its lines begin with."""
    text = DEFINITION.sub("\n", path.read_text(encoding="utf-8"))
    text = QUOTED.sub(lambda match: re.sub(r"[^\n]", "◇", match[0]), text)
    return [(1, re.sub(r"^[ >]+", "", text, flags=re.MULTILINE))]


def printed(path: Path) -> Iterator[tuple[int, str]]:
    """What of a check reaches a learner: the checks' titles, and strings that have a space in them."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    quiet = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                quiet.add(id(first.value))
                if getattr(node, "name", "").startswith("test_"):
                    yield first.lineno, str(first.value.value).split("\n")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in quiet:
            yield node.lineno, node.value if " " in node.value else ""


def found_in(path: Path, texts: list[tuple[int, str]]) -> list[str]:
    """What is wrong, as `file:line: word → better word`."""
    name = str(path.relative_to(ROOT))
    wrong = []
    for entry in AVOID:
        if not fnmatch(name, entry.get("only", "*")):
            continue
        # A line may end between two of the words.
        words = entry["words"].replace(" ", r"\s")
        pattern = re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)
        hits = [
            (number + text[: match.start()].count("\n"), " ".join(match[0].split()))
            for number, text in texts
            for match in pattern.finditer(text)
        ]
        wrong += [
            f"{name}:{number}: {word} → {entry['better']}" for number, word in hits[entry.get("most", 0) :]
        ]
    return wrong


@pytest.mark.parametrize("path", PROSE, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_document_has_none_of_these_words(path: Path) -> None:
    wrong = found_in(path, prose(path))
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("path", CHECKS, ids=lambda path: str(path.relative_to(LABS)))
def test_what_a_check_prints_has_none_of_these_words(path: Path) -> None:
    wrong = found_in(path, list(printed(path)))
    assert not wrong, "\n" + "\n".join(wrong)


def test_what_the_workshop_prints_has_none_of_these_words() -> None:
    wrong = [one for path in TOOL for one in found_in(path, list(printed(path)))]
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize("path", sorted(LABS.glob("*/lab.toml")), ids=lambda path: path.parent.name)
def test_what_a_lab_is_called_has_none_of_these_words(path: Path) -> None:
    lab = tomllib.loads(path.read_text(encoding="utf-8"))
    shown = [lab["title"], lab["summary"], *(task["title"] for task in lab["tasks"])]
    wrong = found_in(path, list(enumerate(shown, start=1)))
    assert not wrong, "\n" + "\n".join(wrong)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("a time-out of 2 s", "time-out"),
        ("a body that is no form", "is no"),
        ("How many characters has it?", "How many characters has"),
        ("Put `a` for `b`", "Put ◇◇◇ for"),
        ("the server ends the connection", "ends the connection"),
        ("- the server ends\n  the connection", "ends the connection"),
    ],
)
def test_a_word_is_found(text: str, word: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    assert [one for one in found_in(README, prose(path)) if f": {word} →" in one]


@pytest.mark.parametrize(
    "text", ["There is no body", "`time-out`", '"mend"', "it is no longer there", "a timeout"]
)
def test_what_is_right_is_left_alone(text: str, tmp_path: Path) -> None:
    path = tmp_path / "README.md"
    path.write_text(text, encoding="utf-8")
    assert found_in(README, prose(path)) == []
