"""Each room of the tool imports what its `__init__.py` says, and nothing that it must never touch."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

from workshop.paths import LABS, ROOT

COMMON = {
    "workshop.bootstrap",
    "workshop.clauses",
    "workshop.environment",
    "workshop.errors",
    "workshop.hyperlinks",
    "workshop.labs",
    "workshop.last_verdicts",
    "workshop.markdown_links",
    "workshop.paths",
    "workshop.self_contained",
}
# What loads the learner's code, or stands in the process that does.
BESIDE_THE_LEARNER = {
    "workshop.run.agent",
    "workshop.run.probe",
    "workshop.run.probe_calls",
    "workshop.run.probe_pool",
    "workshop.run.probe_process",
    "workshop.run.renewed_modules",
    "workshop.run.scripted_apps",
    "workshop.run.target_processes",
}
# What a room may import besides itself and the common files: whole rooms, or modules by name.
MAY: dict[str, set[str]] = {
    "workshop.run": set(),
    "workshop.judge": {"workshop.run"},
    "workshop.learn": {"workshop.run", "workshop.judge", "workshop.warm_runs"},
    "workshop.page": {
        "workshop.run",
        "workshop.judge.verdict",
        "workshop.learn.hints",
        "workshop.compare.comparison_table",
        "workshop.compare.recorded",
        "workshop.compare.rules",
    },
    "workshop.room": {
        "workshop.judge.http_wire",
        "workshop.judge.verdict",
        "workshop.learn.hints",
        "workshop.page.lab_state",
        "workshop.page.safe_answers",
        "workshop.grade.untrusted_text",
    },
    "workshop.load": {"workshop.run", "workshop.judge"},
    "workshop.compare": {"workshop.run", "workshop.judge"},
    "workshop.grade.submissions": {"workshop.grade.untrusted_text"},
    "workshop.grade.sandboxes": {"workshop.run", "workshop.judge"},
    "workshop.grade.judging": {
        "workshop.run",
        "workshop.judge",
        "workshop.load",
        "workshop.grade.submissions",
        "workshop.grade.sandboxes",
        "workshop.grade.untrusted_text",
    },
    "workshop.grade.results": {
        "workshop.run.unix_to_tcp",
        "workshop.judge.timeline",
        "workshop.judge.verdict",
        "workshop.grade.judging",
        "workshop.grade.submissions",
        "workshop.grade.untrusted_text",
    },
}
# sandbox_init runs inside of a sandbox, beside the submission: it is the agent there.
INSIDE = {"workshop.grade.sandboxes.sandbox_init"}
# What decides: of it, nothing that loads the learner's code may be imported, by whatever way.
DECIDES = (
    "workshop.judge",
    "workshop.load",
    "workshop.compare",
    "workshop.grade.judging",
    "workshop.grade.results",
)


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in sorted((ROOT / "workshop").rglob("*.py"))}


@cache
def imports(path: Path) -> set[str]:
    """The modules of the workshop that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            members = {f"{node.module}.{one.name}" for one in node.names}
            found |= members & MODULES.keys() or {node.module}
        elif isinstance(node, ast.Import):
            found |= {one.name for one in node.names}
    return {one for one in found if one == "workshop" or one.startswith("workshop.")}


def room_of(module: str) -> str:
    """The room that a module stands in; "" for the common files, the commands and the grader's own."""
    return next((room for room in MAY if module == room or module.startswith(f"{room}.")), "")


def is_in(module: str, places: set[str]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


@pytest.mark.parametrize("room", MAY)
def test_a_room_imports_what_it_may(room: str) -> None:
    modules = [one for one in MODULES if room_of(one) == room]
    assert len(modules) > 2
    for module in modules:
        strange = {one for one in imports(MODULES[module]) if not is_in(one, {room, *COMMON, *MAY[room]})}
        assert not strange, f"{module} imports {sorted(strange)}"


@pytest.mark.parametrize("room", MAY)
def test_a_room_says_who_runs_it_in_three_lines(room: str) -> None:
    said = ast.get_docstring(ast.parse(MODULES[room].read_text(encoding="utf-8"))) or ""
    lines = said.splitlines()
    assert len(lines) == 3, said
    assert lines[0].startswith("Runs ") and lines[1].startswith("May import ")
    assert lines[2].startswith("Must never ")


def reached(module: str) -> set[str]:
    """All that importing a module imports of the workshop."""
    found, waiting = set(), [module]
    while waiting:
        one = waiting.pop()
        if one in found or one not in MODULES:
            continue
        found.add(one)
        waiting += imports(MODULES[one])
    return found


@pytest.mark.parametrize("module", [one for one in MODULES if is_in(one, set(DECIDES))])
def test_what_decides_never_reaches_the_learners_code(module: str) -> None:
    assert not reached(module) & (BESIDE_THE_LEARNER | INSIDE), module


def test_what_runs_beside_the_learner_reaches_nothing_that_decides() -> None:
    for module in MODULES:
        if room_of(module) == "workshop.run":
            assert not [one for one in reached(module) if is_in(one, {"workshop.judge", "workshop.grade"})]


@pytest.mark.parametrize("path", sorted(LABS.glob("*/test_*.py")), ids=lambda path: path.parent.name)
def test_a_labs_checks_import_what_judges_alone(path: Path) -> None:
    assert all(is_in(one, {"workshop.judge", *COMMON}) for one in imports(path))


def test_no_two_files_of_the_tool_have_one_name() -> None:
    names = [path.name for path in MODULES.values() if not path.name.startswith("__")]
    assert len(names) == len(set(names)), sorted(name for name in set(names) if names.count(name) > 1)
