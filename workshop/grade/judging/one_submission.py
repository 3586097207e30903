"""One submission, graded: files and manifest in, an outcome out. Nothing is kept between two calls."""

from __future__ import annotations

import itertools
import json
import tempfile
import time
from collections.abc import Collection
from pathlib import Path

from workshop.errors import InfraError
from workshop.grade.judging.judge_process import JudgeProcess, listened_of, transcript_of
from workshop.grade.judging.manifest import Manifest
from workshop.grade.judging.outcome import Outcome, assemble, blank, read_lines
from workshop.grade.sandboxes.sandbox import Engine, Overrun
from workshop.grade.sandboxes.sandbox_sockets import own_name
from workshop.grade.submissions.collect import digest_of_files
from workshop.grade.untrusted_text import one_line
from workshop.judge.patience import Patience
from workshop.judge.verdict import Verdict

EXPECTED = "a submission with the files that the lab asks for"
TAKEN = "something else on this machine ended the sandbox"
FITTING = "a configuration with numbers that a sandbox has room for (keepalive, zones, buffers)"


def nothing_to_grade(manifest: Manifest, trouble: list[str]) -> Outcome:
    """The outcome of a submission that could not be taken in: no sandbox is needed for it."""
    return blank(
        manifest, Verdict.NO_START, "; ".join(trouble), EXPECTED, "your submission: nothing was started"
    )


def log_of(out: Path) -> str:
    """The last that a judge process said: for us, never for a student's page."""
    return text_of(out.with_suffix(".log"))[-2000:]


def text_of(path: Path) -> str:
    """A file's text; "" when there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def listeners_in(path: Path, hidden: Collection[str] = ()) -> dict[str, str]:
    """Which program listened, by service; none where the judge process was ended while it wrote that.

    Students read it, and a program may call itself what it likes: what it has read in a hidden check, too.
    So what is seen from the first of those on is left out.
    """
    try:
        found: dict[str, dict[str, str]] = json.loads(text_of(path) or "{}")
    except ValueError:
        return {}
    known = [*itertools.takewhile(lambda one: one[0] not in hidden, found.items())]
    return known[-1][1] if known else {}


def grade_one(
    files: dict[str, bytes],
    manifest: Manifest,
    engine: Engine,
    judge_process: JudgeProcess,
    slot: int,
    budget: float,
    only: list[str] | None = None,
    patience: Patience | None = None,
) -> Outcome:
    """Run the manifest's checks (or `only` some, alone) on files, in a fresh sandbox.

    `budget` is the time for all of them, in seconds; `patience` says how much of it a check has.

    What fails on our side is INFRA_ERROR in the outcome; it is not raised.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{own_name()}one-") as place:
        folder, out = Path(place, "files"), Path(place, "out")
        folder.mkdir()
        for name, data in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        try:
            sandbox = engine.start(folder, slot)
        except Overrun as error:
            where = f"{manifest.lab.nginx['file']}: nothing else was started"
            return blank(manifest, Verdict.NO_START, str(error), FITTING, where, only)
        except InfraError as error:
            return blank(manifest, Verdict.INFRA_ERROR, str(error), "", "", only)
        try:
            seed = manifest.seed_of(digest_of_files(files))
            said = judge_process.judge(sandbox.wire, out, seed, budget, only, patience or Patience())
        except InfraError as error:
            said = {"code": 70, "memory": 0, "trouble": str(error)}
        finally:
            # Before the sandbox ends: a fork may outlive its judge process, and see only that nobody answers.
            lines = read_lines(out)
            facts = sandbox.end()
        if said["code"] not in (None, 0, 1):
            said["log"] = log_of(out)
        if facts.taken:
            outcome = blank(manifest, Verdict.INFRA_ERROR, TAKEN, "", "", only)
        else:
            outcome = assemble(manifest, lines, said["code"] is None, facts, only)
        listened = listeners_in(listened_of(out), manifest.hidden)
        outcome.transcript = text_of(transcript_of(out))
    outcome.seconds = {line["name"]: line["seconds"] for line in lines}
    outcome.short = [line["name"] for line in lines if line["short"]]
    outcome.run = {
        "seconds": round(time.monotonic() - began, 3),
        "engine": engine.name,
        "isolation": engine.isolation,
        "not_promised": engine.gaps,
        "listened": {name: one_line(command, 200) for name, command in sorted(listened.items())},
        "facts": facts.as_dict(),
        "judge_process": said,
    }
    return outcome
