"""A class laid out as plagiarism detectors want it: JPlag and Dolos read the folder, copydetect is run.

submissions/STUDENT@ATTEMPT/FILE    base/FILE: what everybody was given    solution/FILE: the course's own
info.csv: for Dolos, which reads the paths in it from where it stands
"""

from __future__ import annotations

import csv
import io
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from workshop.grade.judging.outcome_cache import write_whole
from workshop.grade.submissions.collect import Submission
from workshop.grade.untrusted_text import cell, file_name
from workshop.labs import Lab
from workshop.paths import SOLUTIONS

SECONDS = 600
PARTS = ("submissions", "base", "solution")


def lay_out(lab: Lab, submissions: list[Submission], out: Path) -> int:
    """Write the folders and info.csv, in the place of those of an earlier time; how many submissions."""
    for part in PARTS:
        shutil.rmtree(out / part, ignore_errors=True)
    rows = [["filename", "full_name", "label"]]
    count = 0
    for one in submissions:
        folder = f"{file_name(one.person.id)}@{one.attempt}"
        for name, data in one.files.items():
            path = out / "submissions" / folder / Path(name).name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
            who = cell(one.person.name or one.person.id)
            rows.append([path.relative_to(out).as_posix(), who, cell(one.person.id)])
        count += bool(one.files)
    for name in lab.edit:
        for kind, source in (("base", lab.folder / ".starter"), ("solution", SOLUTIONS / lab.name)):
            if (source / name).exists():
                (out / kind).mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source / name, out / kind / Path(name).name)
    text = io.StringIO()
    csv.writer(text, quoting=csv.QUOTE_NONNUMERIC).writerows(rows)
    write_whole(out / "info.csv", text.getvalue())
    return count


def detect(out: Path) -> str:
    """What copydetect makes of it, where it is installed, and how to go on by hand. Never raises for it."""
    program = shutil.which("copydetect", path=str(Path(sys.prefix) / "bin")) or shutil.which("copydetect")
    if program is None:
        return f"copydetect is not installed (pip install copydetect).\n{by_hand(out)}"
    report = out / "copydetect.html"
    report.unlink(missing_ok=True)
    classmates = str(out / "submissions")
    words = [program, "-t", classmates, "-r", classmates, *_there(out, "solution")]
    words += ["-b", *_there(out, "base"), "-e", *suffixes(out), "-O", str(report), "-a"]
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        return f"copydetect took more than {SECONDS} s, and was ended.\n{by_hand(out)}"
    if done.returncode or not report.exists():  # without a file to look at it says so, and ends with 0
        return f"copydetect failed: {done.stderr.strip()[-200:]}\n{by_hand(out)}"
    return f"{report}\n{by_hand(out)}"


def by_hand(out: Path) -> str:
    """The commands of the others, for this folder."""
    language = "python" if "py" in suffixes(out) else "char"
    jplag = "python3" if language == "python" else "text"
    base = [word for place in _there(out, "base") for word in ("-bc", place)]
    given = [word for path in sorted(out.glob("base/*"))[:1] for word in ("-i", str(path))]
    first = ["java", "-jar", "jplag.jar", "-l", jplag, *base, str(out / "submissions")]
    second = ["dolos", "run", "-f", "web", "-l", language, *given, str(out / "info.csv")]
    return f"By hand:  {shlex.join(first)}\n          {shlex.join(second)}"


def suffixes(out: Path) -> list[str]:
    """The kinds of files that were handed in, as copydetect names them."""
    return sorted({path.suffix[1:] for path in out.glob("submissions/*/*") if path.suffix})


def _there(out: Path, part: str) -> list[str]:
    return [str(out / part)] if (out / part).is_dir() else []
