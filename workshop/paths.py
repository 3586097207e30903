"""Where things are in the checkout."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LABS = ROOT / "labs"
SOLUTIONS = ROOT / "solutions"
SERVICES = ROOT / "services"
APPS = SERVICES / "apps"
ORACLES = ROOT / "tests" / "oracles"
PAGE_ASSETS = ROOT / "workshop" / "page" / "assets"  # scripts and styles, of the lab page and of load runs
STATE = ROOT / ".workshop"
