"""What a sandbox sees of the workshop: the tool and the lab's given files; no checks, solutions or hints."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop.labs import Lab
from workshop.paths import APPS, LABS, ROOT, SERVICES, SOLUTIONS

GIVEN_AWAY = ("README.md", "COMPARED.md", "hints.md", "locustfile.py", "conftest.py")
NOT_GIVEN = ("checks", "requests", "compare")
ETC = {
    "passwd": "root:x:0:0:root:/tmp:/bin/sh\nstudent:x:{uid}:{uid}:student:/tmp:/bin/sh\n",
    "group": "root:x:0:\nstudent:x:{uid}:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
    "nsswitch.conf": "hosts: files\n",
}


@dataclass(frozen=True)
class Mount:
    """A folder or file of the host, at a place inside; always read-only."""

    source: Path
    inside: str


class SandboxFiles:
    """A folder with the lab as it was handed out, less what is judged and what judges."""

    def __init__(self, lab: Lab, folder: Path) -> None:
        self.lab, self.folder = lab, folder
        self.given = folder / "lab"
        self.given.mkdir(parents=True)
        for path in sorted(lab.folder.iterdir()):
            if is_given(lab, path):
                copy = shutil.copytree if path.is_dir() else shutil.copyfile
                copy(path, self.given / path.name)
        self.etc = folder / "etc"
        self.etc.mkdir()

    def write_etc(self, uid: int) -> None:
        """/etc as small as it can be, with one user."""
        for name, text in ETC.items():
            (self.etc / name).write_text(text.format(uid=uid), encoding="utf-8")

    def mounts(self) -> Iterator[Mount]:
        """The workshop as it stands in a sandbox, under /workshop."""
        yield Mount(ROOT / "workshop", "/workshop/workshop")
        yield Mount(self.given, f"/workshop/labs/{self.lab.name}")
        yield Mount(APPS, "/workshop/services/apps")
        yield Mount(SERVICES / "nginx", "/workshop/services/nginx")
        for name in references(self.lab):
            yield Mount(SOLUTIONS / name, f"/workshop/solutions/{name}")
            if (LABS / name / "apps").is_dir():
                yield Mount(LABS / name / "apps", f"/workshop/labs/{name}/apps")


def references(lab: Lab) -> list[str]:
    """The earlier labs whose solutions this one runs on: by lab.toml, its commands, or what they serve."""
    commands = " ".join(service.command for service in lab.services.values())
    named = {*lab.on, *re.findall(r"\{solutions\}/([\w-]+)", commands)}
    for module in re.findall(r"\b(\w+):\w+", commands):
        for path in (folder / f"{module}.py" for folder in (lab.apps, APPS)):
            if not path.exists():
                continue
            named |= set(re.findall(r"\b\d\d-[a-z][a-z-]+", path.read_text(encoding="utf-8")))
    return sorted(name for name in named if name != lab.name and (SOLUTIONS / name).is_dir())


def is_given(lab: Lab, path: Path) -> bool:
    """Whether a lab's file goes along: neither edited, nor a check, nor a way to the answer."""
    hidden = path.name.startswith((".", "__")) or path.name in (*GIVEN_AWAY, *NOT_GIVEN)
    return not hidden and path.name not in lab.edit and not path.match("test_*.py")
