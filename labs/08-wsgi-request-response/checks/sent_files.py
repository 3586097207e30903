"""What `file` sends of a file, and what it keeps of one when the response is closed: nothing."""

from __future__ import annotations

from typing import Any

from wrapper_calls import answered, dated, each, environ, refused, values

from workshop.judge.checks import expect, made, that

LITTLE = 4 * 1024 * 1024  # bytes: many pieces of 64 KiB, and a third of the file


def files_are_sent(probe: Any, data: bytes, at: int) -> None:
    """What `file` says of a file, and what it keeps of one: nothing, when the answer is closed."""
    cases = [
        ("GET", {}, "200"),
        ("GET", {"HTTP_RANGE": "bytes=0-1"}, "206"),
        ("GET", {"HTTP_RANGE": "bytes=999-"}, "416"),
        ("GET", {"HTTP_IF_MATCH": '"older"'}, "412"),
        ("GET", {"HTTP_IF_MODIFIED_SINCE": dated(at)}, "304"),
        ("HEAD", {}, "200"),
    ]
    calls = [
        (
            f"{verb} of a file with {more!r}",
            made("form_handlers:file_answer", data, at, environ(verb, **more)),
        )
        for verb, more, _ in cases
    ]
    for (_, _, right), (got, sent) in zip(cases, each(probe, calls), strict=True):
        expect("status", str(got["status"])[:3], right, sent=sent)
        closed = "the file is closed after every response, whatever its status"
        expect("files left open", max(0, got["left_open"]), 0, closed, rule="lesson, rule 10", sent=sent)
        said = {key.lower(): value for key, value in got["headers"]}
        if right == "200":
            expect("Last-Modified", said.get("last-modified"), dated(at), sent=sent)
            tag = said.get("etag")
            that(tag, f"ETag = {tag!r}", "a tag that changes with the file", sent=sent)
            expect("Content-Type", said.get("content-type"), "image/png", "its name ends in .png", sent=sent)
    for path, what in ((f"/nowhere/{at}", "this file doesn't exist"), ("/", "a directory isn't a file")):
        refused(probe.steps(made("wrappers:file", path)), (404,), what)
    is_packed(probe, data, at)
    tag_changes_with_the_file(probe, data, at)
    long = 3 * LITTLE
    sent = f"GET of a file of {long} bytes"
    peak = made("form_handlers:file_peak", long, environ())
    seen = probe.steps(peak, seconds=8.0, sent=sent, memory=True)
    (got,) = values(seen, 1)
    expect("bytes that came", got["size"], long)
    little = got["peak"] < LITTLE and (seen.memory or 0) < long
    much = f"{max(got['peak'], seen.memory or 0 if not little else 0) >> 10} KiB of memory at once"
    that(little, much, f"under {LITTLE >> 10} KiB: the file is read in pieces")


def tag_changes_with_the_file(probe: Any, data: bytes, at: int) -> None:
    """A file that is as it was has its ETag; one that has grown has another, also within a second."""
    sent = "GET of a file, twice; then it grows, within the same second; GET again"
    (tags,) = values(probe.steps(made("form_handlers:tags_of_a_file", data, at, environ()), sent=sent), 1)
    same, rule = f"ETags: {', '.join(tags)}", "RFC 9110 §8.8.1"
    right = "the same ETag twice: with a new one for each response nobody ever gets a 304"
    that(tags[0] == tags[1], same, right, rule=rule, sent=sent)
    right = "another ETag for other bytes: otherwise a client keeps the old ones"
    that(tags[2] != tags[1], same, right, rule=rule, sent=sent)


def is_packed(probe: Any, data: bytes, at: int) -> None:
    """A file with two suffixes says its type and its coding, or the type of the packing."""
    seen = probe.wsgi(made("form_handlers:sent_file", data, at, ".csv.gz"))
    answered(seen)
    said = {key.lower(): value for key, value in seen.headers}
    kind, coding = said.get("content-type", "").partition(";")[0], said.get("content-encoding")
    that(
        kind != "text/csv" or coding == "gzip",
        f"Content-Type = {kind!r}, Content-Encoding = {coding!r} for export.csv.gz",
        "text/csv with Content-Encoding: gzip, or the type of the compressed file: these bytes aren't CSV",
        rule="RFC 9110 §8.4",
    )
