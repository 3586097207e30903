"""Check types, strictly: the tool, the tests, and each lab's solution by itself (their files share names).

A solution is checked with its lab's apps on the path, and with the folders of those that it stands on (`on`
in lab.toml).
"""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run mypy over every group of files; 1 when one of them has errors."""
    codes = [
        check(
            [
                "workshop",
                *sorted(str(path) for path in [*ROOT.glob("tests/*.py"), *ROOT.glob("tests/[gh]*/*.py")]),
            ]
        )
    ]
    for folder in sorted(ROOT.glob("solutions/*/")):
        files = sorted(str(path) for path in folder.glob("*.py"))
        codes += [check(files, stands_on(folder.name))] if files else []
    return int(any(codes))


def check(files: list[str], path: str = "") -> int:
    """mypy's exit code for these files; `path` is where they find more modules."""
    words = [sys.executable, "-m", "mypy", "--no-error-summary", *files]
    return subprocess.run(words, cwd=ROOT, env={**os.environ, "MYPYPATH": path}, check=False).returncode


def stands_on(name: str) -> str:
    """The folders that a lab's own reference imports from."""
    manifest = ROOT / "labs" / name / "lab.toml"
    names = tomllib.loads(manifest.read_text(encoding="utf-8")).get("on", []) if manifest.exists() else []
    solved = [ROOT / "solutions" / one for one in names]
    given = [ROOT / "labs" / one / "apps" for one in (name, *names)]
    return os.pathsep.join(str(path) for path in [*solved, *given])


if __name__ == "__main__":
    sys.exit(main())
