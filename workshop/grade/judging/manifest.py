"""What a class is graded by: a lab's checks and points, hidden ones among them, the seed, and their digests.

The denominators and the list of checks come from here, never from what was collected or what was answered.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import shutil
import tomllib
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from workshop.errors import Refusal
from workshop.grade.sandboxes.sandbox_files import is_given, references
from workshop.labs import Lab, load
from workshop.paths import APPS, LABS, ROOT, SERVICES, SOLUTIONS

SEEDS = 1 << 52  # as many as every reader of JSON can tell apart, and nobody can try


@dataclass(frozen=True)
class Hidden:
    """What a report may say of a hidden check that failed."""

    category: str = "hidden"
    hint: str = ""


@dataclass
class Manifest:
    """`lab` is read from `folder`: a copy of the checks that no sandbox sees.

    `secret` is the class's: each work's seed is drawn from it, so that the seed which a report prints says
    nothing about that of any other work, of the same student's next attempt for one.
    """

    lab: Lab
    folder: Path
    secret: int
    digest: str
    grader: str
    hidden: dict[str, Hidden] = field(default_factory=dict)

    @classmethod
    def make(cls, lab: Lab, folder: Path, secret: int, extra: Path | None = None) -> Manifest:
        """Lay the checks out in `folder`. Raises Refusal when the extra ones can't be used."""
        place = folder / lab.name
        place.mkdir(parents=True)
        for path in sorted(lab.folder.iterdir()):
            judges = path.match("test_*.py") and path.name not in lab.edit
            if judges or path.name == "lab.toml":
                shutil.copyfile(path, place / path.name)
            elif path.is_dir() and not path.name.startswith((".", "__")):
                shutil.copytree(path, place / path.name)
        hidden = _add_hidden(lab, place, extra) if extra else {}
        judged = load(place)
        checks = digest_of(place)
        return cls(judged, place, secret, checks, grader_digest(lab), hidden)

    def key(self, submission: str, image: str) -> str:
        """What an outcome depends on, as one word."""
        words = "\0".join([submission, self.asked, self.grader, image, str(self.secret)])
        return hashlib.sha256(words.encode()).hexdigest()

    def seed_of(self, submission: str) -> int:
        """The seed for one work, by its digest: the same work gets the same, other work another one."""
        drawn = hmac.digest(str(self.secret).encode(), submission.encode(), "sha256")
        return int.from_bytes(drawn, "big") % SEEDS

    @property
    def class_mark(self) -> str:
        """What tells two classes apart, and does not tell the secret."""
        return hmac.digest(str(self.secret).encode(), b"class", "sha256").hex()[:16]

    @cached_property
    def asked(self) -> str:
        """A digest of what is asked, whatever it is worth and called: other points need no second run."""
        data = tomllib.loads((self.folder / "lab.toml").read_text(encoding="utf-8"))
        data["tasks"] = [sorted(task["checks"]) for task in data["tasks"]]
        data["hidden"] = sorted(self.hidden)
        paths = [
            path for path in sorted(self.folder.iterdir()) if path.name not in ("lab.toml", "__pycache__")
        ]
        words = json.dumps(data, sort_keys=True, default=str) + digest_of(*paths)
        return hashlib.sha256(words.encode()).hexdigest()


def _add_hidden(lab: Lab, place: Path, extra: Path) -> dict[str, Hidden]:
    """Add the instructor's own checks to the lab's."""
    source, text, data = _read_extra(lab, extra)
    try:
        names = [name for task in data.get("tasks", []) for name in task["checks"]]
        hidden = {name: Hidden(**data.get("hidden", {}).get(name, {})) for name in names}
    except (KeyError, TypeError) as error:
        raise Refusal(f"{source / 'extra.toml'} can't be used: {error!r}.") from error
    for path in sorted(source.glob("test_*.py")):
        if (place / path.name).exists():
            raise Refusal(f"{path.name} is the name of one of the lab's own files: give it another.")
        shutil.copyfile(path, place / path.name)
    toml = place / "lab.toml"
    toml.write_text(f"{toml.read_text(encoding='utf-8')}\n{text}", encoding="utf-8")
    return hidden


def _read_extra(lab: Lab, extra: Path) -> tuple[Path, str, dict[str, Any]]:
    """An instructor's folder for a lab: extra.toml ([[tasks]], [hidden.CHECK], [class]) and test files."""
    if extra.resolve().is_relative_to(ROOT):
        raise Refusal(f"{extra} is inside the workshop: hidden checks belong where no learner looks.")
    source = extra / lab.name if (extra / lab.name).is_dir() else extra
    try:
        text = (source / "extra.toml").read_text(encoding="utf-8")
        return source, text, tomllib.loads(text)
    except (OSError, ValueError) as error:
        raise Refusal(f"{source / 'extra.toml'} can't be used: {error!r}.") from error


def named_secret(lab: Lab, extra: Path | None) -> int | None:
    """The class's secret that an instructor's folder names (`seed` in [class]), if it names one."""
    if extra is None:
        return None
    source, _, data = _read_extra(lab, extra)
    about = data.get("class", {})
    seed = about.get("seed") if isinstance(about, dict) else about
    if seed is None or (type(seed) is int and seed >= 0):
        return seed
    raise Refusal(f"{source / 'extra.toml'}: seed in [class] is {seed!r}, not a whole number.")


def digest_of(*places: Path) -> str:
    """One digest of files and folders: names and contents."""
    digest = hashlib.sha256()
    for place in places:
        paths = [place] if place.is_file() else sorted(place.rglob("*"))
        for path in paths:
            if path.is_file() and "__pycache__" not in path.parts and not re.search(r"\.pyc$", path.name):
                name = path.relative_to(place.parent).as_posix()
                digest.update(f"{name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def grader_digest(lab: Lab) -> str:
    """The tool that judges, and what a sandbox gets besides the submission."""
    given = [path for path in sorted(lab.folder.iterdir()) if is_given(lab, path)]
    earlier = [place for name in references(lab) for place in (SOLUTIONS / name, LABS / name / "apps")]
    return digest_of(ROOT / "workshop", APPS, SERVICES / "nginx", *given, *earlier)
