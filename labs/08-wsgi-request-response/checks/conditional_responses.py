"""What a Response with an ETag and a date answers when preconditions are asked: 200, 304 or 412."""

from __future__ import annotations

from typing import Any

from wrapper_calls import answered, code, dated, field, fields, response, status_is

from workshop.judge.checks import expect, that


def responses_are_conditional(probe: Any, body: bytes, tag: str, other: str, at: int) -> None:
    same = dated(at)
    made_one = response(
        body, 200, [("Cache-Control", "no-cache"), ("Content-Language", "la")], etag=tag, modified=at
    )
    seen = probe.wsgi(made_one)
    answered(seen)
    expect("status", code(seen), 200)
    expect("ETag", field(seen, "ETag"), tag)
    expect("Last-Modified", field(seen, "Last-Modified"), same)
    lengths = fields(seen, "Content-Length")
    expect("Content-Length", lengths, [str(len(body))], "once", rule="RFC 9110 §8.6, §5.3")
    one_validator_is_enough(probe, body, tag, at)
    seen = probe.wsgi(made_one, headers=[("If-None-Match", tag)])
    answered(seen)
    status_is(seen, 304)
    expect("body", seen.body, b"", "a 304 has no content", rule="RFC 9110 §15.4.5")
    for key, value in (("ETag", tag), ("Cache-Control", "no-cache")):
        expect(
            key, field(seen, key), value, "a 304 keeps what a cache needs to know", rule="RFC 9110 §15.4.5"
        )
    length = field(seen, "Content-Length")
    that(
        length in (None, str(len(body))),
        f"Content-Length = {length!r}",
        "none, or that of the 200",
        rule="RFC 9110 §8.6",
    )
    seen = probe.wsgi(made_one, headers=[("If-Match", other)])
    answered(seen)
    expect("status", code(seen), 412)
    that(body not in seen.body, f"body = {seen.body!r}", "not what the client did not want")
    seen = probe.wsgi(response(body, 404, etag=tag), headers=[("If-None-Match", tag)])
    answered(seen)
    expect("status", code(seen), 404, "preconditions are about what would be a 200", rule="RFC 9110 §13.2.1")


def one_validator_is_enough(probe: Any, body: bytes, tag: str, at: int) -> None:
    """Fail unless a response is conditional that has an ETag and no date, or a date and no ETag."""
    for made_one, asked, why in (
        (response(body, etag=tag), ("If-None-Match", tag), "it has an ETag, and no date"),
        (response(body, modified=at), ("If-Modified-Since", dated(at)), "it has a date, and no ETag"),
    ):
        seen = probe.wsgi(made_one, headers=[asked])
        answered(seen)
        status_is(seen, 304, why)
