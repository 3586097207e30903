"""Where things are in the checkout, and what its folders in the temporary directory are called."""

import zlib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LABS = ROOT / "labs"
SOLUTIONS = ROOT / "solutions"
SERVICES = ROOT / "services"
APPS = SERVICES / "apps"
ORACLES = ROOT / "tests" / "oracles"
PAGE_ASSETS = ROOT / "workshop" / "page" / "assets"  # scripts and styles, of the lab page and of load runs
STATE = ROOT / ".workshop"


# `make down` removes what a run that was killed has left: the folders of this checkout, by their names.
def temporary_prefix(root: Path) -> str:
    return f"workshop-{zlib.crc32(str(root).encode()) & 0xFFFF:04x}-"


TEMPORARY = temporary_prefix(ROOT)
