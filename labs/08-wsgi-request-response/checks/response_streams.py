"""A response whose body is an iterable: each chunk as it comes, no length, and a close that comes through."""

from __future__ import annotations

from typing import Any

from wrapper_calls import answered, field, wsgi_body

from workshop.judge.checks import expect, made, that


def streams_pass_through(probe: Any, chunks: list[bytes]) -> None:
    seen = probe.wsgi(made("wrappers:Response", wsgi_body(chunks), 200, (), "text/csv"))
    answered(seen)
    expect("chunks", [chunk for chunk in seen.chunks if chunk], chunks, "one for one")
    expect(
        "Content-Length",
        field(seen, "Content-Length"),
        None,
        "none: the length of a stream isn't known before its end",
    )
    order = [event["event"] for event in seen.events if event["event"] in ("inner chunk", "chunk")]
    early = order[:2] == ["inner chunk", "inner chunk"]
    that(
        not early,
        "the second chunk was requested before the first was passed on",
        "each chunk as it comes",
        rule='PEP 3333, "Buffering and Streaming"',
    )
    for verb, take in (("GET", None), ("GET", 1), ("HEAD", None)):
        seen = probe.wsgi(made("wrappers:Response", wsgi_body(chunks), 200, (), "text/csv"), verb, take=take)
        answered(seen)
        that(
            "inner closed" in seen.names(),
            f"the stream's close was not called ({verb}{', and the client left' if take else ''})",
            "close of the stream is called, however the response ends",
            rule='PEP 3333, "Specification Details"',
        )
    expect("body of HEAD", seen.body, b"", rule="RFC 9110 §9.3.2")
