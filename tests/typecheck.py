"""Check types, strictly: the tool, the tests, and each lab's solution by itself (their files share names)."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main() -> int:
    """Run mypy over every group of files; 1 when one of them has errors."""
    groups = [["workshop", *sorted(str(path) for path in ROOT.glob("tests/*.py"))]]
    groups += [
        sorted(str(path) for path in folder.glob("*.py")) for folder in sorted(ROOT.glob("solutions/*/"))
    ]
    codes = [
        subprocess.run([sys.executable, "-m", "mypy", "--no-error-summary", *files], cwd=ROOT, check=False)
        for files in groups
        if files
    ]
    return int(any(done.returncode for done in codes))


if __name__ == "__main__":
    sys.exit(main())
