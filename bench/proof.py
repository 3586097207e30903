"""How long the proof takes in fresh clones, set-up included, beside an earlier commit: half an hour and more.

    .venv/bin/python bench/proof.py [--whole]

`make test` as README says it; with --whole also `make proof`, beside all of the earlier commit's tests.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.earlier_commit import EARLIER, ROOT, Cost, clone, environment, heading, row


def timed(words: list[str], root: Path) -> Cost:
    """What a command costs, red or green, and its last line, which says that."""
    clock = ["bash", "-c", 'TIMEFORMAT="%R %U %S"; time "$@"', "-", *words]
    done = subprocess.run(clock, cwd=root, env=environment(), capture_output=True, text=True, check=False)
    wall, user, system = map(float, done.stderr.split()[-3:])
    print(f"    {' '.join(words)}: {(done.stdout.strip().splitlines() or ['nothing'])[-1]}", flush=True)
    return Cost(wall, user + system)


def main(whole: bool) -> None:
    heading("The proof")
    with tempfile.TemporaryDirectory(prefix="bench-") as place:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        roots = [Path(place) / "earlier", Path(place) / "now"]
        for root, commit in zip(roots, (EARLIER, head.stdout.strip()), strict=True):
            clone(root, commit)
        before, now = (timed(["make", "test"], root) for root in roots)
        row("make test, a fresh clone", before, now)
        if whole:
            rest = timed(["make", "proof"], roots[1])
            row("the whole proof", before, Cost(now.wall + rest.wall, now.cpu + rest.cpu))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whole", action="store_true")
    main(parser.parse_args().whole)
