"""What a sandbox sees of the workshop: the tool and the lab's given files; no checks, solutions or hints."""

from __future__ import annotations

import compileall
import re
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from workshop.labs import Lab
from workshop.paths import APPS, LABS, ROOT, SERVICES, SOLUTIONS
from workshop.run import nginx_config, unix_to_tcp

RUN_INSIDE = Path("/tmp/run")  # what nginx and the agent write, in a sandbox with a /tmp of its own
GIVEN_AWAY = ("README.md", "COMPARED.md", "hints.md", "locustfile.py", "conftest.py")
NOT_GIVEN = ("checks", "requests", "compare")
TASKS = "tasks_*.py"  # the tasks API, of every kind
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
        self.apps = folder / "apps"
        self.apps.mkdir()
        for path in shared_apps(lab):
            shutil.copyfile(path, self.apps / path.name)
        for place in (self.given, self.apps):  # once for all sandboxes, in which nothing can be kept
            compileall.compile_dir(place, quiet=2)
        self.etc = folder / "etc"
        self.etc.mkdir()
        self.front = folder / "front"
        self.front.mkdir()
        if not nginx_config.is_own(lab):
            self._write_front()

    def _write_front(self) -> None:
        """nginx's configuration, where no program of the sandbox's can put another one in its place."""
        address = f"127.0.0.1:{unix_to_tcp.FRONT}"
        front = nginx_config.Front("learner", address, unix_to_tcp.ports(self.lab), Path("/target"))
        found = nginx_config.files(self.lab, [front], "127.0.0.1", RUN_INSIDE, RUN_INSIDE)
        for name, text in found.items():
            (self.front / name).write_text(text, encoding="utf-8")

    def write_etc(self, uid: int) -> None:
        """/etc as small as it can be, with one user."""
        for name, text in ETC.items():
            (self.etc / name).write_text(text.format(uid=uid), encoding="utf-8")

    def mounts(self) -> Iterator[Mount]:
        """The workshop as it stands in a sandbox, under /workshop."""
        yield Mount(ROOT / "workshop", "/workshop/workshop")
        yield Mount(self.given, f"/workshop/labs/{self.lab.name}")
        yield Mount(self.front, "/workshop/front")
        yield Mount(self.apps, "/workshop/services/apps")
        yield Mount(SERVICES / "nginx", "/workshop/services/nginx")
        for name in references(self.lab):
            yield Mount(SOLUTIONS / name, f"/workshop/solutions/{name}")
            if (LABS / name / "apps").is_dir():
                yield Mount(LABS / name / "apps", f"/workshop/labs/{name}/apps")


def nginx_conf(lab: Lab, tmp: Path, shift: int = 0) -> str:
    """What nginx is started with in a sandbox whose temporary folder is `tmp`, its ports moved by `shift`.

    Rendered outside: inside it would cost every submission an import of Jinja.
    """
    ports = {name: port + shift for name, port in unix_to_tcp.ports(lab).items()}
    front = nginx_config.Front("learner", f"127.0.0.1:{unix_to_tcp.FRONT + shift}", ports, Path())
    run = tmp / "run"
    return nginx_config.main_files(lab, [front], "127.0.0.1", run, run)["nginx.conf"]


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


def shared_apps(lab: Lab) -> list[Path]:
    """The applications of services/apps; the tasks API only where a lab, or what it runs on, names it.

    Elsewhere it may be the answer: a lab in which one writes the tasks API does not serve another one.
    """
    places = [lab.apps, lab.folder / "checks"]
    for name in references(lab):
        places += [SOLUTIONS / name, LABS / name / "apps"]
    given = (path for path in lab.folder.glob("*.py") if path.name not in lab.edit)
    own = [lab.folder / "lab.toml", *given, *_python_files([lab.folder / ".starter", *places])]
    words = {word for path in own for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))}
    return [one for one in sorted(APPS.glob("*.py")) if not one.match(TASKS) or one.stem in words]


def _python_files(places: Iterable[Path]) -> Iterator[Path]:
    for place in places:
        yield from place.glob("*.py")


def is_given(lab: Lab, path: Path) -> bool:
    """Whether a lab's file goes along: neither edited, nor a check, nor a way to the answer."""
    hidden = path.name.startswith((".", "__")) or path.name in (*GIVEN_AWAY, *NOT_GIVEN)
    return not hidden and path.name not in lab.edit and not path.match("test_*.py")
