"""Multipart bodies (RFC 7578), whole and broken."""

from __future__ import annotations

import random
from typing import Any

from wrapper_calls import of, part, request, values, with_body, word

from workshop.judge.checks import expect


def boundary(rng: random.Random) -> str:
    return "-" * rng.randrange(2, 8) + word(rng)


def multipart(mark: str, *parts: tuple[str, bytes]) -> bytes:
    """A multipart body; each part is its header, without the last line break, and its bytes."""
    lines = [f"--{mark}\r\n{head}\r\n\r\n".encode() + data + b"\r\n" for head, data in parts]
    return b"".join(lines) + f"--{mark}--\r\n".encode()


def disposition(field_name: str, filename: str | None = None) -> str:
    named_file = "" if filename is None else f'; filename="{filename}"'
    return f'Content-Disposition: form-data; name="{field_name}"{named_file}'


def kind_of(upload: list[Any]) -> str:
    """The type of an upload; RFC 7578 §4.4: none said is text/plain, and None or "" say the same."""
    return str(upload[2] or "text/plain")


def large_forms(mark: str) -> list[tuple[bytes, str, dict[str, int], str]]:
    """Forms that are over one of the limits: body, Content-Type, the limit, why."""
    kind, urlencoded = f"multipart/form-data; boundary={mark}", "application/x-www-form-urlencoded"
    good = multipart(mark, (disposition("a"), b"1"), (disposition("b", "x"), b"2"))
    many = multipart(mark, *((disposition(f"a{n}"), b"1") for n in range(9)))
    big, third = b"x" * 300_000, b"x" * 100_000
    field = multipart(mark, (disposition("a"), big))
    fields = multipart(mark, *((disposition(f"a{n}"), third) for n in range(3)))
    little = {"max_memory": 200_000}
    return [
        (good, kind, {"max_body": len(good) - 1}, "the body is one byte longer than max_body"),
        (many, kind, {"max_parts": 8}, "nine parts, max_parts=8"),
        (b"&".join([b"a=1"] * 9), urlencoded, {"max_parts": 8}, "nine urlencoded fields, max_parts=8"),
        (b"&".join([b"a=1"] * 20), urlencoded, {"max_parts": 8}, "twenty urlencoded fields, max_parts=8"),
        (
            field,
            kind,
            little,
            "a field of 300000 bytes, max_memory=200000",
        ),
        (fields, kind, little, "three fields of 100000 bytes together, max_memory=200000"),
        (b"a=" + big, urlencoded, little, "300002 bytes urlencoded, max_memory=200000"),
    ]


def broken_forms(mark: str, good: bytes) -> list[tuple[bytes, str, str]]:
    """Forms that are none, made of one that is: body, Content-Type, why."""
    kind = f"multipart/form-data; boundary={mark}"
    return [
        (good[: len(good) - 8], kind, "the last boundary is missing"),
        (good[: len(mark) + 20], kind, "the body ends inside a part's headers"),
        (good.replace(b"Content-Disposition", b"Content-Position"), kind, "a part without a name"),
        (good, "multipart/form-data", "no boundary"),
    ]


def boundaries_of_any_length(probe: Any) -> None:
    """Fail unless a boundary may have 1 to 70 characters; the body is asked for before the form."""
    for mark in ("b", "b" * 70):
        kind, body = f"multipart/form-data; boundary={mark}", multipart(mark, (disposition("a"), b"1"))
        sent = f"request.body, then request.form, Content-Type: {kind}"
        seen = probe.steps(request(with_body(body, kind)), part("body"), part("form"), sent=sent)
        whole, form = values(seen, 2)
        expect("body", whole, body)
        why = "the form, from the body that was read already; a boundary has 1 to 70 characters"
        expect("form", form, {"a": ["1"]}, why, rule="RFC 2046 §5.1.1")


def forms_are_their_own(probe: Any) -> None:
    """Fail when a form has fields or files of the request before it."""
    mark = "b7f3"
    kind = f"multipart/form-data; boundary={mark}"
    first = multipart(mark, (disposition("a"), b"1"), (disposition("photo", "ada.png"), b"2"))
    second = multipart(mark, (disposition("b"), b"3"))
    sent = "the form of one request (the field a, the file photo), then that of another one (the field b)"
    wanted = [(first, "form"), (second, "form"), (second, "files")]
    seen = probe.steps(*[of(with_body(body, kind), what) for body, what in wanted], sent=sent)
    _, form, files = values(seen, 3)
    why = "its own field only: what is read of a request belongs to its object"
    expect("the second request's form", form, {"b": ["3"]}, why, sent=sent)
    expect("the second request's files", files, {}, "it has none", sent=sent)
