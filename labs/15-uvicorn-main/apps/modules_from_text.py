"""Modules out of thin air: `plant({"town_42": "app = 42"})`, and the next `import town_42` finds it.

For calls by hand of code that imports what it is told to. A name with a dot needs its package as well.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import InspectLoader, MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_loader
from types import ModuleType


class _Garden(MetaPathFinder, InspectLoader):
    """Finds and loads modules from their sources, by name."""

    def __init__(self, sources: dict[str, str]) -> None:
        self.sources = sources

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return spec_from_loader(fullname, self) if fullname in self.sources else None

    def get_source(self, fullname: str) -> str:
        return self.sources[fullname]

    def is_package(self, fullname: str) -> bool:
        return any(name.startswith(f"{fullname}.") for name in self.sources)


def plant(sources: dict[str, str]) -> None:
    """Let these modules be found first, in this process."""
    sys.meta_path.insert(0, _Garden(sources))
