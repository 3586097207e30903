"""How much of a body is read: what its Content-Length says, and no more than the limits."""

from __future__ import annotations

from typing import Any

from wrapper_calls import environ, part, refused, request, values, with_body

from workshop.judge.checks import expect, made, method, named, that

URLENCODED = "application/x-www-form-urlencoded"
LET_GO = method(named("request"), "close")


def forms_within_limits(probe: Any, kind: str, good: bytes) -> None:
    """Fail unless a form that just keeps to the limits is read."""
    asked = request(with_body(good, kind), max_body=len(good), max_parts=2)
    sent = f"request.form of {len(good)} bytes in two parts, max_body={len(good)}, max_parts=2"
    form, _ = values(probe.steps(asked, part("form"), LET_GO, sent=sent), 2)
    expect("form", form, {"a": ["1"]}, "within all limits")
    fields = b"a=1&a=2"
    limits = {"max_body": len(fields), "max_memory": len(fields), "max_parts": 2}
    sent = f"request.form of {fields!r}, {URLENCODED}, with {limits!r}"
    seen = probe.steps(request(with_body(fields, URLENCODED), **limits), part("form"), sent=sent)
    expect("form", values(seen, 1)[0], {"a": ["1", "2"]}, "within all limits")


def lengths_are_read(probe: Any) -> None:
    """Fail unless a Content-Length is tested before the body, and a body has as many bytes."""
    for length, why in (("12x", "Content-Length isn't a number"), ("-1", "Content-Length is negative")):
        asked = with_body(b"hello", "text/plain", CONTENT_LENGTH=length)
        refused(probe.steps(request(asked), part("body")), (400,), why)
    asked = with_body(b"hello", "text/plain", CONTENT_LENGTH="9")
    why = "five bytes arrived, Content-Length promised nine"
    refused(probe.steps(request(asked), part("body")), (400,), why)
    multipart = "multipart/form-data; boundary=ab"
    for wanted, kind, length, why in (
        ("body", multipart, 10**12, "a terabyte"),
        ("form", multipart, 10**12, "a terabyte"),
        ("form", URLENCODED, 2 * 10**6, "two megabytes of fields, max_memory is 500000"),
    ):
        asked = with_body(b"--ab--", kind, CONTENT_LENGTH=str(length))
        why += ": Content-Length shows it before you read a byte"
        refused(probe.steps(request(asked), part(wanted)), (413,), why)


def bodies_without_length(probe: Any, data: bytes) -> None:
    """Fail unless a body without a length is none, or ends where the server says, within max_body."""
    asked = environ() | {"wsgi.input": made("io:BytesIO", b"rest")}
    (none,) = values(probe.steps(request(asked), part("body")), 1)
    why = "without a length there is no body"
    expect("body without Content-Length", none, b"", why, rule="RFC 9112 §6.3")
    asked = environ("POST") | {"wsgi.input": made("io:BytesIO", data), "wsgi.input_terminated": True}
    for most in (len(data), len(data) - 1):
        sent = f"request.body of {len(data)} bytes, no length, wsgi.input_terminated, max_body={most}"
        seen = probe.steps(request(asked, max_body=most), part("body"), sent=sent)
        within = most == len(data)
        if seen.raised is not None:
            why = "or the body, which keeps to max_body" if within else "or no byte over max_body"
            refused(seen, (411,) if within else (411, 413), why)
            continue
        body = seen.values[-1]
        right = "none of it, or all" if within else f"HTTPError 413, or at most {most} bytes"
        that(body in (b"", data) if within else len(body) <= most, f"body = {body!r}", right)
