"""What a graded class leaves on the disk: a folder a student, and the files that show all of them."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from workshop.errors import InfraError, Refusal
from workshop.grade.judging.outcome_cache import canonical, write_whole
from workshop.grade.results import gradescope_json, html_pages, junit_xml, summary_csv, transcript_timelines
from workshop.grade.results.student_result import Result
from workshop.grade.untrusted_text import one_line

Scores = dict[str, float | None]
STUDENTS = "students"
LOGS = "judge-logs"  # of failures of ours, for the instructor


@contextmanager
def to_ourselves(out: Path) -> Iterator[None]:
    """Be the only grader that writes to a folder, which is made where there is none.

    Raises Refusal where another one does: each would leave some of its own files, and some of the other's.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(out, os.O_RDONLY | os.O_DIRECTORY)  # a lock that is always there leaves no file
    except OSError as error:
        raise InfraError(f"{out} can't be used: {error.strerror}.") from error
    try:
        with suppress(OSError):  # not every file system has locks
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise Refusal(
                    f"Another grader writes to {out}: wait for its end, or give another --out."
                ) from None
        yield
    finally:
        os.close(descriptor)


def write_all(out: Path, results: list[Result]) -> None:
    """Every file of every student, then those of the class; what was there is replaced, file by file."""
    for result in results:
        folder = out / STUDENTS / result.folder
        write_whole(folder / "results.json", canonical(result.data))
        write_whole(folder / "run.json", canonical(result.run))
        write_whole(folder / "gradescope.json", canonical(gradescope_json.document(result)))
        write_whole(folder / "junit.xml", junit_xml.document(result))
        write_whole(folder / "report.html", html_pages.student(result))
        write_whole(folder / "transcript.txt", result.transcript)
        write_whole(folder / transcript_timelines.FILE, html_pages.timelines(result))
        log = out / LOGS / f"{result.folder}.txt"
        log.unlink(missing_ok=True)
        if result.log:
            write_whole(log, result.log)
    write_whole(out / "index.html", html_pages.grid(results))
    write_whole(out / "summary.csv", summary_csv.document(results))


def read_results(out: Path) -> list[Result]:
    """The results that a folder holds already, by student; without those that can't be read."""
    found = []
    for path in sorted(out.glob(f"{STUDENTS}/*/results.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            run = json.loads(path.with_name("run.json").read_text(encoding="utf-8"))
            said = path.with_name("transcript.txt").read_text(encoding="utf-8")
            found.append(Result(data, run, said))
        except (OSError, ValueError):
            continue
    return sorted(found, key=lambda result: result.id)


def scores_of(results: list[Result]) -> Scores:
    return {result.id: result.score for result in results}


def read_scores(out: Path) -> Scores:
    return scores_of(read_results(out))


def summary(out: Path, results: list[Result]) -> list[str]:
    """What the command says at the end."""
    numbers = [result.score for result in results if result.score is not None]
    flaky = [result.id for result in results if result.flaky]
    mean = f", {sum(numbers) / len(numbers):.1f} on average" if numbers else ""
    lines = [f"{len(results)} students, {len(numbers)} with a score{mean}: {out / 'index.html'}"]
    if flaky:
        lines.append(f"Flaky, the better verdict counts: {', '.join(flaky[:10])}")
    return lines


def diff(before: Scores, after: Scores) -> list[str]:
    """Every grade that is not what it was, the falls first, the deepest on top."""

    def change(student: str) -> float:
        old, new = before.get(student), after.get(student)
        return (new if new is not None else -1.0) - (old if old is not None else -1.0)

    changed = [one for one in {*before, *after} if before.get(one) != after.get(one)]
    lines = [f"{len(changed)} of {len({*before, *after})} grades changed"]
    for student in sorted(changed, key=lambda one: (change(one), one)):
        old, new = _shown(before, student), _shown(after, student)
        lines.append(
            f"  {'fell' if change(student) < 0 else 'rose'}  {old:>8} → {new:<8} {one_line(student, 80)}"
        )
    return lines


def _shown(scores: Scores, student: str) -> str:
    if student not in scores:
        return "absent"
    value = scores[student]
    return "INFRA" if value is None else f"{value:g}"
