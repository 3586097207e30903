"""Requests and responses in the learner's process, as steps of the probe, and what came of them."""

from __future__ import annotations

import json
import random
import re
import string
from collections.abc import Iterator
from email.utils import formatdate
from typing import Any

from workshop.judge.checks import (
    NOT_JSON,
    Transcript,
    attribute,
    fail,
    made,
    named,
    that,
    wsgi_app,
)


def word(rng: random.Random) -> str:
    return "".join(rng.choices(string.ascii_lowercase, k=6))


def latin(text: str) -> str:
    """Text as PEP 3333 has it in an environ: its UTF-8 bytes, each as one character."""
    return text.encode("utf-8").decode("latin-1")


def environ(verb: str = "GET", path: str = "/", query: str = "", **more: Any) -> dict[str, Any]:
    """An environ; what a check is about comes first, for the report shows the beginning."""
    asked = {"REQUEST_METHOD": verb, **more, "PATH_INFO": path, "QUERY_STRING": query}
    rest = {
        "SCRIPT_NAME": "",
        "HTTP_HOST": "localhost",
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "wsgi.url_scheme": "http",
        "wsgi.input": made("io:BytesIO"),
        "wsgi.errors": made("io:StringIO"),
    }
    return {**asked, **{key: value for key, value in rest.items() if key not in asked}}


def told(asked: dict[str, Any]) -> str:
    """An environ for a report: its text, without the streams."""
    return repr({key: value for key, value in asked.items() if key not in ("wsgi.input", "wsgi.errors")})


def with_body(body: bytes, kind: str, **more: Any) -> dict[str, Any]:
    length = {"CONTENT_LENGTH": str(len(body))}
    stream = {"wsgi.input": made("io:BytesIO", body)}
    return environ("POST", **{"CONTENT_TYPE": kind, **length, **stream, **more})


def request(asked: dict[str, Any], **limits: int) -> tuple[str, Any]:
    return ("request", made("wrappers:Request", asked, **limits))


def part(wanted: str) -> Any:
    """An attribute of the request, as a step."""
    return attribute(named("request"), wanted)


def of(asked: dict[str, Any], wanted: str) -> Any:
    """An attribute of a new request, as one step."""
    return attribute(made("wrappers:Request", asked), wanted)


def values(seen: Transcript, count: int) -> list[Any]:
    """The results of the steps after the first one; fail with the exception when one was raised."""
    error = seen.raised
    if error is not None:
        status = error["attributes"].get("status")
        said = f" (status {status})" if status else ""
        fail(f"{error['type']}{said}: {error['message']}", "a value, and no exception")
    got = seen.values[-count:]
    return got


def refused(seen: Transcript, statuses: tuple[int, ...], why: str, **more: str) -> None:
    """Fail unless the last step raised an HTTPError with one of these statuses."""
    wanted = f"HTTPError with status {' or '.join(map(str, statuses))}     {why}"
    error = seen.raised
    if error is None:
        fail(f"no exception; the value was {shortened(seen.values[-1:])}", wanted, **more)
        return
    status = error["attributes"].get("status")
    got = f"{error['type']}: {error['message']}" + (f" (status {status})" if status else "")
    that("HTTPError" in error["bases"] and status in statuses, got, wanted, **more)


def each(probe: Any, calls: list[tuple[str, Any]]) -> Iterator[Any]:
    """The results of independent steps, asked in one go; each has words for the report.

    Fails with an exception where it was raised, when the results before it were taken.
    """
    seen = probe.steps(*[step for _, step in calls], sent=" ")
    for (words, _), value in zip(calls, seen.values, strict=False):
        yield value, words
    if seen.raised is not None:
        error, (words, _) = seen.raised, calls[len(seen.values)]
        fail(f"{error['type']}: {error['message']}", "a value, and no exception", sent=words)


def shortened(value: object) -> str:
    return text if len(text := repr(value)) < 120 else f"{text[:100]} …"


def response(body: Any = b"", *args: Any, **more: Any) -> dict[str, Any]:
    return made("wrappers:Response", body, *args, **more)


def answered(seen: Transcript) -> None:
    """Fail with the exception when there was one, or when nothing was started."""
    error = seen.raised
    if error is not None:
        fail(f"{error['type']}: {error['message']}", "a response, and no exception")
    that(seen.status is not None, "start_response was not called", "start_response, then the body")


def code(seen: Transcript) -> int:
    first = str(seen.status)[:3]
    return int(first) if first.isdigit() else 0


def status_is(seen: Transcript, right: int, why: str = "") -> None:
    """PEP 3333: three digits, a space, and words, which are free."""
    reason = f"     {why}" if why else ""
    shaped = re.fullmatch(rf"{right} [ -~]+", str(seen.status))
    that(shaped, f"status = {seen.status!r}", f"status = '{right} …', the number and some words{reason}")


def fields(seen: Transcript, wanted: str) -> list[str]:
    """All values of a header; names compare without case (RFC 9110 §5.1)."""
    pairs = [tuple(pair) for pair in seen.headers]
    return [str(pair[1]) for pair in pairs if len(pair) == 2 and str(pair[0]).lower() == wanted.lower()]


def field(seen: Transcript, wanted: str) -> str | None:
    return next(iter(fields(seen, wanted)), None)


def refuses(probe: Any, thing: Any, what: str) -> None:
    """Fail unless making or calling this raises ValueError, or its header holds nothing but single lines."""
    seen = probe.wsgi(thing)
    error = seen.raised
    if error is None:
        loud = [pair for pair in seen.headers if re.search("[\r\n]", "".join(map(str, tuple(pair))))]
        that(
            not loud, f"the header {loud[:1]}", f"ValueError: {what} ends a line, and the rest is a new field"
        )
        names = [str(next(iter(pair), "")) for pair in seen.headers]
        nul = [name for name in names if "\0" in name]
        that(not nul, f"the header {nul[:1]}", f"ValueError: {what} is a name that no two readers read alike")
        return
    got = f"{error['type']}: {error['message']}"
    that("ValueError" in error["bases"], got, f"ValueError: {what} cannot stand in a header")


def wsgi_body(chunks: list[bytes]) -> Any:
    """An iterable that logs each chunk that is taken, and its close."""
    return made(wsgi_app(chunks=chunks), environ(), made("form_handlers:ignoring"))


def parsed_json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except NOT_JSON:
        return f"no JSON: {data!r}"


def dated(seconds: float) -> str:
    return formatdate(seconds, usegmt=True)


def as_key(field_name: str) -> str:
    return "HTTP_" + field_name.upper().replace("-", "_")
