"""A class laid out as plagiarism detectors want it: JPlag and Dolos read the folder, copydetect is run."""

from __future__ import annotations

import csv
import io
import shutil
import subprocess
import sys
from pathlib import Path

from workshop.grade.intake import Submission
from workshop.grade.store import write_whole
from workshop.grade.text import cell, file_name
from workshop.labs import Lab
from workshop.paths import SOLUTIONS

SECONDS = 600


def lay_out(lab: Lab, submissions: list[Submission], out: Path) -> int:
    """Write submissions/STUDENT@ATTEMPT/FILE, base/FILE (what everybody was given) and info.csv; how many."""
    rows = [["filename", "label", "full_name"]]
    count = 0
    for one in submissions:
        folder = f"{file_name(one.person.id)}@{one.attempt}"
        for name, data in one.files.items():
            path = out / "submissions" / folder / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            rows.append([f"{folder}/{path.name}", cell(one.person.id), cell(one.person.name)])
        count += bool(one.files)
    for name in lab.edit:
        for kind, source in (("base", lab.folder / ".starter"), ("solution", SOLUTIONS / lab.name)):
            if (source / name).exists():
                (out / kind).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, out / kind / Path(name).name)
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    write_whole(out / "info.csv", text.getvalue())
    return count


def detect(out: Path) -> str:
    """What copydetect makes of it, where it is installed; else how to go on by hand."""
    program = shutil.which("copydetect", path=str(Path(sys.prefix) / "bin")) or shutil.which("copydetect")
    by_hand = f"jplag -l python3 -bc base {out}/submissions    or    dolos run -f web {out}/info.csv"
    if program is None:
        return f"copydetect is not installed (pip install copydetect). By hand: {by_hand}"
    words = [program, "-t", str(out / "submissions"), "-b", str(out / "base"), "-e", "py"]
    words += ["-O", str(out / "copydetect.html"), "-a"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS, check=False)
    if done.returncode:
        return f"copydetect failed: {done.stderr.strip()[-200:]}"
    return f"{out / 'copydetect.html'}    By hand: {by_hand}"
