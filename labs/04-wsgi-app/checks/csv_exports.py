"""The file /tasks.csv, and the places that downloads of it hold."""

from __future__ import annotations

import csv
import io
import random
from typing import Any

from task_visits import APP, EXPORTS, add, open_visit, status_is, talk, title, visit

from workshop.judge.checks import Probe, expect, fail, made, method, named, ref, that


def rows_of(data: bytes) -> list[list[str]]:
    """A CSV file's rows. Fails unless it is one, in UTF-8."""
    try:
        return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))
    except (ValueError, csv.Error) as error:
        right = "CSV in UTF-8: a title in quotes, with its own quotes doubled"
        fail(f"{error}, in {data[:200]!r}", right, rule="RFC 4180 §2")


def names_without_tasks(probe: Probe) -> None:
    """Fail unless the file is its line of names while there is no task."""
    sent = "GET /tasks.csv, before any task was added"
    (answer,) = talk(probe, sent, visit("GET", "/tasks.csv")).values
    status_is(answer, 200, "GET /tasks.csv", "an empty list is a list, too", sent=sent)
    why = "the line of names, and no row: there is no task"
    expect("the rows", rows_of(answer["body"]), [["id", "title", "done"]], why, sent=sent)


def again(probe: Probe, rng: random.Random, ending: str, once: Any, verb: str = "GET") -> None:
    """Fail unless there is a place after EXPORTS visits that ended in one way."""
    sent = f"{verb} /tasks.csv, {ending}; this {EXPORTS} times; then GET /tasks.csv"
    steps: list[Any] = [add(title(rng))]
    for number in range(EXPORTS):
        steps += [(f"v{number}", open_visit(verb)), *once(f"v{number}")]
    *_, last = talk(probe, sent, *steps, visit("GET", "/tasks.csv")).values
    why = "the server calls close() on what you returned: that is when the place is free again"
    if verb == "HEAD":
        why = "you returned another object than the export: then you must close the export"
    elif ending.startswith("closed before"):
        why = "a generator that never began has no `finally` to come to: close() does nothing"
    status_is(last, 200, f"the export after {EXPORTS} that were {ending}", why, sent=sent)


def twice(probe: Probe, rng: random.Random) -> None:
    """Fail when closing twice gives two places back."""
    sent = f"GET /tasks.csv, one chunk, closed twice; then {EXPORTS} more that stay open; then one more"
    close = [method(named("v"), "take", 1), method(named("v"), "close"), method(named("v"), "close")]
    held = [(f"v{n}", open_visit()) for n in range(EXPORTS)]
    began = [method(named(f"v{n}"), "take", 1) for n in range(EXPORTS)]
    steps = [add(title(rng)), ("v", open_visit()), *close, *held, *began]
    *_, last = talk(probe, sent, *steps, visit("GET", "/tasks.csv")).values
    status_is(
        last,
        503,
        "one export too many",
        "a place is given back once, however often close() is called",
        sent=sent,
    )


def made_line_by_line(probe: Probe) -> None:
    """Fail unless the file is made while it is sent: whole, it would take as much memory as it has bytes."""
    count = 6000
    sent = f"tasks.add {count} times, with the longest titles; then GET /tasks.csv, chunk by chunk"
    fill = made("call_in_steps:fill", ref("app:tasks"), "\U0001d11e" * 200, count)
    export = made("call_in_steps:export_memory", ref(APP))
    seen = talk(probe, sent, fill, export, seconds=8.0, memory=True)
    got, (before, after) = seen.values[-1], seen.memories
    right = "a line at a time, made when the server asks for it: so a file of any size fits into memory"
    status_is(got, 200, "GET /tasks.csv", sent=sent)
    listed = got["returned"] in ("list", "tuple", "bytes")
    that(not listed, f"a {got['returned']} of {got['chunks']} chunks", right, sent=sent)
    large = f"a chunk of {got['largest']} bytes"
    that(got["largest"] < 16 * 1024, large, right, sent=sent)
    taken = (after or 0) - (before or 0)  # by the kernel: more than by Python, and nobody's to change
    little = got["peak"] < got["size"] / 2 and taken < got["size"]
    most = got["peak"] if little or got["peak"] > got["size"] / 2 else taken
    much = f"{most >> 10} KiB of memory at once, for a file of {got['size'] >> 10} KiB"
    that(little, much, right, sent=sent)
    why = "each line ends with CRLF: the header's, and that of each task"
    expect("CRLF line ends in the file", got["lines"], count + 1, why, rule="RFC 4180 §2", sent=sent)
