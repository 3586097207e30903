"""A lab's own helpers, whose functions a check calls, as they are in their files.

They share a process with the learner's modules, which could put something else in their places when these
are imported. So a call begins with new ones.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import ast


def folders() -> list[str]:
    """Where modules are looked for, the learner's own folder first."""
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


class Given(NamedTuple):
    """A given file, compiled, and the modules that its import statements name."""

    name: str
    path: Path
    imports: list[str]
    code: CodeType


_found: dict[str, Given | None] = {}  # what a process has looked for, its forks need not look for again


def given_files(names: Iterable[str], places: list[str]) -> list[Given]:
    """The given ones among these modules, with those that they import, in the order to run them in."""
    found: dict[str, Given] = {}
    seen: set[str] = set()

    def add(name: str) -> None:
        one = _given(name, places)
        if one is not None and name not in seen:
            seen.add(name)
            for inner in one.imports:
                add(inner)
            found[name] = one

    for name in names:
        add(name)
    return list(found.values())


def _given(name: str, places: list[str]) -> Given | None:
    """None where a module is the learner's own, or no file of the workshop's."""
    if name not in _found:
        path = next((path for place in places if (path := Path(place, f"{name}.py")).is_file()), None)
        _found[name] = None if path is None or str(path.parent) == places[0] else _compiled(name, path)
    return _found[name]


def _compiled(name: str, path: Path) -> Given:
    import ast  # most labs have no such file

    tree = ast.parse(path.read_bytes())
    return Given(name, path, _imported(tree), compile(tree, str(path), "exec"))


def renew(names: Iterable[str], places: list[str]) -> None:
    """Run the files of these modules again, and of those given ones that their import statements name.

    What such a module shares with the learner's, it imports by `importlib.import_module`: that stays.
    """
    for one in given_files(names, places):
        module = ModuleType(one.name)
        module.__file__ = str(one.path)
        sys.modules[one.name] = module
        exec(one.code, module.__dict__)


def _imported(tree: ast.Module) -> list[str]:
    import ast

    found = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found
