"""`workshop grade SUBMISSIONS --lab N`: from a folder of submissions to the files that an LMS takes."""

from __future__ import annotations

import argparse
import json
import re
import secrets
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

from workshop.errors import EXIT_INFRA, EXIT_PASSED, Refusal
from workshop.grade import autograder_zip as autograders
from workshop.grade.judging.dask_pool import Cluster, Tls
from workshop.grade.judging.load_stage import LoadStage
from workshop.grade.judging.manifest import Manifest, named_secret
from workshop.grade.judging.outcome_cache import Store, canonical, write_whole
from workshop.grade.judging.whole_class import Batch
from workshop.grade.judging.worker_pools import Pool, Threads
from workshop.grade.results import results_folder
from workshop.grade.results.late_policy import Policy, local
from workshop.grade.results.lms_export import fill
from workshop.grade.results.plagiarism_folder import detect, lay_out
from workshop.grade.results.student_result import Graded, Result, result_of
from workshop.grade.sandboxes import choose_sandbox
from workshop.grade.sandboxes.sandbox_sockets import own_name
from workshop.grade.submissions.class_roster import Roster
from workshop.grade.submissions.collect import Submission, collect
from workshop.grade.submissions.which_lab import lab_of, see_that_it_fits
from workshop.labs import Lab, find

SECRET_BITS = 128


def grade(chosen: argparse.Namespace, again: bool = False) -> int:
    """Grade a class; exit code 0 when everybody has a number, 3 where a failure of ours keeps one back.

    With `again` nothing is taken from an earlier run but its seed.
    """
    lab = find(chosen.lab) if chosen.lab else lab_of(chosen.submissions)
    if not chosen.lab:
        print(f"Lab {lab.number} · {lab.title}, by what is left of its starter")
    out = chosen.out or chosen.submissions.with_name(f"{chosen.submissions.resolve().name}-graded")
    if chosen.load_points and not chosen.load:
        raise Refusal("--load-points counts what --load measures: give both.")
    roster = Roster.read(chosen.roster) if chosen.roster else Roster()
    submissions = collect(chosen.submissions, lab, roster)
    if warning := see_that_it_fits(lab, submissions, bool(chosen.lab)):
        print(warning, file=sys.stderr)
    if chosen.shard:
        submissions = shard(submissions, chosen.shard)
    due = local(chosen.due) if chosen.due else None
    policy = Policy(due, chosen.late_per_day, chosen.late_most, chosen.attempts)
    with results_folder.to_ourselves(out):
        before = results_folder.read_scores(out)
        manifest, graded = judge(chosen, lab, out, submissions, again)
        attempts: defaultdict[str, list[Graded]] = defaultdict(list)
        for one in graded:
            attempts[one.submission.person.id].append(one)
        results = [
            result_of(manifest, policy, group, chosen.load_points) for _, group in sorted(attempts.items())
        ]
        return finish(chosen, out, results, roster, before if again and chosen.diff else None)


def judge(
    chosen: argparse.Namespace, lab: Lab, out: Path, submissions: list[Submission], again: bool
) -> tuple[Manifest, list[Graded]]:
    """Run the checks, and the load stage where it is asked for; what is known already is not run again."""
    place = place_of(chosen, lab, out)
    try:
        with tempfile.TemporaryDirectory(prefix=f"{own_name()}manifest-") as folder:
            manifest = Manifest.make(lab, Path(folder), secret_of(out, lab, chosen), chosen.extra)
            batch = Batch(manifest, place, Store(out / "store"), fresh=again)
            driver = place.engine if chosen.load and isinstance(place, Threads) else None
            stage = LoadStage(lab, driver, batch.store.folder, fresh=again) if driver else None
            outcomes = batch.grade(submissions)
            driven = {batch.key(one): (one.files, outcomes[batch.key(one)]) for one in submissions}
            loads = stage.drive(driven) if stage else {}
    except KeyboardInterrupt:
        print(f"Ended. What was graded is in {out}: the same command goes on from there.", file=sys.stderr)
        raise
    finally:
        place.close()
    keys = [(one, batch.key(one)) for one in submissions]
    return manifest, [Graded(one, outcomes[key], loads.get(key)) for one, key in keys]


def place_of(chosen: argparse.Namespace, lab: Lab, out: Path) -> Pool:
    """A scheduler's workers, or threads here. Raises Refusal when neither can be had."""
    tls = Tls(chosen.tls_ca, chosen.tls_cert, chosen.tls_key)
    if chosen.scheduler:
        for name in ("workers", "allow_weak_isolation", "load"):
            if getattr(chosen, name):
                option = name.replace("_", "-")
                raise Refusal(f"--{option} is for this machine: leave it, or --scheduler, out.")
        return Cluster(chosen.scheduler, tls, lab, chosen.sandbox, chosen.runtime)
    if tls != Tls():
        raise Refusal("--tls-ca, --tls-cert and --tls-key are for --scheduler tls://HOST:PORT.")
    weakly = (
        choose_sandbox.Exposed((chosen.submissions, out), chosen.extra)
        if chosen.allow_weak_isolation
        else None
    )
    private = [path for path in (chosen.submissions, out, chosen.extra, chosen.roster) if path is not None]
    engine = choose_sandbox.choose(lab, chosen.sandbox, chosen.runtime, weakly, private)
    return Threads(engine, chosen.workers or None)


