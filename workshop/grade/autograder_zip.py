"""Gradescope's autograder.zip: one lab with what grades it, its own solution, and nothing of other labs.

https://gradescope-autograders.readthedocs.io/en/latest/specs/: `setup.sh` and `run_autograder` at the root;
the rest is put into /autograder/source beside them.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path

from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome_cache import canonical
from workshop.grade.sandboxes.sandbox_files import references
from workshop.labs import Lab
from workshop.paths import LABS, ROOT, SERVICES, SOLUTIONS

SCRIPTS = SERVICES / "grader" / "gradescope"
FIXED = (1980, 1, 1, 0, 0, 0)  # the same bytes for the same files
SHARED = [
    ROOT / "pyproject.toml",
    ROOT / "requirements.lock",
    ROOT / "tests" / "requirements.lock",  # bootstrap.py looks whether an environment was made from it
    ROOT / "LICENSE",
    ROOT / "workshop",
    SERVICES / "apps",
    SERVICES / "nginx",
    SERVICES / "runtime" / "uv.lock",
]


def make(lab: Lab, out: Path, secret: int, extra: Path | None = None) -> int:
    """Write the zip; how many files are in it. Raises Refusal when the hidden checks can't be used."""
    with tempfile.TemporaryDirectory(prefix="autograder-") as folder:
        Manifest.make(lab, Path(folder), secret, extra)
    found: dict[str, bytes] = {"lab": lab.name.encode(), "seed.json": canonical({lab.name: secret}).encode()}
    for name in ("setup.sh", "run_autograder"):
        found[name] = (SCRIPTS / name).read_bytes()
    earlier = [place for name in references(lab) for place in (SOLUTIONS / name, LABS / name / "apps")]
    for path in files([*SHARED, LABS / lab.name, SOLUTIONS / lab.name, *earlier]):
        found[f"workshop/{path.relative_to(ROOT).as_posix()}"] = path.read_bytes()
    if extra is not None:
        source = extra / lab.name if (extra / lab.name).is_dir() else extra
        for path in files([source]):
            found[f"hidden/{path.relative_to(source).as_posix()}"] = path.read_bytes()
    write(found, out)
    return len(found)


def files(places: list[Path]) -> Iterator[Path]:
    """The files of some folders, and files, without what Python leaves behind."""
    for place in places:
        for path in [place] if place.is_file() else sorted(place.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def write(found: dict[str, bytes], out: Path) -> None:
    """A zip with these files, put in place when it is whole."""
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=out.parent, prefix=f".{out.name}-", delete=False) as draft:
        try:
            with zipfile.ZipFile(draft, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, data in sorted(found.items()):
                    entry = zipfile.ZipInfo(name, FIXED)
                    mode = 0o755 if name in ("setup.sh", "run_autograder") else 0o644
                    entry.external_attr = (0o100000 | mode) << 16
                    archive.writestr(entry, data, zipfile.ZIP_DEFLATED)
            Path(draft.name).replace(out)
        except BaseException:
            Path(draft.name).unlink(missing_ok=True)
            raise
