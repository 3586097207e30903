"""The options of `workshop grade`, apart from what they lead to: every command's help reads them."""

from __future__ import annotations

import argparse
from datetime import datetime
from pathlib import Path


def grade(command: argparse.ArgumentParser) -> None:
    """The command's own options."""
    add = command.add_argument
    add("submissions", type=Path, help="a folder with one folder, archive or downloaded file a student")
    add("--lab", help="the lab's number (found by what is left of its starter)")
    add("--out", type=Path, help="where the results go (SUBMISSIONS-graded)")
    add("--roster", type=Path, help="a CSV with a column id, and others: name, email, submitted …")
    add("--workers", type=int, help="submissions side by side (as many as keep this machine busy)")
    add(
        "--seed",
        type=int,
        help="the class's secret, from which each work's seed is made (one is drawn, and kept)",
    )
    add("--sandbox", default="auto", choices=["auto", "bubblewrap", "docker", "weak"])
    add(
        "--allow-weak-isolation",
        action="store_true",
        help="where there is no sandbox: another user (as root) and limits, with the network open",
    )
    add("--runtime", default="", help="Docker's runtime, such as runsc")
    add("--extra", type=Path, help="a folder with hidden checks, outside of the workshop")
    add("--load", action="store_true", help="after the checks, drive each beside the lab's own solution")
    add("--load-points", type=points, default=0, metavar="N", help="what passing that is worth (0: nothing)")
    add("--due", type=datetime.fromisoformat, help="when it was due, such as 2026-11-20T18:00+01:00")
    add("--late-per-day", type=percent, default=0, metavar="PERCENT")
    add("--late-most", type=percent, default=100, metavar="PERCENT")
    add("--attempts", default="best", choices=["best", "last"], help="which of several attempts counts")
    add("--export", type=Path, metavar="CSV", help="your own Canvas or Moodle export, to fill one column of")
    add("--column", default="", help="that column's name, or the start of it")
    add(
        "--waive", action="append", default=[], metavar="ID", help="export without this student's INFRA_ERROR"
    )
    add("--shard", default="", metavar="K/N", help="only every Nth submission, beginning with the Kth")
    add("--scheduler", default="", metavar="ADDRESS", help="grade on the workers of this Dask scheduler")
    add("--tls-ca", type=Path, metavar="PEM", help="the authority of everybody's certificates, for tls://")
    add("--tls-cert", type=Path, metavar="PEM", help="this machine's certificate")
    add("--tls-key", type=Path, metavar="PEM", help="its key")


def regrade(command: argparse.ArgumentParser) -> None:
    """The options of `workshop regrade`: those of `grade`, and one."""
    grade(command)
    command.add_argument("--diff", action="store_true", help="show every grade that changed, falls first")


def points(text: str) -> int:
    """A number of points, from 0 up."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of points: give 0 or more")
    return int(text)


def percent(text: str) -> int:
    """A share in percent, from 0 to 100: less would be points for lateness, more would be points owed."""
    if not text.isascii() or not text.isdigit() or int(text) > 100:
        raise argparse.ArgumentTypeError(f"{text!r} is not a percentage: give a whole number from 0 to 100")
    return int(text)


def merge(command: argparse.ArgumentParser) -> None:
    """The options of `workshop merge`."""
    add = command.add_argument
    add("parts", type=Path, nargs="+", help="the results of each shard")
    add("--out", type=Path, required=True, help="where the results of all of them go")
    add("--roster", type=Path, help="the same roster")
    add("--export", type=Path, metavar="CSV", help="your own Canvas or Moodle export, to fill one column of")
    add("--column", default="", help="that column's name, or the start of it")
    add(
        "--waive", action="append", default=[], metavar="ID", help="export without this student's INFRA_ERROR"
    )


def similar(command: argparse.ArgumentParser) -> None:
    """The options of `workshop similar`."""
    add = command.add_argument
    add("submissions", type=Path, help="a folder of submissions, as for grade")
    add("--lab", required=True, help="the lab's number")
    add("--out", type=Path, help="where the layout goes (SUBMISSIONS-similar)")
    add("--roster", type=Path, help="the same roster")


def autograder(command: argparse.ArgumentParser) -> None:
    """The options of `workshop autograder`."""
    add = command.add_argument
    add("--lab", required=True, help="the lab's number")
    add("--out", type=Path, default=Path("autograder.zip"), help="where the zip goes (autograder.zip)")
    add("--seed", type=int, help="the class's secret, from which each work's seed is made (one is drawn)")
    add("--extra", type=Path, help="a folder with hidden checks, outside of the workshop")
