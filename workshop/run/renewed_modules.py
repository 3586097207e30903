"""A lab's own helpers, whose functions a check calls, as they are in their files.

They share a process with the learner's modules, which could put something else in their places when these
are imported. So a call begins with new ones.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType


def folders() -> list[str]:
    """Where modules are looked for, the learner's own folder first."""
    return os.environ.get("PYTHONPATH", "").split(os.pathsep)


def renew(names: Iterable[str], places: list[str]) -> None:
    """Run the files of these modules again, and of those given ones that their import statements name.

    What such a module shares with the learner's, it imports by `importlib.import_module`: that stays.
    """
    seen: set[str] = set()
    for name in names:
        _renew(name, places, seen)


def _renew(name: str, places: list[str], seen: set[str]) -> None:
    path = next((path for place in places if (path := Path(place, f"{name}.py")).is_file()), None)
    if path is None or name in seen or str(path.parent) == places[0]:
        return
    seen.add(name)
    tree = ast.parse(path.read_bytes())
    for inner in _imported(tree):
        _renew(inner, places, seen)
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module
    exec(compile(tree, str(path), "exec"), module.__dict__)


def _imported(tree: ast.Module) -> list[str]:
    found = []
    for node in tree.body:
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.append(node.module)
    return found
