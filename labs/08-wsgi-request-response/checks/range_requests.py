"""Requests for parts of something of `size` bytes (RFC 9110 §14), and what each is answered with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from wrapper_calls import as_key, dated, each, environ

from workshop.judge.checks import expect, that


class Ranged(NamedTuple):
    """A Range, and the part that it names: from `first` to `stop`; (0, 0) is 416, and no `part` the whole."""

    field: str
    part: tuple[int, int] | None
    why: str

    @property
    def environ(self) -> dict[str, Any]:
        return environ(HTTP_RANGE=self.field) if self.field else environ()


def byte_ranges(start: int, last: int, size: int) -> list[Ranged]:
    return [
        Ranged(f"bytes={start}-{last}", (start, last + 1), "both ends belong to the range"),
        Ranged(f"bytes={start}-", (start, size), "to the end"),
        Ranged(f"bytes=-{start}", (size - start, size), "the last ones"),
        Ranged(f"bytes=-{size + start}", (0, size), "more than there are: all"),
        Ranged(f"bytes={start}-{size + 99}", (start, size), "what is there of it"),
        Ranged("bytes=0-0", (0, 1), "the first byte"),
        Ranged(f"bytes={size - 1}-", (size - 1, size), "the last byte"),
        Ranged("", None, "no Range"),
        Ranged(f"lines={start}-{last}", None, "an unknown unit is ignored"),
        Ranged(f"bytes={size}-", (0, 0), "nothing of it is there"),
        Ranged(f"bytes={size + 5}-{size + 9}", (0, 0), "nothing of it is there"),
    ]


def is_part(got: dict[str, Any], asked: Ranged, data: bytes, sent: str) -> None:
    """Fail unless an answer is the part that was asked for, the whole, or 416."""
    said = {key.lower(): value for key, value in got["headers"]}
    names = [key.lower() for key, _ in got["headers"]]
    twice = sorted({key for key in names if names.count(key) > 1})
    that(not twice, f"twice in the header: {', '.join(twice)}", "each once", rule="RFC 9110 §5.3", sent=sent)
    status, size, why = str(got["status"])[:3], len(data), asked.why
    if asked.part is None:
        expect("status", status, "200", why, sent=sent)
        expect("body", got["body"], data, why, sent=sent)
        return
    first, stop = asked.part
    if stop == 0:
        rule, every = "RFC 9110 §15.5.17", f"bytes */{size}"
        expect("status", status, "416", why, rule=rule, sent=sent)
        expect("Content-Range", said.get("content-range"), every, "how much there is", rule=rule, sent=sent)
        return
    expect("status", status, "206", why, sent=sent)
    part = f"bytes {first}-{stop - 1}/{size}"
    expect("Content-Range", said.get("content-range"), part, why, rule="RFC 9110 §14.4", sent=sent)
    expect("body", got["body"], data[first:stop], why, sent=sent)
    length, right = said.get("content-length"), str(stop - first)
    that(length in (None, right), f"Content-Length = {length!r}", f"{right}: of the part", sent=sent)


def odd_ranges(
    probe: Any, answer: Callable[[dict[str, Any]], Any], size: int
) -> Iterator[tuple[str, tuple[dict[str, Any], str]]]:
    """Answers to Range fields that name no range: RFC 9110 §14.2, they are ignored or refused."""
    odd = [
        "bytes=0-1junk",
        "bytes=junk0-1",
        "bytes=5-2",
        "bytes=-",
        "bytes=a-b",
        "bytes=1_0-",
        "bytes=+1-2",
        f"bytes={size}-{'9' * 5000}",  # int() refuses so many digits
    ]
    calls = [(f"GET of {size} bytes, Range: {one}", answer(environ(HTTP_RANGE=one))) for one in odd]
    return zip(odd, each(probe, calls), strict=True)


def conditional_ranges(
    tag: str, at: int, start: int, last: int
) -> list[tuple[str, dict[str, Any], dict[str, str], int, str]]:
    """A range with a condition: method, environ, the fields, the status, why."""
    ranged = {"Range": f"bytes={start}-{last}"}
    conditions: list[tuple[str, dict[str, str], int, str]] = [
        ("GET", {"If-Range": tag}, 206, "the part belongs to what the client has"),
        ("GET", {"If-Range": '"older"'}, 200, "the client has an older one: it gets the whole (§13.1.5)"),
        ("GET", {"If-Range": f"W/{tag}"}, 200, "strong comparison (§13.1.5)"),
        ("GET", {"If-Range": dated(at)}, 206, "exactly the date of Last-Modified"),
        ("GET", {"If-Range": dated(at - 3600)}, 200, "another date (§13.1.5)"),
        ("GET", {"If-Range": dated(at + 3600)}, 200, "another date, though a later one (§13.1.5)"),
        ("GET", {"If-None-Match": tag}, 304, "preconditions come before ranges (§13.2.2)"),
        ("GET", {"If-Match": '"older"'}, 412, "preconditions come before ranges (§13.2.2)"),
        ("HEAD", {}, 200, "only GET has ranges (§14.2)"),
    ]
    return [
        (verb, environ(verb, **{as_key(key): value for key, value in fields.items()}), fields, right, why)
        for verb, more, right, why in conditions
        for fields in [ranged | more]
    ]
