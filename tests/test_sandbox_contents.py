"""No sandbox holds what would answer for its lab: neither its solution, nor a check, nor a hidden place."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import pytest

from tests import judging
from workshop.grade.sandboxes.sandbox_files import SandboxFiles, references, shared_apps
from workshop.labs import Lab, all_labs, find
from workshop.paths import APPS, ORACLES, ROOT, SOLUTIONS


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def files_below(place: Path) -> list[Path]:
    found = [place] if place.is_file() else sorted(place.rglob("*"))
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def answers(lab: Lab) -> dict[str, Path]:
    """What must not be there, by its bytes: the edited files of everything right, and the lab's checks."""
    right = [SOLUTIONS / lab.name, ORACLES / lab.name, *judging.alternatives(lab)]
    files = [folder / name for folder in right for name in lab.edit if (folder / name).is_file()]
    files += [path for path in lab.folder.glob("test_*.py") if path.name not in lab.edit]
    files += [path for path in lab.folder.glob("checks/*.py") if path.stat().st_size]
    files += [path for path in lab.folder.glob("compare/*") if path.is_file()]
    files += [judging.MISTAKES / f"{lab.name}.toml", lab.folder / "hints.md"]
    return {digest(path): path for path in files}


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_a_sandbox_holds_no_answer_to_its_own_lab(lab: Lab, tmp_path: Path) -> None:
    forbidden = answers(lab)
    assert len(forbidden) > len(lab.edit)
    seen = 0
    for mount in SandboxFiles(lab, tmp_path / "sandbox_files").mounts():
        assert mount.source.resolve() not in (ROOT, ROOT / "solutions", ROOT / "tests", ROOT / "labs")
        for path in files_below(mount.source):
            seen += 1
            assert digest(path) not in forbidden, f"{mount.inside} has {forbidden[digest(path)]}"
            is_check = path.match("test_*.py") and path.name not in lab.edit
            assert not (is_check and mount.inside.startswith("/workshop/labs")), path
    assert seen > 50


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_references_in_a_sandbox_are_those_of_earlier_labs(lab: Lab) -> None:
    numbers = [int(name[:2]) for name in references(lab)]
    assert all(number < lab.number for number in numbers), f"{lab.name} runs on {numbers}"


@pytest.mark.parametrize("lab", all_labs(), ids=lambda lab: lab.name)
def test_a_sandbox_has_the_shared_applications_that_its_lab_imports(lab: Lab) -> None:
    given = {path.stem for path in shared_apps(lab)}
    programs = [*(SOLUTIONS / lab.name).glob("*.py"), *lab.folder.rglob("*.py"), *shared_apps(lab)]
    for path in programs:
        found = re.findall(r"^\s*(?:from|import) (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
        assert {name for name in found if (APPS / f"{name}.py").is_file()} <= given, path


def test_a_sandbox_has_no_shared_application_that_only_other_labs_serve() -> None:
    assert "tasks_wsgi" in {path.stem for path in shared_apps(find("5"))}
    assert "tasks_wsgi" not in {path.stem for path in shared_apps(find("4"))}, "there one writes it"
