"""A lab's real implementations: `labs/NN-slug/compare/`, an adapter each, in the place of a learner's file.

`compare.toml` there names them: `"gunicorn sync" = "gunicorn"` is the adapter gunicorn_sync.py, or the folder
gunicorn_sync/, and the package whose version counts ("Python" for what is in the standard library). `file`
is the name that an adapter gets, where that is not the first file that the lab edits. `without` lists checks
that are not compared, `without_for` those of what is no part of some of them. Files shared_*.py go along.
"""

from __future__ import annotations

import re
import shutil
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workshop.errors import Refusal
from workshop.labs import Lab, all_labs
from workshop.paths import ORACLES, ROOT, SERVICES, SOLUTIONS

SHARED = SERVICES / "compare"


@dataclass(frozen=True)
class Implementation:
    """`name` is what tables call it, `package` whose version is said, `adapter` its file or folder.

    `without` are the checks of what is no part of it: they are not compared.
    """

    name: str
    package: str
    adapter: Path
    without: frozenset[str] = frozenset()


def folder_of(lab: Lab) -> Path:
    return lab.folder / "compare"


def compared_labs() -> list[Lab]:
    """The labs that have real implementations to be laid beside."""
    return [lab for lab in all_labs() if (folder_of(lab) / "compare.toml").exists()]


def read_toml(lab: Lab) -> dict[str, Any]:
    """A lab's compare.toml. Raises Refusal where it has none."""
    path = folder_of(lab) / "compare.toml"
    if not path.exists():
        numbers = ", ".join(str(one.number) for one in compared_labs())
        raise Refusal(f"Lab {lab.number} is compared with nothing. These are: {numbers}.")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise Refusal(f"{path.relative_to(ROOT)} can't be used: {error}.") from error


def implementations(lab: Lab) -> list[Implementation]:
    """In the order of compare.toml. Raises Refusal for one without an adapter."""
    found, data = [], read_toml(lab)
    without: dict[str, set[str]] = {}
    for names, checks in data.get("without_for", {}).items():
        for name in names.split(","):
            without.setdefault(name.strip(), set()).update(checks)
    for name, package in data["implementations"].items():
        plain = folder_of(lab) / re.sub("[^a-z0-9]", "_", name)
        adapter = plain if plain.is_dir() else plain.with_suffix(".py")
        if not adapter.exists():
            raise Refusal(f"{adapter.relative_to(ROOT)}, the adapter of {name!r}, is not there.")
        left_out = frozenset({*data.get("without", []), *without.get(name, set())})
        found.append(Implementation(name, package, adapter, left_out))
    return found


def target(lab: Lab, one: Implementation, folder: Path) -> Path:
    """Put an adapter into `folder` under the name of the file that the lab edits.

    Of the lab's other files, those of the oracle or the solution go beside it, and what adapters share.
    """
    folder.mkdir()
    for path in (*SHARED.glob("*.py"), *folder_of(lab).glob("shared_*.py")):
        shutil.copy(path, folder)
    for place in (SOLUTIONS / lab.name, ORACLES / lab.name):
        for name in lab.edit:
            if (place / name).exists():
                shutil.copy(place / name, folder)
    if one.adapter.is_dir():
        shutil.copytree(one.adapter, folder, dirs_exist_ok=True)
    else:
        shutil.copy(one.adapter, folder / read_toml(lab).get("file", lab.edit[0]))
    return folder