def regrade(chosen: argparse.Namespace) -> int:
    """Grade everything once more, and with --diff show every grade that changed."""
    return grade(chosen, again=True)


def finish(
    chosen: argparse.Namespace,
    out: Path,
    results: list[Result],
    roster: Roster,
    before: results_folder.Scores | None,
) -> int:
    """Write everything, and say what a person must know."""
    results_folder.write_all(out, results)
    for line in results_folder.summary(out, results):
        print(line)
    for line in results_folder.diff(before, results_folder.scores_of(results)) if before is not None else []:
        print(line)
    held = [one for one in results if one.score is None and one.id not in chosen.waive]
    if held:
        why = " and ".join(sorted({held_by(one) for one in held}))
        names = ", ".join(one.id for one in held[:5])
        print(f"Held back, no export: {why} for {names}. Run it again, or --waive ID.")
        return EXIT_INFRA
    if chosen.export:
        print(fill(chosen.export, out, results, roster, chosen.column))
    return EXIT_PASSED


def held_by(result: Result) -> str:
    """What keeps a student's number back."""
    return "INFRA_ERROR" if result.data["verdict"] == "INFRA_ERROR" else "an INCONCLUSIVE load stage"


def merge(chosen: argparse.Namespace) -> int:
    """Put the results of shards together. Raises Refusal when they were not graded alike."""
    merged: dict[str, Result] = {}
    for part in chosen.parts:
        for result in results_of(part):
            if merged.setdefault(result.id, result).data != result.data:
                raise Refusal(f"{result.id} is in two parts, with different results.")
    ways = {
        (*(str(one.data[key]) for key in ("lab", "class", "manifest", "grader", "of")), "load" in one.data)
        for one in merged.values()
    }
    if len(ways) > 1:
        raise Refusal(
            "The parts were graded with different checks, graders, seeds or load stages: give each shard the "
            "same --seed, and the same --load and --load-points."
        )
    roster = Roster.read(chosen.roster) if chosen.roster else Roster()
    missing = sorted({*roster.people} - {*merged})
    if missing:
        raise Refusal(f"{missing[0]} is on the roster and is in no part: name every part.")
    with results_folder.to_ourselves(chosen.out):
        return finish(chosen, chosen.out, [merged[key] for key in sorted(merged)], roster, None)


def results_of(part: Path) -> list[Result]:
    """A shard's results; none where more shards were made than there are students.

    Raises Refusal when it was not graded to its end, or a student's can't be read.
    """
    found = results_folder.read_results(part)
    unread = {path.name for path in part.glob(f"{results_folder.STUDENTS}/*")} - {one.folder for one in found}
    if unread:
        raise Refusal(f"{part}: the results of {min(unread)} can't be read. Grade that part again.")
    if not found and not (part / "summary.csv").exists():
        raise Refusal(f"There are no results in {part}.")
    return found


def similar(chosen: argparse.Namespace) -> int:
    """Lay a class out for plagiarism detectors, and run one where it is installed."""
    lab = find(chosen.lab)
    out = chosen.out or chosen.submissions.with_name(f"{chosen.submissions.resolve().name}-similar")
    roster = Roster.read(chosen.roster) if chosen.roster else Roster()
    print(f"{lay_out(lab, collect(chosen.submissions, lab, roster), out)} submissions: {out}")
    print(detect(out))
    return EXIT_PASSED


def autograder(chosen: argparse.Namespace) -> int:
    """Make what Gradescope wants uploaded."""
    lab = find(chosen.lab)
    named = named_secret(lab, chosen.extra)
    if named is not None and chosen.seed is not None:
        raise Refusal("The hidden checks name a seed already: leave --seed out.")
    seed = next((one for one in (named, chosen.seed) if one is not None), secrets.randbits(SECRET_BITS))
    count = autograders.make(lab, chosen.out, seed, chosen.extra)
    print(f"{chosen.out}: {count} files, seed {seed}. Gradescope takes it under Configure Autograder.")
    return EXIT_PASSED


def secret_of(out: Path, lab: Lab, chosen: argparse.Namespace) -> int:
    """The secret of a class: --seed, or that of --extra, or the last one, or one that nobody can guess."""
    path = out / "seed.json"
    wanted: int | None = chosen.seed if chosen.seed is not None else named_secret(lab, chosen.extra)
    if wanted is None:
        try:
            return int(json.loads(path.read_text(encoding="utf-8"))[lab.name])
        except (OSError, ValueError, KeyError, TypeError):
            wanted = secrets.randbits(SECRET_BITS)
    write_whole(path, canonical({lab.name: wanted}), mode=0o600)
    return wanted


def shard(submissions: list[Submission], text: str) -> list[Submission]:
    """Part K of N of a class, every student whole. Raises Refusal when `text` is no K/N."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})/([1-9][0-9]{0,4})", text)
    part, parts = map(int, found.groups()) if found else (0, 0)
    if not 1 <= part <= parts:
        raise Refusal(f"--shard {text} can't be used: give K/N, such as 2/4.")
    people = sorted({one.person.id for one in submissions})
    mine = set(people[part - 1 :: parts])
    return [one for one in submissions if one.person.id in mine]
