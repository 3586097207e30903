"""Packages that a lab leaves out of its sandbox: where somebody writes a server, a finished one is no answer.

`without` in lab.toml names distributions. In their place a sandbox has empty folders and files. What runs
outside of a sandbox, and the oracle, keeps them. Those that the workshop does not install, but a machine may
have, go with them.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from workshop.errors import InfraError
from workshop.labs import Lab

SECONDS = 60.0
ALSO = ["waitress", "cheroot", "gevent", "eventlet", "tornado", "twisted", "daphne", "granian"]
ALSO += ["aiohttp", "autobahn", "simple_websocket", "websocket"]
ALSO += ["bjoern", "fastwsgi", "meinheld", "paste", "pyuwsgi", "rocket3", "robyn", "sanic", "socketify"]
# Run by a Python: the places of distributions, a folder or a file each, absolute.
PLACES = """
import importlib.metadata, json, os, sys
found = set()
for name in sys.argv[1:]:
    try:
        files = importlib.metadata.files(name) or []
    except importlib.metadata.PackageNotFoundError:
        continue
    for file in files:
        place = file.locate()
        if file.parts[0] != ".." and len(file.parts) > 1:
            place = place.parents[len(file.parts) - 2]
        found.add(os.path.normpath(str(place)))
print(json.dumps(sorted(one for one in found if os.path.exists(one))))
"""


def places(lab: Lab, python: Iterable[str]) -> list[Path]:
    """Where the packages are that a lab leaves out, as the Python with this command says."""
    if not lab.without:
        return []
    try:
        words = [*python, "-c", PLACES, *lab.without, *ALSO]
        done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=True)
        return [Path(one) for one in json.loads(done.stdout)]
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise InfraError(f"It can't be told where {', '.join(lab.without)} are: {error}.") from error


def here(lab: Lab) -> Iterator[Path]:
    """The same on this machine: of this Python, and of the others whose packages a sandbox could import."""
    if not lab.without:
        return
    own = places(lab, [sys.executable])
    yield from own
    folders = [
        *Path("/usr/lib").glob("python3*/dist-packages"),
        *Path("/usr/local/lib").glob("python3*/*-packages"),
    ]
    folders += Path(sys.base_prefix).glob("lib/python3*/site-packages")
    names = {one.name for one in own if one.parent.name.endswith("-packages")}
    yield from named(folders, {*names, *lab.without, *ALSO})


def named(folders: Iterable[Path], names: Collection[str]) -> Iterator[Path]:
    """What such folders have of packages: a folder each, or one file, and what says that it is installed."""
    for stem in {name.partition("-")[0] for name in names}:
        for one in (one for folder in folders for one in folder.glob(f"{stem}*")):
            is_module = one.suffix in (".py", ".so") and one.name.partition(".")[0] == stem
            if one.name == stem or one.suffix == ".dist-info" or is_module:
                yield one


class Empty:
    """An empty folder and an empty file, to be mounted over what is left out."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder / "nothing", folder / "nothing-file"
        self.folder.mkdir()
        self.folder.chmod(0o755)
        self.file.touch(0o644)

    def over(self, path: Path) -> Path:
        """What stands in the place of a path of this host; by its name where it is elsewhere's."""
        is_file = (
            path.is_file() if path.exists() else path.parent.name == "bin" or path.suffix in (".py", ".so")
        )
        return self.file if is_file else self.folder
